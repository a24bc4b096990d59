"""A non-negative matrix from its row and column sums: A ~ r c^T."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..matrices.tiles import scale_exactly
from .base import Factorization

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Marginals(Factorization):
    """r (m,), the row sums of A; c (n,), its column sums over the sum of all: non-negative, and c adds up to 1."""

    kind = "rank1-nonneg"
    product = "r c^T"

    r: np.ndarray
    c: np.ndarray

    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        return self.r[:, None], self.c[None, :]

    def scaled(self, exponent: int) -> Marginals:
        return Marginals(scale_exactly(self.r, exponent), self.c)
