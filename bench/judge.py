"""How good a result is, measured against the matrix in float64 and by nothing that was timed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

#: Rows of a dense matrix looked at together.
ROWS = 1000
#: Sparse errors are differences of squares: below this share of |A|^2 they would be rounding.
CLEAR = 1e-6


def error(A: Any, factors: list[np.ndarray]) -> float:
    """|A - L R|_F, with L R alone where it was multiplied out; A may be the two matrices of a product. NaN where it
    cannot be told from rounding."""
    F = [f.astype(np.float64, copy=False) for f in factors]
    return _sparse_error(A, *F) if hasattr(A, "indptr") else _dense_error(A, F)


def norm(A: Any) -> float:
    if hasattr(A, "indptr"):
        return float(np.linalg.norm(A.data))
    return _dense_error(A, [])


def triplets(A: np.ndarray, values: np.ndarray, L: np.ndarray, R: np.ndarray) -> tuple[float, float]:
    """Of the singular triplets of L R: the largest of |A v - s u| and |A^T u - s v|, and the largest error of an s by
    the known values; both over the largest s."""
    Q, T = np.linalg.qr(L)
    P, S = np.linalg.qr(R.T)
    U, s, Vh = np.linalg.svd(T @ S.T)
    U, V = Q @ U, P @ Vh.T
    left, right = np.linalg.norm(A @ V - U * s, axis=0), np.linalg.norm(A.T @ U - V * s, axis=0)
    return float(max(left.max(), right.max()) / s[0]), float(np.abs(s - values[: len(s)]).max() / s[0])


def best(values: np.ndarray, k: int) -> float:
    """The smallest error of any rank k."""
    return float(np.linalg.norm(values[k:]))


def _dense_error(A: Any, F: list[np.ndarray]) -> float:
    """By blocks of rows; of A itself without factors."""
    rows = len(A[0] if isinstance(A, tuple) else A)
    total = 0.0
    for start in range(0, rows, ROWS):
        at = slice(start, start + ROWS)
        block = A[0][at] @ A[1] if isinstance(A, tuple) else A[at].astype(np.float64)
        if F:
            block -= F[0][at] if len(F) == 1 else F[0][at] @ F[1]
        total += float(np.vdot(block, block))
    return math.sqrt(total)


def _sparse_error(A: Any, L: np.ndarray, R: np.ndarray) -> float:
    """|A|^2 - 2 <A, L R> + |L R|^2."""
    whole = float(np.vdot(A.data, A.data))
    square = whole - 2 * float(np.vdot(L, A @ R.T)) + float(np.sum((L.T @ L) * (R @ R.T)))
    return math.sqrt(square) if square > CLEAR * whole else math.nan
