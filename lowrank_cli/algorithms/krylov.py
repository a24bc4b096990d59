"""A block Krylov basis for the leading singular subspaces, and the Ritz values that watch it grow.

Block Golub-Kahan iteration, one-sided: V = [V_1 ... V_q] has orthonormal columns and spans A^H Omega,
(A^H A) A^H Omega, ...; W = A V is kept, so A ~ W V^H is the orthogonal projection of A on the row space V and costs no
further product. Rokhlin, Szlam and Tygert 2009; Musco and Musco 2015; Tropp and Webber 2023, Algorithm 4. We differ:
the basis is kept on one side only, V is fully reorthogonalised, W needs no orthogonalisation while the basis grows,
and a block may be widened by fresh random columns.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..lazy import np
from ..matrices.blocks import cross, gram, orthonormalize, subtract_product, times
from ..sketches.gaussian import gaussian
from ..streams import Streams

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine
    from ..matrices.adjoint import Adjoint
    from ..matrices.metered import Metered

#: Below this ratio s_k / s_1 eigenvalues of the Gram matrix no longer tell the singular vectors apart.
_GRAM_REACH = {4: 3e-2, 8: 1e-6}


#: Rounding of a product A^H w, in units of eps |A| |w|.
_NOISE = 8.0


def multiple_of_32(width: float) -> int:
    """Block widths that BLAS kernels like: 60 columns cost more than 64."""
    return 32 * max(1, math.ceil(width / 32))


class BlockKrylov:
    """The growing basis of an m x n matrix; best when n <= m, since V costs the most.

    ``start(b)`` opens it, ``expand(b)`` adds a block; both need one product A^H (block) and one A (block). A column
    that rounding cannot tell from the span of those before it is not added, so a block may come out narrower.
    """

    def __init__(self, matrix: Metered | Adjoint, streams: Streams):
        self.matrix = matrix
        self.streams = streams
        n = matrix.shape[1]
        self.V = np.empty((n, 0), matrix.dtype)
        self.W = np.empty((matrix.shape[0], 0), matrix.dtype)
        #: A fresh sketch found nothing outside the basis, or it is full: A = W V^H to rounding.
        self.exhausted = False
        self._gram = np.empty((0, 0))
        self._sketched = 0
        self._fused: numpy.ndarray | None = None
        self._last = 0
        self._scale = 0.0

    @property
    def size(self) -> int:
        """Columns of the basis."""
        return int(self.V.shape[1])

    @property
    def last(self) -> int:
        """Columns of the last block."""
        return self._last

    def start(self, b: int, fused: bool) -> None:
        """The first block, from a Gaussian sketch A^H Omega. fused: the next expansion will come, so compute its
        product in the same pass."""
        self._append(np.empty((self.matrix.shape[1], 0), self.V.dtype), np.empty(0), b, fused)

    def expand(self, b: int, fused: bool) -> None:
        """The next block: A^H W_last, widened by sketch columns when b is more than that has news."""
        if self.exhausted:
            return
        last = np.ascontiguousarray(self.W[:, self.size - self._last :])
        Z = self._fused if self._fused is not None else self.matrix.rmatmat(last)
        noise = _NOISE * float(np.finfo(Z.dtype).eps) * self._scale
        self._append(Z, noise * _lengths(last, self.matrix.engine), b - Z.shape[1], fused)

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

    def _fresh(self, b: int) -> numpy.ndarray:
        m = self.matrix.shape[0]
        Omega = gaussian(self.streams, "sketch", m, self._sketched + b, self.matrix.dtype)[:, self._sketched :]
        self._sketched += b
        return self.matrix.rmatmat(np.ascontiguousarray(Omega))

    def _append(self, Z: numpy.ndarray, floor: numpy.ndarray, fresh: int, fused: bool) -> None:
        """Add what is new in Z, whose columns carry rounding noise of length floor, and in fresh sketch columns:
        those asked for, and one for each column of Z that turns out to say nothing new."""
        engine = self.matrix.engine
        room = self.matrix.shape[1] - self.size
        Q = self._news(Z, floor)
        fresh = min(max(fresh, 0) + Z.shape[1] - Q.shape[1], room - Q.shape[1])
        if fresh > 0:
            F = self._fresh(fresh)
            noise = _NOISE * float(np.finfo(F.dtype).eps) * float(_lengths(F, engine).max(initial=0.0))
            Q = self._news(np.hstack([Z, F]), np.append(floor, np.full(fresh, noise)))
            # a fresh sketch is independent of V with probability one, as long as there is anything left
            self.exhausted = Q.shape[1] < fresh
        Q = np.ascontiguousarray(Q[:, :room])
        if Q.shape[1]:
            self._take(Q, fused)
        self.exhausted = self.exhausted or self.size >= self.matrix.shape[1]

    def _take(self, Q: numpy.ndarray, fused: bool) -> None:
        """Join Q, orthonormal and orthogonal to V, and A Q to the basis."""
        engine = self.matrix.engine
        if fused:
            W, self._fused = self.matrix.normal_matmat(Q)
        else:
            W, self._fused = self.matrix.matmat(Q), None
        corner = gram(W, engine)
        if self.size:
            wide = np.result_type(W.dtype, np.float64)
            side = cross(self.W.astype(wide, copy=False), W.astype(wide, copy=False), engine)
            self._gram = np.block([[self._gram, side], [side.conj().T, corner]])
        else:
            self._gram = corner
            self._scale = math.sqrt(float(corner.diagonal().real.sum()))
        self.V, self.W = np.hstack([self.V, Q]), np.hstack([self.W, W])
        self._last = W.shape[1]

    def _news(self, Z: numpy.ndarray, floor: numpy.ndarray) -> numpy.ndarray:
        """An orthonormal basis, orthogonal to V, of what the columns of Z add to V.

        Columns are weighed so that their rounding noise, of length floor, has length 1; directions that do not stand
        out of it are dropped. Then project and orthonormalise until V^H Q is noise.
        """
        engine = self.matrix.engine
        lengths = _lengths(Z, engine)
        seen = lengths > floor
        # unit columns first: a column may lie in V but for the last digits, which the projection needs exactly
        Q = np.ascontiguousarray(Z[:, seen] / lengths[seen].astype(Z.real.dtype))
        for sweep in range(6):
            H = cross(self.V, Q, engine)
            subtract_product(Q, self.V, H, engine)
            if sweep == 0:
                Q = _above_noise(Q, lengths[seen] / floor[seen], engine)
            if not Q.shape[1]:
                return Q
            Q = orthonormalize(Q, engine)[0]
            if sweep > 0 and float(np.abs(H).max(initial=0.0)) <= 0.5:
                break
        return Q

    def ritz_squares(self) -> numpy.ndarray:
        """Squared Ritz values, non-increasing, from the Gram matrix of W: right to eps times the largest."""
        return np.maximum(np.linalg.eigvalsh(self._gram)[::-1], 0.0)

    def triplets(self, k: int) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
        """(U, s, V) for k Ritz triplets, and s for as many more as were resolved: A V[:, :k] = U diag(s[:k]).

        U (m, k) and V (n, k) are orthonormal to rounding. The Gram matrix chooses a subspace of the basis when it can
        tell that many directions apart, otherwise Householder QR of W does; the numbers themselves always come from
        an orthonormalised W, never from squares.
        """
        engine = self.matrix.engine
        values, vectors = np.linalg.eigh(self._gram)
        values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
        keep = min(self.size, k + 16)
        reach = _GRAM_REACH[np.dtype(self.W.real.dtype).itemsize]
        if values[0] > 0 and values[keep - 1] > (reach**2) * values[0]:
            T = vectors[:, :keep]
            Q, R = orthonormalize(times(self.W, T, engine), engine)
        else:
            T = np.eye(self.size, dtype=vectors.dtype)
            Q, R = np.linalg.qr(self.W)
        P, s, Th = np.linalg.svd(R)
        U = times(np.ascontiguousarray(Q), P[:, :k], engine)
        V = times(self.V, T @ Th.conj().T[:, :k], engine)
        return U, s.astype(self.W.real.dtype), V


def _lengths(Z: numpy.ndarray, engine: Engine) -> numpy.ndarray:
    """Lengths of the columns, in double precision."""
    return np.sqrt(gram(Z, engine).diagonal().real)


def _above_noise(Q: numpy.ndarray, weights: numpy.ndarray, engine: Engine) -> numpy.ndarray:
    """The left singular directions of Q diag(weights) that are longer than noise of unit length a column can be."""
    lengths = _lengths(Q, engine) * weights
    # a column within its noise would only add noise
    Q, weights = Q[:, lengths > 1], weights[lengths > 1]
    if not Q.shape[1]:
        return Q
    basis, R = orthonormalize(np.ascontiguousarray(Q * weights.astype(Q.real.dtype)), engine)
    P, s, _ = np.linalg.svd(R.astype(np.result_type(R.dtype, np.float64)))
    return times(basis, P[:, s > math.sqrt(len(s))], engine)
