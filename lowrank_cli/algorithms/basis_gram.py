"""The Gram matrix of W = A V as a Krylov basis grows, and its eigenvalues: squared Ritz values."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from ..lazy import np
from ..matrices.blocks import Columns, cross, gram

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine

#: The short side serves for matrices at least so many times as tall as wide, and while the least eigenvalue is so many
#: eps of the largest.
_ASPECT, _CLEAR = 2, 1e3


class BasisGram:
    """W^H W for W = A V (m, l), in double precision.

    short: blocks W_i^H W_j may come from (A^H W_i)^H V_j, which the growth of a basis has at hand: the short side of a
    matrix much taller than wide gives them at a fraction of the cost, right to eps of the largest in the precision of
    the basis. Where that hides an eigenvalue, W itself is asked.
    """

    def __init__(self, shape: tuple[int, int], dtype: numpy.dtype, engine: Engine, short: bool = False):
        self.engine, self.dtype = engine, np.dtype(dtype)
        self.short = short and shape[0] >= _ASPECT * shape[1]
        self._eps = float(np.finfo(self.dtype).eps)
        self._matrix = self._long = np.empty((0, 0))
        # A^H W for the first blocks of W
        self._back = Columns(shape[1], dtype)
        self._known: tuple[int, numpy.ndarray, numpy.ndarray | None, float] = (-1, np.empty(0), None, 0.0)

    def __len__(self) -> int:
        return len(self._matrix)

    def prefix(self, size: int, last: int) -> BasisGram:
        """That of the first ``size`` columns, which end with a block of ``last``."""
        made = copy.copy(self)
        made._matrix, made._long = self._matrix[:size, :size], self._long[:size, :size]
        made._back = self._back.prefix(min(self._back.shape[1], size - last))
        made._known = (-1, np.empty(0), None, 0.0)
        return made

    def diagonal(self) -> numpy.ndarray:
        return self._matrix.diagonal().real

    def goes_back(self, Z: numpy.ndarray) -> None:
        """A^H W of the last block is known, or of some directions of it."""
        if self.short and self._back.shape[1] + Z.shape[1] == len(self):
            self._back = self._back.joined(np.ascontiguousarray(Z))

    def joined(self, before: Columns, V: numpy.ndarray, W: numpy.ndarray, back: numpy.ndarray | None) -> None:
        """The basis W before gets the block W = A V; back: A^H W, where it is known already."""
        engine, done, known = self.engine, len(self), self._back.shape[1]
        wide = np.result_type(self.dtype, np.float64)
        if self.short and back is not None:
            half = cross(V, back, engine).astype(wide)
            corner = 0.5 * (half + half.conj().T)
        else:
            corner = gram(W, engine)
        if done:
            sides = [cross(self._back, V, engine).astype(wide)] if known else []
            if known < done:
                sides.append(cross(_after(before, known), W, engine, wide=True))
            corner = _bordered(self._matrix, np.vstack(sides), corner)
        self._matrix = corner

    def eigen(self, W: Columns, vectors: bool = True) -> tuple[numpy.ndarray, numpy.ndarray | None]:
        """Eigenvalues, non-increasing and at least 0, and eigenvectors where they are wanted or known."""
        size, values, T, _ = self._known
        if size != len(self) or (vectors and T is None):
            values, T = _eigen(self._matrix, vectors)
            eps = self._eps if self.short else 0.0
            # a basis in double precision is as exact on the short side
            if eps > 1e-8 and len(values) and values[-1] < _CLEAR * eps * values[0]:
                values, T = _eigen(self._of(W), vectors)
                eps = 0.0
            blur = float(values[0]) * len(values) * max(eps, float(np.finfo(np.float64).eps)) if len(values) else 0.0
            self._known = len(self), np.maximum(values, 0.0), T, blur
        return self._known[1], self._known[2]

    def blur(self, W: Columns) -> float:
        """What rounding may have added to an eigenvalue."""
        self.eigen(W, vectors=False)
        return self._known[3]

    def _of(self, W: Columns) -> numpy.ndarray:
        """From W alone."""
        done = len(self._long)
        for block in _after(W, done).blocks:
            corner = gram(block, self.engine)
            if done:
                corner = _bordered(self._long, cross(W.prefix(done), block, self.engine, wide=True), corner)
            self._long, done = corner, len(corner)
        return self._long


def _after(W: Columns, columns: int) -> Columns:
    """The columns of W from there on, where a block begins or at the end."""
    return Columns(W.shape[0], W.dtype, W.blocks[len(W.prefix(columns).blocks) :])


def _bordered(G: numpy.ndarray, side: numpy.ndarray, corner: numpy.ndarray) -> numpy.ndarray:
    return np.block([[G, side], [side.conj().T, corner]])


def _eigen(G: numpy.ndarray, vectors: bool) -> tuple[numpy.ndarray, numpy.ndarray | None]:
    """Eigenvalues, non-increasing, and eigenvectors."""
    if not vectors:
        return np.linalg.eigvalsh(G)[::-1], None
    values, T = np.linalg.eigh(G)
    return values[::-1], T[:, ::-1]
