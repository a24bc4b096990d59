"""The fixed grid: where a matrix is cut, from its shape and dtype alone (sparse: its row pointer)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..engines.threads import Engine
from ..lazy import np

if TYPE_CHECKING:
    import numpy

    from .protocols import Matrix

#: Side of a dense tile. 512 x 512 runs at 95 % of threaded BLAS speed; 1024 starves the second core in A^H Y.
TILE = 512
#: Parts of a sum that are added to one, and sums of those again.
FAN = 8
#: Stored entries of a sparse row block, and its most rows.
BLOCK_ENTRIES = 1 << 17
BLOCK_ROWS = 4096


def cuts(length: int, side: int = TILE) -> tuple[int, ...]:
    """0 = c_0 < ... < c_b = length: equal blocks, multiples of 16 long, near ``side``; the last may be shorter."""
    if length <= 0:
        return (0,)
    blocks = max(1, (length + side // 2) // side)
    step = -(-length // blocks)
    step += -step % 16
    return (*range(0, length, step), length)


def sparse_row_cuts(indptr: numpy.ndarray) -> tuple[int, ...]:
    """Cuts at equal numbers of stored entries, no block longer than ``BLOCK_ROWS``."""
    m = len(indptr) - 1
    nnz = int(indptr[-1])
    targets = np.arange(0, nnz, BLOCK_ENTRIES)
    by_entries = np.searchsorted(indptr, targets, side="left")
    marks = np.unique(np.concatenate([by_entries, np.arange(0, m, BLOCK_ROWS), [0, m]]))
    return tuple(int(c) for c in marks if c <= m)


def ranges(marks: Sequence[int]) -> list[slice]:
    """The blocks between the cuts."""
    return [slice(a, b) for a, b in itertools.pairwise(marks)]


def waves(blocks: range, threads: int) -> list[range]:
    """Blocks in order, a few for each thread at a time: bounds memory where each leaves a result."""
    step = max(4, 2 * threads)
    return [blocks[start : start + step] for start in range(0, len(blocks), step)]


class TreeSum:
    """A sum of arrays in a fixed tree: eight in order make one, eight of those the next. What a run of 8^t of them, from
    a multiple of 8^t on, adds up to is a node of the tree, whoever adds it up.
    """

    def __init__(self) -> None:
        # of each level the sum that grows and how many parts it has, 0 to 7
        self._grown: list[tuple[Any, int]] = []

    @property
    def fresh(self) -> bool:
        """Whether the next part of the lowest level is kept itself, and not added to another."""
        return not self._grown or self._grown[0][1] == 0

    def add(self, part: numpy.ndarray, level: int = 0) -> None:
        """The next part, a node of that level, after 8^level times as many of the lowest. A part that is kept will be
        written to."""
        while True:
            while len(self._grown) <= level:
                self._grown.append((None, 0))
            total, count = self._grown[level]
            if count:
                total += part
                part = total
            count += 1
            if count < FAN:
                self._grown[level] = part, count
                return
            self._grown[level] = None, 0
            level += 1

    def add_product(self, left: numpy.ndarray, right: numpy.ndarray, scratch: list[numpy.ndarray]) -> None:
        """left @ right as the next part, by way of the array in scratch, which is made at need."""
        if self.fresh:
            self.add(np.matmul(left, right))
            return
        if not scratch:
            scratch.append(np.empty((left.shape[0], right.shape[1]), np.result_type(left.dtype, right.dtype)))
        self.add(np.matmul(left, right, out=scratch[0]))

    def total(self) -> Any:
        """The sum of all parts, in one of them; None for none. Nothing can be added after it."""
        carried = None
        for total, count in self._grown:
            if count:
                carried = total if carried is None else np.add(total, carried, out=total)
        return carried


def tree_sum(task: Callable[[int], numpy.ndarray], count: int, engine: Engine) -> numpy.ndarray | None:
    """The sum of task(0), ..., task(count - 1), new arrays all, in the tree. Where they are many, those of one node are
    added by who computes them."""
    level = 1 if count >= 8 * FAN * engine.threads else 0
    run = FAN**level
    tree = TreeSum()

    def node(first: int) -> numpy.ndarray:
        if run == 1:
            return task(first)
        part = TreeSum()
        for i in range(first, min(first + run, count)):
            part.add(task(i))
        return part.total()

    for wave in waves(range(0, count, run), 4 * engine.threads):
        for part in engine.map(lambda i, wave=wave: node(wave[i]), len(wave)):  # type: ignore[misc]
            tree.add(part, level)
    return tree.total()


def visit_tiles(matrix: Matrix, engine: Engine, visit: Callable[[int, slice, slice, numpy.ndarray], Any]) -> list[Any]:
    """The pass behind ``Matrix.tiles``: row blocks in parallel, the tiles of one in order."""
    row_ranges, col_ranges = ranges(matrix.grid[0]), ranges(matrix.grid[1])

    def strip(i: int) -> list[Any]:
        rows = row_ranges[i]
        return [visit(i, rows, cols, matrix.block(rows, cols)) for cols in col_ranges]

    return [value for values in engine.map(strip, len(row_ranges)) for value in values]
