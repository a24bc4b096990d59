"""Interpolative decompositions: a matrix from some of its own columns, or rows, or both."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ..lazy import np
from ..matrices.tiles import scale_exactly
from .base import Factorization, Pair, dense, is_sparse

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(frozen=True, eq=False)
class ColumnID(Factorization):
    """A ~ C Z with C = A[:, cols] bit for bit and Z[:, cols] = I exactly. cols (k,) in the order they were chosen."""

    kind = "id"
    product = "C Z"

    cols: numpy.ndarray
    C: Any
    Z: numpy.ndarray

    def pair(self) -> tuple[Any, numpy.ndarray]:
        return self.C, self.Z


@dataclasses.dataclass(frozen=True, eq=False)
class RowID(Factorization):
    """A ~ W R with R = A[rows, :] bit for bit and W[rows, :] = I exactly. rows (k,) in the order they were chosen."""

    kind = "id"
    product = "W R"

    rows: numpy.ndarray
    R: Any
    W: numpy.ndarray

    def pair(self) -> tuple[numpy.ndarray, Any]:
        return self.W, self.R


@dataclasses.dataclass(frozen=True, eq=False)
class TwoSidedID(Factorization):
    """A ~ W S Z with S = A[rows, cols] bit for bit, W[rows, :] = I and Z[:, cols] = I exactly, W (m, k), Z (k, n).

    rows and cols (k,) in the order they were chosen. S may be sparse.
    """

    kind = "id"
    product = "W S Z"

    rows: numpy.ndarray
    cols: numpy.ndarray
    W: numpy.ndarray
    S: Any
    Z: numpy.ndarray

    def scaled(self, exponent: int) -> Pair:
        return Pair(self.W, scale_exactly(np.ascontiguousarray(dense(self.S)), exponent) @ self.Z)

    def pair(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        return self.W, dense(self.S) @ self.Z

    @property
    def rank(self) -> int:
        return int(self.S.shape[0])

    @property
    def apply_flops(self) -> int:
        stored = int(self.S.nnz) if is_sparse(self.S) else int(self.S.size)
        return 2 * (int(self.W.size) + stored + int(self.Z.size))
