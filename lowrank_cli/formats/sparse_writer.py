"""A sparse matrix as a stored .npz, as SciPy's ``save_npz`` lays it out, written from its rows, a part at a time.

Indices are int32 where the columns allow, the pointer where the number of entries does: the same matrix gives the same
bytes, however many parts it came in.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..lazy import np
from ..matrices.lines import Lines
from . import atomic, zip_writer
from .npy_writer import header, npy_chunks, raw, stored
from .os_errors import explained

if TYPE_CHECKING:
    import numpy

    from .loaded import Loaded

_PIECE = 1 << 24


@dataclasses.dataclass(eq=False)
class SparseRows:
    """A sparse matrix as parts, consecutive rows each, as canonical csr_arrays; each is good until the next one.

    stored: the dtype in the file they come from. notes: sentences for stderr, all of them when the last part has been
    taken.
    """

    shape: tuple[int, int]
    dtype: numpy.dtype
    stored: str
    parts: Iterator[Any]
    notes: list[str]


def write(rows: SparseRows, target: str, no_clobber: bool = False) -> None:
    """Make ``target`` the archive of the matrix, atomically.

    Memory: the pointer and one part. Disk, beside the target: its values and indices once more, until it is written.
    Raises OutputError; what the parts raise passes through.
    """
    with explained(target), scratch(target) as indices_file, scratch(target) as data_file:
        kind = np.int32 if rows.shape[1] < 2**31 else np.int64
        indices, data = _Spool(indices_file, target, np.dtype(kind)), _Spool(data_file, target, rows.dtype)
        lengths = [np.zeros(1, np.int64)]
        for part in rows.parts:
            lengths.append(np.diff(part.indptr).astype(np.int64))
            indices.append(part.indices)
            data.append(part.data)
        pointer = np.cumsum(np.concatenate(lengths))
        small = np.int32 if int(pointer[-1]) < 2**31 else np.int64
        name = b"csr"
        members = [
            indices.member("indices.npy"),
            zip_writer.member("indptr.npy", npy_chunks(pointer.astype(small))),
            zip_writer.member("format.npy", [header(f"|S{len(name)}", ()), name]),
            zip_writer.member("shape.npy", npy_chunks(np.array(rows.shape, np.int64))),
            data.member("data.npy"),
        ]
        atomic.commit(target, zip_writer.archive(members), zip_writer.size(members), no_clobber)


def scratch(target: str) -> Any:
    """A nameless file in the folder of the target, where there has to be room anyway."""
    return tempfile.TemporaryFile(dir=os.path.dirname(os.path.realpath(target)), buffering=0)


class _Spool:
    """A 1-D array that grows in a file."""

    def __init__(self, file: Any, target: str, dtype: numpy.dtype):
        self._file, self._target, self._dtype = file, target, dtype.newbyteorder("<")
        self._count = 0

    def append(self, values: numpy.ndarray) -> None:
        plain = stored(values.astype(self._dtype, copy=False))
        atomic.write_all(self._file.fileno(), [raw(plain)], self._target)
        self._count += len(plain)

    def member(self, name: str) -> zip_writer.Member:
        head = header(self._dtype.str, (self._count,))
        crc = zlib.crc32(head)
        for chunk in self._chunks():
            crc = zlib.crc32(chunk, crc)
        size = len(head) + self._count * self._dtype.itemsize
        return zip_writer.Member(name, size, crc, _joined(head, self._chunks()))

    def _chunks(self) -> Iterator[bytes]:
        at, size = 0, self._count * self._dtype.itemsize
        while at < size:
            chunk = os.pread(self._file.fileno(), min(_PIECE, size - at), at)
            if not chunk:
                raise OSError("a scratch file became shorter")
            yield chunk
            at += len(chunk)


def _joined(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def rows_of(loaded: Loaded) -> SparseRows:
    """A sparse matrix that has been opened, whether it is in memory or was left in its file."""
    array, notes = loaded.array, list(loaded.notes)
    parts: Iterator[Any]
    if isinstance(array, Lines):
        from ..matrices.sparse_filed import FiledSparseMatrix

        parts = (part for _, part in FiledSparseMatrix(array).row_parts())
    else:
        parts = iter([array])
    return SparseRows(array.shape, array.dtype, loaded.item.dtype, parts, notes)
