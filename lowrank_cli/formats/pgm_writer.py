"""A grey image: whole numbers from 0 to 255 in one byte each, up to 65535 in two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..lazy import np
from .matrix_file import REAL, MatrixFile

if TYPE_CHECKING:
    import numpy


def encode(array: numpy.ndarray) -> list[Any]:
    """The file as chunks. Raises UsageError for values that are no whole numbers from 0 to 65535."""
    table = np.asarray(array).reshape(array.shape[0], -1)
    fits = table.size and bool(((table >= 0) & (table <= 65535) & (table == np.rint(table))).all())
    if not fits:
        raise UsageError(
            "a grey image holds whole numbers from 0 to 65535, and these are others", hint="write .npy, or scale them"
        )
    deep = int(table.max()) > 255
    head = f"P5\n{table.shape[1]} {table.shape[0]}\n{65535 if deep else 255}\n".encode("ascii")
    return [head, table.astype(">u2" if deep else "u1").tobytes()]


FILE = MatrixFile("PGM", encode, types=REAL)
