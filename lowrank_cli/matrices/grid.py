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
#: Stored entries of a sparse row block, and its most rows.
BLOCK_ENTRIES = 1 << 17
BLOCK_ROWS = 4096
#: Entries of the dense tiles that a sparse matrix is expanded into when its entries are visited.
_DENSE_TILE = 1 << 21


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


def visit_tiles(matrix: Matrix, engine: Engine, visit: Callable[[int, slice, slice, numpy.ndarray], Any]) -> list[Any]:
    """The pass behind ``Matrix.tiles``: row blocks in parallel, the tiles of one in order."""
    row_ranges, col_ranges = ranges(matrix.grid[0]), ranges(matrix.grid[1])

    def strip(i: int) -> list[Any]:
        rows = row_ranges[i]
        return [visit(i, rows, cols, matrix.block(rows, cols)) for cols in col_ranges]

    return [value for values in engine.map(strip, len(row_ranges)) for value in values]
