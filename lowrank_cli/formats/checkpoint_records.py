"""Records of a checkpoint: plain values and arrays as bytes that show any damage. JSON and raw numbers, nothing else.

A record: the magic, two lengths, a header in JSON, the sha256 of all that; the arrays one after another, the sha256 of
these. The header has a key and a value, in which arrays stand by their number. Reading believes nothing: a record is
either what was written or ``None``, and no byte of it names a file or an object.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
import struct
from collections.abc import Iterator
from typing import Any

from ..errors import LowrankError
from ..kernels.sweep import TileFacts
from ..lazy import np
from ..matrices.facts import MatrixFacts
from ..matrices.tall import Tall, room

MAGIC = b"LRPASS1\n"
_LENGTHS = struct.Struct("<QQ")
_HEAD, _HASH = len(MAGIC) + _LENGTHS.size, hashlib.sha256().digest_size
#: Results of visits that are neither plain values nor arrays, by the name they have in a record.
_FORMS: dict[str, type] = {"TileFacts": TileFacts, "MatrixFacts": MatrixFacts}
_DTYPE = re.compile(r"[<|](b1|[iu][1248]|f[248]|c8|c16)")
#: A header is held in memory; arrays are read into place. Bytes hashed or read at a time.
_LONGEST, _PIECE = 1 << 32, 16 << 20


class Unreadable(Exception):
    """The bytes are no record, or not the one that was written."""


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
    """A record in an open file, its header read and found whole. body: where its arrays begin; end: where it ends."""

    fd: int
    key: str
    tree: Any
    arrays: list[Any]
    body: int
    end: int


def encode(key: str, value: Any) -> tuple[Iterator[Any], int]:
    """The pieces of a record, to be taken once, and how many bytes they are. Large arrays are not copied."""
    arrays: list[Any] = []
    tree = _tree(value, arrays)
    described = [[a.dtype.str, list(a.shape), _order(a)] for a in arrays]
    header = json.dumps({"key": key, "value": tree, "arrays": described}, separators=(",", ":")).encode("ascii")
    body = sum(a.nbytes for a in arrays)
    head = MAGIC + _LENGTHS.pack(len(header), body) + header

    def pieces() -> Iterator[Any]:
        yield head
        yield hashlib.sha256(head).digest()
        state = hashlib.sha256()
        for array in arrays:
            for piece in _pieces(array):
                state.update(piece)
                yield piece
        yield state.digest()

    return pieces(), len(head) + body + 2 * _HASH


def records(fd: int, at: int = 0) -> Iterator[Record]:
    """The records of a file from there on, up to the end or to the first whose header is not whole."""
    size = os.fstat(fd).st_size
    while at < size:
        try:
            record = _header(fd, at, size)
        except Unreadable:
            return
        yield record
        at = record.end


def value(record: Record, into: Any = None) -> Any:
    """What was recorded, read anew. into: a value of the same form, whose arrays, lists and dicts are filled in place.

    Raises Unreadable, before anything is filled, when the arrays are not those that were written.
    """
    state = hashlib.sha256()
    for at in range(record.body, record.end - _HASH, _PIECE):
        state.update(_bytes(record.fd, at, min(_PIECE, record.end - _HASH - at)))
    if state.digest() != _bytes(record.fd, record.end - _HASH, _HASH):
        raise Unreadable
    try:
        return _read(record, into)
    except (Unreadable, LowrankError, MemoryError):
        raise
    except Exception as error:
        # the hashes are right, and yet nobody wrote this
        raise Unreadable from error


def _read(record: Record, into: Any) -> Any:
    places = _places(record.tree, into, {})
    if {id(place) for place in places.values()} != {id(array) for array in _arrays(into)}:
        raise Unreadable
    arrays, at = [], record.body
    for number, (dtype, shape, order) in enumerate(record.arrays):
        array = places[number] if number in places else _new(dtype, shape, order)
        if (array.dtype.str, list(array.shape), _order(array)) != (dtype, shape, order):
            raise Unreadable
        _take(record.fd, at, array)
        at += array.nbytes
        arrays.append(array)
    found = _value(record.tree, arrays)
    return found if into is None else _fill(into, found)


def _tree(value: Any, arrays: list[Any]) -> Any:
    """The value as JSON, its arrays put into the list."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (np.ndarray, np.generic, Tall)):
        array = np.asarray(value) if isinstance(value, np.generic) else value
        arrays.append(array if _order(array) else np.ascontiguousarray(array))
        return {"scalar" if isinstance(value, np.generic) else "array": len(arrays) - 1}
    if isinstance(value, slice):
        return {"slice": [value.start, value.stop, value.step]}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_tree(one, arrays) for one in value]}
    if isinstance(value, dict):
        return {"dict": [[name, _tree(one, arrays)] for name, one in value.items()]}
    if hasattr(value, "indptr"):
        return {"csr": _tree([list(value.shape), value.data, value.indices, value.indptr], arrays)}
    form = type(value).__name__
    if _FORMS.get(form) is not type(value):
        raise TypeError(f"a pass came to a {form}, which no record holds")
    return {form: [_tree(getattr(value, field.name), arrays) for field in dataclasses.fields(value)]}


def _value(tree: Any, arrays: list[Any]) -> Any:
    if not isinstance(tree, dict):
        return tree
    ((form, inside),) = tree.items()
    if form == "array":
        return arrays[inside]
    if form == "scalar":
        return arrays[inside][()]
    if form == "slice":
        return slice(*inside)
    if form in ("list", "tuple"):
        return {"list": list, "tuple": tuple}[form](_value(one, arrays) for one in inside)
    if form == "dict":
        return {name: _value(one, arrays) for name, one in inside}
    if form == "csr":
        from scipy.sparse import csr_array

        shape, *parts = _value(inside, arrays)
        made = csr_array(tuple(parts), shape=tuple(shape), copy=False)
        made.check_format(full_check=True)
        return made
    return _FORMS[form](*(_value(one, arrays) for one in inside))


def _places(tree: Any, into: Any, found: dict[int, Any]) -> dict[int, Any]:
    """The arrays of ``into`` by their number in the record."""
    if isinstance(tree, dict):
        ((form, inside),) = tree.items()
        if form == "array" and isinstance(into, (np.ndarray, Tall)):
            found[inside] = into
        elif form == "dict" and isinstance(into, dict):
            for name, one in inside:
                _places(one, into.get(name), found)
        elif form == "list" and isinstance(into, list) and len(into) == len(inside):
            for one, place in zip(inside, into, strict=True):
                _places(one, place, found)
    return found


def _arrays(into: Any) -> Iterator[Any]:
    """All arrays of a value that is going to be filled."""
    if isinstance(into, (np.ndarray, Tall)):
        yield into
    elif isinstance(into, (dict, list)):
        for one in into.values() if isinstance(into, dict) else into:
            yield from _arrays(one)


def _fill(into: Any, found: Any) -> Any:
    """``found``, the containers of ``into`` in place of its own where there are such."""
    if isinstance(into, dict) and isinstance(found, dict):
        held = dict(into)
        into.clear()
        into.update({name: _fill(held.get(name), one) for name, one in found.items()})
        return into
    if isinstance(into, list) and isinstance(found, list):
        held = [*into, *([None] * (len(found) - len(into)))]
        into[:] = [_fill(place, one) for place, one in zip(held, found, strict=False)]
        return into
    return found


def _order(array: Any) -> str:
    """How an array lies: "C", "F", or nothing for one with gaps."""
    if isinstance(array, Tall) or array.flags.c_contiguous:
        return "C"
    return "F" if array.flags.f_contiguous else ""


def _pieces(array: Any) -> Iterator[Any]:
    """The bytes of an array, in order."""
    if isinstance(array, Tall):
        for rows in array.spans():
            yield array[rows].reshape(-1).view(np.uint8).data
    else:
        yield (array if _order(array) == "C" else array.T).reshape(-1).view(np.uint8).data


def _new(dtype: str, shape: list[int], order: str) -> Any:
    """An array to read into: where memory is short, a block of many rows in a scratch file."""
    if len(shape) == 2 and order == "C":
        return room((shape[0], shape[1]), np.dtype(dtype))
    return np.empty(shape, dtype, order="C" if order == "C" else "F")


def _take(fd: int, at: int, array: Any) -> None:
    """Read an array from there on."""
    if isinstance(array, Tall):
        width = array.shape[1] * array.itemsize
        for rows in array.spans():
            part = np.empty((rows.stop - rows.start, array.shape[1]), array.dtype)
            _take(fd, at + rows.start * width, part)
            array[rows] = part
        return
    flat = (array if _order(array) == "C" else array.T).reshape(-1).view(np.uint8).data
    for start in range(0, len(flat), _PIECE):
        flat[start : start + _PIECE] = _bytes(fd, at + start, min(_PIECE, len(flat) - start))


def _header(fd: int, at: int, size: int) -> Record:
    head = _bytes(fd, at, _HEAD)
    if not head.startswith(MAGIC):
        raise Unreadable
    length, body = _LENGTHS.unpack_from(head, len(MAGIC))
    if length > _LONGEST or at + _HEAD + length + body + 2 * _HASH > size:
        raise Unreadable
    text = _bytes(fd, at + _HEAD, length)
    if _bytes(fd, at + _HEAD + length, _HASH) != hashlib.sha256(head + text).digest():
        raise Unreadable
    begin = at + _HEAD + length + _HASH
    try:
        header = json.loads(text)
        arrays = [[str(dtype), [int(side) for side in shape], order] for dtype, shape, order in header["arrays"]]
        sizes = [_size(*one) for one in arrays]
        record = Record(fd, header["key"], header["value"], arrays, begin, begin + body + _HASH)
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable from error
    if sum(sizes) != body or not isinstance(record.key, str):
        raise Unreadable
    return record


def _size(dtype: str, shape: list[int], order: str) -> int:
    """Bytes of an array; Unreadable for what is no array of numbers."""
    if not _DTYPE.fullmatch(dtype) or min(shape, default=0) < 0 or len(shape) > 8 or order not in ("C", "F"):
        raise Unreadable
    return math.prod(shape) * np.dtype(dtype).itemsize


def _bytes(fd: int, at: int, count: int) -> bytes:
    """So many bytes from there; Unreadable where the file has fewer, or does not give them."""
    parts = []
    while count:
        try:
            part = os.pread(fd, min(count, _PIECE), at)
        except OSError as error:
            raise Unreadable from error
        if not part:
            raise Unreadable
        parts.append(part)
        at, count = at + len(part), count - len(part)
    return b"".join(parts)
