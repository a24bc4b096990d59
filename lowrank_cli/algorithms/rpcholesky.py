"""Randomly pivoted Cholesky: columns of a positive semidefinite matrix, drawn by what the diagonal has left.

Chen, Epperly, Tropp and Webber 2025; Epperly, Tropp and Webber 2024 for the block form with rejection, whose pivots
have the law of drawing one at a time. We differ: the width of a block is fixed, so that the pivots of a smaller rank
are the first ones of a larger; sums and products run over fixed pieces of rows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..factors.base import dense
from ..lazy import np
from ..matrices.blocks import Columns, pieces, subtract_product
from ..matrices.metered import Metered
from ..streams import Streams
from .symmetric import diagonal, not_semidefinite

if TYPE_CHECKING:
    import numpy

#: Proposals drawn together.
_PROPOSALS = 32


class PivotedCholesky:
    """F with A - F F^H positive semidefinite, its columns found as they are asked for; in double precision.

    left (n,): the diagonal of A - F F^H, whose sum is the trace of the error. exhausted: that is rounding.
    """

    def __init__(self, matrix: Metered, streams: Streams):
        self.matrix, n = matrix, matrix.shape[0]
        self.dtype = np.result_type(matrix.dtype, np.float64)
        self.diagonal = diagonal(matrix)
        self.trace = float(np.sum(self.diagonal))
        self.left = self.diagonal.copy()
        self.pivots: list[int] = []
        self.F = Columns(n, self.dtype)
        self.random = streams.generator("rpcholesky")
        # of an entry of the diagonal: what the dtype of the matrix left, and the sums here
        eps = 4 * float(np.finfo(matrix.dtype).eps) + n * float(np.finfo(np.float64).eps)
        self.noise, self.floor = eps * float(self.diagonal.max(initial=0.0)), eps * self.trace
        self._check()
        self.exhausted = self._spent()

    def _spent(self) -> bool:
        return not float(np.sum(self.left)) > self.floor or not float(self.left.max()) > self.noise

    def grow(self, count: int, exactly: bool) -> None:
        """At least so many columns, or, exactly, no more; fewer only when there is nothing left."""
        while len(self.pivots) < count and not self.exhausted:
            room = count - len(self.pivots) if exactly else _PROPOSALS
            chosen, L, empty = self._accepted(self._proposals(), room)
            if len(chosen):
                self._take(chosen, L)
            self.left[empty] = 0.0  # not drawn again
            self.exhausted = self._spent()

    def _proposals(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Indices drawn by the diagonal that is left, and the numbers that decide which are taken."""
        u = self.random.random((2, _PROPOSALS))
        sums = np.cumsum(self.left)
        drawn = np.searchsorted(sums, u[0] * sums[-1], side="right")
        return np.minimum(drawn, len(sums) - 1), u[1]

    def _accepted(self, proposals: tuple[numpy.ndarray, numpy.ndarray], room: int) -> tuple[numpy.ndarray, Any, Any]:
        """The proposals that one-at-a-time sampling would have taken, in order; the Cholesky factor of what is left
        of A among them; and those that have nothing left. A proposal j is taken with probability left_j now / left_j
        when it was drawn."""
        S, u = proposals
        rows = self._rows(S)
        H = self._corner(S) - rows @ np.ascontiguousarray(rows.conj().T)
        L = np.zeros((len(S), 0), self.dtype)
        taken: list[int] = []
        empty: list[int] = []
        for j in range(len(S)):
            have = float(H[j, j].real)
            if have <= self.noise:
                empty.append(j)
            if have <= self.noise or u[j] * self.left[S[j]] >= have:
                continue
            column = H[:, j] / math.sqrt(have)
            H -= np.outer(column, column.conj())
            L = np.column_stack([L, column])
            taken.append(j)
            if len(taken) == room:
                break
        return S[taken], L[taken], S[empty]

    def _rows(self, index: numpy.ndarray) -> numpy.ndarray:
        """Rows of F, C-ordered."""
        return np.hstack([np.zeros((len(index), 0), self.dtype), *(block[index] for block in self.F.blocks)])

    def _corner(self, index: numpy.ndarray) -> numpy.ndarray:
        """A[index, index]."""
        stored: Any = self.matrix.inner
        if hasattr(stored, "corner"):
            return stored.corner(index).astype(self.dtype)
        return dense(self.matrix.rows(index))[:, index].astype(self.dtype)

    def _take(self, chosen: numpy.ndarray, L: numpy.ndarray) -> None:
        """Join the columns (A - F F^H)[:, chosen] L^-H to F."""
        engine = self.matrix.engine
        G = np.ascontiguousarray(dense(self.matrix.cols(chosen)), dtype=self.dtype)
        self.matrix.ledger.flops += 2 * G.size * (self.F.shape[1] + len(chosen))
        subtract_product(G, self.F, self._rows(chosen).conj().T, engine)
        parts = pieces(len(G))

        def solve(i: int) -> None:
            X = np.ascontiguousarray(G[parts[i]].T)
            for j in range(len(X)):
                X[j] = (X[j] - L[j, :j].conj() @ X[:j]) / L[j, j].real
            G[parts[i]] = X.T

        engine.map(solve, len(parts))
        # above the diagonal of L the factor is zero, but for rounding
        G[chosen] = np.tril(L)
        self.F = self.F.joined(G)
        self.pivots += [int(i) for i in chosen]
        self.left -= np.square(np.abs(G)).sum(axis=1)
        self.left[self.pivots] = 0.0
        self._check()

    def _check(self) -> None:
        """Refuse a matrix whose remaining diagonal is negative, which proves that it is not semidefinite."""
        i = int(np.argmin(self.left))
        if self.left[i] < -10 * self.noise:
            size = float(self.diagonal.max(initial=0.0)) or 1.0
            after = f" after {len(self.pivots)} columns" if self.pivots else ""
            raise not_semidefinite(
                f"row {i} (counted from 0) has {self.left[i] / size:.3g} of the largest diagonal entry left on the "
                f"diagonal{after}"
            )
        np.maximum(self.left, 0.0, out=self.left)
