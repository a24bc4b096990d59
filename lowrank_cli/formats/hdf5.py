"""Reading HDF5: one dataset or sparse group of a file, named or the only one there is.

Refused: anything that leads out of the file (external links and storage, virtual datasets), filters beyond the four
that every h5py has, and values that are not numbers.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NoReturn

from ..errors import InputError
from .hdf5_read import check, dtype_name, memory_bytes, read, read_notes, storage_detail, value_problem
from .hdf5_sparse import describe, is_sparse, load_group
from .hdf5_walk import H5_ERRORS, MAX_OBJECTS, guarded, opened, resolve, walk
from .loaded import Format, Item, Loaded
from .working import Conversion, allocate, matrix_shape

SIGNATURE = b"\x89HDF\r\n\x1a\n"
FACTORS = "lowrank.factors/"
#: How many candidates an error line spells out
SHOWN = 8


def matches(head: bytes, name: str) -> bool:
    """Whether these first bytes are those of an HDF5 file (one with a user block is told by its name)."""
    return head.startswith(SIGNATURE)


def items(path: str) -> list[Item]:
    """Every dataset and sparse group of the file, headers only, at most 1000 objects and 32 levels deep.

    The detail says how the values are stored, and of what cannot be loaded why.
    """
    with opened(path) as file, guarded(path, "cannot be listed"):
        return [entry.item for entry in _entries(file, path)]


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
    return dataclasses.replace(loaded, notes=notes + loaded.notes)


def _load(found: Any, file: Any, path: str, item: str) -> Loaded:
    import h5py

    where = f"{path}:{item}"
    if found is None:
        _refuse(file, path, f"there is no {item!r} in the file")
    with guarded(where, "cannot be examined"):
        sparse = is_sparse(found)
    if sparse:
        about = describe(found, where)
        array, notes = load_group(found, where)
        stored = Item(item, about.shape, about.dtype, about.nnz, about.bytes, about.detail)
        return Loaded(array, path, "hdf5", stored, notes)
    if not isinstance(found, h5py.Dataset):
        _refuse(file, path, f"{item!r} is a group, not a matrix")
    check(found, where)
    shape = matrix_shape(found.shape, where)
    conversion = Conversion(found.dtype)
    array = allocate(shape, conversion.target, False, where)
    read(found, array, conversion, where)
    notes = (*read_notes(found), *conversion.notes())
    return Loaded(array, path, "hdf5", _dataset_item(item, found), notes)


@dataclasses.dataclass(frozen=True, eq=False)
class _Entry:
    item: Item
    candidate: bool


def _entries(file: Any, path: str) -> list[_Entry]:
    import h5py

    entries = []
    for name, found in walk(file, closed=is_sparse):
        try:
            if isinstance(found, h5py.Dataset):
                entries.append(_entry(name, found))
            elif is_sparse(found):
                about = describe(found, f"{path}:{name}")
                stored = Item(name, about.shape, about.dtype, about.nnz, about.bytes, about.detail)
                entries.append(_Entry(stored, True))
        except (InputError, *H5_ERRORS) as error:
            what = error.what if isinstance(error, InputError) else "cannot be examined"
            entries.append(_Entry(Item(name, (), "unknown", None, 0, what), False))
    return entries


def _entry(name: str, dataset: Any) -> _Entry:
    problem = value_problem(dataset)
    if dataset.shape is None:
        return _Entry(Item(name, (), "null", None, 0, "holds no values at all"), False)
    if problem is not None:
        return _Entry(Item(name, dataset.shape, problem.split(",")[0].removeprefix("holds "), None, 0, problem), False)
    return _Entry(_dataset_item(name, dataset), len(dataset.shape) == 2 and 0 not in dataset.shape)


def _dataset_item(name: str, dataset: Any) -> Item:
    return Item(name, dataset.shape, dtype_name(dataset), None, memory_bytes(dataset), storage_detail(dataset))


def _only(file: Any, path: str) -> str:
    """The name of the one matrix in the file; InputError listing what there is otherwise."""
    schema = file.attrs.get("schema", "")
    schema = schema.decode("utf-8", "replace") if isinstance(schema, bytes) else str(schema)
    if schema.startswith(FACTORS):
        raise InputError("this file holds factors, not a matrix", where=path, hint="use lowrank reconstruct")
    found = [entry.item for entry in _entries(file, path) if entry.candidate]
    if len(found) == 1:
        assert found[0].path is not None
        return found[0].path
    _refuse(file, path, f"holds {len(found)} matrices" if found else "holds no 2-D numeric dataset", found)


def _refuse(file: Any, path: str, what: str, found: list[Item] | None = None) -> NoReturn:
    """InputError with the candidates of the file as arguments to copy."""
    if found is None:
        with guarded(path, "cannot be listed"):
            entries = _entries(file, path)
        found = [entry.item for entry in entries if entry.candidate]
        if not found:
            raise InputError(what, where=path, hint="and the file holds no 2-D numeric dataset")
    if not found:
        raise InputError(what, where=path, hint=f"lowrank info lists its first {MAX_OBJECTS} objects")
    names = [f"{path}:{one.path} ({one.shape[0]} x {one.shape[1]} {one.dtype})" for one in found[:SHOWN]]
    more = "" if len(found) <= SHOWN else f" and {len(found) - SHOWN} more (lowrank info lists them)"
    raise InputError(what, where=path, hint=f"name one: {', '.join(names)}{more}")


FORMAT = Format("hdf5", (".h5", ".hdf5", ".he5", ".hdf", ".h5ad", ".nc"), matches, items, load)
