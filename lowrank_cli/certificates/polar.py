"""How near a matrix is to the polar factor of another: measured in double precision, whatever made it."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..lazy import np
from ..matrices.blocks import cross, gram, times
from .spectral import affordable

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine

#: Singular values of X above this count as one that should be 1, others as one that should be 0.
HALF = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class PolarCheck:
    """values: the singular values of X, descending. rank: how many exceed 1/2; P projects on their right vectors.

    beyond: the largest of the others. orthogonality: |X^H X - P|_F, 0 for a partial isometry. backward: |A - X H|_F /
    |A|_F with H the Hermitian part of X^H A; A = X H for the polar factor, and a small value says that X is the exact
    one of a matrix near A.
    """

    values: numpy.ndarray
    rank: int
    beyond: float
    orthogonality: float
    backward: float


@dataclasses.dataclass(frozen=True, eq=False)
class PolarDistance:
    """|X - U_r V_r^H| in both norms, from an SVD in double precision; values: the singular values of A."""

    fro: float
    spectral: float
    values: numpy.ndarray


def check(A: numpy.ndarray, X: numpy.ndarray, engine: Engine) -> PolarCheck:
    """Measure X (m, n) against A of the same shape, m >= n, A not zero. Cost: 6 m n^2 flops, and 4/3 n^3."""
    n = A.shape[1]
    wide = np.result_type(A.dtype, np.float64)
    G = gram(X, engine)
    squares = np.maximum(np.linalg.eigvalsh(G)[::-1], 0.0)
    values = np.sqrt(squares)
    rank = int(np.count_nonzero(values > HALF))
    beyond, away = 0.0, _length(G - np.eye(n))
    if rank < n:
        # roots of eigenvalues of G stop at sqrt(eps); products with their vectors do not
        others = np.ascontiguousarray(np.linalg.eigh(G)[1][:, : n - rank])
        Y = times(np.ascontiguousarray(X, dtype=wide), others, engine)
        beyond = math.sqrt(max(float(np.linalg.eigvalsh(gram(Y, engine))[-1]), 0.0))
        away = float(np.linalg.norm(squares - (values > HALF)))
    H = cross(X, A, engine, wide=True)
    H = 0.5 * (H + H.conj().T)
    whole = A.astype(wide, copy=False)
    left = whole - times(np.ascontiguousarray(X, dtype=wide), H, engine)
    return PolarCheck(values, rank, beyond, away, _length(left) / _length(whole))


def distance(A: numpy.ndarray, X: numpy.ndarray, engine: Engine, rank_of: float) -> PolarDistance | None:
    """How far X is from the polar factor by LAPACK; None where that is too dear, or fails.

    rank_of: singular values above this share of the first belong to U_r V_r^H. Cost: 22 n^3 flops for square A.
    """
    if not affordable(A.shape):
        return None
    try:
        U, s, Vh = np.linalg.svd(A.astype(np.result_type(A.dtype, np.float64), copy=False), full_matrices=False)
        r = int(np.count_nonzero(s > rank_of * s[0]))
        left = X - times(np.ascontiguousarray(U[:, :r]), np.ascontiguousarray(Vh[:r]), engine)
        return PolarDistance(_length(left), float(np.linalg.norm(left, 2)), s)
    except np.linalg.LinAlgError:
        return None


def _length(A: numpy.ndarray) -> float:
    """|A|_F, row by row in storage order."""
    return math.sqrt(float(np.sum(np.square(np.abs(A)))))
