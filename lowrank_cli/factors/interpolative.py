"""Interpolative decompositions: a matrix from some of its own columns, or rows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from .base import Factorization

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class ColumnID(Factorization):
    """A ~ C Z with C = A[:, cols] bit for bit and Z[:, cols] = I exactly. cols (k,) in the order they were chosen."""

    kind = "id"
    product = "C Z"

    cols: np.ndarray
    C: Any
    Z: np.ndarray

    def pair(self) -> tuple[Any, np.ndarray]:
        return self.C, self.Z


@dataclasses.dataclass(frozen=True, eq=False)
class RowID(Factorization):
    """A ~ W R with R = A[rows, :] bit for bit and W[rows, :] = I exactly. rows (k,) in the order they were chosen."""

    kind = "id"
    product = "W R"

    rows: np.ndarray
    R: Any
    W: np.ndarray

    def pair(self) -> tuple[np.ndarray, Any]:
        return self.W, self.R
