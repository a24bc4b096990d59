"""Reading .npy, from a file or a pipe, with one pass over the bytes and no second copy.

No memory map: a mapped file that shrinks while we read kills the process, a short read is an error we can name.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import InputError
from ..lazy import np
from .loaded import Format, Item, Loaded
from .npy_header import MAGIC, Header, Source, read_header
from .working import Conversion, allocate, matrix_shape, native_name

if TYPE_CHECKING:
    import numpy.typing as npt

#: One system call reads at most this much, so that an interrupt is seen soon.
PIECE = 64 * 2**20
#: Values that need conversion pass through a buffer of this size, which stays in cache.
BUFFER = 2**20


def matches(head: bytes, name: str) -> bool:
    """Whether these first bytes are those of a .npy file."""
    return head.startswith(MAGIC)


def items(path: str) -> list[Item]:
    """The one array of the file, from its header; InputError when the header or the file size is wrong."""
    with _open(path) as raw:
        header = read_header(raw, path)
        check_size(header, os.fstat(raw.fileno()).st_size, path)
    return [_item(header)]


def load(path: str, item: str | None = None) -> Loaded:
    """Read a .npy file. The file size must be that of header and data exactly.

    Raises InputError for anything that is not a matrix of numbers, ResourceError when it does not fit in memory.
    Cost: one sequential read of the file into the array that is returned.
    """
    _refuse_item(item, path)
    with _open(path) as raw:
        header = read_header(raw, path)
        check_size(header, os.fstat(raw.fileno()).st_size, path)
        return load_values(raw, header, path, path)


def filed(path: str, item: str | None, most: int) -> Loaded | None:
    """The matrix left in its file, if its values would take more than ``most`` bytes of memory; else None.

    Raises InputError as ``load`` does. Cost: the header.
    """
    from .npy_filed import filed as leave

    _refuse_item(item, path)
    with _open(path) as raw:
        header = read_header(raw, path)
        check_size(header, os.fstat(raw.fileno()).st_size, path)
    m, n = matrix_shape(header.shape, path)
    if m * n * Conversion(header.dtype).target.itemsize <= most:
        return None
    return Loaded(leave(path, header, most // 4), path, "npy", _item(header), ("left in its file, read in parts",))


def load_stream(source: Source, where: str, item: str | None = None, name: str = "-") -> Loaded:
    """Read a .npy array from a pipe: no seek, to the end; one byte too few or too many is an InputError."""
    _refuse_item(item, where)
    return load_values(source, read_header(source, where), where, name)


def once(source: Source, where: str, item: str | None, most: int) -> Loaded:
    """The array of a pipe as ``load_stream`` gives it; where it would take more than ``most`` bytes, one that arrives
    while it is read."""
    from .arriving import arriving, too_large

    _refuse_item(item, where)
    header = read_header(source, where)
    matrix_shape(header.shape, where)
    if too_large(header, most):
        return arriving(source, header, where, "npy", _item(header), most)
    return load_values(source, header, where, where)


def stream_items(source: Source, where: str) -> list[Item]:
    """The array a pipe announces; reads the header only."""
    return [_item(read_header(source, where))]


def _open(path: str):
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise InputError(f"cannot be opened ({error.strerror})", where=path) from error


def _refuse_item(item: str | None, where: str) -> None:
    if item is not None:
        raise InputError(f"a .npy file holds one array and no item {item!r}", where=where, hint="leave the item out")


def _item(header: Header) -> Item:
    order = "Fortran order" if header.fortran and len(header.shape) > 1 else "C order"
    swapped = "" if header.dtype.isnative else ", byte-swapped"
    return Item(None, header.shape, native_name(header.dtype), None, header.nbytes, order + swapped)


def check_size(header: Header, size: int, where: str) -> None:
    """InputError unless a file of ``size`` bytes is the header and its values, no more and no less."""
    have = size - header.start
    if have < header.nbytes:
        raise InputError(
            f"truncated: shape {header.shape} of {native_name(header.dtype)} needs {header.nbytes} bytes of data, "
            f"the file has {have}",
            where=where,
            hint="copy or write the file again",
        )
    if have > header.nbytes:
        raise _trailing(f"{have - header.nbytes} bytes follow the data", where)


def _trailing(what: str, where: str) -> InputError:
    return InputError(what, where=where, hint="the header and the data do not belong together; write the file again")


def load_values(source: Source, header: Header, where: str, name: str) -> Loaded:
    """Read the values that a header announces, up to the end of the source."""
    shape = matrix_shape(header.shape, where)
    conversion = Conversion(header.dtype)
    out = allocate(shape, conversion.target, header.fortran, where)
    flat = (out.T if header.fortran else out).reshape(-1)
    try:
        got = read_values(source, flat, conversion)
        extra = b"" if got < header.nbytes else source.read(1)
    except OSError as error:
        raise InputError(f"reading failed ({error.strerror or error})", where=where) from error
    if got < header.nbytes:
        raise InputError(f"truncated: got {got} of {header.nbytes} bytes of data", where=where)
    if extra:
        raise _trailing(f"more bytes follow the {header.nbytes} bytes of data", where)
    return Loaded(out, name, "npy", _item(header), conversion.notes())


def read_values(source: Source, flat: npt.NDArray, conversion: Conversion) -> int:
    """Fill ``flat`` (1-D, contiguous) with values in the dtype that is computed in; the number of bytes that came."""
    if conversion.direct:
        return _fill(source, flat.view(np.uint8).data)
    width = conversion.stored.itemsize
    buffer = np.empty(BUFFER // width, conversion.stored)
    got = 0
    for start in range(0, flat.size, buffer.size):
        piece = buffer[: flat.size - start]
        came = _fill(source, piece.view(np.uint8).data)
        got += came
        if came < piece.nbytes:
            break
        conversion(piece, flat[start : start + piece.size])
    return got


def _fill(source: Source, view: memoryview) -> int:
    """Read until the view is full or the source ends; a pipe and a signal may give less than asked for."""
    done = 0
    while done < len(view):
        came = source.readinto(view[done : done + PIECE])
        if not came:
            break
        done += came
    return done


FORMAT = Format("npy", (".npy",), matches, items, load, load_stream, stream_items, filed, once)
