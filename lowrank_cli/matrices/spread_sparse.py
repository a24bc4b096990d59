"""A sparse matrix by rows that the workers of a cluster read from its file, strip by strip, as one process does.

A shard is a node of the tree over stretches of rows, so that what A^H Y sums over it is a node of the whole sum.
"""

from __future__ import annotations

import operator
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..lazy import np
from .digest import crc32_joined
from .facts import MatrixFacts
from .grid import FAN, cuts, one_by_one
from .lines import Canonical, Lines
from .sparse_filed import FiledSparseMatrix, Whole
from .sparse_squares import Squares, facts_of
from .spread import SHARE, Home, Reader, SpreadMatrix
from .spread_tasks import Shard, once

if TYPE_CHECKING:
    import numpy

    from ..engines.cluster import Cluster
    from ..engines.threads import Engine


class SpreadSparse:
    """An (m, n) sparse matrix that workers read, with the bits of one process.

    products: the same for products with blocks. local: the same as this process sees it, which reads single rows, and
    visits entries one by one.
    """

    def __init__(self, products: SpreadMatrix):
        self._products, self.home, self.local = products, products.home, products.local
        self.watch, self.shape, self.dtype = products.watch, products.shape, products.dtype
        self.grid, self.name, self.nnz = products.grid, products.name, self.local.nnz
        self.engine: Engine = products.engine

    @property
    def array(self) -> Any:
        raise UsageError("this method needs all entries of a sparse matrix in one process", hint="drop --engine dask")

    def identity(self) -> tuple[Any, ...]:
        return self.local.identity()

    def scaled(self, exponent: int) -> SpreadSparse:
        return SpreadSparse(self._products.scaled(exponent))

    def single(self, exponent: int) -> SpreadSparse:
        return SpreadSparse(self._products.single(exponent))

    def matmat(self, X: numpy.ndarray, keep: bool = False) -> Any:
        return self._products.matmat(X, keep)

    def rmatmat(self, Y: numpy.ndarray, keep: bool = False) -> numpy.ndarray:
        return self._products.rmatmat(Y, keep)

    def normal_matmat(self, X: numpy.ndarray, keep: bool = False) -> tuple[Any, numpy.ndarray]:
        return self._products.normal_matmat(X, keep)

    def adjoint_normal_matmat(self, Y: numpy.ndarray, keep: bool = False) -> tuple[numpy.ndarray, Any]:
        return self._products.adjoint_normal_matmat(Y, keep)

    def together(self, asks: Sequence[tuple[Any, ...]]) -> list[Any]:
        return one_by_one(asks)

    def sweep(self, transposed: bool = False) -> MatrixFacts:
        return facts_of(lambda exponent: self._squares(transposed, exponent), self.name)

    def _squares(self, transposed: bool, exponent: int) -> Squares:
        def look(A: FiledSparseMatrix, shard: Shard) -> tuple[Any, numpy.ndarray]:
            seen = A.squares(transposed, exponent)
            return ([(row + shard.rows.start, *more) for row, *more in seen.bad], seen.max_abs), seen.sums

        cluster, looks = self.home.cluster, self._products.run(look)
        heads, sums = ([cluster.submit(operator.itemgetter(i), one) for one in looks] for i in range(2))
        found = cluster.gather(heads)
        bad = [one for some, _ in found for one in some]
        total = np.concatenate(cluster.gather(sums)) if transposed else self.home.summed(sums)
        return Squares(bad, max(largest for _, largest in found), exponent, total)

    def checksums(self) -> list[int]:
        """CRC-32 of the row pointer, the indices and the values, as ``digest`` takes them of one process."""

        def check(A: FiledSparseMatrix, _: Shard) -> list[tuple[int, int]]:
            found = [(0, 0), (0, 0)]
            for _, part in A.row_parts():
                for i, array in enumerate((part.indices.astype(np.int64), np.ascontiguousarray(part.data))):
                    found[i] = zlib.crc32(array.data, found[i][0]), found[i][1] + array.nbytes
            return found

        parts = self.home.cluster.gather(self._products.run(check))
        pointer = zlib.crc32(self.local.row_pointer.astype(np.int64).data)
        return [pointer, *(crc32_joined([part[i] for part in parts]) for i in range(2))]

    def rows(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> Any:
        return self.local.rows(index, scale)

    def cols(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> Any:
        return self.local.cols(index, scale)

    def block(self, rows: slice, cols: slice) -> numpy.ndarray:
        return self.local.block(rows, cols)

    def tiles(self, visit: Callable[[int, slice, slice, numpy.ndarray], Any]) -> list[Any]:
        return self.local.tiles(visit)

    def entries(self) -> Iterator[Any]:
        return self.local.entries()

    def occupied(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        return self.local.occupied()

    def restricted(self, rows: numpy.ndarray, cols: numpy.ndarray) -> FiledSparseMatrix:
        return self.local.restricted(rows, cols)


def sparse_home(cluster: Cluster, m: int, piece: int = 0) -> Home:
    """The shards of m rows, each one stretch at least. No bit depends on their size. piece: bytes of a piece of rows,
    where workers hold them.

    What a worker sends of its rows is a block as long as A is wide, so there are no more shards than keep all at work.
    """
    run, count, room = FAN, len(cuts(m)) - 1, cluster.task_memory // SHARE
    while run * FAN * cluster.threads <= count and run * FAN * piece <= room:
        run *= FAN
    return Home(cluster, m, run)


def shard_of(rows: Lines, found: tuple[Any, bool], whole: tuple[int, int], exponent: int, dtype: Any) -> Any:
    """Rows as a part of a matrix of so many rows and entries; found: their pointer, and whether they are in order."""
    rows.settled(Canonical(found[0], None, found[1]))
    rows.sums = None
    return FiledSparseMatrix(rows, None, None, exponent, dtype, whole=Whole(*whole))


def sparse_over(cluster: Cluster, lines: Lines, read: Reader, local: Callable[[Lines], Any]) -> SpreadSparse:
    """The matrix of lines that are rows and not settled: workers look at all indices, each at those of its shard.

    read: rows as lines; local: the matrix of settled lines.
    """
    home = sparse_home(cluster, lines.shape[0])

    def survey(shard: Shard) -> tuple[tuple[numpy.ndarray, bool], numpy.ndarray]:
        found = read(shard.rows).survey()
        return (found.pointer, found.sorted), found.counts

    looks = home.run(once, survey)
    known, counts = ([cluster.submit(operator.itemgetter(i), one) for one in looks] for i in range(2))
    across, found = home.summed(counts), cluster.gather(known)
    lengths = [np.diff(pointer) for pointer, _ in found]
    pointer = np.concatenate([np.zeros(1, np.int64), *lengths]).cumsum()
    whole = local(lines.settled(Canonical(pointer, across, all(tidy for _, tidy in found))))
    entries = int(pointer[-1])

    def make(part: Lines, own: Any, among: tuple[int, int], exponent: int, dtype: Any) -> Any:
        return shard_of(part, own, (among[1], entries), exponent, dtype)

    return SpreadSparse(SpreadMatrix(whole, home, read, make=make, known=known))
