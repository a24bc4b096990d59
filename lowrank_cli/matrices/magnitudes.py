"""Sums of absolute values along rows and columns: what the norms that are no root of squares need."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ..lazy import np
from .metered import Metered

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(frozen=True, eq=False)
class Magnitudes:
    """largest: the largest |entry|. columns (n,) and rows (m,): sums of |entry| in float64."""

    largest: float
    columns: numpy.ndarray
    rows: numpy.ndarray


def magnitudes(matrix: Metered) -> Magnitudes:
    """One pass; tiles are added in their order, so no bit depends on threads or storage.

    The matrix must be at a scale where sums of its entries do not overflow (``bring_to_scale``).
    """
    if matrix.nnz is not None:
        return _of_stored(matrix)
    m, n = matrix.shape
    columns, rows = np.zeros(n), np.zeros(m)

    def look(
        _: int, down: slice, across: slice, tile: numpy.ndarray
    ) -> tuple[slice, slice, float, numpy.ndarray, numpy.ndarray]:
        # of one layout whatever the storage: the order of a sum follows the strides
        size = np.ascontiguousarray(np.abs(tile), dtype=np.float64)
        return down, across, float(size.max()), size.sum(axis=0), size.sum(axis=1)

    largest = 0.0
    for down, across, top, along, beside in matrix.tiles(look, flops=2 * m * n):
        largest = max(largest, top)
        columns[across] += along
        rows[down] += beside
    return Magnitudes(largest, columns, rows)


def _of_stored(matrix: Metered) -> Magnitudes:
    """From the stored entries of a sparse matrix alone, in stored order."""
    stored: Any = matrix.inner
    matrix.ledger.passes += 1
    matrix.ledger.flops += 2 * int(matrix.nnz or 0)
    m, n = matrix.shape
    columns, rows, largest = np.zeros(n), np.zeros(m), 0.0
    for piece in stored.entries():
        size = np.abs(piece.data).astype(np.float64)
        largest = max(largest, float(size.max(initial=0.0)))
        np.add.at(columns, piece.cols, size)
        np.add.at(rows, piece.rows, size)
    return Magnitudes(largest, columns, rows)
