"""A dense matrix whose rows are read, and whose tall blocks are kept, by the workers of a cluster.

Rows are cut into shards at nodes of the tree that sums follow. A task reads its shard, does with it what one machine
does with these rows, and what comes of it is added up the same tree: the bits are the same.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..engines.threads import Engine
from ..errors import ClusterError
from ..lazy import np
from ..memory import require
from ..sketches.gaussian import gaussian_rows
from .dense import TiledMatrix
from .facts import MatrixFacts, looking, merged
from .grid import FAN, cuts, ranges
from .passes import together
from .spread_tasks import Shard, each, folded, made, once, packed, placed, total
from .survey import Surveyed
from .tall import Tall

if TYPE_CHECKING:
    import numpy

    from ..engines.cluster import Cluster
    from ..sketches.counting import CountSketch
    from ..streams import Streams

#: Bytes of a shard at most, where a worker has so much; and the part of a task's memory that it may take.
SHARD, SHARE = 4 << 30, 8
#: Shards for each thread at least, while there are rows enough.
LEAST = 3

#: Rows of a matrix as an array, read wherever it is called; it can be pickled.
Reader = Callable[[slice], Any]
#: The matrix that a worker works on: (what was read, what is known of the shard, its first row and all there are,
#: exponent, dtype).
Maker = Callable[[Any, Any, tuple[int, int], int, Any], Any]
#: What a worker does with a shard as a matrix.
Task = Callable[[Any, "Shard"], Any]
#: What a pass does with each shard, and what this process makes of the results, which stay on the workers until then.
Pass = tuple[Task, Callable[[list[Any]], Any]]


class Home:
    """The workers as the place of the blocks of m rows, shard by shard."""

    def __init__(self, cluster: Cluster, m: int, run: int):
        parts = ranges(cuts(m))
        self.cluster, self.m = cluster, m
        self.shards = []
        for first in range(0, len(parts), run):
            last = min(first + run, len(parts))
            self.shards.append(Shard(range(first, last), slice(parts[first].start, parts[last - 1].stop)))

    def each(self, task: Callable[[int], Any]) -> list[Any]:
        """task(i) for every piece."""
        found = self.cluster.gather(self.run(each, task))
        return [one for some in found for one in some]

    def total(self, task: Callable[[int], numpy.ndarray]) -> numpy.ndarray:
        """The sum of task(i) over all pieces, in the tree."""
        return self.summed(self.run(total, task))

    def made(self, task: Callable[[int], Any], columns: int, dtype: numpy.dtype, out: Spread | None = None) -> Spread:
        """The block whose piece i is task(i)."""
        block = Spread(self, self.run(made, task, columns, np.dtype(dtype).str), columns, dtype)
        if out is None:
            return block
        out.parts = block.parts
        return out

    def drawn(self, streams: Streams, purpose: str, l: int, dtype: numpy.dtype) -> Spread:
        m = self.m
        parts = [self.cluster.submit(gaussian_rows, streams, purpose, m, l, dtype, shard.rows) for shard in self.shards]
        return Spread(self, parts, l, dtype)

    def sent(self, array: numpy.ndarray) -> Spread:
        """An array of this process, its rows with the workers."""
        parts = [self.cluster.constant(np.ascontiguousarray(array[shard.rows])) for shard in self.shards]
        return Spread(self, parts, array.shape[1], array.dtype)

    def summed(self, parts: Sequence[Any]) -> Any:
        return placed(self.cluster.gather([self.cluster.add(parts, FAN)])[0])

    def run(self, work: Callable[..., Any], task: Any, *operands: Any, known: Sequence[Any] | None = None) -> list[Any]:
        """work(task, rows of the blocks in it, shard, *operands) for each shard, on the workers; known: an operand more
        of each."""
        text, blocks = packed(task, Spread)
        sent = self.cluster.constant(text)
        made = []
        for i, shard in enumerate(self.shards):
            own = [] if known is None else [known[i]]
            held = [block.parts[i] for block in blocks]
            made.append(self.cluster.submit(work, sent, held, shard, *operands, *own, rows=shard.rows))
        return made


class Spread(Tall):
    """A block of which each shard's rows are with some worker, which computes them again if they are lost."""

    def __init__(self, home: Home, parts: list[Any], columns: int, dtype: numpy.dtype):
        super().__init__((home.m, columns), dtype)
        self.home, self.parts = home, parts

    def spans(self) -> Iterator[slice]:
        return (shard.rows for shard in self.home.shards)

    def __getitem__(self, rows: slice) -> numpy.ndarray:
        start, stop, _ = rows.indices(self.shape[0])
        met = [i for i, shard in enumerate(self.home.shards) if shard.rows.start < stop and shard.rows.stop > start]
        out = np.empty((max(0, stop - start), self.shape[1]), self.dtype)
        for i in met:
            shard = self.home.shards[i].rows
            a, b = max(start, shard.start), min(stop, shard.stop)
            out[a - start : b - start] = self.home.cluster.gather([self.parts[i]])[0][a - shard.start : b - shard.start]
        return out

    def __setitem__(self, rows: slice, values: numpy.ndarray) -> None:
        raise TypeError("rows on workers are made there")


def tiled_rows(values: Any, _: Any, among: tuple[int, int], exponent: int, dtype: Any) -> TiledMatrix:
    """Rows of a dense matrix, as they were read."""
    return TiledMatrix(values, None, exponent, None, dtype, among=among)


class SpreadMatrix:
    """An (m, n) matrix that workers read, row shard by row shard, with the bits of a ``TiledMatrix``.

    local: the same matrix as this process sees it, for single rows and for what is decomposed here. make: what workers
    make of the rows they read and, if there is anything, of what is known of each shard.
    """

    nnz: int | None = None

    def __init__(
        self,
        local: Any,
        home: Home,
        read: Reader,
        exponent: int = 0,
        make: Maker = tiled_rows,
        known: Sequence[Any] | None = None,
    ):
        self.local, self.home, self._read, self._exponent, self.watch = local, home, read, exponent, local.watch
        self._make, self._known = make, known
        self.shape, self.dtype, self.grid, self.name = local.shape, local.dtype, local.grid, local.name
        self.engine: Engine = local.engine

    def identity(self) -> tuple[Any, ...]:
        return self.local.identity()

    def scaled(self, exponent: int) -> SpreadMatrix:
        return self._of(self.local.scaled(exponent), exponent)

    def single(self, exponent: int) -> SpreadMatrix:
        return self._of(self.local.single(exponent), exponent)

    def _of(self, local: Any, exponent: int) -> SpreadMatrix:
        return SpreadMatrix(local, self.home, self._read, self._exponent + exponent, self._make, self._known)

    def run(self, task: Task) -> list[Any]:
        """task(the shard as a matrix, the shard), which stay on the workers."""
        return self._run((self, task))

    def _run(self, *work: tuple[SpreadMatrix, Task]) -> list[Any]:
        """task(the shard as a matrix, the shard) on the workers, for each matrix and task, which share one reading; a
        tuple of what they give where there are several."""
        m, read, make = self.shape[0], self._read, self._make
        tasks = [(A._exponent, A.dtype.str, task) for A, task in work]

        def on_shard(shard: Shard, known: Any = None) -> Any:
            values, among = read(shard.rows), (shard.rows.start, m)
            found = [
                task(make(values, known, among, exponent, np.dtype(dtype)), shard) for exponent, dtype, task in tasks
            ]
            return found[0] if len(found) == 1 else tuple(found)

        return self.home.run(once, on_shard, known=self._known)

    def _split(self, parts: list[Any], count: int) -> list[list[Any]]:
        """Results that are tuples of so many, taken apart on the workers."""
        return [[self.home.cluster.submit(operator.itemgetter(i), part) for part in parts] for i in range(count)]

    def together(self, asks: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Each worker reads its rows once for all of them."""
        passes = [_PASSES[name](matrix, *arguments) for matrix, name, *arguments in asks]
        parts = self._run(*((ask[0], task) for ask, (task, _) in zip(asks, passes, strict=True)))
        split = [parts] if len(passes) == 1 else self._split(parts, len(passes))
        return [conclude(mine) for (_, conclude), mine in zip(passes, split, strict=True)]

    def _block(self, parts: list[Any], columns: int, dtype: numpy.dtype, keep: bool) -> Any:
        block = Spread(self.home, parts, columns, np.result_type(self.dtype, dtype))
        return block if keep else np.asarray(block)

    def matmat(self, X: numpy.ndarray, keep: bool = False) -> Any:
        return self.together([(self, "matmat", X, keep)])[0]

    def rmatmat(self, Y: numpy.ndarray, keep: bool = False) -> numpy.ndarray:
        return self.together([(self, "rmatmat", Y, keep)])[0]

    def normal_matmat(self, X: numpy.ndarray, keep: bool = False) -> tuple[Any, numpy.ndarray]:
        return self.together([(self, "normal_matmat", X, keep)])[0]

    def adjoint_normal_matmat(self, Y: numpy.ndarray, keep: bool = False) -> tuple[numpy.ndarray, Any]:
        """The second product needs all of the first, and another reading."""
        return self.together([(self, "adjoint_normal_matmat", Y, keep)])[0]

    def tiles(self, visit: Callable[[int, slice, slice, numpy.ndarray], Any]) -> list[Any]:
        """The visits run on the workers: they give their results back and change nothing."""
        return self.together([(self, "tiles", visit)])[0]

    def sweep(self, transposed: bool = False) -> MatrixFacts:
        return self.together([(self, "sweep", transposed)])[0]

    def _multiplied(self, X: numpy.ndarray, keep: bool = False) -> Pass:
        X = np.ascontiguousarray(X)
        return lambda A, _: A.matmat(X), lambda parts: self._block(parts, X.shape[1], X.dtype, keep)

    def _adjoint_multiplied(self, Y: numpy.ndarray, keep: bool = False) -> Pass:
        there = Y if isinstance(Y, Spread) else self.home.sent(np.asarray(Y))
        return lambda A, shard: A.rmatmat(there[shard.rows]), self.home.summed

    def _fused(self, X: numpy.ndarray, keep: bool = False) -> Pass:
        X = np.ascontiguousarray(X)

        def conclude(pairs: list[Any]) -> tuple[Any, numpy.ndarray]:
            first, second = self._split(pairs, 2)
            return self._block(first, X.shape[1], X.dtype, keep), self.home.summed(second)

        return lambda A, _: A.normal_matmat(X), conclude

    def _chained(self, Y: numpy.ndarray, keep: bool = False) -> Pass:
        task, summed = self._adjoint_multiplied(Y)

        def conclude(parts: list[Any]) -> tuple[numpy.ndarray, Any]:
            X = summed(parts)
            return X, self.matmat(X, keep and isinstance(Y, Tall))

        return task, conclude

    def _visited(
        self,
        visit: Callable[[int, slice, slice, numpy.ndarray], Any],
        conclude: Callable[[list[Any]], Any] = list,
    ) -> Pass:
        fold, cluster = getattr(visit, "fold", None), self.home.cluster

        def visited(A: TiledMatrix, shard: Shard) -> list[Any]:
            top = shard.rows.start
            found = A.tiles(
                lambda i, rows, cols, tile: visit(
                    shard.pieces.start + i, slice(top + rows.start, top + rows.stop), cols, tile
                )
            )
            return found if fold is None else fold(found)

        def collected(parts: list[Any]) -> Any:
            if fold is not None:
                parts = [cluster.add(parts, FAN, functools.partial(folded, fold))]
            return conclude([one for some in cluster.gather(parts) for one in some])

        return visited, collected

    def _swept(self, transposed: bool) -> Pass:
        return self._visited(*looking(self, transposed))

    def survey(self, sketch: CountSketch, transposed: bool = False) -> tuple[MatrixFacts, numpy.ndarray]:
        return self.together([(self, "survey", sketch, transposed)])[0]

    def _surveyed(self, sketch: CountSketch, transposed: bool) -> Pass:
        def surveyed(A: TiledMatrix, shard: Shard) -> tuple[list[Any], numpy.ndarray]:
            own, top = sketch if transposed else sketch.part(shard.rows), shard.rows.start
            found, sums = together([Surveyed(A, own, transposed, list)])[0]
            seen = [(slice(top + rows.start, top + rows.stop), cols, facts) for rows, cols, facts in found]
            return seen if transposed else merged(seen), sums

        def conclude(parts: list[Any]) -> tuple[MatrixFacts, numpy.ndarray]:
            first, second = self._split(parts, 2)
            facts = looking(self, transposed, True)[1](
                [one for some in self.home.cluster.gather(first) for one in some]
            )
            if transposed:
                return facts, np.concatenate(self.home.cluster.gather(second), axis=1)
            return facts, self.home.summed(second)

        return surveyed, conclude

    def gram(self) -> numpy.ndarray:
        if len(self.home.shards[0].pieces) % FAN and len(self.home.shards) > 1:
            # a product takes the blocks of a whole node, which no shard of these has
            return self.local.gram()
        return self.home.summed(self._run((self, lambda A, _: A.gram())))

    def adjoint_gram(self) -> numpy.ndarray:
        return self.local.adjoint_gram()

    def rows(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> numpy.ndarray:
        return self.local.rows(index, scale)

    def cols(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> numpy.ndarray:
        m, k = self.shape[0], len(index)
        require(m * k * self.dtype.itemsize, f"{k} columns of {m} rows", "lower the rank")
        return np.asarray(Spread(self.home, self._run((self, lambda A, _: A.cols(index, scale))), k, self.dtype))

    def block(self, rows: slice, cols: slice) -> numpy.ndarray:
        return self.local.block(rows, cols)


#: The passes that share a reading, by the names of the methods that make them alone.
_PASSES: dict[str, Callable[..., Pass]] = {
    "matmat": SpreadMatrix._multiplied,
    "rmatmat": SpreadMatrix._adjoint_multiplied,
    "normal_matmat": SpreadMatrix._fused,
    "adjoint_normal_matmat": SpreadMatrix._chained,
    "tiles": SpreadMatrix._visited,
    "sweep": SpreadMatrix._swept,
    "survey": SpreadMatrix._surveyed,
}


def spread_over(cluster: Cluster, local: Any, read: Reader) -> SpreadMatrix:
    """The matrix over the workers of a cluster. Shards are as large as their memory, and their number, allow: no bit
    depends on it. Raises ClusterError where not even the smallest shard fits."""
    m, n = local.shape
    piece = (local.grid[0][1] - local.grid[0][0]) * n * local.source.dtype.itemsize
    room = cluster.task_memory // SHARE
    # Gram matrices take the eight blocks of a node in one product
    run = FAN if FAN * piece <= room else 1
    if run * piece > room:
        raise ClusterError(
            f"row blocks of {piece:,} bytes do not fit the {cluster.task_memory:,} bytes that a task of a worker has",
            hint="give workers more memory, or fewer threads",
        )
    count = len(local.grid[0]) - 1
    while run * FAN * piece <= min(room, SHARD) and run * FAN * LEAST * cluster.threads <= count:
        run *= FAN
    return SpreadMatrix(local, Home(cluster, m, run), read)
