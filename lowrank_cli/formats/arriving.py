"""A matrix that arrives through a pipe and is too large to be kept: its lines are read in order, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import InputError
from .loaded import Item, Loaded
from .npy_header import Header, Source
from .working import Conversion

if TYPE_CHECKING:
    import numpy


class Arriving:
    """The lines of an array whose header was read, for ``matrices.forwards``; a header whose number of rows is None
    has as many as come. where: what messages call the source. ``release`` is called when the last has come.
    """

    def __init__(self, source: Source, header: Header, where: str):
        self._source, self._where = source, where
        self.release: Callable[[], None] = lambda: None
        self._conversion = Conversion(header.dtype)
        rows, cols = header.shape
        # of one row or column it is the same which way they lie
        self.by_rows = not header.fortran or 1 in header.shape
        self.count, self.length = (rows, cols) if self.by_rows else (cols, rows)
        self.shape, self.dtype = header.shape, self._conversion.target
        self._announced = None if rows is None else header.nbytes
        self._line = self.length * header.dtype.itemsize
        self._lines = 0
        #: Bytes of values that have come.
        self.bytes_read = 0

    def read(self, out: numpy.ndarray) -> int:
        """Raises InputError when the source ends too early or goes on behind the last line."""
        from .npy import read_values

        wanted = len(out) if self.count is None else min(len(out), self.count - self._lines)
        try:
            came = read_values(self._source, out[:wanted].reshape(-1), self._conversion)
            over = wanted < len(out) and self._source.read(1)
        except OSError as error:
            raise InputError(f"reading failed ({error.strerror or error})", where=self._where) from error
        self.bytes_read += came
        if came % self._line or (self._announced is not None and came < wanted * self._line):
            whole = f"{self.bytes_read} bytes, no whole number of rows of {self._line}"
            got = whole if self._announced is None else f"{self.bytes_read} of {self._announced} bytes of data"
            raise InputError(f"truncated: got {got}", where=self._where)
        if over:
            raise InputError(
                f"more bytes follow the {self._announced} bytes of data",
                where=self._where,
                hint="the header and the data do not belong together; write the file again",
            )
        lines = came // self._line
        self._lines += lines
        if lines < len(out):
            self.release()
            if not self._lines:
                raise InputError("no row has come", where=self._where)
        return lines

    def notes(self) -> tuple[str, ...]:
        """What is to be said of the values, when all have come."""
        return self._conversion.notes()


def arriving(source: Source, header: Header, where: str, format: str, item: Item, most: int) -> Loaded:
    """The array that a header announces, to be read once, since it takes more than ``most`` bytes."""
    notes = ("does not fit in half of the memory, and is seen once",) if most else ()
    return Loaded(Arriving(source, header, where), where, format, item, notes)


def too_large(header: Header, most: int) -> bool:
    """Whether the values would take more than ``most`` bytes of memory; true of an unknown number of rows."""
    rows, cols = header.shape
    return rows is None or rows * cols * Conversion(header.dtype).target.itemsize > most
