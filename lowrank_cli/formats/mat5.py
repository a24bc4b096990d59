"""MATLAB files of versions 5 to 7: a header of 128 bytes, then one element a variable, deflated in version 7.

Written after MATLAB's "MAT-File Format" document. Everything a tag says is checked against the bytes there are before
it is believed; characters, cells, objects and functions are named and passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ..errors import InputError
from ..lazy import np
from .mat_cursor import Cursor, Inflated, fill, integers
from .mat_variables import Values, Variable, checked_count, halves, unreadable
from .sparse_parts import compressed, require_room
from .working import allocate, matrix_shape

MAX_DEPTH, MAX_DIMS = 8, 64
#: Variables and fields of structs, all together, and bytes of a field's name: MATLAB's are of 63 letters.
MAX_VARIABLES, MAX_NAME = 10_000, 256
_INT32, _UINT32, _MATRIX, _COMPRESSED = 5, 6, 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_SPARSE, _STRUCT = 5, 2
_OTHERS = {1: "cell", 3: "object", 4: "text", 16: "function", 17: "object"}
_COMPLEX, _LOGICAL = 0x0800, 0x0200


def variables(file: BinaryIO, size: int, where: str) -> Iterator[Variable]:
    """The variables of the file in order, structs field by field. Each can be read until the next is asked for."""
    for count, variable in enumerate(_variables(file, size, where)):
        if count == MAX_VARIABLES:
            what = f"holds more than {MAX_VARIABLES} variables and fields"
            raise InputError(what, where=where, hint="save the one that is meant alone")
        yield variable


def _variables(file: BinaryIO, size: int, where: str) -> Iterator[Variable]:
    header = file.read(128)
    if len(header) < 128 or header[126:128] not in (b"IM", b"MI"):
        raise InputError("not a MATLAB file (its header says no byte order)", where=where)
    order = "<" if header[126:128] == b"IM" else ">"
    cursor = Cursor(file, size - 128, where)
    while cursor.left:
        kind, length, _ = tag(cursor, order)
        element = cursor.sub(length)
        if kind == _COMPRESSED:
            inner = Inflated(element)
            kind, length, _ = tag(inner, order)
            inner.left = min(inner.left, length)
            yield from _matrix(inner, kind, order, None, 0)
            inner.finish()
        else:
            yield from _matrix(element, kind, order, None, 0)
        element.finish()


def tag(cursor: Cursor, order: str) -> tuple[int, int, bytes]:
    """Type, length and, of a small element, the data of the next element."""
    raw = cursor.read(8)
    kind, length = (int(value) for value in np.frombuffer(raw, order + "u4"))
    if kind >> 16:
        if kind >> 16 > 4:
            cursor.refuse("a small element of more than 4 bytes")
        return kind & 0xFFFF, kind >> 16, raw[4 : 4 + (kind >> 16)]
    return kind, length, b""


def _element(cursor: Cursor, order: str) -> tuple[int, Cursor, int]:
    """Type and bytes of the next element, and the padding behind it."""
    kind, length, small = tag(cursor, order)
    if small:
        return kind, _Small(small, cursor.where), 0
    return kind, cursor.sub(length), -length % 8


class _Small(Cursor):
    """The bytes of a small element, which stand in its tag."""

    def __init__(self, data: bytes, where: str):
        self.left = len(data)
        self.where = where
        self._data = data

    def _take(self, size: int) -> bytes:
        data, self._data = self._data[:size], self._data[size:]
        return data


def whole(cursor: Cursor, order: str, cap: int) -> tuple[int, bytes]:
    """Type and all bytes of a short element."""
    kind, part, padding = _element(cursor, order)
    if part.left > cap:
        cursor.refuse(f"a header element of {part.left} bytes")
    data = part.read(part.left)
    cursor.skip(min(padding, cursor.left))
    return kind, data


def _matrix(cursor: Cursor, kind: int, order: str, path: str | None, depth: int) -> Iterator[Variable]:
    """The variable in a matrix element; path names it inside a struct."""
    if kind != _MATRIX:
        cursor.refuse(f"an element of type {kind} where a variable belongs")
    if not cursor.left:
        yield unreadable(path or "", (0, 0), "empty", "is empty")
        return
    _, raw = whole(cursor, order, 8)
    if len(raw) != 8:
        cursor.refuse("array flags that are not 8 bytes")
    flags, room = (int(value) for value in np.frombuffer(raw, order + "u4"))
    code = flags & 0xFF
    if code == 17:
        # objects of classdef: another layout follows
        yield unreadable(path or "(object)", (), "object", "holds an object, not numbers")
        return
    kind, raw = whole(cursor, order, 4 * MAX_DIMS)
    if kind != _INT32 or len(raw) % 4 or len(raw) < 8:
        cursor.refuse("dimensions that are not two integers or more")
    shape = tuple(int(value) for value in np.frombuffer(raw, order + "i4"))
    count = checked_count(shape, cursor.where)
    _, raw = whole(cursor, order, 4096)
    name = raw.decode("utf-8", "replace")
    if path is None and not name:
        return  # what MATLAB keeps for itself beside functions and objects
    path = name if path is None else path
    if code == _STRUCT:
        yield from _struct(cursor, order, path, shape, count, depth)
    elif code == _SPARSE:
        yield _sparse(cursor, order, path, shape, flags, room)
    elif code in _CLASSES:
        yield _dense(cursor, order, path, shape, count, flags)
    else:
        kind_name = _OTHERS.get(code, f"class {code}")
        yield unreadable(path, shape, kind_name, f"holds {_article(kind_name)}, not numbers")


def _article(kind: str) -> str:
    return {"cell": "cells", "text": "text"}.get(kind, f"an {kind}" if kind == "object" else f"a {kind}")


def _struct(
    cursor: Cursor, order: str, path: str, shape: tuple[int, ...], count: int, depth: int
) -> Iterator[Variable]:
    if count != 1 or depth >= MAX_DEPTH:
        what = f"is an array of {count} structs" if count != 1 else "is a struct nested too deep"
        yield unreadable(path, shape, "struct", f"{what}, not numbers")
        return
    _, raw = whole(cursor, order, 4)
    width = int.from_bytes(raw, "little" if order == "<" else "big")
    _, raw = whole(cursor, order, 1 << 20)
    if len(raw) and (not 0 < width <= min(len(raw), MAX_NAME) or len(raw) % width):
        cursor.refuse(f"field names of {len(raw)} bytes in pieces of {width}")
    names = [raw[at : at + width].split(b"\0")[0].decode("utf-8", "replace") for at in range(0, len(raw), width or 1)]
    if not names:
        yield unreadable(path, shape, "struct", "is a struct without fields")
    for name in names:
        kind, part, padding = _element(cursor, order)
        yield from _matrix(part, kind, order, f"{path}.{name}", depth + 1)
        part.finish()
        cursor.skip(min(padding, cursor.left))


def _numbers(cursor: Cursor, order: str, count: int, logical: bool, what: str) -> tuple[np.dtype, Cursor, int]:
    """The stored type of the next element, which must hold exactly ``count`` numbers, its bytes, and the padding."""
    kind, part, padding = _element(cursor, order)
    if kind not in _TYPES:
        cursor.refuse(f"{what} of type {kind}")
    stored = np.dtype(order + _TYPES[kind])
    if part.left != count * stored.itemsize:
        cursor.refuse(f"{what} of {part.left} bytes where {count} values of {stored.name} belong")
    return np.dtype("?") if logical and stored.itemsize == 1 else stored, part, padding


def _dense(cursor: Cursor, order: str, path: str, shape: tuple[int, ...], count: int, flags: int) -> Variable:
    real = np.dtype(_CLASSES[flags & 0xFF])
    logical, imaginary = bool(flags & _LOGICAL), bool(flags & _COMPLEX)
    dtype = "bool" if logical else {"f4": "complex64"}.get(_CLASSES[flags & 0xFF], "complex128") if imaginary else real

    def read(where: str) -> Values:
        size = matrix_shape(shape, where)
        stored, part, padding = _numbers(cursor, order, count, logical, "real parts")
        target = np.dtype(dtype) if imaginary else np.dtype("f4" if real == np.float32 else "f8")
        out = allocate(size, target, True, where)
        flat = out.T.reshape(-1)
        first = halves(flat)[0] if imaginary else flat
        conversion = fill(part, stored, first)
        if imaginary:
            cursor.skip(padding)
            stored, part, _ = _numbers(cursor, order, count, False, "imaginary parts")
            fill(part, stored, halves(flat)[1])
        return out, conversion.notes()

    return Variable(path, shape, np.dtype(dtype).name, None, None, read)


def _sparse(cursor: Cursor, order: str, path: str, shape: tuple[int, ...], flags: int, room: int) -> Variable:
    logical, imaginary = bool(flags & _LOGICAL), bool(flags & _COMPLEX)
    dtype = "bool" if logical else "complex128" if imaginary else "float64"
    room = min(room, cursor.left)

    def read(where: str) -> Values:
        rows, cols = matrix_shape(shape, where)
        row, pointer = (_indices(cursor, order, what) for what in ("row indices", "column pointers"))
        if not len(pointer) or len(pointer) != cols + 1:
            raise InputError(f"{len(pointer)} column pointers for {cols} columns", where=where)
        nnz = int(pointer[-1])
        if not 0 <= nnz <= len(row):
            raise InputError(f"column pointers to {nnz} of {len(row)} entries", where=where)
        require_room(nnz, (rows, cols), where)
        data = np.empty(nnz, np.complex128 if imaginary else np.float64)
        parts = [*halves(data)] if imaginary else [data]
        for out in parts:
            _fill_front(cursor, order, out, len(row), logical)
        return compressed("csc", data, row[:nnz], pointer, (rows, cols), where)

    return Variable(path, shape, dtype, room, None, read)


def _fill_front(cursor: Cursor, order: str, out: np.ndarray, most: int, logical: bool) -> None:
    """Values of the entries there are; MATLAB may keep room for more behind them."""
    kind, part, padding = _element(cursor, order)
    if kind not in _TYPES:
        cursor.refuse(f"values of type {kind}")
    stored = np.dtype(order + _TYPES[kind])
    if logical and part.left < out.size * stored.itemsize:
        stored = np.dtype("u1")  # MATLAB says double, and writes bytes
    if not out.size * stored.itemsize <= part.left <= max(most, out.size) * stored.itemsize:
        cursor.refuse(f"{part.left} bytes of values for {out.size} entries")
    fill(part, np.dtype("?") if logical and stored.itemsize == 1 else stored, out)
    part.finish()
    cursor.skip(min(padding, cursor.left))


def _indices(cursor: Cursor, order: str, what: str) -> np.ndarray:
    kind, part, padding = _element(cursor, order)
    if kind not in (_INT32, _UINT32, 12, 13):
        cursor.refuse(f"{what} of type {kind}")
    stored = np.dtype(order + _TYPES[kind])
    if part.left % stored.itemsize:
        cursor.refuse(f"{what} of {part.left} bytes")
    found = integers(part, stored, part.left // stored.itemsize)
    cursor.skip(min(padding, cursor.left))
    return found
