"""Choosing vectors one after another from their Gram matrix, so that their best combination nears a sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import np

if TYPE_CHECKING:
    import numpy

#: A vector of which the chosen ones leave less than this share of its square is taken to lie in their span.
_DEPENDENT = 1e-10


def pursue(G: numpy.ndarray, r: int, goal: float) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(index, squares): vectors in the order chosen, and the squared distance of the sum of all l vectors from the
    span of the first 1, 2, ... of them.

    G (l, l) float64 is the Gram matrix. Each step takes the vector that lowers the distance most (orthogonal least
    squares: Chen, Billings and Luo, Int. J. Control 50, 1989; a matching pursuit that also counts what the chosen ones
    leave of each candidate), the lowest index of equals. Vectors in the span of the chosen ones are passed over. Stops
    after r, at a square of at most goal, or when all are in the span. The squares are right to about eps (sum of
    lengths)^2. Cost: 2 l r^2 flops in products with vectors, memory l r.
    """
    l = len(G)
    sizes = np.array(G.diagonal())
    # of each vector: the square of what the chosen ones leave of it, and its product with what they leave of the sum
    left, g = sizes.copy(), G.sum(axis=1)
    square = float(g.sum())
    L = np.zeros((r, l))
    chosen: list[int] = []
    squares: list[float] = []
    while len(chosen) < r:
        t = len(chosen)
        usable = left > _DEPENDENT * sizes
        if not usable.any():
            break
        # the root of what each would take from the square, which itself might vanish
        gains = np.full(l, -1.0)
        np.divide(np.abs(g), np.sqrt(np.maximum(left, 0.0)), out=gains, where=usable)
        p = int(np.argmax(gains))
        pivot = np.sqrt(left[p])
        row = (G[p] - L[:t, p] @ L[:t]) / pivot
        z = g[p] / pivot
        L[t] = row
        left -= np.square(row)
        left[p] = 0.0
        g -= z * row
        square -= float(z * z)
        chosen.append(p)
        squares.append(max(0.0, square))
        if square <= goal:
            break
    return np.array(chosen, np.int64), np.array(squares)
