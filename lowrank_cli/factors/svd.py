"""Truncated singular value decomposition: A ~ U diag(s) Vh."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ..matrices.tiles import scale_exactly
from .base import Factorization, columns_scaled

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class SVD(Factorization):
    """U (m, k) and Vh (k, n) have orthonormal columns and rows; s (k,) is non-negative and non-increasing.

    Signs by rule: in each column of U the entry of largest modulus, the first such, is real and positive.
    """

    kind = "svd"
    product = "U diag(s) Vh"

    U: np.ndarray
    s: np.ndarray
    Vh: np.ndarray

    def pair(self) -> tuple[Any, np.ndarray]:
        return columns_scaled(self.U, self.s), self.Vh

    def scaled(self, exponent: int) -> SVD:
        return SVD(self.U, scale_exactly(self.s, exponent), self.Vh)

    @property
    def shape(self) -> tuple[int, int]:
        return self.U.shape[0], self.Vh.shape[1]

    @property
    def dtype(self) -> np.dtype:
        return self.U.dtype

    @property
    def rank(self) -> int:
        return len(self.s)

    @property
    def apply_flops(self) -> int:
        return 2 * (self.U.size + self.Vh.size)
