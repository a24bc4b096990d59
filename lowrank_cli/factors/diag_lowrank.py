"""A diagonal and a matrix of low rank: A ~ diag(d) + U diag(s) Vh."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..lazy import np
from ..matrices.tiles import scale_exactly
from .base import Approximation

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(frozen=True, eq=False)
class DiagonalPlusLowRank(Approximation):
    """d (n,); U (n, k) and Vh (k, n) have orthonormal columns and rows, s (k,) is non-negative and non-increasing.

    Of a Hermitian matrix d is real and Vh = diag(+-1) U^H, so that the sum is Hermitian too. Signs by the rule of
    ``SVD``.
    """

    kind = "diag-lowrank"
    product = "diag(d) + U diag(s) Vh"

    d: numpy.ndarray
    U: numpy.ndarray
    s: numpy.ndarray
    Vh: numpy.ndarray

    def fits(self) -> bool:
        n, k = self.U.shape
        return self.d.shape == (n,) and self.s.shape == (k,) and self.Vh.shape == (k, n)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.d), len(self.d)

    @property
    def dtype(self) -> numpy.dtype:
        return np.result_type(self.d.dtype, self.U.dtype, self.Vh.dtype)

    @property
    def rank(self) -> int:
        """Of the low-rank part; the sum may have any rank."""
        return len(self.s)

    @property
    def bounded(self) -> bool:
        return False

    @property
    def apply_flops(self) -> int:
        return 2 * (self.U.size + self.Vh.size + self.d.size)

    @property
    def entry_flops(self) -> int:
        return 2 * self.rank

    def matmat(self, X: numpy.ndarray) -> numpy.ndarray:
        return self.d[:, None] * X + (self.U * self.s) @ (self.Vh @ X)

    def rmatmat(self, Y: numpy.ndarray) -> numpy.ndarray:
        return self.d.conj()[:, None] * Y + self.Vh.conj().T @ ((self.U * self.s).conj().T @ Y)

    def blocks(self) -> Callable[[slice, slice], numpy.ndarray]:
        L, R = self.U * self.s, np.ascontiguousarray(self.Vh)

        def block(rows: slice, cols: slice) -> numpy.ndarray:
            made = np.asarray(L[rows] @ R[:, cols]).astype(self.dtype, copy=False)
            on = np.arange(max(rows.start, cols.start), min(rows.stop, cols.stop))
            made[on - rows.start, on - cols.start] += self.d[on]
            return made

        return block

    def scaled(self, exponent: int) -> DiagonalPlusLowRank:
        return dataclasses.replace(self, d=scale_exactly(self.d, exponent), s=scale_exactly(self.s, exponent))
