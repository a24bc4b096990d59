"""Choosing rows of an orthonormal basis, which stand for columns, or rows, of the matrix it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import np
from .pivoting import pivoted_qr
from .sampling import with_replacement

if TYPE_CHECKING:
    import numpy


def deim(V: numpy.ndarray) -> numpy.ndarray:
    """k rows of V (n, k) in the order of a pivoted QR of V^H, int64: Q-DEIM.

    ``growth`` of them is at most sqrt(n - k + 1) sqrt(4^k + 6 k - 1) / 3, in practice near 10. Source: Drmac and
    Gugercin 2016; the DEIM of Sorensen and Embree 2016 pivots by LU instead, where growth comes out larger. Cost:
    2 n k^2 flops. Fewer than k rows where V has lower numerical rank.
    """
    return pivoted_qr(np.ascontiguousarray(V.conj().T), V.shape[1]).pivots


def leverage_order(V: numpy.ndarray, exponentials: numpy.ndarray) -> numpy.ndarray:
    """All rows of V (n, k) in the order they are drawn, without replacement, by leverage scores |V[j, :]|^2.

    Each draw is in proportion to the scores of those left: the order of E_j / score_j for independent standard
    exponential numbers E_j (n,). Rows that are zero come last.
    """
    scores = _squared_lengths(V)
    with np.errstate(divide="ignore"):
        return np.argsort(np.where(scores > 0, exponentials / scores, np.inf), kind="stable").astype(np.int64)


def adaptive(V: numpy.ndarray, u: numpy.ndarray) -> numpy.ndarray:
    """k rows of V (n, k), int64, by adaptive randomized pivoting with the uniforms u (k,) in [0, 1).

    Each row is drawn in proportion to the squared length that the rows before it leave of it. For V with orthonormal
    columns and J the rows drawn, E |A - A[:, J] V[J, :]^-H V^H|_F^2 = (k + 1) |A - A V V^H|_F^2, for any A. Source:
    Cortinovis and Kressner 2024 (arXiv 2412.13992), Algorithm 2; lengths are downdated instead of deflating V. Cost:
    2 n k^2 flops.
    """
    k = V.shape[1]
    V = np.ascontiguousarray(V)
    left = _squared_lengths(V)
    X = np.zeros((k, k), V.dtype)
    chosen = np.empty(k, np.int64)
    for t in range(k):
        if not left.any():
            return chosen[:t]
        j = int(with_replacement(left, u[t : t + 1])[0])
        x = V[j].conj()
        for _ in range(2):
            x = x - X[:, :t] @ (X[:, :t].conj().T @ x)
        X[:, t] = x / np.linalg.norm(x)
        chosen[t] = j
        left = np.maximum(left - _squared_lengths((V @ X[:, t])[:, None]), 0.0)
        left[chosen[: t + 1]] = 0.0
    return chosen


def growth(V: numpy.ndarray, chosen: numpy.ndarray) -> float:
    """|V[chosen, :]^+|_2 for V (n, k) with orthonormal columns: by how much interpolation at these rows may enlarge an
    error. Infinite when they do not determine the columns."""
    if len(chosen) < V.shape[1]:
        return float("inf")
    smallest = float(np.linalg.svd(np.ascontiguousarray(V[chosen]), compute_uv=False)[-1])
    return 1 / smallest if smallest > 0 else float("inf")


def _squared_lengths(V: numpy.ndarray) -> numpy.ndarray:
    return np.square(np.abs(V).astype(np.float64)).sum(axis=1)
