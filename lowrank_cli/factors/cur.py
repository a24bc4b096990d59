"""CUR decomposition: a matrix from some of its own columns and rows, and a small core between them."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any

from ..engines.threads import SerialEngine
from ..lazy import np
from ..matrices.adjoint import adjoint_of
from ..matrices.blocks import times
from ..matrices.orthonormal import orthonormalize
from ..matrices.tiles import scale_exactly
from .base import Factorization, Pair, dense

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine


@dataclasses.dataclass(frozen=True, eq=False)
class CUR(Factorization):
    """A ~ C U R = Q_C G Q_R^H with C = A[:, cols] and R = A[rows, :] bit for bit, in the order they were chosen.

    cols (c,), rows (r,), C (m, c), U (c, r), R (r, n), G (c, r). Q_C and Q_R are the orthonormal bases of the columns
    of C and of R^H that ``basis`` makes. Every product here is that of Q_C G Q_R^H, whose error does not grow with the
    condition of C and R. U = C^+ Q_C G Q_R^H R^+ is the same core for readers who multiply the three factors: its
    entries grow like |A| over the product of the smallest singular values of C and R, and rounding with them, so it
    leaves out singular values of C and R below sqrt(eps) of the largest, and C U R is good to about sqrt(eps) |A|.
    """

    kind = "cur"
    product = "C U R"

    cols: numpy.ndarray
    rows: numpy.ndarray
    C: Any
    U: numpy.ndarray
    R: Any
    G: numpy.ndarray

    def pair(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        """(Q_C, G Q_R^H), or (Q_C G, Q_R^H) where rows are fewer than columns. Cost: two orthonormal bases, once."""
        return self._pair

    def scaled(self, exponent: int) -> Pair:
        return Pair(*dataclasses.replace(self, G=scale_exactly(self.G, exponent)).pair())

    @functools.cached_property
    def _pair(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        engine = SerialEngine()
        # entries that are not finite stay so, and whoever looks for them finds them
        with np.errstate(invalid="ignore", over="ignore"):
            Q_C, Q_R = basis(self.C)[0], basis(adjoint_of(self.R))[0]
            if self.G.shape != (Q_C.shape[1], Q_R.shape[1]):
                raise ValueError("the core does not fit")
            if len(self.G) <= self.G.shape[1]:
                return Q_C, adjoint_of(times(Q_R, self.G.conj().T, engine))
            return times(Q_C, self.G, engine), adjoint_of(Q_R)


def basis(C: Any, engine: Engine | None = None) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(Q, R) with C = Q R, Q^H Q = I and R upper triangular with a diagonal that is real and not negative.

    That is Gram-Schmidt in the order of the columns, so whoever computes it gets the same Q, up to rounding times the
    condition of C; C (m, c), sparse or dense, c <= m, of any scale a float can hold. Cost: 4 m c^2 flops.
    """
    block = np.ascontiguousarray(dense(C))
    largest = float(max(np.abs(block.real).max(initial=0.0), np.abs(block.imag).max(initial=0.0)))
    exponent = math.frexp(largest)[1] if 0 < largest < math.inf else 0
    Q, R = orthonormalize(scale_exactly(block, -exponent), engine or SerialEngine())
    diagonal = R.diagonal()
    size = np.abs(diagonal)
    phase = np.where(size > 0, diagonal / np.where(size > 0, size, 1), 1).astype(Q.dtype)
    with np.errstate(over="ignore"):
        return Q * phase, scale_exactly(np.triu(phase.conj()[:, None] * R), exponent)
