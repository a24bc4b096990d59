"""Columns with a proven error: Osinsky's rule on the leading singular vectors, then exchanges that lower the error."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..factors.base import dense
from ..kernels import selection as kernel
from ..lazy import np
from ..matrices.adjoint import Adjoint
from ..matrices.metered import Metered
from ..streams import Streams
from .id_exchange import BLOCK, lower_error, ordered, residual_squares
from .id_selection import DIRECT_ENTRIES, Selection, Wish, for_a_rank, least_squares, pivot_basis, pivot_matrix
from .svd_sources import Refined, Source

if TYPE_CHECKING:
    import numpy

#: A column already looked at is taken if its price is at most this times the lowest of all.
_NEAR = 1.1
#: Residuals below this many eps of the matrix are rounding.
ROUNDING = 8.0


@dataclasses.dataclass(frozen=True, eq=False)
class Bound:
    """What is known of the error of k columns: |A - C Z|_F <= ratio |A - A V V^H|_F, the right side being tail.

    optimal_lower: squared, what no approximation of rank k can go below. exchanges: how many lowered the error.
    """

    ratio: float
    tail: float
    optimal_lower: float
    exchanges: int


def choose(wish: Wish, source: Source, k: int, streams: Streams) -> tuple[Selection, Bound]:
    """At most k columns, |A - C Z|_F^2 <= (k + 1) |A - A V V^H|_F^2 for V the k leading right singular vectors.

    Osinsky, "Close to optimal column approximations with a single SVD" (2023): the oblique error, of coefficients
    V_J^-H V^H, is |A - A V V^H|_F^2 at first and grows by the price of each column; the lowest price is at most the
    mean, 1 / r of the error with r columns to come, so k of them make it k + 1 times as large. The least squares error
    is no larger; pivots take the place of these columns where their error is lower, and exchanges only lower it. We
    differ: what is left of A is never formed; products with its columns come in blocks, and a column of the block is
    taken when its price is below that mean and near the lowest.

    The rank is less than k when the matrix has no more independent columns. Cost: that of source, 7
    passes, and one for every block of 64 columns that is looked at.
    """
    work = wish.work
    eps = float(np.finfo(work.dtype).eps)
    s = np.sqrt(source.squares())
    k = max(1, min(k, int(np.count_nonzero(s > max(work.shape) * eps * s[0]))))
    U, _, V = source.triplets(k)
    V = np.ascontiguousarray(V if wish.along else U, dtype=np.result_type(work.dtype, np.float64))
    norm = math.sqrt(wish.scaled.squares)
    pivots, tail = _osinsky(work, V, (ROUNDING * eps * norm) ** 2 / work.shape[1])
    chosen, exchanges = lower_error(
        work, [least_squares(work, ordered(work, pivots), compiled=False), _pivots(wish, source, k, streams)]
    )
    least = float(np.sum(source.least()[k:]))
    return chosen, Bound(math.sqrt(k + 1), math.sqrt(tail), least, exchanges)


def _pivots(wish: Wish, source: Source, k: int, streams: Streams) -> Selection:
    if isinstance(source, Refined):
        return pivot_basis(wish, k, source.grown)
    m, n = wish.work.shape
    return pivot_matrix(wish, k) if m * n <= DIRECT_ENTRIES else for_a_rank(wish, k, streams)


def _osinsky(work: Metered | Adjoint, V: numpy.ndarray, floor: float) -> tuple[numpy.ndarray, float]:
    """(pivots, |A - A V V^H|_F^2) for V (n, k) with orthonormal columns."""
    n, k = V.shape
    left = _Left(work, V)
    squares = left.squares()
    tail, rest = float(squares.sum()), V
    pivots = np.zeros(0, np.int64)
    of, block = np.zeros(0, np.int64), np.zeros((n, 0), V.dtype)
    for r in range(k, 0, -1):
        price = kernel.prices(squares, rest, floor)
        price[pivots] = np.inf
        lowest, mean = float(price.min()), (float(squares.sum()) + n * floor) / r
        known = int(np.argmin(price[of])) if len(of) else 0
        if not len(of) or price[of[known]] > max(lowest, min(_NEAR * lowest, mean)):
            first = np.argsort(price, kind="stable")[: min(BLOCK, 2 * r)]
            of = np.sort(first[np.isfinite(price[first])])
            block = left.products(of)
            known = int(np.argmin(price[of]))
        pivots = np.append(pivots, of[known])
        w, rest = kernel.take(squares, rest, block, of, known)
        left.take(int(of[known]), w)
    return pivots, tail


class _Left:
    """E = A - A V V^H, less what the columns taken since have changed: E_j w for each. Never formed."""

    def __init__(self, work: Metered | Adjoint, V: numpy.ndarray):
        self.work, self.V = work, V
        self.AV = work.matmat(V.astype(work.dtype, copy=False)).astype(V.dtype)
        # one line a column taken
        self.taken = np.zeros((V.shape[1], work.shape[0]), V.dtype)
        self.weights = np.zeros((V.shape[1], work.shape[1]), V.dtype)
        self.count = 0

    def squares(self) -> numpy.ndarray:
        """Squared column norms of A - A V V^H: one pass."""
        return residual_squares(self.work, self.AV, np.ascontiguousarray(self.V.conj().T))

    def column(self, of: numpy.ndarray) -> numpy.ndarray:
        own = np.ascontiguousarray(dense(self.work.cols(of)), dtype=self.V.dtype)
        own = own - self.AV @ np.ascontiguousarray(self.V[of].conj().T)
        return own - self.taken[: self.count].T @ np.ascontiguousarray(self.weights[: self.count, of])

    def products(self, of: numpy.ndarray) -> numpy.ndarray:
        """E^H E_c for the columns of ``of``: one pass."""
        X = np.ascontiguousarray(self.column(of))
        H = np.ascontiguousarray(self.work.rmatmat(X))
        # A V V^H and the columns taken, off again
        H -= self.V @ (self.AV.conj().T @ X)
        H -= self.weights[: self.count].conj().T @ (self.taken[: self.count].conj() @ X)
        return H

    def take(self, j: int, w: numpy.ndarray) -> None:
        self.taken[self.count], self.weights[self.count] = self.column(np.array([j]))[:, 0], w
        self.count += 1
