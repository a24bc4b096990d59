"""The fixed grid: where a matrix is cut, from its shape and dtype alone (sparse: its row pointer)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
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
#: Entries of the dense tiles that a sparse matrix is expanded into when its entries are visited.
_DENSE_TILE = 1 << 21


def cuts(length: int, side: int = TILE) -> tuple[int, ...]:
    """0 = c_0 < ... < c_b = length: equal blocks, multiples of 16 long, near ``side``; the last may be shorter."""
    if length <= 0:
        return (0,)
    return (*range(0, length, _step(length, side)), length)


def _step(length: int, side: int) -> int:
    """The length of a block."""
    blocks = max(1, (length + side // 2) // side)
    step = -(-length // blocks)
    return max(1, step + -step % 16)


def stretch(m: int) -> int:
    """Rows of a sparse matrix of m rows that a sum over rows takes one after another, before the tree: eight pieces."""
    return FAN * _step(m, TILE)


def sparse_row_cuts(indptr: numpy.ndarray) -> tuple[int, ...]:
    """Cuts at equal numbers of stored entries, no block longer than ``BLOCK_ROWS``."""
    m = len(indptr) - 1
    nnz = int(indptr[-1])
    targets = np.arange(0, nnz, BLOCK_ENTRIES)
    by_entries = np.searchsorted(indptr, targets, side="left")
    marks = np.unique(np.concatenate([by_entries, np.arange(0, m, BLOCK_ROWS), [0, m]]))
    return tuple(int(c) for c in marks if c <= m)


def sparse_grid(indptr: numpy.ndarray, columns: int) -> tuple[Sequence[int], Sequence[int]]:
    """Row cuts and column cuts of a sparse matrix; a dense tile of any row block is not too large."""
    down = sparse_row_cuts(indptr)
    tallest = max((b - a for a, b in itertools.pairwise(down)), default=1)
    return down, cuts(columns, max(512, _DENSE_TILE // tallest))


def ranges(marks: Sequence[int]) -> list[slice]:
    """The blocks between the cuts."""
    return [slice(a, b) for a, b in itertools.pairwise(marks)]


def waves(blocks: range, threads: int) -> list[range]:
    """Blocks in order, a few for each thread at a time: bounds memory where each leaves a result."""
    step = max(4, 2 * threads)
    return [blocks[start : start + step] for start in range(0, len(blocks), step)]


def row_blocks(matrix: Matrix, what: str, operands: Sequence[Any], state: dict[str, Any], size: int) -> Iterator[range]:
    """The row blocks that a pass over so many bytes has still to work on: all at once, or in waves where somebody keeps
    what they come to. See ``Watch.steps``."""
    blocks = range(len(matrix.grid[0]) - 1)
    plan = waves(blocks, matrix.engine.threads) if matrix.watch.keeps else [blocks]

    def start(first: int) -> Iterator[range]:
        matrix.watch.reads(size)
        if first:
            matrix.watch.came(size * plan[first - 1].stop // len(blocks))
        return iter(plan[first:])

    return matrix.watch.steps(matrix, what, operands, state, plan, start)


class TreeSum:
    """A sum of arrays in a fixed tree: eight in order make one, eight of those the next.

    What a run of 8^t of them, from a multiple of 8^t on, adds up to is a node of the tree, whoever adds it up.
    ``state`` is all there is to know: how many parts have come, and the sums that are not complete, by level.
    """

    def __init__(self) -> None:
        self.state: list[Any] = [np.zeros(1, np.int64), {}]

    @property
    def fresh(self) -> bool:
        """Whether the next part of the lowest level is kept itself, and not added to another."""
        return 0 not in self.state[1]

    def add(self, part: numpy.ndarray, level: int = 0) -> None:
        """The next part, a node of that level, which stands for 8^level of the lowest. A part that is kept will be
        written to."""
        count, sums = self.state
        before = int(count[0])
        count += FAN**level
        while have := before // FAN**level % FAN:
            total = sums.pop(level)
            total += part
            if have < FAN - 1:
                part = total
                break
            part, level = total, level + 1
        sums[level] = part

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
        for level in sorted(self.state[1]):
            own = self.state[1].pop(level)
            carried = own if carried is None else np.add(own, carried, out=own)
        return carried


def tree_sum(
    task: Callable[[int], numpy.ndarray], count: int, engine: Engine, large: bool = False
) -> numpy.ndarray | None:
    """The sum of task(0), ..., task(count - 1), new arrays all, in the tree. Where they are many, those of one node are
    added by who computes them; where they are large, few are held at a time."""
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

    for wave in waves(range(0, count, run), engine.threads if large else 4 * engine.threads):
        for part in engine.map(lambda i, wave=wave: node(wave[i]), len(wave)):  # type: ignore[misc]
            tree.add(part, level)
    return tree.total()


def one_by_one(asks: Sequence[tuple[Any, ...]]) -> list[Any]:
    """``Matrix.together`` where nothing is saved by it."""
    return [getattr(matrix, name)(*arguments) for matrix, name, *arguments in asks]


def visit_tiles(matrix: Matrix, engine: Engine, visit: Callable[[int, slice, slice, numpy.ndarray], Any]) -> list[Any]:
    """The pass behind ``Matrix.tiles``: row blocks in parallel, the tiles of one in order."""
    row_ranges, col_ranges = ranges(matrix.grid[0]), ranges(matrix.grid[1])
    line = matrix.shape[1] * matrix.dtype.itemsize
    found: list[list[Any]] = [[] for _ in row_ranges]

    def strip(i: int) -> None:
        rows = row_ranges[i]
        found[i] = [visit(i, rows, cols, matrix.block(rows, cols)) for cols in col_ranges]
        matrix.watch.came((rows.stop - rows.start) * line)

    for some in row_blocks(matrix, "tiles", (visit,), {"found": found}, matrix.shape[0] * line):
        engine.map(lambda i, some=some: strip(some[i]), len(some))  # type: ignore[misc]
    return [value for values in found for value in values]
