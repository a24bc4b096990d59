"""Non-negative matrix factorization: A ~ W H."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..matrices.tiles import scale_exactly
from .base import Factorization

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class NMF(Factorization):
    """W (m, k) and H (k, n) without negative entries; columns of W add up to 1, the heaviest parts come first."""

    kind = "nmf"
    product = "W H"

    W: np.ndarray
    H: np.ndarray

    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        return self.W, self.H

    def scaled(self, exponent: int) -> NMF:
        return NMF(self.W, scale_exactly(self.H, exponent))
