"""The spectral norm of a residual as an interval: from below by Ritz values, from above with stated probability."""

from __future__ import annotations

import math

from ..factors.base import Approximation
from ..lazy import np
from ..matrices.metered import Metered

#: Residuals up to this size are formed and decomposed: then the norm is exact.
DENSE_ENTRIES, DENSE_SIDE = 4_000_000, 1000
#: Starting vectors and steps of the block Lanczos iteration.
STARTS, STEPS = 32, 10


def exact_norm(matrix: Metered, factor: Approximation) -> float:
    """|A - F|_2 by LAPACK; one pass and a dense copy."""
    E = matrix.whole() - factor.reconstruct()
    return float(np.linalg.norm(E, 2))


def affordable(shape: tuple[int, int]) -> bool:
    return shape[0] * shape[1] <= DENSE_ENTRIES and min(shape) <= DENSE_SIDE


def slack(n: int, starts: int, steps: int, delta: float) -> float:
    """eps with P(largest Ritz value of E^H E < (1 - eps) |E|_2^2) <= delta after ``steps`` steps from ``starts``.

    Kuczynski and Wozniakowski 1992, Theorem 4.2: from one random start in n dimensions (the rank of E at most) Lanczos
    fails with probability at most 1.648 sqrt(n) exp(-sqrt(eps) (2 steps - 1)); a block holds the Krylov space of each
    of its independent starts, so all must fail.
    """
    root = (math.log(1.648 * math.sqrt(n)) + math.log(1 / delta) / starts) / (2 * steps - 1)
    return min(root**2, 1.0)
