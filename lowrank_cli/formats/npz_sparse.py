"""Sparse matrices in a .npz archive: which members belong together, what they say, and the matrix they make."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InputError
from ..lazy import np
from .loaded import Item
from .npy_header import Header
from .sparse_parts import blocks, compressed, diagonals, require_room, triplets
from .working import Conversion, matrix_shape, native_name, require_memory

if TYPE_CHECKING:
    import numpy.typing as npt

#: layout -> the members beside data and shape.
LAYOUTS = {
    "csr": ("indices", "indptr"),
    "csc": ("indices", "indptr"),
    "bsr": ("indices", "indptr"),
    "coo": ("row", "col"),
    "dia": ("offsets",),
}
_PIECE = re.compile(r"(.*[._])(data|indices|indptr|shape)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class SparseArrays:
    """The members that make one sparse matrix: part -> name of the array."""

    parts: dict[str, str]


@dataclasses.dataclass(frozen=True, eq=False)
class Described:
    """A sparse matrix as its headers tell it; undecided: nothing says whether it lies by rows or by columns."""

    item: Item
    layout: str
    shape: tuple[int, int]
    undecided: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """What was guessed."""
        said = "nothing says whether it is stored by rows or by columns; taken as by rows"
        return (said,) if self.undecided else ()


class Archive(Protocol):
    """What reads the members of an archive by array name."""

    path: str

    def header(self, name: str) -> Header: ...

    def array(self, name: str) -> npt.NDArray: ...

    def text(self, name: str) -> str: ...


def groups(names: Iterable[str]) -> dict[str | None, SparseArrays]:
    """name -> members of each sparse matrix; the one that fills the archive, as SciPy saves it, has no name."""
    names = set(names)
    if {"format", "shape", "data"} <= names and any(set(parts) <= names for parts in LAYOUTS.values()):
        own = {"format", "shape", "data", "_is_array", *(part for parts in LAYOUTS.values() for part in parts)}
        return {None: SparseArrays({name: name for name in sorted(names & own)})}
    pieces: dict[str, dict[str, str]] = {}
    for name in sorted(names):
        match = _PIECE.fullmatch(name)
        if match:
            pieces.setdefault(match[1], {})[match[2]] = name
    return {prefix[:-1]: SparseArrays(parts) for prefix, parts in pieces.items() if len(parts) == 4}


def describe(group: SparseArrays, name: str | None, archive: Archive) -> Described:
    """The matrix as its headers and its shape tell it. InputError when they contradict each other."""
    where = archive.path if name is None else f"{archive.path}:{name}"
    shape = _shape(group, archive, where)
    headers = {part: archive.header(member) for part, member in group.parts.items() if part not in ("format", "shape")}
    layout = archive.text(group.parts["format"]) if "format" in group.parts else _layout(headers, shape, where)
    if layout not in LAYOUTS or not set(LAYOUTS[layout]) <= set(headers):
        raise InputError(f"is a sparse matrix of a layout that is not known ({layout[:20]!r})", where=where)
    used = [headers[part] for part in ("data", *LAYOUTS[layout])]
    for part, header in zip(LAYOUTS[layout], used[1:], strict=True):
        if len(header.shape) != 1 or header.dtype.kind not in "iu":
            raise InputError(f"{part} of the sparse matrix are not a list of integers", where=where)
    if len(used[0].shape) != {"dia": 2, "bsr": 3}.get(layout, 1):
        raise InputError(f"the values of a {layout} matrix have shape {used[0].shape}", where=where)
    undecided = "format" not in group.parts and shape[0] == shape[1]
    detail = "sparse, taken as by rows (csr)" if undecided else f"sparse ({layout})"
    size, nnz = sum(header.nbytes for header in used), math.prod(used[0].shape)
    return Described(Item(name, shape, native_name(used[0].dtype), nnz, size, detail), layout, shape, undecided)


def _shape(group: SparseArrays, archive: Archive, where: str) -> tuple[int, int]:
    header = archive.header(group.parts["shape"])
    if header.shape != (2,) or header.dtype.kind not in "iu":
        raise InputError("the shape of the sparse matrix is not two integers", where=where)
    rows, cols = (int(value) for value in archive.array(group.parts["shape"]))
    if min(rows, cols) < 0:
        raise InputError(f"negative dimension in the shape ({rows}, {cols})", where=where)
    return matrix_shape((rows, cols), where)


def _layout(headers: dict[str, Header], shape: tuple[int, int], where: str) -> str:
    """The one of csr and csc that the length of indptr agrees with; csr for a square matrix."""
    length = headers["indptr"].shape[0] if headers["indptr"].shape else 0
    for layout, size in zip(("csr", "csc"), shape, strict=True):
        if length == size + 1:
            return layout
    raise InputError(f"indptr with {length} entries fits neither side of {shape[0]} x {shape[1]}", where=where)


def assemble(group: SparseArrays, name: str | None, archive: Archive, where: str) -> tuple[Any, tuple[str, ...]]:
    """The matrix as a canonical csr_array in the dtype we compute in, and notes. InputError when parts disagree."""
    about = describe(group, name, archive)
    layout, shape = about.layout, about.shape
    require_memory(about.item.bytes, where, "the sparse matrix")
    require_room(about.item.nnz or 0, shape, where)
    raw = archive.array(group.parts["data"])
    conversion = Conversion(raw.dtype)
    data = np.empty(raw.shape, conversion.target)
    conversion(raw, data)
    first, *more = (archive.array(group.parts[part]) for part in LAYOUTS[layout])
    if layout == "coo":
        array, notes = triplets(data, first, more[0], shape, where)
    elif layout == "dia":
        array, notes = diagonals(data, first, shape, where)
    elif layout == "bsr":
        array, notes = blocks(data, first, more[0], shape, where)
    else:
        array, notes = compressed(layout, data, first, more[0], shape, where)
    return array, (*about.notes, *conversion.notes(), *notes)
