"""A .npy matrix left in its file: parts of it read by position into the buffers of passes, never mapped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import InputError
from ..lazy import np
from ..matrices.filed import Filed
from .npy_header import Header
from .unchanged import Unchanged
from .working import Conversion

if TYPE_CHECKING:
    import numpy

#: One system call reads at most this much, so that an interrupt is seen soon.
_PIECE = 64 * 2**20
#: Values that need conversion pass through a buffer of this size.
_BUFFER = 2**20


def filed(path: str, header: Header, buffer: int) -> Filed:
    """The matrix in the file at path, whose header has been read and whose size has been checked.

    Raises InputError when a read comes short, or when the file is not the one that was opened: another size, or another
    time of its last change.
    """
    file = _File(path, header)
    m, n = header.shape
    return Filed((m, n), file.conversion.target, not header.fortran, file.read, file.check, buffer)


class _File:
    """An open file; it is closed with the last matrix that reads it."""

    def __init__(self, path: str, header: Header):
        self.path, self.header = path, header
        self.conversion = Conversion(header.dtype)
        try:
            self._file = open(path, "rb", buffering=0)
        except OSError as error:
            raise InputError(f"cannot be opened ({error.strerror})", where=path) from error
        self.check = Unchanged(path, self._file.fileno()).check

    def read(self, rows: slice, cols: slice, out: numpy.ndarray) -> None:
        """Fill out with A[rows, cols]; out is contiguous in the order of the file."""
        lines, along, length = rows, cols, self.header.shape[1]
        if self.header.fortran:
            lines, along, length, out = cols, rows, self.header.shape[0], out.T
        width, itemsize = along.stop - along.start, self.header.dtype.itemsize
        if width == length:
            self._values(out.reshape(-1), (lines.start * length) * itemsize)
            return
        for place, line in enumerate(range(lines.start, lines.stop)):
            self._values(out[place], (line * length + along.start) * itemsize)

    def _values(self, out: numpy.ndarray, offset: int) -> None:
        """Consecutive values from that many bytes into the data."""
        offset += self.header.start
        if self.conversion.direct:
            self._bytes(out.view(np.uint8).data, offset)
            return
        stored = self.header.dtype
        raw = np.empty(min(out.size, _BUFFER // stored.itemsize), stored)
        for start in range(0, out.size, raw.size):
            piece = raw[: out.size - start]
            self._bytes(piece.view(np.uint8).data, offset + start * stored.itemsize)
            self.conversion(piece, out[start : start + piece.size])

    def _bytes(self, view: memoryview, offset: int) -> None:
        done = 0
        while done < len(view):
            try:
                came = os.preadv(self._file.fileno(), [view[done : done + _PIECE]], offset + done)
            except OSError as error:
                where = f"at byte {offset + done}"
                raise InputError(f"reading failed {where} ({error.strerror or error})", where=self.path) from error
            if not came:
                raise InputError("changed while it was being read: it became shorter", where=self.path)
            done += came
