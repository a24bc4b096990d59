"""A folder of factors whose tall arrays are written by the workers that hold them, each shard at its place.

The bytes are those that one process writes. Nothing has its name before all of it is on disk: workers write into the
temporary folder (``folders.building``), sync, and give a checksum; one of them then reads the file from beginning to
end, holds it against these, and takes the digest, which no sum of parts gives.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import OutputError
from . import atomic, factor_meta, folders
from .npy_writer import header, npy_chunks, raw, size_of, views
from .npz_factors import META
from .os_errors import explained

if TYPE_CHECKING:
    import numpy

#: Bytes read at a time.
_PIECE = 16 << 20


def on_workers(array: Any) -> bool:
    """Whether the rows of an array are with the workers of a cluster."""
    return getattr(array, "home", None) is not None


def commit(
    target: str,
    arrays: Mapping[str, Any],
    meta: Callable[[dict[str, str]], dict[str, Any]],
    ours: folders.Ours,
    no_clobber: bool = False,
) -> None:
    """Make ``target`` a folder of these arrays, and of the metadata that their digests give, or leave it as it was.

    Where the workers do not see the temporary folder, or may not write there, this process writes. Raises OutputError
    when it cannot be written, ClusterError when the cluster fails.
    """
    with folders.building(target, ours, no_clobber) as folder:
        digests = {}
        for name, array in arrays.items():
            path = os.path.join(os.path.abspath(folder), f"{name}.npy")
            with _made(path, target) as fd:
                digests[name] = _written(fd, path, array, target)
        text = [factor_meta.canonical(meta(digests))]
        with _made(os.path.join(folder, META), target) as fd:
            atomic.fill(fd, views(text), size_of(text), target)


@contextlib.contextmanager
def _made(path: str, target: str) -> Iterator[int]:
    with explained(target):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        yield fd
    finally:
        with contextlib.suppress(OSError):
            os.close(fd)


def _written(fd: int, path: str, array: Any, target: str) -> str:
    """Write an array to an open file; its digest."""
    chunks = npy_chunks(array)
    size = size_of(chunks)
    if on_workers(array):
        head = header(array.dtype.str, array.shape)
        with explained(target, size=size):
            # all of the space now, so that a full disk shows before anybody writes
            atomic.reserve(fd, size)
            os.ftruncate(fd, size)
            atomic.write_all(fd, [head], target)
            os.fsync(fd)
        if all(array.home.cluster.everywhere(_seen, path, head, size).values()):
            found = _by_workers(path, len(head), array, target)
            with explained(target):
                os.fsync(fd)
            return found
        with explained(target):
            os.lseek(fd, 0, os.SEEK_SET)
    atomic.fill(fd, views(chunks), size, target)
    return factor_meta.digest(array)


def _by_workers(path: str, start: int, array: Any, target: str) -> str:
    cluster, line = array.home.cluster, array.shape[1] * array.dtype.itemsize
    written = [
        cluster.submit(write_rows, path, start + shard.rows.start * line, part, target, rows=shard.rows)
        for shard, part in zip(array.home.shards, array.parts, strict=True)
    ]
    found: str = cluster.gather([cluster.submit(digest_of, path, start, factor_meta.head(array), written, target)])[0]
    return found


# What workers run


def _seen(path: str, head: bytes, size: int) -> bool:
    """Whether this is the file that the run made, and may be written to."""
    try:
        with open(path, "r+b", buffering=0) as file:
            return file.read(len(head)) == head and os.fstat(file.fileno()).st_size == size
    except OSError:
        return False


def write_rows(path: str, offset: int, rows: numpy.ndarray, target: str) -> tuple[int, int]:
    """Write and sync rows from that byte on; the CRC-32 and the number of their bytes. May be done again."""
    view = memoryview(raw(rows)).cast("B")
    with explained(target):
        # no file is made: when the folder has gone, or has its name, there is nothing to write to
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            done = 0
            while done < len(view):
                done += os.pwrite(fd, view[done : done + atomic.SLICE], offset + done)
            os.fsync(fd)
        finally:
            os.close(fd)
    return zlib.crc32(view), len(view)


def digest_of(path: str, start: int, head: bytes, written: Sequence[tuple[int, int]], target: str) -> str:
    """The digest of the array whose values begin at a byte of a file, which must be those that were written there."""
    state = hashlib.sha256(head)
    with explained(target), open(path, "rb", buffering=0) as file:
        file.seek(start)
        for check, length in written:
            found, left = 0, length
            while left and (piece := file.read(min(left, _PIECE))):
                state.update(piece)
                found, left = zlib.crc32(piece, found), left - len(piece)
            if left or found != check:
                raise OutputError(
                    "cannot be written: what workers wrote is not what one of them reads",
                    where=target,
                    hint="check the file system, or write .h5, which this process does",
                )
    return f"sha256:{state.hexdigest()}"
