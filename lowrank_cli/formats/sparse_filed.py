"""The entries of a compressed sparse matrix left in its file: a column of values and one of indices, read by position.

A column is a stored member of a .npz archive, a packed one that is read forwards, or an HDF5 dataset.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InputError
from ..lazy import np
from ..matrices.lines import Lines
from .hdf5_walk import H5_ERRORS
from .sparse_parts import check_pointer, index_type
from .unchanged import Unchanged
from .working import Conversion, require_memory

if TYPE_CHECKING:
    import numpy

#: One system call reads at most this much, so that an interrupt is seen soon.
_PIECE = 64 * 2**20
#: Values that need conversion pass through a buffer of this size.
_BUFFER = 2**20


class Column(Protocol):
    """A list of numbers in a file. dtype: as stored; fill reads those from ``first`` on, in this dtype."""

    dtype: numpy.dtype

    def fill(self, first: int, out: numpy.ndarray) -> None: ...


class Stored:
    """Numbers that lie together in a file from a byte on; the file is closed with the last column that reads it."""

    def __init__(self, file: Any, path: str, start: int, dtype: numpy.dtype):
        self.dtype, self._file, self._path, self._start = dtype, file, path, start

    def fill(self, first: int, out: numpy.ndarray) -> None:
        view, done = out.view(np.uint8).data, 0
        offset = self._start + first * self.dtype.itemsize
        while done < len(view):
            try:
                came = os.preadv(self._file.fileno(), [view[done : done + _PIECE]], offset + done)
            except OSError as error:
                raise InputError(f"reading failed ({error.strerror or error})", where=self._path) from error
            if not came:
                raise InputError("changed while it was being read: it became shorter", where=self._path)
            done += came


class Packed:
    """Numbers behind a stream that goes forwards only: going back begins it again. begin() gives it at the first."""

    def __init__(self, begin: Callable[[], Any], path: str, dtype: numpy.dtype):
        self.dtype, self._begin, self._path = dtype, begin, path
        self._stream: Any = None
        self._at = 0

    def fill(self, first: int, out: numpy.ndarray) -> None:
        if self._stream is None or first < self._at:
            self._stream, self._at = self._begin(), 0
        skipped = np.empty(_BUFFER, np.uint8)
        while self._at < first:
            count = min(first - self._at, _BUFFER // self.dtype.itemsize)
            self._take(skipped[: count * self.dtype.itemsize].data)
            self._at += count
        self._take(out.view(np.uint8).data)
        self._at += len(out)

    def _take(self, view: memoryview) -> None:
        done = 0
        while done < len(view):
            try:
                came = self._stream.readinto(view[done:])
            except Exception as error:  # zipfile and zlib raise a dozen kinds for damaged archives
                line = " ".join(str(error).split())[:120] or type(error).__name__
                raise InputError(f"is not a readable archive ({line})", where=self._path) from error
            if not came:
                raise InputError("changed while it was being read: it became shorter", where=self._path)
            done += came


class InDataset:
    """The numbers of a 1-D HDF5 dataset; open_file, shared by all columns, closes the file after the last of them."""

    def __init__(self, dataset: Any, open_file: _Closing, where: str):
        self.dtype, self._dataset, self._where = dataset.dtype.newbyteorder("="), dataset, where
        self._open_file = open_file

    def fill(self, first: int, out: numpy.ndarray) -> None:
        if not len(out):
            return
        try:
            self._dataset.read_direct(out, np.s_[first : first + len(out)])
        except H5_ERRORS as error:
            last = first + len(out) - 1
            raise InputError(f"entries {first} to {last} cannot be read ({error})", where=self._where) from error


class _Closing:
    """Closes what is open when nobody holds it any more."""

    def __init__(self, open_file: contextlib.ExitStack):
        self._open_file = open_file

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self._open_file.close()


def columns_of_group(
    data: Any, indices: Any, open_file: contextlib.ExitStack, where: str
) -> tuple[InDataset, InDataset]:
    """The values and indices of a sparse HDF5 group, which keep its file open."""
    kept = _Closing(open_file)
    return InDataset(data, kept, f"{where}/data"), InDataset(indices, kept, f"{where}/indices")


class _Entries:
    """Values and indices from their columns, converted and checked. See ``matrices.lines.Entries``."""

    def __init__(
        self, data: Column, indices: Column, conversion: Conversion, limit: int, unchanged: Unchanged, where: str
    ):
        self._data, self._indices, self._conversion = data, indices, conversion
        self._limit, self._unchanged, self.where = limit, unchanged, where
        self.bytes_read = 0

    def read(self, first: int, indices: numpy.ndarray, data: numpy.ndarray) -> None:
        self.bytes_read += indices.nbytes + data.nbytes
        _through(self._indices, first, indices, self._index)
        if self._conversion.direct and self._data.dtype == data.dtype:
            self._data.fill(first, data)
        else:
            _through(self._data, first, data, self._conversion)

    def _index(self, raw: numpy.ndarray, out: numpy.ndarray) -> None:
        # looked at before it is narrowed, and each time: an index out of range is a read outside the arrays
        if not (int(raw.min()) >= 0 and int(raw.max()) < self._limit):
            raise InputError(f"an index of the sparse matrix is outside 0 to {self._limit - 1}", where=self.where)
        out[...] = raw

    def check(self) -> None:
        self._unchanged.check()


def _through(
    column: Column, first: int, out: numpy.ndarray, take: Callable[[numpy.ndarray, numpy.ndarray], None]
) -> None:
    """out = what take makes of the numbers of a column, a piece at a time."""
    step = max(1, _BUFFER // column.dtype.itemsize)
    raw = np.empty(min(step, len(out)), column.dtype)
    for start in range(0, len(out), step):
        piece = raw[: len(out) - start]
        column.fill(first + start, piece)
        take(piece, out[start : start + len(piece)])


def lines_of(
    layout: str,
    shape: tuple[int, int],
    pointer: numpy.ndarray,
    data: Column,
    indices: Column,
    counts: tuple[int, int],
    conversion: Conversion,
    unchanged: Unchanged,
    where: str,
    buffer: int,
    settle: bool = True,
) -> tuple[Lines, tuple[str, ...]]:
    """A csr or csc matrix in its file, and notes; counts: how many values and indices there are. settle: look at all
    the indices, which is one read.

    Raises InputError as ``sparse_parts.compressed`` does.
    """
    by_rows = layout == "csr"
    major, minor = shape if by_rows else shape[::-1]
    check_pointer(counts, pointer, major, where)
    require_memory(8 * (3 * major + 2 * minor) + 2 * buffer, where, "what is kept of the sparse matrix")
    entries = _Entries(data, indices, conversion, minor, unchanged, where)
    lines = Lines(
        shape,
        conversion.target,
        by_rows,
        pointer.astype(np.int64),
        index_type(counts[0], shape),
        entries,
        buffer,
    )
    if not settle:
        return lines, ()
    lines.settled()
    notes = ["left in its file, read in parts"]
    if not by_rows:
        notes[0] += "; it is stored by columns, so what goes by rows reads it several times"
    if lines.repeated:
        notes.append(f"{lines.repeated} duplicate entries were summed")
    return lines, tuple(notes)
