"""A sparse matrix by columns over the workers of a cluster, who turn it once and hold it by rows from then on.

A sum over the columns of a row, as in A X, is one chain in every process, and workers that each have some columns could
only take turns at it. So who reads columns sends on the entries of each shard of rows, and passes are those of a matrix
by rows, to the bit; a task finds its rows in the memory of its worker and not in the file.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ClusterError
from ..lazy import np
from .grid import FAN, cuts, ranges
from .lines import Canonical, Lines
from .spread import SHARE, Home, Reader, SpreadMatrix
from .spread_sparse import SpreadSparse, shard_of, sparse_home

if TYPE_CHECKING:
    import numpy

    from ..engines.cluster import Cluster

#: Tasks that read columns, unless memory asks for more: each makes a piece for every shard of rows.
READERS = 64


class Kept:
    """The entries of a shard in memory. See ``lines.Entries``."""

    where, bytes_read = "a shard of the matrix", 0

    def __init__(self, indices: numpy.ndarray, data: numpy.ndarray):
        self._indices, self._data = indices, data

    def read(self, first: int, indices: numpy.ndarray, data: numpy.ndarray) -> None:
        for kept, out in ((self._indices, indices), (self._data, data)):
            out[...] = kept[first : first + len(out)]

    def check(self) -> None:
        pass


def turned_over(cluster: Cluster, lines: Lines, read: Reader, local: Callable[[Lines], Any]) -> SpreadSparse:
    """The matrix of lines that are columns and not settled. read: columns as lines; local: the matrix of settled lines.

    Each column is read once. Raises ClusterError where a column, or eight pieces of rows, do not fit a worker.
    """
    home, parts = plan(cluster, lines)
    turned = Turned(cluster, home, read, parts, lines.shape[1])
    heads, pointers = (cluster.gather(some) for some in (turned.heads, turned.pointers))
    along, across = (np.concatenate([np.diff(one) for one in some]) for some in ([p for p, _ in heads], pointers))
    pointer = np.concatenate([np.zeros(1, np.int64), along]).cumsum()
    whole = local(lines.settled(Canonical(pointer, across, all(tidy for _, tidy in heads))))
    n, entries, room, dtype, index = lines.shape[1], int(pointer[-1]), lines.room, lines.dtype, lines.index

    def make(_: None, own: Any, among: tuple[int, int], exponent: int, low: Any) -> Any:
        bounds, indices, data = own
        buffer = room * (dtype.itemsize + index.itemsize)
        rows = Lines((len(bounds) - 1, n), dtype, True, bounds, index, Kept(indices, data), buffer)
        return shard_of(rows, (bounds, True), (among[1], entries), exponent, low)

    return SpreadSparse(SpreadMatrix(whole, home, _nothing, make=make, known=turned.shards))


def plan(cluster: Cluster, lines: Lines) -> tuple[Home, list[slice]]:
    """Shards of rows, and columns of about as many entries each, such that a worker can hold either."""
    (m, n), entries, entry = lines.shape, int(lines.stored[-1]), lines.dtype.itemsize + lines.index.itemsize
    blocks, room = len(cuts(m)) - 1, cluster.task_memory // SHARE
    longest = int(np.diff(lines.stored).max(initial=0))
    if (most := max(longest, entries * min(FAN, blocks) // blocks) * entry) > room:
        raise ClusterError(
            f"parts of {most:,} bytes do not fit the {cluster.task_memory:,} bytes that a task of a worker has",
            hint="give workers more memory, or fewer threads, or write the matrix by rows with lowrank convert",
        )
    count = max(-(-entries * entry // room), min(cluster.threads, READERS))
    marks = np.searchsorted(lines.stored, [entries * i // count for i in range(1, count)])
    home = sparse_home(cluster, m, entries * entry // blocks)
    return home, ranges(np.unique([0, *marks, n]).tolist())


class Turned:
    """What is submitted to turn the matrix: of each part of the columns a head, (pointer, whether it was sorted), and
    of each shard (pointer, indices, values) of its rows, and the pointer."""

    def __init__(self, cluster: Cluster, home: Home, read: Reader, parts: Sequence[slice], n: int):
        starts = np.array([shard.rows.start for shard in home.shards])
        split = [cluster.submit(_split, read, columns, starts) for columns in parts]

        def pick(i: int, of: Sequence[Any]) -> list[Any]:
            return [cluster.submit(operator.itemgetter(i), one) for one in of]

        self.heads, self.shards = pick(0, split), []
        for i, shard in enumerate(home.shards, 1):
            shape = shard.rows.stop - shard.rows.start, n
            self.shards.append(cluster.submit(_joined, shape, *pick(i, split), rows=shard.rows))
        self.pointers = pick(0, self.shards)


# What workers run


def _nothing(_: slice) -> None:
    """What is read of rows that are held."""


def _split(read: Reader, columns: slice, starts: numpy.ndarray) -> list[Any]:
    """(pointer, whether it was sorted) of columns, then rows, columns and values of what each shard has of them."""
    part = read(columns)
    found = part.survey()
    part.settled(found)
    pieces: list[list[Any]] = [[] for _ in starts]
    for strip in part.strips():
        rows, cols = strip.places(by_rows=False)
        cols = (cols + columns.start).astype(rows.dtype)
        shards = np.searchsorted(starts, rows, "right") - 1
        order = np.argsort(shards, kind="stable")
        bounds = np.searchsorted(shards[order], np.arange(len(starts) + 1))
        for i, start in enumerate(starts):
            own = order[bounds[i] : bounds[i + 1]]
            pieces[i].append((rows[own] - rows.dtype.type(start), cols[own], strip.data[own]))
    joined = [[np.concatenate(some) for some in zip(*one, strict=True)] for one in pieces]
    return [(found.pointer, found.sorted), *joined]


def _joined(shape: tuple[int, int], *pieces: list[numpy.ndarray]) -> tuple[Any, Any, Any]:
    """Pointer, indices and values of rows, of pieces whose columns come one after another."""
    from scipy.sparse import coo_array

    down, across, data = (np.concatenate(some) for some in zip(*pieces, strict=True))
    made = coo_array((data, (down, across)), shape=shape).tocsr()
    return made.indptr.astype(np.int64), made.indices.astype(across.dtype, copy=False), made.data
