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


def visit_tiles(matrix: Matrix, engine: Engine, visit: Callable[[int, slice, slice, numpy.ndarray], Any]) -> list[Any]:
    """The pass behind ``Matrix.tiles``: row blocks in parallel, the tiles of one in order."""
    row_ranges, col_ranges = ranges(matrix.grid[0]), ranges(matrix.grid[1])
    line = matrix.shape[1] * matrix.dtype.itemsize
    found: list[list[Any]] = [[]] * len(row_ranges)

    def strip(i: int) -> None:
        rows = row_ranges[i]
        found[i] = [visit(i, rows, cols, matrix.block(rows, cols)) for cols in col_ranges]
        matrix.watch.came((rows.stop - rows.start) * line)

    for some in row_blocks(matrix, "tiles", (visit,), {"found": found}, matrix.shape[0] * line):
        engine.map(lambda i, some=some: strip(some[i]), len(some))  # type: ignore[misc]
    return [value for values in found for value in values]
