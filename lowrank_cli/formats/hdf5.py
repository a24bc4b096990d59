"""Reading HDF5: one dataset or sparse group of a file, named or the only one there is.

Refused: anything that leads out of the file (external links and storage, virtual datasets), filters beyond the four
that every h5py has and five of hdf5plugin, and values that are not numbers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from typing import Any

from ..errors import InputError, LowrankError
from ..lazy import np
from .choice import Entry, listed, refuse
from .hdf5_layouts import is_hidden, main_item, matlab_class, matlab_problem
from .hdf5_names import names_of
from .hdf5_read import (
    check,
    dtype_name,
    memory_bytes,
    number_dtype,
    read,
    read_notes,
    storage_detail,
    value_problem,
    values_elsewhere,
)
from .hdf5_sparse import describe, is_sparse, leave_group, load_group
from .hdf5_walk import H5_ERRORS, guarded, opened, resolve, walk
from .loaded import Format, Item, Loaded, Names
from .sparse_parts import fits, room
from .working import Conversion, allocate, matrix_shape

SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: Version and byte order as they stand at the end of the header that MATLAB 7.3 puts in front.
_MATLAB_73 = (b"\x00\x02IM", b"\x02\x00MI")
FACTORS = "lowrank.factors/"


def matches(head: bytes, name: str) -> bool:
    """Whether these first bytes are those of an HDF5 file, or of MATLAB's user block in front of one."""
    return head.startswith(SIGNATURE) or (head.startswith(b"MATLAB") and head[124:128] in _MATLAB_73)


def items(path: str) -> list[Item]:
    """Every dataset and sparse group of the file, headers only, at most 1000 objects and 32 levels deep.

    The detail says how the values are stored, and of what cannot be loaded why.
    """
    with opened(path) as file:
        with guarded(path, "cannot be listed"):
            main = main_item(file)
        return listed(_listed(file, path), main)


def load(path: str, item: str | None = None) -> Loaded:
    """Read the dataset or sparse group ``item``, or the only matrix of the file, which a note then names.

    Raises InputError with the candidates in copy-paste form when the item is missing or there are several, and
    for everything the reader refuses; ResourceError when it does not fit in memory. Cost: every chunk once.
    """
    with opened(path) as file:
        notes: tuple[str, ...] = ()
        if item is None:
            with guarded(path, "cannot be listed"):
                item = _only(file, path)
            notes = (f"using {path}:{item}",)
        found = resolve(file, item, path)
        full = "/" + "/".join(part for part in item.split("/") if part not in ("", "."))
        loaded = _load(found, file, path, full)
        names = names_of(file, full, loaded.shape, path)
    return dataclasses.replace(loaded, notes=notes + loaded.notes, names=names)


def filed(path: str, item: str | None, most: int) -> Loaded | None:
    """A dataset or sparse group left in its file, if it would take more than ``most`` bytes of memory, a sparse one
    with its transposed copy; else None.

    Raises InputError and ResourceError as ``load`` does. Cost: headers; of a sparse group one read of the indices.
    """
    import h5py

    from .hdf5_filed import filed as leave

    with contextlib.ExitStack() as open_file:
        file = open_file.enter_context(opened(path))
        notes: tuple[str, ...] = ("left in its file, read in parts",)
        if item is None:
            with guarded(path, "cannot be listed"):
                item = _only(file, path)
            notes = (f"using {path}:{item}", *notes)
        found = resolve(file, item, path)
        with guarded(path, "cannot be examined"):
            sparse = found is not None and is_sparse(found)
        if sparse:
            return _group_filed(found, file, path, item, most, notes[:-1], open_file)
        if not isinstance(found, h5py.Dataset) or found.shape is None or value_problem(found) is not None:
            return None
        kind = matlab_class(found)
        conversion = _conversion(found, kind)
        if math.prod(found.shape) * conversion.target.itemsize <= most or matlab_problem(found) is not None:
            return None
        where = f"{path}:{item}"
        check(found, where, parts=True)
        matrix_shape(found.shape, where)
        full = "/" + "/".join(part for part in item.split("/") if part not in ("", "."))
        # the dataset is opened anew
        about, notes = _dataset_item(full, found), (*notes, *read_notes(found))
        array = leave(found, conversion, kind is not None, open_file.pop_all(), path, where, most // 4)
        return Loaded(array, path, "hdf5", about, notes)


def unsettled(path: str, item: str | None, buffer: int) -> Loaded | None:
    """A sparse group left in its file, however small, whose indices nobody has looked at; else None. Raises as
    ``load``."""
    with contextlib.ExitStack() as open_file:
        file = open_file.enter_context(opened(path))
        if item is None:
            with guarded(path, "cannot be listed"):
                item = _only(file, path)
        found = resolve(file, item, path)
        with guarded(path, "cannot be examined"):
            sparse = found is not None and is_sparse(found)
        return _group_filed(found, file, path, item, 8 * buffer, (), open_file, settle=False) if sparse else None


def _group_filed(
    found: Any,
    file: Any,
    path: str,
    item: str,
    most: int,
    notes: tuple[str, ...],
    open_file: contextlib.ExitStack,
    settle: bool = True,
) -> Loaded | None:
    full = "/" + "/".join(part for part in item.split("/") if part not in ("", "."))
    where = f"{path}:{full}"
    about = describe(found, where)
    if settle and fits(room(about.nnz, about.shape), 2 * most):
        return None
    names = names_of(file, full, about.shape, path) if settle else Names()
    lines, said = leave_group(found, open_file.pop_all(), path, where, most // 8, settle)
    stored = Item(full, about.shape, about.dtype, about.nnz, about.bytes, about.detail)
    return Loaded(lines, path, "hdf5", stored, (*notes, *said), names)


def _load(found: Any, file: Any, path: str, item: str) -> Loaded:
    import h5py

    where = f"{path}:{item}"
    if found is None:
        refuse(path, f"there is no {item!r} in the file", _listed(file, path))
    with guarded(where, "cannot be examined"):
        sparse = is_sparse(found)
    if sparse:
        about = describe(found, where)
        array, notes = load_group(found, where)
        stored = Item(item, about.shape, about.dtype, about.nnz, about.bytes, about.detail)
        return Loaded(array, path, "hdf5", stored, notes)
    if not isinstance(found, h5py.Dataset):
        refuse(path, f"{item!r} is a group, not a matrix", _listed(file, path))
    with guarded(where, "cannot be examined"):
        problem, kind = matlab_problem(found), matlab_class(found)
    if problem is not None:
        raise InputError(problem, where=where, hint="name a numeric variable")
    check(found, where)
    shape = matrix_shape(found.shape if kind is None else found.shape[::-1], where)
    conversion = _conversion(found, kind)
    # MATLAB's datasets have the shape of the transpose
    array = allocate(shape, conversion.target, kind is not None, where)
    read(found, array if kind is None else array.T, conversion, where)
    notes = (*read_notes(found), *conversion.notes())
    return Loaded(array, path, "hdf5", _dataset_item(item, found), notes)


def _conversion(dataset: Any, kind: str | None) -> Conversion:
    """How its values become numbers we compute with; kind is the class MATLAB gives it, if it does."""
    stored = number_dtype(dataset)
    return Conversion(np.dtype("?") if kind == "logical" and stored.itemsize == 1 else stored)


@dataclasses.dataclass(frozen=True, eq=False)
class _Entry(Entry):
    """A dataset or sparse group; elsewhere: a matrix but for its values, which lie in other files."""

    elsewhere: bool = False


def _listed(file: Any, path: str) -> list[_Entry]:
    with guarded(path, "cannot be listed"):
        return _entries(file, path)


def _entries(file: Any, path: str) -> list[_Entry]:
    import h5py

    entries = []
    for name, found in walk(file, closed=is_sparse):
        if is_hidden(name):
            continue
        try:
            if isinstance(found, h5py.Dataset):
                entries.append(_entry(name, found))
            elif is_sparse(found):
                about = describe(found, f"{path}:{name}")
                stored = Item(name, about.shape, about.dtype, about.nnz, about.bytes, about.detail)
                entries.append(_Entry(stored, True))
        except (LowrankError, *H5_ERRORS) as error:
            what = error.what if isinstance(error, LowrankError) else "cannot be examined"
            entries.append(_Entry(Item(name, (), "unknown", None, 0, what), False))
    return entries


def _entry(name: str, dataset: Any) -> _Entry:
    problem = matlab_problem(dataset) or value_problem(dataset)
    if dataset.shape is None:
        return _Entry(Item(name, (), "null", None, 0, "holds no values at all"), False)
    if problem is not None:
        kind = problem.removeprefix("holds ").removeprefix("an ").split(",")[0].split(" (")[0]
        return _Entry(Item(name, dataset.shape, kind, None, 0, problem), False)
    elsewhere = values_elsewhere(dataset)
    item, matrix = _dataset_item(name, dataset), len(dataset.shape) == 2 and 0 not in dataset.shape
    if matlab_class(dataset) is not None:
        # every number of MATLAB is a matrix: scalars and vectors have to be named
        matrix = matrix and min(dataset.shape) > 1
    if elsewhere is not None:
        return _Entry(dataclasses.replace(item, detail=elsewhere), False, matrix)
    return _Entry(item, matrix)


def _dataset_item(name: str, dataset: Any) -> Item:
    kind, detail = matlab_class(dataset), storage_detail(dataset)
    if kind is None:
        return Item(name, dataset.shape, dtype_name(dataset), None, memory_bytes(dataset), detail)
    dtype = "bool" if kind == "logical" else dtype_name(dataset)
    return Item(name, dataset.shape[::-1], dtype, None, memory_bytes(dataset), f"{detail}, by columns")


def _only(file: Any, path: str) -> str:
    """The name of the main or the one matrix in the file; InputError listing what there is otherwise."""
    schema = file.attrs.get("schema", "")
    schema = schema.decode("utf-8", "replace") if isinstance(schema, bytes) else str(schema)
    if schema.startswith(FACTORS):
        raise InputError("this file holds factors, not a matrix", where=path, hint="use lowrank reconstruct")
    main = main_item(file)
    if main is not None:
        return main
    entries = _entries(file, path)
    found = [entry.item.path for entry in entries if entry.candidate]
    # reading one whose values lie elsewhere says best why it cannot be read
    found = found or [entry.item.path for entry in entries if entry.elsewhere]
    if not found and len(entries) == 1:
        found = [entries[0].item.path]
    if len(found) == 1 and found[0] is not None:
        return found[0]
    refuse(path, f"holds {len(found)} matrices" if found else "holds no 2-D numeric dataset", entries)


FORMAT = Format(
    "hdf5",
    (".h5", ".hdf5", ".he5", ".hdf", ".h5ad", ".loom", ".nc"),
    matches,
    items,
    load,
    filed=filed,
    unsettled=unsettled,
)
