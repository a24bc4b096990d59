"""A matrix as a file gave it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..matrices.watch import UNWATCHED, Watch

if TYPE_CHECKING:
    import numpy as np

    from ..matrices.kernel import Kernel
    from .sparse_writer import SparseRows


@dataclasses.dataclass(frozen=True, eq=False)
class Item:
    """One matrix a container holds, as its header tells it. path is the name inside the container, None for a plain
    file; bytes are those of the values (and indices) in memory in the stored dtype; detail is a format's own remark
    ("coordinate real symmetric", "chunks 64x64 gzip"); candidate: what is meant when nothing is named, if it is the
    only one."""

    path: str | None
    shape: tuple[int, ...]
    dtype: str
    nnz: int | None
    bytes: int
    detail: str = ""
    candidate: bool = True


@dataclasses.dataclass(frozen=True)
class Names:
    """What the rows and the columns of a matrix are called; None where the file does not say."""

    rows: tuple[str, ...] | None = None
    cols: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Loaded:
    """A matrix in the dtype we compute in, and what is known of where it came from.

    array: float32, float64, complex64 or complex128 in native byte order: a 2-D ndarray in its stored order (C or
    Fortran), a canonical SciPy csr_array (sorted indices, duplicates summed, int64 or int32 indices), a
    ``matrices.filed.Filed``, which leaves the values in their file, or a ``formats.arriving.Arriving``, which is read
    once. dtype is the stored dtype in native byte order ("float16", "int32", "float64"). notes are sentences for
    stderr. names are those the file gives its rows and columns. kernel: the rows are points, and what is meant is their
    kernel matrix. watch: is told of passes over it.
    """

    array: np.ndarray | Any
    source: str
    format: str
    item: Item
    notes: tuple[str, ...] = ()
    names: Names = Names()
    kernel: Kernel | None = None
    watch: Watch = UNWATCHED

    @property
    def shape(self) -> tuple[int, int]:
        return self.array.shape

    @property
    def where(self) -> str:
        """What messages call it: the path, with the item inside a container."""
        source = "standard input" if self.source == "-" else self.source
        return source if self.item.path is None else f"{source}:{self.item.path}"


@dataclasses.dataclass(frozen=True)
class Format:
    """A way to read matrices. matches(head: bytes, name: str) looks at the first bytes (at most 512) and the file
    name; items(path) reads headers only; load(path, item) reads one matrix. filed(path, item, most), if there is one:
    the same matrix left in its file where its values would take more than ``most`` bytes, else None. rows(path, item,
    most, target): a sparse matrix that neither fits nor can be left in its file, by rows, for converting it to target.
    unsettled(path, item, buffer): a sparse matrix left in its file, whose indices nobody has looked at, see
    ``Lines.settled``; else None. guessed: no magic number tells it from all others, so formats of other packages are
    asked before it unless the name is its own.

    A format that can be read once, forwards, also has stream(source, where, item) and stream_items(source, where):
    the source has read and readinto, which may give less than asked for; where stands in messages. once(source, where,
    item, most), if there is one: as stream, but what takes more than ``most`` bytes is a ``formats.arriving.Arriving``,
    which reads the source later.
    """

    name: str
    suffixes: tuple[str, ...]
    matches: Callable[[bytes, str], bool]
    items: Callable[[str], list[Item]]
    load: Callable[[str, str | None], Loaded]
    stream: Callable[[Any, str, str | None], Loaded] | None = None
    stream_items: Callable[[Any, str], list[Item]] | None = None
    filed: Callable[[str, str | None, int], Loaded | None] | None = None
    once: Callable[[Any, str, str | None, int], Loaded] | None = None
    rows: Callable[[str, str | None, int, str], SparseRows | None] | None = None
    unsettled: Callable[[str, str | None, int], Loaded | None] | None = None
    guessed: bool = False
