"""What a method may ask of the entries of a matrix: that it is square, Hermitian, non-negative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InputError, UsageError
from ..lazy import np
from ..matrices.metered import Metered

if TYPE_CHECKING:
    import numpy


def require_square(matrix: Metered, method: str) -> None:
    """Raise UsageError unless the matrix is square."""
    m, n = matrix.shape
    if m != n:
        raise UsageError(f"--method {method} takes a square matrix, not {m}x{n}")


def is_hermitian(matrix: Metered) -> bool:
    """Whether A = A^H, entry for entry. One pass."""
    if matrix.nnz is not None:
        matrix.ledger.passes += 1
        stored: Any = matrix.inner
        left = stored.array - stored.array.conj().T
        return not left.nnz or not np.any(left.data)

    def same(_: int, rows: slice, cols: slice, tile: numpy.ndarray) -> bool:
        # each pair of tiles is compared once
        return rows.start > cols.start or bool(np.array_equal(tile, matrix.block(cols, rows).conj().T))

    return all(matrix.tiles(same))


def require_nonnegative(matrix: Metered, method: str) -> None:
    """Raise InputError for a complex matrix, and for the first negative entry. One pass."""
    where = getattr(matrix.inner, "name", None)
    if matrix.dtype.kind == "c":
        raise InputError(f"--method {method} takes a real matrix without negative entries, this one is complex")
    if matrix.nnz is not None:
        matrix.ledger.passes += 1
        stored: Any = matrix.inner
        below = np.flatnonzero(stored.array.data < 0)
        if not len(below):
            return
        first = int(below[0])
        row = int(np.searchsorted(stored.array.indptr, first, side="right")) - 1
        _refuse(row, int(stored.array.indices[first]), len(below), method, where)

    def look(_: int, rows: slice, cols: slice, tile: numpy.ndarray) -> tuple[int, int, int] | None:
        below = tile < 0
        count = int(np.count_nonzero(below))
        if not count:
            return None
        row, col = divmod(int(np.argmax(below)), tile.shape[1])
        return rows.start + row, cols.start + col, count

    found = [one for one in matrix.tiles(look) if one is not None]
    if found:
        _refuse(*min(found)[:2], sum(count for *_, count in found), method, where)


def _refuse(row: int, col: int, count: int, method: str, where: str | None) -> None:
    entries = "1 entry is" if count == 1 else f"{count} entries are"
    raise InputError(
        f"{entries} negative, the first at row {row}, column {col} (counted from 0); --method {method} takes none",
        where=where,
    )
