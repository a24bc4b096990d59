"""What a MATLAB file holds: a variable as its header tells it, and how its values are read."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..lazy import np
from .choice import Entry
from .loaded import Item
from .working import check_dimensions

if TYPE_CHECKING:
    import numpy.typing as npt

#: A dense array (Fortran order) or a canonical csr_array, and notes.
Values = tuple[Any, tuple[str, ...]]


@dataclasses.dataclass(frozen=True, eq=False)
class Variable:
    """A variable, or a field of a struct ("Problem.A"). dtype: of its MATLAB class ("float64", "struct"); nnz: room for
    entries of a sparse one; problem: why it cannot be read; read(where): its values, before the next one is looked at.
    """

    path: str
    shape: tuple[int, ...]
    dtype: str
    nnz: int | None
    problem: str | None
    read: Callable[[str], Values]

    @property
    def entry(self) -> Entry:
        """As one of a container's matrices; scalars and vectors have to be named."""
        if self.problem is not None:
            return Entry(Item(self.path, self.shape, self.dtype, None, 0, self.problem), False)
        width = np.dtype(self.dtype).itemsize
        size = math.prod(self.shape) * width if self.nnz is None else self.nnz * (width + 4) + 4 * (self.shape[1] + 1)
        detail = "by columns" if self.nnz is None else "sparse, by columns (csc)"
        item = Item(self.path, self.shape, self.dtype, self.nnz, size, detail)
        return Entry(item, len(self.shape) == 2 and min(self.shape) > 1)


def unreadable(path: str, shape: tuple[int, ...], kind: str, problem: str) -> Variable:
    """A variable that is no matrix of numbers; reading it says so."""

    def read(where: str) -> Values:
        raise InputError(problem, where=where, hint="name a numeric variable")

    return Variable(path, shape, kind, None, problem, read)


def checked_count(shape: tuple[int, ...], where: str) -> int:
    """Entries of an array of this shape; InputError when a dimension is negative or beyond belief."""
    if any(size < 0 for size in shape):
        raise InputError(f"negative dimension in shape {shape}", where=where, hint="the file is damaged")
    check_dimensions(shape, where)
    return math.prod(shape)


def halves(flat: npt.NDArray) -> tuple[npt.NDArray, npt.NDArray]:
    """Real and imaginary parts of a 1-D complex array, to be written to."""
    pairs = flat.view(flat.real.dtype)
    return pairs[0::2], pairs[1::2]
