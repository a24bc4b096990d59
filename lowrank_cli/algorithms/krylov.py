"""A block Krylov basis for the leading singular subspaces, and the Ritz values that watch it grow.

Block Golub-Kahan iteration, one-sided: V = [V_1 ... V_q] has orthonormal columns and spans A^H Omega,
(A^H A) A^H Omega, ...; W = A V is kept, so A ~ W V^H is the orthogonal projection of A on the row space V and costs no
further product. Rokhlin, Szlam and Tygert 2009; Musco and Musco 2015; Tropp and Webber 2023, Algorithm 4. We differ:
the basis is kept on one side only, V is fully reorthogonalised, W needs no orthogonalisation while the basis grows,
and a block may be widened by fresh sketch columns.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import TYPE_CHECKING

from ..lazy import np
from ..matrices.blocks import Columns, beside, columns_of, cross, drawn, gram, lengths, subtract_product, times
from ..matrices.orthonormal import householder, news, orthonormalize
from ..sketches.gaussian import gaussian
from ..streams import Streams
from .basis_gram import BasisGram

if TYPE_CHECKING:
    import numpy

    from ..matrices.adjoint import Adjoint
    from ..matrices.metered import Ledger, Metered

#: Below this ratio s_k / s_1 eigenvalues of the Gram matrix no longer tell the singular vectors apart.
_GRAM_REACH = {4: 3e-2, 8: 1e-6}
#: Columns of the sketch drawn before they are asked for.
_AHEAD = 16
#: Share of what the next block adds that may be left out for a narrower one.
_LEFT_OUT = 0.01
#: Rounding of a product A^H w, in units of eps |A| |w|.
_NOISE = 8.0


def multiple_of_32(width: float) -> int:
    """Block widths that BLAS kernels like: 60 columns cost more than 64."""
    return 32 * max(1, math.ceil(width / 32))


class BlockKrylov:
    """The growing basis of an m x n matrix; best when n <= m, since V costs the most.

    ``start(b)`` opens it, ``expand(b)`` adds a block; each costs two products. A column that rounding cannot tell from
    the span of those before it is not added, so a block may come out narrower. fused, for both: the next expansion will
    come, so compute its product in the same pass. short: see ``BasisGram``.
    """

    def __init__(self, matrix: Metered | Adjoint, streams: Streams, short: bool = False):
        self.matrix = matrix
        self.streams = streams
        self.V = Columns(matrix.shape[1], matrix.dtype)
        self.W = Columns(matrix.shape[0], matrix.dtype)
        #: A fresh sketch found nothing outside the basis, or it is full: A = W V^H to rounding.
        self.exhausted = False
        self._gram = BasisGram(matrix.shape, matrix.dtype, matrix.engine, short)
        self._sketched = 0
        self._drawn = np.empty((matrix.shape[0], 0), matrix.dtype)
        self._fused: numpy.ndarray | None = None
        self._scale = 0.0
        self._before = dataclasses.replace(matrix.ledger)
        #: Columns after each block, and what it all had cost by then.
        self.marks: list[tuple[int, Ledger]] = []

    @property
    def size(self) -> int:
        """Columns of the basis."""
        return int(self.V.shape[1])

    @property
    def last(self) -> int:
        """Columns of the last block."""
        return int(self.W.blocks[-1].shape[1]) if self.W.blocks else 0

    @property
    def ahead(self) -> numpy.ndarray | None:
        """A^H W for the last block of W, where it was computed in the same pass."""
        return self._fused

    def start(self, b: int, fused: bool) -> None:
        """The first block, from a Gaussian sketch A^H Omega. Cost: two products."""
        b = min(b, self.matrix.shape[1])
        Z = self.matrix.rmatmat(self._sketch(b))
        # the mean of |A^H omega|^2 is |A|_F^2
        self._scale = float(np.linalg.norm(lengths(Z, self.matrix.engine))) / math.sqrt(b)
        Q = self._news(Z, np.full(b, self._noise()))
        if Q.shape[1]:
            self._take(np.ascontiguousarray(Q), fused)
        self.exhausted = Q.shape[1] < b or b == self.matrix.shape[1]
        self.marks.append((self.size, self.matrix.ledger.since(self._before)))

    def start_from(self, V: numpy.ndarray) -> None:
        """The first block given: V, orthonormal. Cost: one product."""
        self._take(np.ascontiguousarray(V.astype(self.V.dtype, copy=False)), fused=False)
        self._scale = math.sqrt(float(self._gram.diagonal().sum()))
        self.exhausted = V.shape[1] == self.matrix.shape[1]
        self.marks.append((self.size, self.matrix.ledger.since(self._before)))

    def prefix(self, blocks: int, matrix: Metered | Adjoint) -> BlockKrylov:
        """This basis as it was after so many blocks, or all of it; what it is asked to do from now on is charged to
        ``matrix``, the same one by another ledger."""
        made = copy.copy(self)
        made.matrix, made._before = matrix, dataclasses.replace(matrix.ledger)
        if blocks < len(self.marks):
            size = self.marks[blocks - 1][0]
            made.V, made.W = self.V.prefix(size), self.W.prefix(size)
            made._gram = self._gram.prefix(size, made.last)
            made._fused, made.exhausted = None, False
        else:
            made._gram = copy.copy(self._gram)
        made.marks = self.marks[:blocks]
        return made

    def needed(self, k: int) -> numpy.ndarray | None:
        """Orthonormal combinations C of the columns of the last block, a multiple of 16 of them, for ``expand``; None
        where all of them are needed.

        A^H (A v) - s^2 v for a Ritz vector v = V t is what A^H W_last t_last adds to the basis, and the next block adds
        at least its square over s^2 to s^2. What C leaves out makes up less than 1 % of the squares of t_last / s, for
        the k leading t.
        """
        if self._fused is not None:
            return None
        values, T = self.ritz()
        k, last = min(k, self.size), self.last
        floor = np.maximum(values[:k], float(np.finfo(self.V.dtype).eps) * values[0])
        if not values[0] > 0:
            return None
        weighed = T[-last:, :k] / np.sqrt(floor)
        squares, C = np.linalg.eigh(weighed @ weighed.conj().T)
        left_out = np.count_nonzero(np.cumsum(squares) < _LEFT_OUT * squares.sum())
        kept = -(-(last - left_out) // 16) * 16
        return np.ascontiguousarray(C[:, -kept:]) if kept < last else None

    def expand(self, b: int, fused: bool, needed: numpy.ndarray | None = None) -> None:
        """The next block: A^H W_last, widened by sketch columns when b is more than that has. needed: those
        combinations of W_last alone. Cost: two products."""
        if self.exhausted:
            return
        room = self.matrix.shape[1] - self.size
        last = self.W.blocks[-1]
        long = np.sqrt(self._gram.diagonal()[-last.shape[1] :])
        if needed is not None:
            last = times(last, needed.astype(last.dtype, copy=False), self.matrix.engine)
            long = lengths(last, self.matrix.engine)
        sketched = max(0, min(b - last.shape[1], room))
        noise = self._noise()
        floor = np.append(noise * long, np.full(sketched, noise))
        if self._fused is None:
            Z = self.matrix.rmatmat(beside([last, self._sketch(sketched)], self.matrix.engine) if sketched else last)
        elif sketched:
            Z = np.hstack([self._fused, self.matrix.rmatmat(self._sketch(sketched))])
        else:
            Z = self._fused
        self._gram.goes_back(Z[:, : last.shape[1]])
        Q = self._news(Z, floor)
        short = min(Z.shape[1], room) - Q.shape[1]
        if short > Q.shape[1] and not sketched:
            # most of these said nothing new: is there anything left that a sketch finds?
            sketched = short
            Z = np.hstack([Z, self.matrix.rmatmat(self._sketch(short))])
            Q = self._news(Z, np.append(floor, np.full(short, noise)))
        # sketch columns are independent of V with probability one, as long as there is anything left
        self.exhausted = Q.shape[1] < min(sketched, room)
        Q = np.ascontiguousarray(Q[:, :room])
        if Q.shape[1]:
            self._take(Q, fused)
        self.exhausted = self.exhausted or self.size >= self.matrix.shape[1]
        self.marks.append((self.size, self.matrix.ledger.since(self._before)))

    def pad(self, k: int) -> None:
        """Fill the basis up to k columns with random directions, where an exhausted matrix has no more to give."""
        n, have = self.matrix.shape[1], self.size
        if have >= k:
            return
        Q = gaussian(self.streams, "krylov filling", n, k - have, self.V.dtype)
        for _ in range(3):
            Q = np.ascontiguousarray(Q)
            subtract_product(Q, self.V, cross(self.V, Q, self.matrix.engine), self.matrix.engine)
            Q = orthonormalize(Q, self.matrix.engine)[0]
        self._take(Q, fused=False)

    def _noise(self) -> float:
        """Rounding of A^H w for |w| = 1."""
        return _NOISE * float(np.finfo(self.V.dtype).eps) * self._scale

    def _sketch(self, b: int) -> numpy.ndarray:
        """The next b columns of the sketch."""
        need = self._sketched + b
        if need > self._drawn.shape[1]:
            # a wider sketch begins with the narrower one, and drawing it anew is dear: a few columns ahead
            # (of a sparse matrix they cost more than the product, and often nobody asks for them)
            matrix = self.matrix
            size = matrix.shape[0], need + (_AHEAD if matrix.nnz is None else 0)
            self._drawn = drawn(self.streams, "sketch", *size, matrix.dtype, matrix.engine, matrix.home)
        Omega = columns_of(self._drawn, self._sketched, need, self.matrix.engine)
        self._sketched = need
        return Omega

    def _take(self, Q: numpy.ndarray, fused: bool) -> None:
        """Join Q, orthonormal and orthogonal to V, and A Q to the basis."""
        if fused:
            W, self._fused = self.matrix.normal_matmat(Q, keep=True)
        else:
            W, self._fused = self.matrix.matmat(Q, keep=True), None
        self._gram.joined(self.W, Q, W, self._fused)
        self.V, self.W = self.V.joined(Q), self.W.joined(W)

    def _news(self, Z: numpy.ndarray, floor: numpy.ndarray) -> numpy.ndarray:
        return news(self.V, Z, floor, self.matrix.engine)

    def ritz(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Squared Ritz values, non-increasing, and the directions T of the basis they belong to: of the Gram matrix of
        W, so right to ``blur``, or eps times the largest."""
        values, vectors = self._gram.eigen(self.W)
        assert vectors is not None
        return values, vectors

    def ritz_squares(self) -> numpy.ndarray:
        """Squared Ritz values alone."""
        return self._gram.eigen(self.W, vectors=False)[0]

    def blur(self) -> float:
        """What rounding may have added to a squared Ritz value."""
        return self._gram.blur(self.W)

    def left(self, l: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        """(U, T), U (m, l) and T (l, l): U T is orthonormal in double precision and spans the leading left singular
        directions of W, l <= size. U itself is nearly orthonormal, so that T may wait for the next change of basis."""
        engine = self.matrix.engine
        values, T = self.ritz()
        reach = _GRAM_REACH[8]  # the Gram matrix is in double precision whatever W is
        wide = np.result_type(self.W.dtype, np.float64)
        if values[0] > 0 and values[l - 1] > (reach**2) * values[0]:
            U = times(self.W, T[:, :l] / np.sqrt(values[:l]), engine, wide)
            G = gram(U, engine)
            if np.linalg.norm(G - np.eye(l)) < 0.5:
                return U, np.linalg.inv(np.linalg.cholesky(G).conj().T)
            return orthonormalize(U, engine)[0], np.eye(l)
        Q, R = householder(self.W, engine, wide)
        return times(Q, np.linalg.svd(R)[0][:, :l], engine), np.eye(l)

    def triplets(self, k: int) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
        """(U, s, V) for k Ritz triplets, and s for as many more as were resolved: A V[:, :k] = U diag(s[:k]).

        U (m, k) and V (n, k) are orthonormal to rounding. The Gram matrix chooses a subspace of the basis when it can
        tell that many directions apart, otherwise Householder QR of W does; the numbers themselves always come from
        an orthonormalised W, never from squares.
        """
        engine = self.matrix.engine
        values, vectors = self.ritz()
        keep = min(self.size, k + 16)
        reach = _GRAM_REACH[np.finfo(self.W.dtype).dtype.itemsize]
        if values[0] > 0 and values[keep - 1] > (reach**2) * values[0]:
            T = vectors[:, :keep]
            Q, R = orthonormalize(times(self.W, T, engine), engine)
        else:
            T = np.eye(self.size, dtype=vectors.dtype)
            Q, R = householder(self.W, engine)
        P, s, Th = np.linalg.svd(R)
        U = times(Q, P[:, :k], engine)
        V = times(self.V, T @ Th.conj().T[:, :k], engine)
        return U, s.astype(np.finfo(self.W.dtype).dtype), V
