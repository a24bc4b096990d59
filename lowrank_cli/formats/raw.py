"""Raw arrays: numbers in a row, of a shape and a dtype that the user says, since nothing in the file does.

An item "1000x200:float32" names the array; ``--raw`` of the command line takes the same. By rows (C order), and
little-endian unless the dtype says otherwise (``>f4``); the size must be that of the array exactly. "x200:float32" has
as many rows as there are.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from typing import TYPE_CHECKING, Any

from ..errors import InputError, UsageError
from ..lazy import np
from .loaded import Format, Item, Loaded
from .npy import check_size, load_values
from .npy_header import Header
from .spooling import spooled
from .working import Conversion, check_dimensions, native_name, supported

if TYPE_CHECKING:
    import numpy

_SPEC = re.compile(r"(\d{0,15})x(\d{1,15}):([<>=|]?[a-zA-Z]\w{0,11})", re.ASCII)
_HINT = "such as 1000x200:float32, 50x50:>f8, 64x64:uint8, x200:float32 for as many rows as there are"


def is_spec(item: str | None) -> bool:
    """Whether an item is a shape and a dtype and no name."""
    return item is not None and _SPEC.fullmatch(item) is not None


def spec(text: str) -> str:
    """The text, when it is a shape and a dtype as NumPy spells it. UsageError when it is none."""
    match = _SPEC.fullmatch(text)
    if match is None or not int(match[1] or 1) or not int(match[2]):
        raise UsageError(f"--raw must be ROWSxCOLUMNS:DTYPE, not {text[:40]!r}", hint=_HINT)
    _dtype(match[3])
    return text


def _dtype(text: str) -> numpy.dtype:
    # NumPy evaluates what begins with a digit as Python, and warns of "a", which once were bytes
    try:
        dtype = np.dtype(text) if re.fullmatch(r"[<>=|]?(?!a\d*$)[a-zA-Z]\w*", text, re.ASCII) else None
    except (TypeError, ValueError):
        dtype = None
    if dtype is None or not supported(dtype):
        raise UsageError(f"a raw array needs a NumPy dtype of numbers, not {text[:40]!r}", hint=_HINT)
    return dtype.newbyteorder("<") if text[0] not in "<>=|" else dtype


def _header(item: str | None, where: str, size: int | None = None) -> Header:
    """What a spec says of a file of that many bytes; of a stream, with None, the number of rows may be None."""
    match = _SPEC.fullmatch(item or "")
    if match is None:
        raise InputError("a raw array has no shape of its own", where=where, hint="give --raw MxN:DTYPE")
    cols, dtype = int(match[2]), _dtype(match[3])
    rows = int(match[1]) if match[1] else None if size is None else size // (cols * dtype.itemsize)
    check_dimensions((rows or 1, cols), where)
    header = Header(dtype, (rows, cols), False, 0)
    if size is not None:
        check_size(header, size, where)
    return header


def _item(header: Header) -> Item:
    order = "C order" if header.dtype.isnative else "C order, byte-swapped"
    size = 0 if header.shape[0] is None else header.nbytes
    return Item(None, header.shape, native_name(header.dtype), None, size, order)


def described(item: str, path: str | None) -> Item:
    """The array that a spec stands for in the file at path; None: in a stream."""
    header = _header(item, path or "standard input")
    if header.shape[0] is None and path is None:
        raise InputError("a stream does not say how many rows it has", hint="give --raw MxN:DTYPE")
    return _item(header if header.shape[0] or path is None else _header(item, path, os.stat(path).st_size))


def load(path: str, item: str | None = None) -> Loaded:
    """Read the array that ``item`` says the file is. InputError when the size of the file is another."""
    try:
        file = open(path, "rb", buffering=0)
    except OSError as error:
        raise InputError(f"cannot be opened ({error.strerror})", where=path) from error
    with file:
        header = _header(item, path, os.fstat(file.fileno()).st_size)
        return _named(load_values(file, header, path, path), header)


def filed(path: str, item: str | None, most: int) -> Loaded | None:
    """The array left in its file, if its values would take more than ``most`` bytes of memory; else None."""
    from .npy_filed import filed as leave

    header = _header(item, path, os.stat(path).st_size)
    if math.prod(header.shape) * Conversion(header.dtype).target.itemsize <= most:
        return None
    array = leave(path, header, most // 4)
    return Loaded(array, path, "raw", _item(header), ("left in its file, read in parts",))


def load_stream(source: Any, where: str, item: str | None = None) -> Loaded:
    """Read the array from a pipe, to the end: one byte too few or too many is an InputError. What does not say how many
    rows it has goes through a temporary file."""
    header = _header(item, where)
    if header.shape[0] is None:
        with spooled(source, where) as copy:
            return load(copy, item)
    return _named(load_values(source, header, where, where), header)


def once(source: Any, where: str, item: str | None, most: int) -> Loaded:
    """The array of a pipe, loaded up to ``most`` bytes; a larger one, or one of which nobody knows how large it is, is
    to be read once."""
    from .arriving import arriving, too_large

    header = _header(item, where)
    if too_large(header, most):
        return arriving(source, header, where, "raw", _item(header), most)
    return _named(load_values(source, header, where, where), header)


def _named(loaded: Loaded, header: Header) -> Loaded:
    return dataclasses.replace(loaded, format="raw", item=_item(header))


def _nothing(*_: Any) -> list[Item]:
    raise InputError("a raw array has no shape of its own", hint="give --raw MxN:DTYPE")


FORMAT = Format("raw", (), lambda head, name: False, _nothing, load, load_stream, _nothing, filed, once)
