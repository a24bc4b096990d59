"""Tables of numbers as text: each number in the fewest digits that come back to its bits as float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..lazy import np
from .matrix_file import REAL, MatrixFile

if TYPE_CHECKING:
    import numpy

#: Numbers turned to text at a time.
PIECE = 1 << 18


def words(values: numpy.ndarray) -> list[str]:
    """The numbers of an array of one dimension as text; a whole one has no decimals.

    Raises UsageError for NaN and infinity.
    """
    if values.dtype.kind != "f":
        return [str(int(value)) for value in values.tolist()]
    if not np.isfinite(values).all():
        raise UsageError("text has no place for NaN and infinity", hint="write .npy")
    return [repr(value).removesuffix(".0") for value in values.astype(np.float64).tolist()]


def _table(array: Any, delimiter: str) -> list[bytes]:
    """The rows of the array as lines, in chunks; an array of one dimension is a column."""
    table = np.asarray(array).reshape(array.shape[0], -1)
    width = max(1, table.shape[1])
    step, chunks = max(1, PIECE // width), []
    for start in range(0, table.shape[0], step):
        flat = words(table[start : start + step].reshape(-1))
        rows = (delimiter.join(flat[at : at + width]) for at in range(0, len(flat), width))
        chunks.append("".join([f"{row}\n" for row in rows]).encode("ascii"))
    return chunks


CSV = MatrixFile("CSV", lambda array: _table(array, ","), types=REAL, packed=True)
TSV = MatrixFile("TSV", lambda array: _table(array, "\t"), types=REAL, packed=True)
