"""Directions of rows with their lengths: A^H A ~ V diag(s)^2 V^H, which is all that a sketch of rows keeps of A."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..matrices.tiles import scale_exactly
from .base import Factorization

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Directions(Factorization):
    """Vh (k, n) has orthonormal rows; s (k,) is non-negative and non-increasing. It stands for A^H A, n x n."""

    kind = "fd"
    product = "V diag(s)^2 Vh"

    s: np.ndarray
    Vh: np.ndarray

    def fits(self) -> bool:
        return self.Vh.ndim == 2 and self.s.shape == (len(self.Vh),)

    @property
    def shape(self) -> tuple[int, int]:
        return self.Vh.shape[1], self.Vh.shape[1]

    @property
    def dtype(self) -> np.dtype:
        return self.Vh.dtype

    @property
    def rank(self) -> int:
        return len(self.s)

    @property
    def apply_flops(self) -> int:
        return 4 * self.Vh.size

    def scaled(self, exponent: int) -> Factorization:
        """The squares times 2**exponent: of the lengths half of it, so that their squares do not leave the floats."""
        half, odd = divmod(exponent, 2)
        near = Directions(scale_exactly(self.s, half), self.Vh)
        return super(Directions, near).scaled(odd) if odd else near

    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        return self.Vh.conj().T * self.s**2, self.Vh
