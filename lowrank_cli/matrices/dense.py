"""A dense matrix over a fixed grid of tiles: the arithmetic of every product, whatever stores the values."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..engines.threads import Engine, SerialEngine
from ..lazy import np
from .facts import MatrixFacts, sweep
from .grid import FAN, TreeSum, cuts, ranges, waves
from .slabs import InMemory, Slab, Source, compared, entries
from .tall import Tall, contiguous, room
from .tiles import row_contiguous, scale_exactly, sum_products
from .watch import UNWATCHED, Watch

if TYPE_CHECKING:
    import numpy

#: BLAS takes other paths, with other rounding, for products this small and for single columns, and which path
#: depends on storage order and stride; such tiles are copied to C order first. Above, the packed kernels see the
#: same numbers in the same order whatever the storage (measured: OpenBLAS 0.3.31, all four dtypes).
_SMALL_PRODUCT = 4_000_000
#: Entries of a strip whose tiles, where they are copies, are kept from the first product to the second.
_STRIP = 4_000_000
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
    lower precision its entries are rounded to. ``watch`` is told of every block that a pass is done with.
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
    ):
        self.name, self.watch = name, watch
        self.source: Source = InMemory(array) if isinstance(array, np.ndarray) else array
        self.engine = engine or SerialEngine()
        self._exponent = exponent
        self.shape: tuple[int, int] = self.source.shape
        self.dtype = self.source.dtype if dtype is None else np.dtype(dtype)
        self._rounds = self.dtype != self.source.dtype
        size = self.shape[0] * self.shape[1] * self.dtype.itemsize
        self._keeps = self._rounds and self.source.strips == "both" and size <= SINGLE_COPY
        self._kept: dict[tuple[int, int], numpy.ndarray] = {}
        self._scratch = threading.local()
        self.grid: tuple[Sequence[int], Sequence[int]] = (cuts(self.shape[0]), cuts(self.shape[1]))
        self._row_blocks, self._col_blocks = ranges(self.grid[0]), ranges(self.grid[1])

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

    def _slabs(self, what: str, operands: Sequence[Any], state: dict[str, Any]) -> Iterator[Slab]:
        """The slabs that a pass has still to work on; see ``Watch.steps``."""
        plan = self.source.plan(*self.grid)

        def start(first: int) -> Iterator[Slab]:
            self._tell()
            rows, cols = self._row_blocks, self._col_blocks
            self.watch.came(entries(plan[:first], rows, cols) * self.source.dtype.itemsize)
            slabs, sums = self.source.slabs(*self.grid, first), self.sums
            return slabs if sums is None else compared(slabs, sums, rows, cols, self.engine, self.name)

        return self.watch.steps(self, what, operands, state, plan, start)

    def _tell(self) -> None:
        self.watch.reads(self.shape[0] * self.shape[1] * self.source.dtype.itemsize)

    def _each(self, slab: Slab, axis: int, work: Callable[[int], None], blocks: range | None = None) -> None:
        """work(i) for the row blocks (axis 0) or column blocks (1) of a slab, or some of them, on the engine."""
        ours = slab.col_blocks if axis else slab.row_blocks
        blocks = ours if blocks is None else blocks
        slices, across = (self._col_blocks, self._row_blocks) if axis else (self._row_blocks, self._col_blocks)
        others = slab.row_blocks if axis else slab.col_blocks
        length = across[others.stop - 1].stop - across[others.start].start

        def one(number: int) -> None:
            block = blocks[number]
            work(block)
            self.watch.came((slices[block].stop - slices[block].start) * length * self.source.dtype.itemsize)

        self.engine.map(one, len(blocks))

    def _tile(self, slab: Slab, rows: slice, cols: slice) -> numpy.ndarray:
        return self._scaled_values(slab.tile(rows, cols))

    def _scaled_values(self, values: numpy.ndarray) -> numpy.ndarray:
        return scale_exactly(values, self._exponent).astype(self.dtype, copy=False)

    def _operand(self, slab: Slab, rows: slice, cols: slice, width: int, slot: int = 0) -> numpy.ndarray:
        """The tile as a factor of a product; a rounded one is good until this thread asks for another in its slot."""
        if self._rounds:
            return self._rounded_tile(slab, rows, cols, slot)
        tile = self._tile(slab, rows, cols)
        if width == 1 or tile.size * width <= _SMALL_PRODUCT:
            return np.ascontiguousarray(tile)
        return tile

    def _rounded_tile(self, slab: Slab, rows: slice, cols: slice, slot: int) -> numpy.ndarray:
        place = rows.start, cols.start
        if place in self._kept:
            return self._kept[place]
        tile = slab.tile(rows, cols)
        if self._keeps:
            out = np.empty(tile.shape, self.dtype)
        else:
            # memory that the system has to provide anew for every tile costs more than the rounding itself
            kept: dict[Any, numpy.ndarray] = vars(self._scratch)
            if slot not in kept or kept[slot].size < tile.size:
                kept[slot] = np.empty(tile.size, self.dtype)
            out = kept[slot][: tile.size].reshape(tile.shape)
        np.copyto(out, scale_exactly(tile, self._exponent), casting="same_kind")
        if self._keeps:
            self._kept[place] = out
        return out

    def matmat(self, X: numpy.ndarray, keep: bool = False) -> Any:
        X = contiguous(X)
        out = (room if keep else np.empty)((self.shape[0], X.shape[1]), np.result_type(self.dtype, X.dtype))

        def block(slab: Slab, i: int) -> None:
            rows = self._row_blocks[i]
            pieces = [self._col_blocks[j] for j in slab.col_blocks]
            pairs = ((self._operand(slab, rows, cols, X.shape[1]), X[cols]) for cols in pieces)
            total = out[rows]
            sum_products(total, pairs, slab.col_blocks.start == 0)
            if isinstance(out, Tall):
                out[rows] = total

        for slab in self._slabs("matmat", (X,), {"out": out}):
            self._each(slab, 0, functools.partial(block, slab))
        return out

    def rmatmat(self, Y: numpy.ndarray, keep: bool = False) -> Any:
        Y = contiguous(Y)
        out = (room if keep else np.empty)((self.shape[1], Y.shape[1]), np.result_type(self.dtype, Y.dtype))
        sums = [TreeSum() for _ in self._col_blocks]

        def block(slab: Slab, j: int) -> None:
            cols = self._col_blocks[j]
            self._sum_adjoint(
                slab, cols, Y, sums[j], lambda i: self._operand(slab, self._row_blocks[i], cols, Y.shape[1])
            )
            if slab.row_blocks.stop == len(self._row_blocks):
                total = sums[j].total()
                out[cols] = total.T if self._turns(cols, Y) else total

        for slab in self._slabs("rmatmat", (Y,), {"out": out, "sums": [tree.state for tree in sums]}):
            self._each(slab, 1, functools.partial(block, slab))
        return out

    def _sum_adjoint(
        self, slab: Slab, cols: slice, Y: numpy.ndarray, total: TreeSum, tile: Callable[[int], numpy.ndarray]
    ) -> None:
        """To total is added A[:, cols]^H Y, or its transpose where products are turned, over the slab's rows; tile(i)
        is A[rows i, cols]."""
        turns = self._turns(cols, Y)
        scratch: list[numpy.ndarray] = []
        for i in slab.row_blocks:
            rows = self._row_blocks[i]
            if turns:
                total.add_product(Y[rows].T, tile(i), scratch)
            else:
                total.add_product(tile(i).conj().T, Y[rows], scratch)

    def _turns(self, cols: slice, Y: numpy.ndarray) -> bool:
        """Whether Y^T A stands in for A^T Y: from memory a quarter faster in double precision (bench/tiles.py)."""
        if self.dtype != np.float64 or Y.dtype != np.float64:
            return False
        least = min(rows.stop - rows.start for rows in self._row_blocks)
        return least * (cols.stop - cols.start) * Y.shape[1] > _SMALL_PRODUCT

    def normal_matmat(self, X: numpy.ndarray, keep: bool = False) -> tuple[Any, numpy.ndarray]:
        """(A X, A^H (A X)), the bits of ``matmat`` and ``rmatmat`` after one another, each strip read once where strips
        are whole rows.

        What the strips add to the second product is summed in their order, a wave of them at a time; so with
        ``adjoint_normal_matmat``.
        """
        X = contiguous(X)
        if self.source.strips not in (0, "both") or isinstance(X, Tall):
            Y = self.matmat(X, keep)
            return Y, self.rmatmat(Y, isinstance(X, Tall))
        pieces = self._col_blocks

        def strip(slab: Slab, rows: slice, total: numpy.ndarray, parts: numpy.ndarray) -> None:
            tile = self._strip_tiles(slab, [(rows, cols) for cols in pieces], X.shape[1])
            sum_products(total, ((tile(j), X[cols]) for j, cols in enumerate(pieces)))
            for j, cols in enumerate(pieces):
                if self._turns(cols, total):
                    parts[cols] = np.matmul(total.T, tile(j)).T
                else:
                    np.matmul(tile(j).conj().T, total, out=parts[cols])

        return self._fused(X, 0, strip, room if keep else np.empty)

    def adjoint_normal_matmat(self, Y: numpy.ndarray, keep: bool = False) -> tuple[Any, numpy.ndarray]:
        """(A^H Y, A (A^H Y)), the bits of ``rmatmat`` and ``matmat`` after one another, each strip read once where
        strips are whole columns."""
        Y = contiguous(Y)
        if self.source.strips not in (1, "both") or isinstance(Y, Tall):
            X = self.rmatmat(Y, keep)
            return X, self.matmat(X, isinstance(Y, Tall))
        pieces = self._row_blocks

        def strip(slab: Slab, cols: slice, total: numpy.ndarray, parts: numpy.ndarray) -> None:
            tile = self._strip_tiles(slab, [(rows, cols) for rows in pieces], Y.shape[1])
            tree = TreeSum()
            self._sum_adjoint(slab, cols, Y, tree, tile)
            summed = tree.total()
            total[...] = summed.T if self._turns(cols, Y) else summed
            for i, rows in enumerate(pieces):
                np.matmul(tile(i), total, out=parts[rows])

        return self._fused(Y, 1, strip, room if keep else np.empty)

    def _strip_tiles(self, slab: Slab, places: list[tuple[slice, slice]], width: int) -> Callable[[int], numpy.ndarray]:
        """The tiles of a strip by number; copies serve both products, where a strip of them is not too much."""
        entries = sum((rows.stop - rows.start) * (cols.stop - cols.start) for rows, cols in places)
        if not self._rounds or entries > _STRIP:
            return lambda j: self._operand(slab, *places[j], width)
        tiles = [self._operand(slab, *place, width, j) for j, place in enumerate(places)]
        return lambda j: tiles[j]

    def _fused(
        self,
        X: numpy.ndarray,
        axis: int,
        work: Callable[[Slab, slice, numpy.ndarray, numpy.ndarray], None],
        make: Callable[[tuple[int, int], numpy.dtype], Any],
    ) -> tuple[Any, numpy.ndarray]:
        """The row strips (axis 0) or column strips (1) of each slab in waves: what they add to the second product is
        kept, then added."""
        strips, pieces = (self._col_blocks, self._row_blocks) if axis else (self._row_blocks, self._col_blocks)
        b, dtype = X.shape[1], np.result_type(self.dtype, X.dtype)
        out, back = make((strips[-1].stop, b), dtype), np.empty((pieces[-1].stop, b), dtype)
        sums = [TreeSum() for _ in pieces]
        state = {"out": out, "back": back, "sums": [tree.state for tree in sums]}
        for slab in self._slabs(f"fused {axis}", (X,), state):
            for wave in waves(slab.col_blocks if axis else slab.row_blocks, self.engine.threads):
                parts = np.empty((len(wave), *back.shape), dtype)

                def strip(i: int, slab: Slab = slab, wave: range = wave, parts: numpy.ndarray = parts) -> None:
                    total = out[strips[i]]
                    work(slab, strips[i], total, parts[i - wave.start])
                    if isinstance(out, Tall):
                        out[strips[i]] = total

                def add(j: int, wave: range = wave, parts: numpy.ndarray = parts) -> None:
                    for i in range(len(wave)):
                        part = parts[i][pieces[j]]
                        sums[j].add(part.copy() if sums[j].fresh else part)
                    if wave.stop == len(strips):
                        back[pieces[j]] = sums[j].total()

                self._each(slab, axis, strip, wave)
                self.engine.map(add, len(pieces))
        return out, back

    def gram(self) -> numpy.ndarray:
        """A^H A, products in the precision of the matrix, their sum in double; strips in parallel, added in order."""
        n = self.shape[1]
        return self._gram(self._row_blocks, lambda rows: self._part(rows, slice(0, n)))

    def adjoint_gram(self) -> numpy.ndarray:
        """A A^H, in the same way."""
        m = self.shape[0]
        return self._gram(self._col_blocks, lambda cols: self._part(slice(0, m), cols).conj().T)

    def _gram(self, blocks: list[slice], piece: Callable[[slice], numpy.ndarray]) -> numpy.ndarray:
        n = self.shape[1 if blocks is self._row_blocks else 0]
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

        what = f"gram of {'rows' if blocks is self._row_blocks else 'columns'}"
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

    def tiles(self, visit: Callable[[int, slice, slice, numpy.ndarray], Any]) -> list[Any]:
        width = len(self._col_blocks)
        found: list[Any] = [None] * (width * len(self._row_blocks))

        def strip(slab: Slab, i: int) -> None:
            rows = self._row_blocks[i]
            for j in slab.col_blocks:
                cols = self._col_blocks[j]
                found[i * width + j] = visit(i, rows, cols, row_contiguous(self._tile(slab, rows, cols)))

        for slab in self._slabs("tiles", (visit,), {"found": found}):
            self._each(slab, 0, functools.partial(strip, slab))
        return found

    def sweep(self, transposed: bool = False) -> MatrixFacts:
        return sweep(self, transposed)
