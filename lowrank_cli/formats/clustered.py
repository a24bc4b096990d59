"""A matrix in a file that the workers of a cluster read for themselves, from a file system that all of them see."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import zlib
from typing import TYPE_CHECKING, Any

from ..errors import ClusterError, InputError, ResourceError, UsageError
from ..matrices.filed import Filed
from ..matrices.lines import Lines
from .loaded import Loaded
from .opening import STDIN, files, open_filed, open_unsettled, split_item

if TYPE_CHECKING:
    import numpy

    from ..engines.cluster import Cluster

#: Bytes at either end of a file that are compared.
_SAMPLE = 1 << 20
#: Bytes at most of each of the two buffers that a worker reads entries into, and what part of a task's memory.
_BUFFER, _BUFFERS = 64 << 20, 32


@dataclasses.dataclass(frozen=True)
class Rows:
    """A[rows, :] of the matrix in a file, read wherever this is called. mark: what the file has to be."""

    path: str
    item: str | None
    mark: tuple[int, ...]

    def __call__(self, rows: slice) -> numpy.ndarray:
        if (found := mark(self.path)) != self.mark:
            raise _other(self.path, found)
        _, filed = _filed(self.path, self.item)
        return filed.part(rows, slice(0, filed.shape[1]))


@dataclasses.dataclass(frozen=True)
class SparseLines:
    """The same for a sparse matrix: its rows, or the columns of one by columns, as lines, not settled, which read the
    file as they are asked for."""

    path: str
    item: str | None
    mark: tuple[int, ...]
    buffer: int

    def __call__(self, lines: slice) -> Lines:
        if (found := mark(self.path)) != self.mark:
            raise _other(self.path, found)
        return _lines(self.path, self.item, self.buffer)[1].part(lines)


@dataclasses.dataclass(frozen=True, eq=False)
class OnWorkers:
    """Stands for the array of a ``Loaded``: filed as this process sees it, and how workers read it."""

    filed: Filed | Lines
    reader: Rows | SparseLines
    cluster: Cluster

    @property
    def shape(self) -> tuple[int, int]:
        return self.filed.shape

    @property
    def dtype(self) -> numpy.dtype:
        return self.filed.dtype


def open_on(cluster: Cluster, path: str, item: str | None) -> Loaded:
    """The matrix of a file, for workers to read. Raises ClusterError for a worker that sees no such file, or another;
    UsageError for what is not read in parts: standard input, formats that are text or packed."""
    if path == STDIN:
        raise UsageError("--engine dask reads files, not standard input", hint="save the matrix where workers see it")
    buffer = min(_BUFFER, cluster.task_memory // _BUFFERS)
    loaded, filed = _found(path, item, buffer)
    where, inside = split_item(path)
    where, item = os.path.abspath(where), inside if item is None else item
    seen = mark(where)
    reader = Rows(where, item, seen) if isinstance(filed, Filed) else SparseLines(where, item, seen, buffer)
    for worker, found in cluster.everywhere(mark, where).items():
        if found != reader.mark:
            raise _other(where, found, worker)
    # what the reader says of one process means nothing here
    return dataclasses.replace(loaded, source=path, notes=(), array=OnWorkers(filed, reader, cluster))


def _found(path: str, item: str | None, buffer: int) -> tuple[Loaded, Filed | Lines]:
    # what a reader says of memory means nothing here: however large, it is the workers who read
    for read in (lambda: _lines(path, item, buffer), lambda: _filed(path, item)):
        with contextlib.suppress(ResourceError, _NotThis):
            return read()
    raise UsageError(
        "--engine dask reads, in parts, dense matrices of .npy, raw and HDF5 files and sparse ones of HDF5 files and "
        ".npz, not packed",
        where=path,
        hint="write it as .npy, or a sparse one as .npz, with lowrank convert",
    )


class _NotThis(Exception):
    """The matrix is not of the kind that was asked for."""


def _filed(path: str, item: str | None) -> tuple[Loaded, Filed]:
    loaded = open_filed(path, item)
    filed: Any = loaded.array
    if not isinstance(filed, Filed):
        raise _NotThis
    return loaded, filed


def _lines(path: str, item: str | None, buffer: int) -> tuple[Loaded, Lines]:
    loaded = open_unsettled(path, item, buffer)
    if loaded is None:
        raise _NotThis
    lines: Any = loaded.array
    return loaded, lines


def mark(path: str) -> tuple[int, ...]:
    """Size, time of the last change in nanoseconds, and checksums of both ends of each file that the path or pattern
    names; empty where there is none."""
    try:
        return tuple(itertools.chain.from_iterable(map(_mark, files(path))))
    except (InputError, OSError):
        return ()


def _mark(path: str) -> tuple[int, ...]:
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        head = zlib.crc32(file.read(_SAMPLE))
        file.seek(max(0, status.st_size - _SAMPLE))
        return status.st_size, status.st_mtime_ns, head, zlib.crc32(file.read(_SAMPLE))


def _other(path: str, found: Any, worker: str | None = None) -> Exception:
    """What to say of a file that is not the one that was opened."""
    if worker is None:
        return InputError("changed while it was being read", where=path, hint="run again when it rests")
    said = "is another file there: its size, time or content differ" if found else "is not there"
    return ClusterError(
        f"{said} for worker {worker}", where=path, hint="put it on a file system that all workers see under this path"
    )
