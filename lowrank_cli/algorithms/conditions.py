"""What a method may ask of the entries of a matrix: that they are square, Hermitian, non-negative."""

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
        raise UsageError(f"{method} takes a square matrix, not {m}x{n}")


def look_at_square(matrix: Metered) -> tuple[bool, float]:
    """Whether A = A^H, entry for entry, and the squared norm of what is off the diagonal. One pass."""
    if matrix.nnz is not None:
        matrix.ledger.passes += 1
        stored: Any = matrix.inner
        left = stored.array - stored.array.conj().T
        entries = stored.array.tocoo()
        off = entries.data[entries.coords[0] != entries.coords[1]]
        return not np.any(left.data), float(np.sum(np.square(np.abs(off).astype(np.float64))))

    def look(_: int, rows: slice, cols: slice, tile: numpy.ndarray) -> tuple[bool, float]:
        # each pair of tiles is compared once
        same = rows.start > cols.start or bool(np.array_equal(tile, matrix.block(cols, rows).conj().T))
        squares = np.square(np.abs(tile).astype(np.float64))
        on = np.arange(max(rows.start, cols.start), min(rows.stop, cols.stop))
        squares[on - rows.start, on - cols.start] = 0
        return same, float(np.sum(squares))

    seen = matrix.tiles(look)
    return all(same for same, _ in seen), sum(off for _, off in seen)


def require_nonnegative(matrix: Metered, method: str) -> None:
    """Raise InputError for a complex matrix, and for the first negative entry. One pass."""
    where = getattr(matrix.inner, "name", None)
    if matrix.dtype.kind == "c":
        raise InputError(f"{method} takes real matrices, this one is complex")
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
        row, col, _ = min(found)
        _refuse(row, col, sum(count for *_, count in found), method, where)


def _refuse(row: int, col: int, count: int, method: str, where: str | None) -> None:
    entries = "1 entry is" if count == 1 else f"{count} entries are"
    raise InputError(
        f"{entries} negative, the first at row {row}, column {col} (counted from 0)",
        where=where,
        hint=f"{method} takes none",
    )
