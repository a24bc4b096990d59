"""The spectral norm of a residual as an interval: from below by Ritz values, from above with stated probability."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..factors.base import Factorization
from ..lazy import np
from ..matrices.difference import Difference
from ..matrices.metered import Metered

if TYPE_CHECKING:
    import numpy

#: Residuals up to this size are formed and decomposed: then the norm is exact.
DENSE_ENTRIES, DENSE_SIDE = 4_000_000, 1000
#: Starting vectors and steps of the block Lanczos iteration.
STARTS, STEPS = 32, 10


def exact_norm(matrix: Metered, factor: Factorization) -> float:
    """|A - F|_2 by LAPACK; one pass and a dense copy."""
    E = matrix.whole() - factor.reconstruct()
    return float(np.linalg.norm(E, 2))


def affordable(shape: tuple[int, int]) -> bool:
    return shape[0] * shape[1] <= DENSE_ENTRIES and min(shape) <= DENSE_SIDE


def slack(n: int, starts: int, steps: int, delta: float) -> float:
    """eps with P(largest Ritz value of E^H E < (1 - eps) |E|_2^2) <= delta after ``steps`` steps from ``starts``.

    Kuczynski and Wozniakowski 1992, Theorem 4.2: from one random start Lanczos fails with probability at most
    1.648 sqrt(n) exp(-sqrt(eps) (2 steps - 1)); a block holds the Krylov space of each of its independent starts, so
    all must fail.
    """
    root = (math.log(1.648 * math.sqrt(n)) + math.log(1 / delta) / starts) / (2 * steps - 1)
    return min(root**2, 1.0)


def interval(operator: Difference | Metered, start: numpy.ndarray, delta: float) -> tuple[float, float]:
    """(lower, upper) for E = operator: lower <= |E|_2 always, |E|_2 <= upper except with probability delta.

    start: Gaussian (m, STARTS), fresh for every call. Block Lanczos on E E^H with full reorthogonalisation. Cost:
    2 STEPS passes of 32 columns.
    """
    from ..matrices.blocks import cross, gram, orthonormalize, subtract_product

    engine = operator.engine
    Q = orthonormalize(np.ascontiguousarray(start), engine)[0]
    basis, images = Q, operator.rmatmat(Q)
    limit = min(STEPS, max(1, operator.shape[0] // start.shape[1]))
    fresh = images
    for _ in range(1, limit):
        Z = operator.matmat(np.ascontiguousarray(fresh))
        size = math.sqrt(float(gram(Z, engine).diagonal().real.max()))
        if size == 0:
            break
        Z = np.ascontiguousarray(Z / size).astype(basis.dtype)
        for _ in range(2):
            subtract_product(Z, basis, cross(basis, Z, engine), engine)
            Z = orthonormalize(Z, engine)[0]
        fresh = operator.rmatmat(Z)
        basis, images = np.hstack([basis, Z]), np.hstack([images, fresh])
    # Ritz values of E E^H on the basis: of the Gram matrix of E^H Q, as Q is orthonormal
    lower = math.sqrt(max(0.0, float(np.linalg.eigvalsh(gram(images, engine))[-1])))
    share = slack(operator.shape[0], start.shape[1], limit, delta)
    return lower, lower / math.sqrt(1 - share) if share < 1 else math.inf
