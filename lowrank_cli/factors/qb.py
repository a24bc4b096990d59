"""Projection on a subspace of columns: A ~ Q B."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..matrices.tall import contiguous
from ..matrices.tiles import scale_exactly
from .base import Factorization

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class QB(Factorization):
    """Q (m, k) has orthonormal columns, B (k, n) is what A looks like in them, the leading ones first."""

    kind = "qb"
    product = "Q B"

    Q: np.ndarray
    B: np.ndarray

    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        return self.Q, self.B

    def scaled(self, exponent: int) -> QB:
        return QB(self.Q, scale_exactly(contiguous(self.B), exponent))
