"""A dense matrix over a fixed grid of tiles: the arithmetic of every product, whatever stores the values."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..engines.threads import Engine, SerialEngine
from ..lazy import np
from .facts import MatrixFacts, looking
from .filed import Filed
from .grid import FAN, TreeSum, cuts, ranges, waves
from .passes import AdjointMultiplied, Chained, Fused, Multiplied, Pass, Visited, together
from .slabs import InMemory, Slab, Source, entries, looked_at
from .survey import Surveyed
from .tall import Tall, contiguous
from .tiles import row_contiguous, scale_exactly
from .watch import UNWATCHED, Watch

if TYPE_CHECKING:
    import numpy

    from ..sketches.counting import CountSketch

#: BLAS takes other paths, with other rounding, for products this small and for single columns, and which path
#: depends on storage order and stride; such tiles are copied to C order first. Above, the packed kernels see the
#: same numbers in the same order whatever the storage (measured: OpenBLAS 0.3.31, all four dtypes).
_SMALL_PRODUCT = 4_000_000
#: Tiles rounded to single precision are kept up to this many bytes; those of larger matrices are rounded each time they
#: are used. The bits are the same.
SINGLE_COPY = 64 << 20
#: Single precision of the dtypes that have one to go down to.
SINGLE = {"float64": "float32", "complex128": "complex64"}


class TiledMatrix:
    """Tiles of a 2-D array, in memory in either storage order or in a file, through an engine.

    A X runs in parallel over row blocks and A^H Y over column blocks, each summing its tiles in index order, so the
    bits depend on neither threads nor storage, nor on how much of the matrix is in memory at once. ``exponent`` scales:
    the matrix is array * 2**exponent, exactly. ``name`` is what messages call it. ``dtype``: that of the array, or a
    lower precision its entries are rounded to. ``watch`` is told of every block that a pass is done with. ``among``:
    (first, m) where the array is rows of a matrix of m, from the first on, cut where that one is.
    """

    nnz: int | None = None

    def __init__(
        self,
        array: numpy.ndarray | Source,
        engine: Engine | None = None,
        exponent: int = 0,
        name: str | None = None,
        dtype: numpy.dtype | None = None,
        watch: Watch = UNWATCHED,
        among: tuple[int, int] | None = None,
    ):
        self.name, self.watch = name, watch
        self.engine = engine or SerialEngine()
        self.source: Source = InMemory(array, self.engine) if isinstance(array, np.ndarray) else array
        if isinstance(self.source, Filed):
            self.source.use(self.engine.threads)
        self._exponent = exponent
        self.shape: tuple[int, int] = self.source.shape
        self.dtype = self.source.dtype if dtype is None else np.dtype(dtype)
        self.rounds = self.dtype != self.source.dtype
        size = self.shape[0] * self.shape[1] * self.dtype.itemsize
        self._keeps = self.rounds and isinstance(self.source, InMemory) and size <= SINGLE_COPY
        self._kept: dict[tuple[int, int], numpy.ndarray] = {}
        self._scratch = threading.local()
        first, m = (0, self.shape[0]) if among is None else among
        marks = cuts(m)
        #: Rows of the shortest row block of all.
        self._least = min(marks[1] - marks[0], marks[-1] - marks[-2]) if m else 0
        marks = tuple(mark - first for mark in marks if first <= mark <= first + self.shape[0])
        self.grid: tuple[Sequence[int], Sequence[int]] = (marks, cuts(self.shape[1]))
        self.row_blocks, self.col_blocks = ranges(self.grid[0]), ranges(self.grid[1])

    def scaled(self, exponent: int) -> TiledMatrix:
        """This matrix times 2**exponent; nothing is copied, tiles are scaled as they are used."""
        return TiledMatrix(self.source, self.engine, self._exponent + exponent, self.name, self.dtype, self.watch)

    def single(self, exponent: int) -> TiledMatrix:
        """This matrix times 2**exponent, every entry rounded to single precision: each tile when it is first used."""
        low = np.dtype(SINGLE[str(self.dtype)])
        return TiledMatrix(self.source, self.engine, self._exponent + exponent, self.name, low, self.watch)

    def identity(self) -> tuple[Any, ...]:
        """What is made of the values of the source: where two matrices of one source agree in it, they are equal."""
        return "dense", *self.shape, str(self.dtype), self._exponent

    @property
    def sums(self) -> numpy.ndarray | None:
        """Checksums of the tiles; see ``Source``."""
        return self.source.sums

    def slabs(
        self, what: str, operands: Sequence[Any], state: dict[str, Any], strips: int | None = None
    ) -> Iterator[Slab]:
        """The slabs that a pass has still to work on, see ``Watch.steps``; strips: see ``Source``."""
        plan = self.source.plan(*self.grid, strips)

        def start(first: int) -> Iterator[Slab]:
            self._tell()
            rows, cols = self.row_blocks, self.col_blocks
            self.watch.came(entries(plan[:first], rows, cols) * self.source.dtype.itemsize)
            slabs, sums = self.source.slabs(*self.grid, strips, first), self.sums
            return slabs if sums is None else looked_at(slabs, sums, rows, cols, self.name)

        return self.watch.steps(self, what, operands, state, plan, start)

    def _tell(self) -> None:
        self.watch.reads(self.shape[0] * self.shape[1] * self.source.dtype.itemsize)

    def each(self, slab: Slab, axis: int, work: Callable[[int], None], blocks: range | None = None) -> None:
        """work(i) for the row blocks (axis 0) or column blocks (1) of a slab, or some of them, on the engine."""
        ours = slab.col_blocks if axis else slab.row_blocks
        blocks = ours if blocks is None else blocks
        slices, across = (self.col_blocks, self.row_blocks) if axis else (self.row_blocks, self.col_blocks)
        others = slab.row_blocks if axis else slab.col_blocks
        length = across[others.stop - 1].stop - across[others.start].start

        def one(number: int) -> None:
            block = blocks[number]
            work(block)
            self.watch.came((slices[block].stop - slices[block].start) * length * self.source.dtype.itemsize)

        self.engine.map(one, len(blocks))

    def tile(self, slab: Slab, rows: slice, cols: slice) -> numpy.ndarray:
        return self._scaled_values(slab.tile(rows, cols))

    def _scaled_values(self, values: numpy.ndarray) -> numpy.ndarray:
        return scale_exactly(values, self._exponent).astype(self.dtype, copy=False)

    def operand(self, slab: Slab, rows: slice, cols: slice, width: int, slot: int = 0) -> numpy.ndarray:
        """The tile as a factor of a product; a rounded one is good until this thread asks for another in its slot."""
        if self.rounds:
            return self._rounded_tile(slab, rows, cols, slot)
        tile = self.tile(slab, rows, cols)
        if width == 1 or tile.size * width <= _SMALL_PRODUCT:
            return np.ascontiguousarray(tile)
        return tile

    def _rounded_tile(self, slab: Slab, rows: slice, cols: slice, slot: int) -> numpy.ndarray:
        place = rows.start, cols.start
        if place in self._kept:
            return self._kept[place]
        tile = slab.tile(rows, cols)
        if self._keeps:
            return self._keep(rows, cols, scale_exactly(tile, self._exponent))
        # memory that the system has to provide anew for every tile costs more than the rounding itself
        kept: dict[Any, numpy.ndarray] = vars(self._scratch)
        if slot not in kept or kept[slot].size < tile.size:
            kept[slot] = np.empty(tile.size, self.dtype)
        out = kept[slot][: tile.size].reshape(tile.shape)
        np.copyto(out, scale_exactly(tile, self._exponent), casting="same_kind")
        return out

    def _keep(self, rows: slice, cols: slice, tile: numpy.ndarray) -> numpy.ndarray:
        """The tile, which is to scale, rounded and kept."""
        out = np.empty(tile.shape, self.dtype)
        np.copyto(out, tile, casting="same_kind")
        self._kept[rows.start, cols.start] = out
        return out

    def together(self, asks: Sequence[tuple[Any, ...]]) -> list[Any]:
        """From one reading, if all of them are of one source."""
        return together([_PASSES[name](matrix, *arguments) for matrix, name, *arguments in asks])

    def matmat(self, X: numpy.ndarray, keep: bool = False) -> Any:
        return self.together([(self, "matmat", X, keep)])[0]

    def rmatmat(self, Y: numpy.ndarray, keep: bool = False) -> Any:
        return self.together([(self, "rmatmat", Y, keep)])[0]

    def normal_matmat(self, X: numpy.ndarray, keep: bool = False) -> tuple[Any, Any]:
        """(A X, A^H (A X)), the bits of ``matmat`` and ``rmatmat`` after one another; one reading where the source
        gives whole rows."""
        return self.together([(self, "normal_matmat", X, keep)])[0]

    def adjoint_normal_matmat(self, Y: numpy.ndarray, keep: bool = False) -> tuple[Any, Any]:
        """(A^H Y, A (A^H Y)), the bits of ``rmatmat`` and ``matmat`` after one another; one reading where the source
        gives whole columns."""
        return self.together([(self, "adjoint_normal_matmat", Y, keep)])[0]

    def tiles(self, visit: Callable[[int, slice, slice, numpy.ndarray], Any]) -> list[Any]:
        return self.together([(self, "tiles", visit)])[0]

    def sweep(self, transposed: bool = False, low: TiledMatrix | None = None) -> MatrixFacts:
        """See ``facts.sweep``. low: what ``kept_single`` gave, whose tiles are made on the way."""
        return self.together([(self, "sweep", transposed, low)])[0]

    def kept_single(self) -> TiledMatrix | None:
        """``single(0)`` where it is going to keep its tiles; entries out of its range will be infinite."""
        low = self.single(0) if str(self.dtype) in SINGLE else None
        return low if low is not None and low._keeps else None

    def survey(self, sketch: CountSketch, transposed: bool = False) -> tuple[MatrixFacts, numpy.ndarray]:
        """(what ``sweep`` finds, S A in double precision), transposed of A^T; one read."""
        return self.together([(self, "survey", sketch, transposed)])[0]

    def turns(self, cols: slice, Y: numpy.ndarray) -> bool:
        """Whether Y^T A stands in for A^T Y: from memory a quarter faster in double precision (bench/tiles.py)."""
        if self.dtype != np.float64 or Y.dtype != np.float64:
            return False
        return self._least * (cols.stop - cols.start) * Y.shape[1] > _SMALL_PRODUCT

    def gram(self) -> numpy.ndarray:
        """A^H A, products in the precision of the matrix, their sum in double; strips in parallel, added in order."""
        n = self.shape[1]
        return self._gram(self.row_blocks, lambda rows: self._part(rows, slice(0, n)))

    def adjoint_gram(self) -> numpy.ndarray:
        """A A^H, in the same way."""
        m = self.shape[0]
        return self._gram(self.col_blocks, lambda cols: self._part(slice(0, m), cols).conj().T)

    def _gram(self, blocks: list[slice], piece: Callable[[slice], numpy.ndarray]) -> numpy.ndarray:
        n = self.shape[1 if blocks is self.row_blocks else 0]
        total = np.zeros((n, n), np.result_type(self.dtype, np.float64))
        last = len(blocks) - 1
        strips = [slice(blocks[i].start, blocks[min(i + FAN - 1, last)].stop) for i in range(0, len(blocks), FAN)]
        tree = TreeSum()

        def one(strip: slice) -> numpy.ndarray:
            # the blocks of one node of the tree in one product
            block = np.ascontiguousarray(piece(strip))
            self.watch.came(block.size * self.source.dtype.itemsize)
            return (block.conj().T @ block).astype(total.dtype, copy=False)

        plan = waves(range(len(strips)), self.engine.threads)

        def start(first: int) -> Iterator[range]:
            self._tell()
            return iter(plan[first:])

        what = f"gram of {'rows' if blocks is self.row_blocks else 'columns'}"
        for wave in self.watch.steps(self, what, (), {"total": total, "sum": tree.state}, plan, start):
            for part in self.engine.map(lambda i, wave=wave: one(strips[wave[i]]), len(wave)):  # type: ignore[misc]
                tree.add(part, 1)
            if wave.stop == len(strips):
                total[...] = tree.total()
        return total

    def rows(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> numpy.ndarray:
        return self.watch.result(
            self, "rows", (index, scale), lambda: self._scaled_values(self.source.rows(index, scale))
        )

    def cols(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> numpy.ndarray:
        return self.watch.result(
            self, "cols", (index, scale), lambda: self._scaled_values(self.source.cols(index, scale))
        )

    def _part(self, rows: slice, cols: slice) -> numpy.ndarray:
        return self._scaled_values(self.source.part(rows, cols))

    def block(self, rows: slice, cols: slice) -> numpy.ndarray:
        return row_contiguous(self._part(rows, cols))


def _fused(matrix: TiledMatrix, X: Any, keep: bool = False, *, axis: int) -> Pass:
    """The two products of a fused pass: from one reading, or the second from another."""
    X = contiguous(X)
    if matrix.source.gives(axis, *matrix.grid) and not isinstance(X, Tall):
        return Fused(matrix, X, axis, keep)
    first, second = (AdjointMultiplied, matrix.matmat) if axis else (Multiplied, matrix.rmatmat)
    return Chained(first(matrix, X, keep), lambda Y: second(Y, isinstance(X, Tall)))


def _sweeping(matrix: TiledMatrix, transposed: bool, low: TiledMatrix | None = None) -> Pass:
    look, conclude = looking(matrix, transposed)

    def look_and_round(number: int, rows: slice, cols: slice, tile: numpy.ndarray) -> Any:
        found = look(number, rows, cols, tile)
        with np.errstate(all="ignore"):
            low._keep(rows, cols, tile)  # type: ignore[union-attr]
        return found

    return Visited(matrix, look if low is None else look_and_round, conclude)


#: The passes that can share a reading with others, by the names of the methods that make them alone.
_PASSES: dict[str, Callable[[TiledMatrix, Any], Pass]] = {
    "matmat": Multiplied,
    "rmatmat": AdjointMultiplied,
    "normal_matmat": functools.partial(_fused, axis=0),
    "adjoint_normal_matmat": functools.partial(_fused, axis=1),
    "tiles": Visited,
    "sweep": _sweeping,
    "survey": Surveyed,
}
