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


def multiple_of_32(width: float) -> int:
    """Block widths that BLAS kernels like: 60 columns cost more than 64."""
    return 32 * max(1, math.ceil(width / 32))


class BlockKrylov:
    """The growing basis of an m x n matrix; best when n <= m, since V costs the most.

    ``start(b)`` opens it, ``expand(b)`` adds a block; both need one product A^H (block) and one A (block).
    """

    def __init__(self, matrix: Metered | Adjoint, streams: Streams):
        self.matrix = matrix
        self.streams = streams
        n = matrix.shape[1]
        self.V = np.empty((n, 0), matrix.dtype)
        self.W = np.empty((matrix.shape[0], 0), matrix.dtype)
        self._gram = np.empty((0, 0))
        self._sketched = 0
        self._fused: numpy.ndarray | None = None
        self._last = 0
        self._filled = 0
        #: A fresh sketch found nothing outside the basis, or it is full: A = W V^H to rounding.
        self.exhausted = False

    @property
    def size(self) -> int:
        """Columns of the basis."""
        return int(self.V.shape[1])

    def start(self, b: int, fused: bool) -> None:
        """The first block, from a Gaussian sketch A^H Omega. fused: the next expansion will come, so compute its
        product in the same pass."""
        self._append(self._fresh(b), fused)

    def expand(self, b: int, fused: bool) -> None:
        """The next block: A^H W_last, widened by sketch columns when b is more than the last block was."""
        if self.size >= self.matrix.shape[1]:
            return
        if self._fused is None:
            self._fused = self.matrix.rmatmat(np.ascontiguousarray(self.W[:, -self._last :]))
        Z = self._fused
        if b > Z.shape[1]:
            Z = np.hstack([Z, self._fresh(b - Z.shape[1])])
        self._append(Z, fused)

    def _fresh(self, b: int) -> numpy.ndarray:
        m = self.matrix.shape[0]
        Omega = gaussian(self.streams, "sketch", m, self._sketched + b, self.matrix.dtype)[:, self._sketched :]
        self._sketched += b
        return self.matrix.rmatmat(np.ascontiguousarray(Omega))

    def _append(self, Z: numpy.ndarray, fused: bool) -> None:
        Z = np.ascontiguousarray(Z[:, : self.matrix.shape[1] - self.size])
        if self.size:
            Z = self._news(Z)
        Q = self._orthogonal_to_basis(Z)
        if fused:
            W, self._fused = self.matrix.normal_matmat(Q)
        else:
            W, self._fused = self.matrix.matmat(Q), None
        engine = self.matrix.engine
        corner = gram(W, engine)
        if self.size:
            wide = np.result_type(W.dtype, np.float64)
            side = cross(self.W.astype(wide, copy=False), W.astype(wide, copy=False), engine)
            self._gram = np.block([[self._gram, side], [side.conj().T, corner]])
        else:
            self._gram = corner
        self.V, self.W = np.hstack([self.V, Q]), np.hstack([self.W, W])
        self._last = W.shape[1]
        self.exhausted = self.exhausted or self.size >= self.matrix.shape[1]

    def _news(self, Z: numpy.ndarray) -> numpy.ndarray:
        """Z, or a fresh sketch when all of Z lies in V: the Krylov space is invariant, which it is too early when
        singular values repeat more often than a block is wide."""
        if not self._lost(Z).all():
            return Z
        Z = np.ascontiguousarray(self._fresh(Z.shape[1]))
        self.exhausted = bool(self._lost(Z).all())
        return Z

    def _lost(self, Z: numpy.ndarray) -> numpy.ndarray:
        """Which columns lie in V to rounding."""
        engine = self.matrix.engine
        Q = _normalised(Z, _lengths(Z, engine))
        subtract_product(Q, self.V, cross(self.V, Q, engine), engine)
        return _lengths(Q, engine) <= 64 * float(np.finfo(Z.dtype).eps)

    def _orthogonal_to_basis(self, Z: numpy.ndarray) -> numpy.ndarray:
        """An orthonormal basis of Z made orthogonal to V: project and orthonormalise until V^H Q is rounding noise.

        A column that lies in V, or in the columns before it, to rounding says nothing new and is replaced by a random
        one.
        """
        engine = self.matrix.engine
        eps = float(np.finfo(Z.dtype).eps)
        Q = _normalised(Z, _lengths(Z, engine))
        for sweep in range(8):
            H = cross(self.V, Q, engine)
            subtract_product(Q, self.V, H, engine)
            left = _lengths(Q, engine)
            lost = left <= (64 * eps if sweep == 0 else 0.01)
            if lost.any():
                left[lost] = 1.0
                Q[:, lost] = self._random_columns(int(lost.sum()))
            Q, R = orthonormalize(_normalised(Q, left), engine)
            # columns that depended on those before them came back as arbitrary ones, which may lie in V
            settled = np.abs(R.diagonal()).min() > 64 * eps and not lost.any()
            if settled and float(np.abs(H).max(initial=0.0)) <= 0.5 and (sweep > 0 or not self.size):
                break
        return Q

    def _random_columns(self, count: int) -> numpy.ndarray:
        """Columns to go on with where the Krylov space has nothing new; of about unit length."""
        n = self.matrix.shape[1]
        Omega = gaussian(self.streams, "krylov filling", n, self._filled + count, self.V.dtype)
        self._filled += count
        return Omega[:, self._filled - count :] / np.sqrt(n).astype(Omega.real.dtype)

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


def _normalised(Z: numpy.ndarray, lengths: numpy.ndarray) -> numpy.ndarray:
    return Z / np.where(lengths > 0, lengths, 1.0).astype(Z.real.dtype)
