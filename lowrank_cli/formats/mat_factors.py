"""Factors as variables of a MATLAB file, version 5; a sparse array is a struct of its parts, ``C.data`` and so on.

MATLAB has no arrays of one dimension: those are columns, and ``meta``, the metadata as text, says which they are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import DamagedError, InputError
from ..lazy import np
from . import factor_meta, mat5_writer
from .container import ArrayInfo, Container
from .mat5 import tag, whole
from .mat_cursor import Cursor

if TYPE_CHECKING:
    import numpy

META, VECTORS = "meta", "vectors"
VARIABLE_CAP = 1000
_DAMAGED = "the file is damaged; write it again"
_TYPES = {kind: name for name, (_, kind) in mat5_writer.KINDS.items() if name not in ("|b1", "<c8", "<c16")}


def encode(meta: dict[str, Any], arrays: dict[str, numpy.ndarray]) -> list[Any]:
    """The file as chunks. Raises UsageError for an array that takes more than 2 GiB."""
    vectors = sorted(name for name, array in arrays.items() if array.ndim == 1)
    chunks = [mat5_writer.HEADER, *mat5_writer.text(META, factor_meta.canonical({**meta, VECTORS: vectors}))]
    structs: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        base, dot, part = name.partition(".")
        if dot:
            structs.setdefault(base, {})[part] = array
        else:
            # in MATLAB's order, so whole; at most 2 GiB
            chunks += mat5_writer.array(name, np.asarray(array))
    for base, parts in structs.items():
        chunks += mat5_writer.record(base, parts)
    return chunks


@dataclasses.dataclass(frozen=True)
class _Variable:
    """An array of the file; read gives its values, before the next one is asked for."""

    name: str
    dtype: numpy.dtype | None
    shape: tuple[int, ...]
    read: Callable[[], Any]


def decode(path: str) -> tuple[Any, dict[str, numpy.ndarray]]:
    """Metadata and flat arrays, not yet checked against their digests. Raises InputError."""
    with _opened(path) as (meta, vectors, variables):
        arrays: dict[str, numpy.ndarray] = {}
        for one in variables:
            if one.name in arrays:
                raise DamagedError(f"holds the array {one.name!r} twice", where=path, hint=_DAMAGED)
            arrays[one.name] = one.read().reshape(_shape(one, vectors), order="F")
        return meta, {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def headers(path: str) -> tuple[Any, dict[str, ArrayInfo]]:
    """Metadata, and item type and shape of every flat array, without keeping values. Raises InputError."""
    with _opened(path) as (meta, vectors, variables):
        return meta, {one.name: ArrayInfo(str(one.dtype), _shape(one, vectors)) for one in variables}


def holds(path: str) -> bool:
    """Whether the first variable of the file is text that names our schema."""
    with contextlib.suppress(InputError, OSError), open(path, "rb") as file:
        first = next(_variables(file, path), None)
        return first is not None and _is_meta(first) and f'"{factor_meta.FAMILY}'.encode() in first.read()
    return False


@contextlib.contextmanager
def _opened(path: str) -> Iterator[tuple[Any, frozenset[str], Iterator[_Variable]]]:
    with factor_meta.whole(path), open(path, "rb") as file:
        variables = _variables(file, path)
        first = next(variables, None)
        if first is None or not _is_meta(first):
            raise InputError("holds no factors written by lowrank", where=path, hint="its first variable says so")
        meta = factor_meta.parse(first.read(), path)
        vectors = meta.pop(VECTORS, None) if isinstance(meta, dict) else None
        names = vectors if isinstance(vectors, list) else []
        yield meta, frozenset(name for name in names if isinstance(name, str)), variables


def _is_meta(one: _Variable) -> bool:
    return one.name == META and one.dtype is None


def _shape(one: _Variable, vectors: frozenset[str]) -> tuple[int, ...]:
    return one.shape[:1] if one.name in vectors and one.shape[1:] == (1,) else one.shape


def _variables(file: Any, path: str) -> Iterator[_Variable]:
    file.seek(128)
    cursor = Cursor(file, os.fstat(file.fileno()).st_size - 128, path)
    for _ in range(VARIABLE_CAP):
        if cursor.left <= 0:
            return
        yield from _matrix(cursor, "")
    cursor.refuse(f"more than {VARIABLE_CAP} variables")


def _matrix(outer: Cursor, prefix: str) -> Iterator[_Variable]:
    """The next array, or the arrays of the next struct, named ``prefix`` and then their own name."""
    kind, length, _ = tag(outer, "<")
    if kind != mat5_writer.MATRIX:
        outer.refuse(f"an element of type {kind} where a variable belongs")
    cursor = outer.sub(length)
    flags = _integers(cursor, mat5_writer.UINT32, 2)[0]
    shape = tuple(_integers(cursor, mat5_writer.INT32, 2))
    kind, raw = whole(cursor, "<", 256)
    name = prefix + raw.decode("ascii", "replace")
    if kind != mat5_writer.INT8 or min(shape) < 0 or not factor_meta.NAME.fullmatch(name):
        cursor.refuse("a variable that is none of a factor file's")
    if flags == mat5_writer.STRUCT and not prefix:
        if _integers(cursor, mat5_writer.INT32, 1) != [mat5_writer.FIELD]:
            cursor.refuse("names of fields of another length")
        kind, raw = whole(cursor, "<", len(factor_meta.PARTS) * mat5_writer.FIELD)
        for at in range(0, len(raw), mat5_writer.FIELD):
            field = raw[at : at + mat5_writer.FIELD].rstrip(b"\0").decode("ascii", "replace")
            yield from _matrix(cursor, f"{name}.{field}")
    elif flags == mat5_writer.TEXT:
        yield _Variable(name, None, shape, lambda: _text(cursor))
    else:
        yield _numbers(cursor, name, shape, flags)
    cursor.finish()


def _text(cursor: Cursor) -> bytes:
    kind, raw = whole(cursor, "<", factor_meta.SIZE_CAP)
    return raw if kind == mat5_writer.UTF8 else cursor.refuse(f"text of type {kind}")


def _integers(cursor: Cursor, wanted: int, count: int) -> list[int]:
    kind, raw = whole(cursor, "<", 64)
    if kind != wanted or len(raw) != 4 * count:
        cursor.refuse(f"an element of type {kind} and {len(raw)} bytes in the head of a variable")
    return np.frombuffer(raw, "<u4" if wanted == mat5_writer.UINT32 else "<i4").tolist()


def _numbers(cursor: Cursor, name: str, shape: tuple[int, ...], flags: int) -> _Variable:
    """A dense array, stored as we store it: the type of its values is the one of its class."""
    peek, length, small = tag(cursor, "<")
    stored, count = np.dtype(_TYPES.get(peek, "|u1")), shape[0] * shape[1]
    code = flags & ~(mat5_writer.COMPLEX | mat5_writer.LOGICAL)
    imaginary, logical = bool(flags & mat5_writer.COMPLEX), bool(flags & mat5_writer.LOGICAL)
    odd = (code, peek) not in mat5_writer.KINDS.values() or (logical and (stored.itemsize > 1 or imaginary))
    if odd or length != count * stored.itemsize:
        cursor.refuse(f"an array of class {code} with {length} bytes of type {peek}")
    dtype = np.dtype("?") if logical else np.result_type(stored, np.complex64) if imaginary else stored

    def read() -> numpy.ndarray:
        real = np.frombuffer(small or cursor.read(length), stored)
        if not imaginary:
            return real.view(dtype)
        if not small:
            cursor.skip(-length % 8)
        kind, raw = whole(cursor, "<", length)
        if kind != peek or len(raw) != length:
            cursor.refuse("imaginary parts that do not fit the real ones")
        out = np.empty(count, dtype)
        out.real, out.imag = real, np.frombuffer(raw, stored)
        return out

    return _Variable(name, dtype, shape, read)


CONTAINER = Container(
    name="mat",
    suffix=".mat",
    matches=lambda head: head is not None and head[124:128] == mat5_writer.HEADER[124:],
    encode=encode,
    decode=decode,
    headers=headers,
    holds=holds,
    types=tuple(mat5_writer.KINDS),
)
