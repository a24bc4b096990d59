"""Zarr arrays of version 2 and 3 in a folder, read with the zarr package; an array of a group by its path.

The metadata are read here before zarr sees them: only numbers, only codecs that are known, no chunk larger than memory
allows. What pickles objects is none of these codecs. Local folders only.
"""

from __future__ import annotations

import json
import math
import os
import re
from typing import Any

from ..errors import InputError
from ..lazy import np
from .choice import Entry, choose, listed
from .loaded import Format, Item, Loaded
from .optional import needed
from .working import Conversion, allocate, check_dimensions, matrix_shape, native_name, require_memory, supported

#: Files that say that a folder is an array or a group.
_MARKS = ("zarr.json", ".zarray", ".zgroup")
_CODECS = frozenset("bytes transpose gzip blosc zstd crc32c sharding_indexed zlib lz4 bz2 lzma shuffle delta".split())
MOST_FOLDERS, DEEPEST, LARGEST = 1000, 8, 1 << 20
#: Dimensions of an array, and levels of codecs inside each other: a shard has one level.
_DIMENSIONS, _LEVELS = 64, 4
#: A type by one name; NumPy evaluates what begins with a digit or a bracket.
_TYPE = re.compile(r"[<>|=]?[a-zA-Z]\w{0,15}", re.ASCII)
_DAMAGED = "copy or write the store again"


def is_store(path: str) -> bool:
    """Whether a folder is a Zarr array or group."""
    return any(os.path.isfile(os.path.join(path, mark)) for mark in _MARKS)


def items(path: str) -> list[Item]:
    """Every array, from the metadata."""
    return listed(_entries(path))


def load(path: str, item: str | None = None) -> Loaded:
    """Read the array ``item``, or the only matrix of the store. Raises InputError, also for a codec that is not known;
    ResourceError when it does not fit in memory; DependencyError without zarr. Cost: every chunk once."""
    chosen, notes = choose(_entries(path), None if item is None else item.strip("/"), path)
    about = chosen.item
    where = path if about.path is None else f"{path}:{about.path}"
    if not chosen.candidate and about.detail:
        matrix_shape(about.shape, where)
        raise InputError(about.detail, where=where, hint="save the array as .npy or HDF5")
    shape = matrix_shape(about.shape, where)
    zarr = needed("zarr", "zarr", where, "reading Zarr")
    stored = np.dtype(about.dtype)
    out = allocate(shape, Conversion(stored).target, False, where)
    conversion = Conversion(stored)
    try:
        array = zarr.open_array(os.path.join(path, about.path or ""), mode="r")
        rows = max(1, array.chunks[0])
        for start in range(0, shape[0], rows):
            conversion(np.asarray(array[start : start + rows]), out[start : start + rows])
    except Exception as error:
        # zarr and its codecs raise a dozen kinds for damaged chunks
        line = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"a damaged array ({line})", where=where, hint=_DAMAGED) from error
    return Loaded(out, path, "zarr", about, (*notes, *conversion.notes()))


def _entries(path: str) -> list[Entry]:
    """The arrays of the store, or the one that it is."""
    found: list[Entry] = []
    waiting, seen = [""], 0
    while waiting:
        inside = waiting.pop()
        folder, seen = os.path.join(path, inside), seen + 1
        if seen > MOST_FOLDERS:
            raise InputError(f"holds more than {MOST_FOLDERS} folders", where=path, hint="name the folder of the array")
        meta = _array(folder, path)
        if meta is not None:
            found.append(entry(meta, inside or None, path))
        elif inside.count("/") < DEEPEST:
            names = sorted(one.name for one in os.scandir(folder) if one.is_dir(follow_symlinks=False))
            waiting += [os.path.join(inside, name) for name in reversed(names)]
    return found


def _array(folder: str, path: str) -> dict[str, Any] | None:
    """The metadata of the array that a folder is; None where it is none."""
    for mark in ("zarr.json", ".zarray"):
        name = os.path.join(folder, mark)
        if os.path.isfile(name):
            try:
                with open(name, "rb") as file:
                    text = file.read(LARGEST)
            except OSError as error:
                raise InputError(f"{mark} cannot be read ({error.strerror})", where=path) from error
            return described(text, mark, path)
    return None


def described(text: bytes, mark: str, path: str) -> dict[str, Any] | None:
    """The metadata in a file of that name; None for those of a group. Raises InputError."""
    try:
        meta = json.loads(text)
        return dict(meta) if mark == ".zarray" or meta["node_type"] == "array" else None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{mark} is damaged ({str(error)[:80]})", where=path, hint=_DAMAGED) from error


def entry(meta: dict[str, Any], name: str | None, path: str) -> Entry:
    """An array as one of the store's matrices, its metadata checked. Raises InputError, ResourceError."""
    try:
        shape = _sizes(meta["shape"])
        grid = meta.get("chunk_grid")
        chunks = _sizes(meta["chunks"] if grid is None else grid["configuration"]["chunk_shape"])
        told = meta["dtype"] if grid is None else meta["data_type"]
        dtype = np.dtype(told if isinstance(told, str) and _TYPE.fullmatch(told) else "O")
        codecs = _codecs(meta.get("codecs") or [*(meta.get("filters") or []), meta.get("compressor")])
        if len(chunks) != len(shape):
            raise ValueError("as many sizes of a chunk as dimensions are due")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"the metadata of a Zarr array are damaged ({str(error)[:80]})", where=path, hint=_DAMAGED
        ) from error
    check_dimensions(shape, path)
    unknown = sorted(set(codecs) - _CODECS)
    problem = "holds no numbers" if not supported(dtype) else f"its codec {unknown[0]!r} is not read" if unknown else ""
    if not problem and chunks:
        require_memory(4 * math.prod(chunks) * dtype.itemsize, path, "one chunk of the array")
    item = Item(
        name,
        shape,
        native_name(dtype) if supported(dtype) else str(told)[:20],
        None,
        math.prod(shape) * dtype.itemsize,
        problem or f"chunks {'x'.join(map(str, chunks))} {' '.join(codecs)}".strip(),
    )
    return Entry(item, len(shape) == 2 and 0 not in shape and not problem)


def _sizes(told: Any) -> tuple[int, ...]:
    """A list of whole numbers, of dimensions or of a chunk; ValueError for anything else."""
    if not isinstance(told, list) or len(told) > _DIMENSIONS:
        raise ValueError("sizes are a short list")
    if not all(type(size) is int and 0 <= size < 2**63 for size in told):
        raise ValueError("sizes are whole numbers")
    return tuple(told)


def _codecs(told: Any, levels: int = _LEVELS) -> list[str]:
    """The names of codecs, those inside a shard too. ValueError for more levels."""
    if not levels:
        raise ValueError("codecs lie inside each other")
    names = []
    for one in told:
        if one is None:
            continue
        names.append(str(one.get("name") or one.get("id")))
        inner = one.get("configuration") or {}
        if "codecs" in inner:
            names += _codecs([*inner["codecs"], *inner.get("index_codecs", [])], levels - 1)
    return names


FORMAT = Format("zarr", (".zarr",), lambda head, name: False, items, load)
