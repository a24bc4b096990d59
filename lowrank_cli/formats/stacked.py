"""Several files as one matrix: their rows below one another, in memory where they fit, else each left in its file."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InputError, ResourceError
from ..lazy import np
from ..matrices.filed import Filed
from ..matrices.lines import Entries, Lines
from ..memory import available_memory
from . import opening, patterns
from .loaded import Item, Loaded
from .sparse_parts import fits, index_type, room
from .working import allocate, computed_dtype, require_memory

if TYPE_CHECKING:
    import numpy

#: How many files a note spells out.
_SHOWN = 8


@dataclasses.dataclass(frozen=True, eq=False)
class _Part:
    """A file and the matrix in it that is meant, as its header tells it."""

    path: str
    item: Item


def item_of(pattern: str, item: str | None) -> tuple[str, Item]:
    """Format of the first file, and what the stacked matrix will be, from headers. Raises InputError."""
    format, parts = _parts(pattern, item)
    return format, _joined(parts, item)


def stacked(pattern: str, item: str | None, most: int | None = None) -> Loaded:
    """The matrix of all files that fit the pattern; ``item`` names it in each. most: bytes up to which it is loaded, by
    default half of the memory there is.

    Raises InputError for a file that cannot be read, or that has other columns, another dtype, or is sparse where
    others are not; ResourceError when it does not fit and the files cannot be read in parts. Cost: headers and, where
    it fits, one read.
    """
    format, parts = _parts(pattern, item)
    whole = _joined(parts, item)
    most = available_memory() // 2 if most is None else most
    note = f"{len(parts)} files stacked by rows: {_named([os.path.basename(part.path) for part in parts])}"
    if whole.nnz is None:
        array, notes = _dense(parts, item, whole, most, pattern)
    else:
        array, notes = _sparse(parts, item, whole, most, pattern)
        whole = dataclasses.replace(whole, nnz=int(array.nnz))
    return Loaded(array, pattern, format, whole, (note, *notes))


def _parts(pattern: str, item: str | None) -> tuple[str, list[_Part]]:
    parts, formats = [], []
    for path in patterns.fitting(pattern):
        format, found = opening.list_items(path, item)
        meant = [one for one in found if one.candidate] if item is None else found
        if len(meant) != 1:
            # says best what there is to choose from
            meant = [opening.open_matrix(path, item).item]
        formats.append(format)
        parts.append(_Part(path, meant[0]))
    first = parts[0]
    for part in parts:
        if len(part.item.shape) != 2 or computed_dtype(part.item.dtype) is None:
            opening.open_matrix(part.path, item)
        what = None
        if part.item.shape[1] != first.item.shape[1]:
            what = f"has {part.item.shape[1]} columns, and {first.path} has {first.item.shape[1]}"
        elif part.item.dtype != first.item.dtype:
            what = f"holds {part.item.dtype}, and {first.path} holds {first.item.dtype}"
        elif (part.item.nnz is None) != (first.item.nnz is None):
            sparse, dense = (first, part) if part.item.nnz is None else (part, first)
            raise InputError(f"is sparse, and {dense.path} is dense", where=sparse.path, hint="stack files of one kind")
        if what is not None:
            raise InputError(what, where=part.path, hint="files are stacked by rows: columns and dtype must agree")
    return formats[0], parts


def _joined(parts: Sequence[_Part], item: str | None) -> Item:
    items = [part.item for part in parts]
    rows = [f"{os.path.basename(part.path)} ({part.item.shape[0]})" for part in parts]
    return Item(
        item,
        (sum(one.shape[0] for one in items), items[0].shape[1]),
        items[0].dtype,
        None if items[0].nnz is None else sum(one.nnz or 0 for one in items),
        sum(one.bytes for one in items),
        f"{len(parts)} files stacked by rows: {_named(rows)}",
    )


def _named(names: Sequence[str]) -> str:
    more = f", ... {names[-1]}" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _dense(
    parts: Sequence[_Part], item: str | None, whole: Item, most: int, pattern: str
) -> tuple[Any, tuple[str, ...]]:
    dtype, (m, n) = computed_dtype(whole.dtype), whole.shape
    assert dtype is not None  # checked with the parts
    starts = [*itertools.accumulate((part.item.shape[0] for part in parts), initial=0)]
    if m * n * dtype.itemsize > most:
        left = [opening.left_in_file(part.path, item) for part in parts]
        if all(one is not None for one in left):
            arrays = [one.array for one in left if one is not None]
            return _filed(arrays, starts, (m, n), dtype, most // 4), ("left in their files, read in parts",)
    out = allocate((m, n), dtype, False, pattern)
    notes: dict[str, None] = {}
    for part, start in zip(parts, starts[:-1], strict=True):
        loaded = opening.open_matrix(part.path, item)
        _same_shape(loaded, part)
        out[start : start + part.item.shape[0]] = loaded.array
        notes |= {f"{os.path.basename(part.path)}: {note}": None for note in loaded.notes if "using " not in note}
    return out, tuple(notes)


def _filed(
    parts: Sequence[Filed], starts: Sequence[int], shape: tuple[int, int], dtype: numpy.dtype, buffer: int
) -> Filed:
    def read(rows: slice, cols: slice, out: numpy.ndarray) -> None:
        for part, start in zip(parts, starts[:-1], strict=True):
            first, last = max(rows.start, start), min(rows.stop, start + part.shape[0])
            if first < last:
                part.put(slice(first - start, last - start), cols, out[first - rows.start : last - rows.start])

    def check() -> None:
        for part in parts:
            part.check()

    def use(threads: int) -> None:
        for part in parts:
            part.use(threads)

    return Filed(shape, dtype, True, read, check, buffer, use=use)


def _sparse(
    parts: Sequence[_Part], item: str | None, whole: Item, most: int, pattern: str
) -> tuple[Any, tuple[str, ...]]:
    m, n = whole.shape
    entries = whole.nnz or 0
    if not fits(room(entries, (m, n)), 2 * most):
        left = [opening.left_in_file(part.path, item) for part in parts]
        lines = [one.array for one in left if one is not None]
        if len(lines) == len(parts) and all(one.by_rows for one in lines):
            joined = _lines(lines, (m, n), most // 8)
            summed = (f"{joined.repeated} duplicate entries were summed",) if joined.repeated else ()
            return joined, ("left in their files, read in parts", *summed)
        raise ResourceError(
            "is too large for memory, and files that are not stored by rows cannot be read in parts together",
            where=pattern,
            hint="store each by rows: lowrank convert FILE FILE.npz",
        )
    from scipy.sparse import csr_array, vstack

    require_memory(room(entries, (m, n)), pattern, f"the {m} x {n} sparse matrix with {entries} entries")
    found = [opening.open_matrix(part.path, item) for part in parts]
    for loaded, part in zip(found, parts, strict=True):
        _same_shape(loaded, part)
    array = csr_array(vstack([loaded.array for loaded in found], format="csr"))
    kind = index_type(array.nnz, (m, n))
    array.indices, array.indptr = array.indices.astype(kind, copy=False), array.indptr.astype(kind, copy=False)
    told = [(part, note) for part, loaded in zip(parts, found, strict=True) for note in loaded.notes]
    notes = [f"{os.path.basename(part.path)}: {note}" for part, note in told if "using " not in note]
    return array, tuple(notes)


def _lines(parts: Sequence[Lines], shape: tuple[int, int], buffer: int) -> Lines:
    starts = [*itertools.accumulate((int(part.stored[-1]) for part in parts), initial=0)]
    pointers = [part.stored[:-1] + start for part, start in zip(parts, starts[:-1], strict=True)]
    pointer = np.concatenate([*pointers, np.array(starts[-1:], np.int64)])
    return Lines(
        shape,
        parts[0].dtype,
        True,
        pointer,
        index_type(starts[-1], shape),
        _Entries([part.entries for part in parts], starts),
        buffer,
    ).settled()


class _Entries:
    """The entries of several files one behind the other. See ``matrices.lines.Entries``."""

    def __init__(self, parts: Sequence[Entries], starts: Sequence[int]):
        self._parts, self._starts = parts, starts
        self.where = parts[0].where

    @property
    def bytes_read(self) -> int:
        return sum(part.bytes_read for part in self._parts)

    def read(self, first: int, indices: numpy.ndarray, data: numpy.ndarray) -> None:
        for part, (start, stop) in zip(self._parts, itertools.pairwise(self._starts), strict=True):
            a, b = max(first, start), min(first + max(len(indices), len(data)), stop)
            if a < b:
                part.read(a - start, indices[a - first : b - first], data[a - first : b - first])

    def check(self) -> None:
        for part in self._parts:
            part.check()


def _same_shape(loaded: Loaded, part: _Part) -> None:
    if tuple(loaded.shape) != tuple(part.item.shape):
        raise InputError("changed while it was being read", where=part.path, hint="run again when it rests")
