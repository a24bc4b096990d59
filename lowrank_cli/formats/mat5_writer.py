"""The bytes of a MATLAB file of version 5: no time stamp, so that the same arrays give the same file.

Written after MATLAB's "MAT-File Format" document: a header of 128 bytes, then an element a variable, each a tag of type
and length and then its data, which end at a multiple of 8 bytes. Arrays lie by columns.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..lazy import np

if TYPE_CHECKING:
    import numpy

#: The beginning of each of our files. The text says nothing of when, where or by which version.
HEADER = b"MATLAB 5.0 MAT-file, written by lowrank".ljust(116) + bytes(8) + b"\0\x01IM"
INT8, INT32, UINT32, MATRIX, UTF8 = 1, 5, 6, 14, 16
STRUCT, TEXT, SPARSE = 2, 4, 5
COMPLEX, LOGICAL = 0x0800, 0x0200
#: Item type -> class of the array, and type of the element with its values (of half of them where they are complex).
KINDS = {
    "|b1": (9, 2), "|i1": (8, 1), "|u1": (9, 2), "<i2": (10, 3), "<u2": (11, 4), "<i4": (12, 5), "<u4": (13, 6),
    "<i8": (14, 12), "<u8": (15, 13), "<f4": (7, 7), "<f8": (6, 9), "<c8": (7, 7), "<c16": (6, 9),
}  # fmt: skip
#: MATLAB reads no larger variable, and no longer dimension, from a file of this version.
LARGEST = 2**31 - 1
#: Length of a field's name in a struct, the zero at its end counted.
FIELD = 32


def array(name: str, values: numpy.ndarray) -> list[Any]:
    """A variable that holds a dense array of one or two dimensions; one dimension becomes a column."""
    shape = values.shape if values.ndim == 2 else (values.size, 1)
    code, kind = KINDS[values.dtype.str]
    logical = LOGICAL if values.dtype.kind == "b" else 0
    flat = values.reshape(-1, order="F")
    if values.dtype.kind != "c":
        return _matrix(name, code | logical, shape, _element(kind, np.ascontiguousarray(flat)))
    halves = (np.ascontiguousarray(half) for half in (flat.real, flat.imag))
    return _matrix(name, code | COMPLEX, shape, [chunk for half in halves for chunk in _element(kind, half)])


def sparse(name: str, values: Any) -> list[Any]:
    """A sparse variable, which is by columns and of double precision always."""
    csc = values.tocsc()
    csc.sort_indices()
    _check(max(csc.nnz * 8, *csc.shape), name)
    data = csc.data.astype(np.complex128 if csc.dtype.kind == "c" else np.float64)
    halves = [np.ascontiguousarray(data.real)] + ([np.ascontiguousarray(data.imag)] if data.dtype.kind == "c" else [])
    body = [*_element(INT32, csc.indices.astype("<i4")), *_element(INT32, csc.indptr.astype("<i4"))]
    body += [chunk for half in halves for chunk in _element(9, half)]
    return _matrix(name, SPARSE | (COMPLEX if len(halves) == 2 else 0), csc.shape, body, csc.nnz)


def text(name: str, value: bytes) -> list[Any]:
    """A variable that holds one line of text."""
    return _matrix(name, TEXT, (1, len(value)), _element(UTF8, np.frombuffer(value, np.uint8)))


def record(name: str, fields: dict[str, numpy.ndarray]) -> list[Any]:
    """A variable that is a struct of arrays."""
    names = b"".join(field.encode("ascii").ljust(FIELD, b"\0") for field in fields)
    body = [
        *_element(INT32, np.array([FIELD], "<i4")),
        *_element(INT8, np.frombuffer(names, np.uint8)),
        *(chunk for values in fields.values() for chunk in array("", values)),
    ]
    return _matrix(name, STRUCT, (1, 1), body)


def _matrix(name: str, flags: int, shape: tuple[int, ...], body: list[Any], room: int = 0) -> list[Any]:
    head = [
        *_element(UINT32, np.array([flags, room], "<u4")),
        *_element(INT32, np.array(shape, "<i8").clip(max=LARGEST).astype("<i4")),
        *_element(INT8, np.frombuffer(name.encode("ascii"), np.uint8)),
    ]
    size = sum(memoryview(chunk).nbytes for chunk in (*head, *body))
    _check(max(size, *shape), name)
    return [struct.pack("<2I", MATRIX, size), *head, *body]


def _element(kind: int, values: numpy.ndarray) -> list[Any]:
    """An element; one of at most four bytes stands in its tag."""
    raw: Any = values.view(np.uint8).data if values.size else b""
    size = values.nbytes
    if 0 < size <= 4:
        return [struct.pack("<2H", kind, size) + bytes(raw).ljust(4, b"\0")]
    return [struct.pack("<2I", kind, min(size, 2**32 - 1)), raw, bytes(-size % 8)]


def _check(size: int, name: str) -> None:
    if size > LARGEST:
        raise UsageError(f"{name or 'an array'} is too large for a .mat file, which ends at 2 GiB", hint="write .h5")
