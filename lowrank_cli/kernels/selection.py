"""Osinsky's rule: columns that interpolate a matrix as a basis of its rows does, at a proven price."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import np

if TYPE_CHECKING:
    import numpy

#: A column whose part in the basis is this small against the largest can carry nothing.
_BLIND = 1e-10


def prices(squares: numpy.ndarray, V: numpy.ndarray, floor: float) -> numpy.ndarray:
    """By how much each column, if chosen next, adds to the squared error: squares_j / |V_j|^2; inf for the blind.

    squares (n,): squared column norms of E, taken to be at least ``floor``; V (n, r): the part of the basis that no
    column stands for yet, E V = 0.
    """
    parts = np.square(np.abs(V)).sum(axis=1)
    seen = parts > _BLIND * parts.max(initial=0.0)
    return np.where(seen, np.maximum(squares, floor) / np.where(seen, parts, 1.0), np.inf)


def take(
    squares: numpy.ndarray, V: numpy.ndarray, block: numpy.ndarray, of: numpy.ndarray, c: int
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(w, V): choose column j = of[c]. E becomes E - E_j w with w_j = 1, and V loses the direction that j stands for.

    block (n, b) holds E^H E_c for the columns ``of``; squares and block are changed in place. The squared error grows
    by the price of j, since E is orthogonal to the direction q = V V_j^H / |V_j| along which it is changed. Cost:
    4 n r + 4 n b flops.
    """
    j = int(of[c])
    length = float(np.linalg.norm(V[j]))
    x = V[j] / length
    q = V @ x.conj()
    w = q.conj() / length
    own, column = squares[j], block[:, c].copy()
    block += np.outer(w.conj(), own * w[of] - block[j].copy()) - np.outer(column, w[of])
    squares += own * np.square(np.abs(w)) - 2 * (w * column).real
    np.maximum(squares, 0.0, out=squares)
    squares[j] = 0.0
    V = V - np.outer(q, x)
    # what is orthogonal to x: one column of V less
    return w, V
