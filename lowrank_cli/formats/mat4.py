"""MATLAB files of version 4: for each variable 20 bytes of header, its name, and its values by columns.

There is no magic number: the first header is held against everything it may say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from ..errors import InputError
from ..lazy import np
from .mat_cursor import Cursor, fill
from .mat_variables import Values, Variable, checked_count, halves, unreadable
from .sparse_parts import require_room, triplets
from .working import allocate, matrix_shape

MAX_VARIABLES = 10_000
_NAME = re.compile(rb"[A-Za-z]\w{0,62}\0", re.ASCII)
_TYPES = ("f8", "f4", "i4", "i2", "u2", "u1")
_FULL, _TEXT, _SPARSE = 0, 1, 2


def matches(head: bytes) -> bool:
    """Whether the first bytes are a header of version 4 in every respect."""
    return _header(head) is not None


def _header(raw: bytes) -> tuple[str, int, int, int, bool, int] | None:
    """Byte order, element type, rows, columns, whether complex, and length of the name; None when it is no header."""
    if len(raw) < 20:
        return None
    for order, number in (("<", 0), (">", 1)):
        code, rows, cols, imaginary, length = (
            int.from_bytes(raw[at : at + 4], "little" if order == "<" else "big") for at in range(0, 20, 4)
        )
        machine, zero, kind, matrix = code // 1000, code // 100 % 10, code // 10 % 10, code % 10
        fits = machine == number and zero == 0 and kind < len(_TYPES) and matrix <= _SPARSE and imaginary <= 1
        if fits and max(rows, cols) < 2**31 and 2 <= length <= 64:
            if len(raw) < 20 + length or _NAME.fullmatch(raw[20 : 20 + length]):
                return order, kind * 10 + matrix, rows, cols, bool(imaginary), length
    return None


def variables(file: BinaryIO, size: int, where: str) -> Iterator[Variable]:
    """The variables of the file in order. Each can be read until the next is asked for."""
    cursor, count = Cursor(file, size, where), 0
    while cursor.left:
        if count == MAX_VARIABLES:
            what = f"holds more than {MAX_VARIABLES} variables"
            raise InputError(what, where=where, hint="save the one that is meant alone")
        raw = cursor.read(20)
        header = _header(raw)
        if header is None:
            cursor.refuse("a header of version 4 that says what it may not")
        order, code, rows, cols, imaginary, length = header
        name = cursor.read(length)
        if not _NAME.fullmatch(name):
            cursor.refuse("a variable without a name")
        stored = np.dtype(order + _TYPES[code // 10])
        values = checked_count((rows, cols), where) * stored.itemsize * (1 + imaginary)
        part = cursor.sub(values)
        yield _variable(part, name[:-1].decode("ascii"), stored, (rows, cols), imaginary, code % 10)
        part.finish()
        count += 1


def _variable(
    part: Cursor, name: str, stored: np.dtype, shape: tuple[int, int], imaginary: bool, matrix: int
) -> Variable:
    if matrix == _TEXT:
        return unreadable(name, shape, "text", "holds text, not numbers")
    if matrix == _SPARSE:
        return _sparse(part, name, stored, shape)
    single, dtype = stored.newbyteorder("=") == np.float32, stored.newbyteorder("=")
    target: np.dtype = np.dtype("f4" if single else "f8")
    if imaginary:
        dtype = target = np.dtype("c8" if single else "c16")

    def read(where: str) -> Values:
        out = allocate(matrix_shape(shape, where), target, True, where)
        flat = out.T.reshape(-1)
        for half in halves(flat) if imaginary else (flat,):
            fill(part, stored, half)
        return out, ()

    return Variable(name, shape, dtype.name, None, None, read)


def _sparse(part: Cursor, name: str, stored: np.dtype, shape: tuple[int, int]) -> Variable:
    """Rows of (row, column, real part[, imaginary part]); the last one has the shape in place of an entry.

    The shape is in the last row, behind the values, so the header alone says how many entries there are at most.
    """
    count, width = shape
    if width not in (3, 4) or count < 1:
        return unreadable(name, shape, "sparse", f"is a sparse matrix of {count} x {width} values, which is none")
    table = allocate((count, width), np.dtype("f8"), True, part.where)
    fill(part, stored, table.T.reshape(-1))
    last = table[-1, :2]
    if not (np.isfinite(last).all() and (last >= 0).all() and (last % 1 == 0).all() and (last < 2**31).all()):
        part.refuse("a sparse matrix without a shape")
    size = (int(last[0]), int(last[1]))

    def read(where: str) -> Values:
        matrix_shape(size, where)
        require_room(count - 1, size, where)
        places = table[:-1, :2]
        if not (
            np.isfinite(places).all() and (places >= 1).all() and (places % 1 == 0).all() and (places < 2**31).all()
        ):
            raise InputError("an index of the sparse matrix is no whole number from 1", where=where)
        row, col = (places[:, k].astype(np.int64) - 1 for k in (0, 1))
        data = table[:-1, 2].copy() if width == 3 else table[:-1, 2] + 1j * table[:-1, 3]
        return triplets(data, row, col, size, where)

    return Variable(name, size, "complex128" if width == 4 else "float64", count - 1, None, read)
