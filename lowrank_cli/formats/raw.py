"""Raw arrays: numbers in a row, of a shape and a dtype that the user says, since nothing in the file does.

An item "1000x200:float32" names the array; ``--raw`` of the command line takes the same. By rows (C order), and
little-endian unless the dtype says otherwise (``>f4``); the size must be that of the array exactly.
"""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING, Any

from ..errors import InputError, UsageError
from ..lazy import np
from .loaded import Format, Item, Loaded
from .npy import check_size, load_values
from .npy_header import Header
from .working import Conversion, check_dimensions, native_name, supported

if TYPE_CHECKING:
    import numpy

_SPEC = re.compile(r"(\d{1,15})x(\d{1,15}):([<>=|]?\w{1,12})", re.ASCII)
_HINT = "such as 1000x200:float32, 50x50:>f8, 64x64:uint8"


def is_spec(item: str | None) -> bool:
    """Whether an item is a shape and a dtype and no name."""
    return item is not None and _SPEC.fullmatch(item) is not None


def spec(text: str) -> str:
    """The text, when it is a shape and a dtype as NumPy spells it. UsageError when it is none."""
    match = _SPEC.fullmatch(text)
    if match is None or not int(match[1]) or not int(match[2]):
        raise UsageError(f"--raw must be ROWSxCOLUMNS:DTYPE, not {text[:40]!r}", hint=_HINT)
    _dtype(match[3])
    return text


def _dtype(text: str) -> numpy.dtype:
    try:
        dtype = np.dtype(text)
    except (TypeError, ValueError):
        dtype = None
    if dtype is None or not supported(dtype) or not re.fullmatch(r"[<>=|]?\w+", text, re.ASCII):
        raise UsageError(f"a raw array needs a NumPy dtype of numbers, not {text[:40]!r}", hint=_HINT)
    return dtype.newbyteorder("<") if text[0] not in "<>=|" else dtype


def _header(item: str | None, where: str) -> Header:
    match = _SPEC.fullmatch(item or "")
    if match is None:
        raise InputError("a raw array has no shape of its own", where=where, hint="give --raw MxN:DTYPE")
    shape = (int(match[1]), int(match[2]))
    check_dimensions(shape, where)
    return Header(_dtype(match[3]), shape, False, 0)


def described(item: str) -> Item:
    """The array that a spec stands for."""
    header = _header(item, item)
    order = "C order" if header.dtype.isnative else "C order, byte-swapped"
    return Item(None, header.shape, native_name(header.dtype), None, header.nbytes, order)


def load(path: str, item: str | None = None) -> Loaded:
    """Read the array that ``item`` says the file is. InputError when the size of the file is another."""
    header = _header(item, path)
    try:
        file = open(path, "rb", buffering=0)
    except OSError as error:
        raise InputError(f"cannot be opened ({error.strerror})", where=path) from error
    with file:
        check_size(header, os.fstat(file.fileno()).st_size, path)
        return _named(load_values(file, header, path, path), item)


def filed(path: str, item: str | None, most: int) -> Loaded | None:
    """The array left in its file, if its values would take more than ``most`` bytes of memory; else None."""
    from .npy_filed import filed as leave

    header = _header(item, path)
    check_size(header, os.stat(path).st_size, path)
    if math.prod(header.shape) * Conversion(header.dtype).target.itemsize <= most:
        return None
    array = leave(path, header, most // 8)
    return Loaded(array, path, "raw", described(item or ""), ("left in its file, read in parts",))


def load_stream(source: Any, where: str, item: str | None = None) -> Loaded:
    """Read the array from a pipe, to the end: one byte too few or too many is an InputError."""
    return _named(load_values(source, _header(item, where), where, where), item)


def _named(loaded: Loaded, item: str | None) -> Loaded:
    return Loaded(loaded.array, loaded.source, "raw", described(item or ""), loaded.notes)


def _nothing(*_: Any) -> list[Item]:
    raise InputError("a raw array has no shape of its own", hint="give --raw MxN:DTYPE")


FORMAT = Format("raw", (), lambda head, name: False, _nothing, load, load_stream, _nothing, filed)
