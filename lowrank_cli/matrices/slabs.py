"""Where the values of a dense matrix come from: an array in memory, or a file that is read a slab at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from ..engines.threads import Engine, SerialEngine
from ..kernels.gather import gather_columns, gather_rows, seconds_saved
from ..kernels.jit import pays
from ..lazy import np
from .grid import cuts, ranges
from .sums import Looking

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(frozen=True, eq=False)
class Slab:
    """Tiles that are in memory at once: those of some row blocks and some column blocks, both consecutive.

    array holds their entries, its first row and column those of the first tile. It is good until the next slab.
    look: who sees each tile that is asked for.
    """

    row_blocks: range
    col_blocks: range
    array: numpy.ndarray
    top: int = 0
    left: int = 0
    look: Looking | None = None

    def tile(self, rows: slice, cols: slice) -> numpy.ndarray:
        """A[rows, cols] for rows and columns of this slab."""
        top, left = self.top, self.left
        values = self.array[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]
        if self.look is not None:
            self.look(rows, cols, values)
        return values


class Source(Protocol):
    """Entries of an m x n matrix.

    strips: 0 asks for slabs of whole rows, 1 for slabs of whole columns, None for what comes easiest. sums: the
    checksums of each tile that has been read from a file, by kind, row and column block, else -1; None for an array in
    memory.
    """

    shape: tuple[int, int]
    dtype: numpy.dtype
    sums: numpy.ndarray | None

    def gives(self, strips: int, row_cuts: Sequence[int], col_cuts: Sequence[int]) -> bool:
        """Whether such slabs can be had, at about the price of others."""
        ...

    def plan(
        self, row_cuts: Sequence[int], col_cuts: Sequence[int], strips: int | None = None
    ) -> list[tuple[range, range]]:
        """Row blocks and column blocks of each slab. Every tile comes once; the row blocks of one column block come in
        order, and the column blocks of one row block."""
        ...

    def slabs(
        self, row_cuts: Sequence[int], col_cuts: Sequence[int], strips: int | None = None, first: int = 0
    ) -> Iterator[Slab]:
        """The slabs of the plan, from that one on."""
        ...

    def part(self, rows: slice, cols: slice) -> numpy.ndarray:
        """A[rows, cols], in either order; not to be written to."""
        ...

    def rows(self, index: numpy.ndarray, scale: numpy.ndarray | None) -> numpy.ndarray:
        """A[index, :] * scale[:, None], C-ordered."""
        ...

    def cols(self, index: numpy.ndarray, scale: numpy.ndarray | None) -> numpy.ndarray:
        """A[:, index] * scale, C-ordered."""
        ...


def entries(plan: Sequence[tuple[range, range]], rows: list[slice], cols: list[slice]) -> int:
    """How many entries these slabs have."""
    return sum(
        (rows[down.stop - 1].stop - rows[down.start].start) * (cols[along.stop - 1].stop - cols[along.start].start)
        for down, along in plan
    )


def looked_at(
    slabs: Iterator[Slab], sums: numpy.ndarray, rows: list[slice], cols: list[slice], name: str | None
) -> Iterator[Slab]:
    """The slabs, whose tiles are found to be what they were in an earlier pass as they are used; see ``Looking``."""
    for slab in slabs:
        yield dataclasses.replace(slab, look=Looking(sums, rows, cols, name))


class InMemory:
    """An array, in either storage order: one slab."""

    sums: numpy.ndarray | None = None

    def __init__(self, array: numpy.ndarray, engine: Engine | None = None):
        self._engine = engine or SerialEngine()
        # NumPy multiplies misaligned arrays in a loop of its own, which rounds differently
        self.array = array if array.flags.aligned else array.copy(order="K")
        self.shape: tuple[int, int] = (int(array.shape[0]), int(array.shape[1]))
        self.dtype = array.dtype

    def gives(self, strips: int, row_cuts: Sequence[int], col_cuts: Sequence[int]) -> bool:
        return True

    def plan(
        self, row_cuts: Sequence[int], col_cuts: Sequence[int], strips: int | None = None
    ) -> list[tuple[range, range]]:
        return [(range(len(row_cuts) - 1), range(len(col_cuts) - 1))]

    def slabs(
        self, row_cuts: Sequence[int], col_cuts: Sequence[int], strips: int | None = None, first: int = 0
    ) -> Iterator[Slab]:
        for blocks in self.plan(row_cuts, col_cuts)[first:]:
            yield Slab(*blocks, self.array)

    def part(self, rows: slice, cols: slice) -> numpy.ndarray:
        return self.array[rows, cols]

    def rows(self, index: numpy.ndarray, scale: numpy.ndarray | None) -> numpy.ndarray:
        if not self.array.flags.c_contiguous:
            return gather_rows(self.array, index, scale)
        made, parts = np.empty((len(index), self.shape[1]), self.dtype), ranges(cuts(len(index)))

        def one(i: int) -> None:
            own = parts[i]
            gather_rows(self.array, index[own], None if scale is None else scale[own], made[own])

        self._engine.map(one, len(parts))
        return made

    def cols(self, index: numpy.ndarray, scale: numpy.ndarray | None) -> numpy.ndarray:
        use = pays(seconds_saved(self.shape[0], len(index)))
        if not self.array.flags.c_contiguous:
            return gather_columns(self.array, index, scale, use)
        made, parts = np.empty((self.shape[0], len(index)), self.dtype), ranges(cuts(self.shape[0]))
        self._engine.map(lambda i: gather_columns(self.array[parts[i]], index, scale, use, made[parts[i]]), len(parts))
        return made
