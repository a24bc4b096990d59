"""A dense matrix over a fixed grid of tiles: the arithmetic of every product, whatever stores the values."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..engines.threads import Engine, SerialEngine
from ..kernels.gather import gather_columns, gather_rows, seconds_saved
from ..kernels.jit import pays
from ..lazy import np
from .facts import MatrixFacts, sweep
from .grid import cuts, ranges, visit_tiles, waves

if TYPE_CHECKING:
    import numpy

#: BLAS takes other paths, with other rounding, for products this small and for single columns, and which path
#: depends on storage order and stride; such tiles are copied to C order first. Above, the packed kernels see the
#: same numbers in the same order whatever the storage (measured: OpenBLAS 0.3.31, all four dtypes).
_SMALL_PRODUCT = 4_000_000
#: Rows of a strip of a Gram matrix.
_GRAM_ROWS = 2048
#: Entries of a strip whose tiles, where they are copies, are kept from the first product to the second.
_STRIP = 4_000_000
#: Tiles rounded to single precision are kept up to this many bytes; those of larger matrices are rounded each time they
#: are used. The bits are the same.
SINGLE_COPY = 64 << 20
#: Single precision of the dtypes that have one to go down to.
SINGLE = {"float64": "float32", "complex128": "complex64"}


class TiledMatrix:
    """Tiles of a 2-D array in memory, in either storage order, through an engine.

    A X runs in parallel over row blocks and A^H Y over column blocks, each summing its tiles in index order, so the
    bits depend on neither threads nor storage. ``exponent`` scales: the matrix is array * 2**exponent, exactly.
    ``name`` is what messages call it. ``dtype``: that of the array, or a lower precision its entries are rounded to.
    """

    nnz: int | None = None

    def __init__(
        self,
        array: numpy.ndarray,
        engine: Engine | None = None,
        exponent: int = 0,
        name: str | None = None,
        dtype: numpy.dtype | None = None,
    ):
        self.name = name
        # NumPy multiplies misaligned arrays in a loop of its own, which rounds differently
        self.array = array if array.flags.aligned else array.copy(order="K")
        self.engine = engine or SerialEngine()
        self._exponent = exponent
        self.shape: tuple[int, int] = (int(array.shape[0]), int(array.shape[1]))
        self.dtype = array.dtype if dtype is None else np.dtype(dtype)
        self._rounds = self.dtype != array.dtype
        self._keeps = self._rounds and array.size * self.dtype.itemsize <= SINGLE_COPY
        self._kept: dict[tuple[int, int], numpy.ndarray] = {}
        self._scratch = threading.local()
        self.grid: tuple[Sequence[int], Sequence[int]] = (cuts(self.shape[0]), cuts(self.shape[1]))

    def scaled(self, exponent: int) -> TiledMatrix:
        """This matrix times 2**exponent; nothing is copied, tiles are scaled as they are used."""
        return TiledMatrix(self.array, self.engine, self._exponent + exponent, self.name, self.dtype)

    def single(self, exponent: int) -> TiledMatrix:
        """This matrix times 2**exponent, every entry rounded to single precision: each tile when it is first used."""
        low = np.dtype(SINGLE[str(self.dtype)])
        return TiledMatrix(self.array, self.engine, self._exponent + exponent, self.name, low)

    def _tile(self, rows: slice, cols: slice) -> numpy.ndarray:
        tile = self.array[rows, cols]
        if self._exponent:
            tile = scale_exactly(tile, self._exponent)
        return tile if tile.dtype == self.dtype else tile.astype(self.dtype)

    def _operand(self, rows: slice, cols: slice, width: int, slot: int = 0) -> numpy.ndarray:
        """The tile as a factor of a product; a rounded one is good until this thread asks for another in its slot."""
        if self._rounds:
            return self._rounded_tile(rows, cols, slot)
        tile = self._tile(rows, cols)
        if width == 1 or tile.size * width <= _SMALL_PRODUCT:
            return np.ascontiguousarray(tile)
        return tile

    def _rounded_tile(self, rows: slice, cols: slice, slot: int) -> numpy.ndarray:
        place = rows.start, cols.start
        if place in self._kept:
            return self._kept[place]
        tile = self.array[rows, cols]
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

    def matmat(self, X: numpy.ndarray) -> numpy.ndarray:
        X = np.ascontiguousarray(X)
        dtype = np.result_type(self.dtype, X.dtype)
        out = np.empty((self.shape[0], X.shape[1]), dtype)
        row_ranges, col_ranges = ranges(self.grid[0]), ranges(self.grid[1])

        def block(i: int) -> None:
            rows = row_ranges[i]
            total = out[rows]
            _sum_products(total, ((self._operand(rows, cols, X.shape[1]), X[cols]) for cols in col_ranges))

        self.engine.map(block, len(row_ranges))
        return out

    def rmatmat(self, Y: numpy.ndarray) -> numpy.ndarray:
        Y = np.ascontiguousarray(Y)
        out = np.empty((self.shape[1], Y.shape[1]), np.result_type(self.dtype, Y.dtype))
        row_ranges, col_ranges = ranges(self.grid[0]), ranges(self.grid[1])

        def block(j: int) -> None:
            cols = col_ranges[j]
            self._sum_adjoint(cols, Y, out[cols], lambda i: self._operand(row_ranges[i], cols, Y.shape[1]))

        self.engine.map(block, len(col_ranges))
        return out

    def _sum_adjoint(
        self, cols: slice, Y: numpy.ndarray, total: numpy.ndarray, tile: Callable[[int], numpy.ndarray]
    ) -> None:
        """total = A[:, cols]^H Y, tile(i) being A[rows i, cols]."""
        row_ranges = ranges(self.grid[0])
        if not self._turns(cols, Y):
            _sum_products(total, ((tile(i).conj().T, Y[rows]) for i, rows in enumerate(row_ranges)))
            return
        across = np.empty(total.shape[::-1], total.dtype)
        _sum_products(across, ((Y[rows].T, tile(i)) for i, rows in enumerate(row_ranges)))
        total[...] = across.T

    def _turns(self, cols: slice, Y: numpy.ndarray) -> bool:
        """Whether Y^T A stands in for A^T Y: from memory a quarter faster in double precision (bench/tiles.py)."""
        if self.dtype != np.float64 or Y.dtype != np.float64:
            return False
        least = min(rows.stop - rows.start for rows in ranges(self.grid[0]))
        return least * (cols.stop - cols.start) * Y.shape[1] > _SMALL_PRODUCT

    def normal_matmat(self, X: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
        """(A X, A^H (A X)), the bits of ``matmat`` and ``rmatmat`` after one another, each strip read once.

        What the strips add to the second product is summed in their order, a wave of them at a time; so with
        ``adjoint_normal_matmat``.
        """
        X = np.ascontiguousarray(X)
        pieces = ranges(self.grid[1])

        def strip(rows: slice, total: numpy.ndarray, parts: numpy.ndarray) -> None:
            tile = self._strip_tiles([(rows, cols) for cols in pieces], X.shape[1])
            _sum_products(total, ((tile(j), X[cols]) for j, cols in enumerate(pieces)))
            for j, cols in enumerate(pieces):
                if self._turns(cols, total):
                    parts[cols] = np.matmul(total.T, tile(j)).T
                else:
                    np.matmul(tile(j).conj().T, total, out=parts[cols])

        return self._fused(X, ranges(self.grid[0]), pieces, strip)

    def adjoint_normal_matmat(self, Y: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
        """(A^H Y, A (A^H Y)), the bits of ``rmatmat`` and ``matmat`` after one another, each strip read once."""
        Y = np.ascontiguousarray(Y)
        pieces = ranges(self.grid[0])

        def strip(cols: slice, total: numpy.ndarray, parts: numpy.ndarray) -> None:
            tile = self._strip_tiles([(rows, cols) for rows in pieces], Y.shape[1])
            self._sum_adjoint(cols, Y, total, tile)
            for i, rows in enumerate(pieces):
                np.matmul(tile(i), total, out=parts[rows])

        return self._fused(Y, ranges(self.grid[1]), pieces, strip)

    def _strip_tiles(self, places: list[tuple[slice, slice]], width: int) -> Callable[[int], numpy.ndarray]:
        """The tiles of a strip by number; copies serve both products, where a strip of them is not too much."""
        entries = sum((rows.stop - rows.start) * (cols.stop - cols.start) for rows, cols in places)
        if not self._rounds or entries > _STRIP:
            return lambda j: self._operand(*places[j], width)
        tiles = [self._operand(*place, width, j) for j, place in enumerate(places)]
        return lambda j: tiles[j]

    def _fused(
        self,
        X: numpy.ndarray,
        strips: list[slice],
        pieces: list[slice],
        work: Callable[[slice, numpy.ndarray, numpy.ndarray], None],
    ) -> tuple[numpy.ndarray, numpy.ndarray]:
        b, dtype = X.shape[1], np.result_type(self.dtype, X.dtype)
        out, back = np.empty((strips[-1].stop, b), dtype), np.empty((pieces[-1].stop, b), dtype)
        for wave in waves(len(strips), self.engine.threads):
            parts = np.empty((len(wave), *back.shape), dtype)

            def strip(i: int, wave: range = wave, parts: numpy.ndarray = parts) -> None:
                along = strips[wave[i]]
                work(along, out[along], parts[i])

            def add(j: int, wave: range = wave, parts: numpy.ndarray = parts) -> None:
                total = back[pieces[j]]
                for i in range(len(wave)):
                    if wave[i] == 0:
                        total[...] = parts[i][pieces[j]]
                    else:
                        total += parts[i][pieces[j]]

            self.engine.map(strip, len(wave))
            self.engine.map(add, len(pieces))
        return out, back

    def gram(self) -> numpy.ndarray:
        """A^H A, products in the precision of the matrix, their sum in double; strips in parallel, added in order."""
        n = self.shape[1]
        return self._gram(self.shape[0], n, lambda strip: self._tile(strip, slice(0, n)))

    def adjoint_gram(self) -> numpy.ndarray:
        """A A^H, in the same way."""
        m = self.shape[0]
        return self._gram(self.shape[1], m, lambda strip: self._tile(slice(0, m), strip).conj().T)

    def _gram(self, length: int, n: int, piece: Callable[[slice], numpy.ndarray]) -> numpy.ndarray:
        strips = ranges(cuts(length, _GRAM_ROWS))
        total = np.zeros((n, n), np.result_type(self.dtype, np.float64))

        def one(strip: slice) -> numpy.ndarray:
            block = np.ascontiguousarray(piece(strip))
            return block.conj().T @ block

        for wave in waves(len(strips), self.engine.threads):
            for part in self.engine.map(lambda i, wave=wave: one(strips[wave[i]]), len(wave)):  # type: ignore[misc]
                total += part
        return total

    def rows(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> numpy.ndarray:
        return self._rounded(gather_rows(self.array, index, scale))

    def cols(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> numpy.ndarray:
        use = pays(seconds_saved(self.shape[0], len(index)))
        return self._rounded(gather_columns(self.array, index, scale, compiled=use))

    def _rounded(self, picked: numpy.ndarray) -> numpy.ndarray:
        return scale_exactly(picked, self._exponent).astype(self.dtype, copy=False)

    def block(self, rows: slice, cols: slice) -> numpy.ndarray:
        return row_contiguous(self._tile(rows, cols))

    def tiles(self, visit: Callable[[int, slice, slice, numpy.ndarray], Any]) -> list[Any]:
        return visit_tiles(self, self.engine, visit)

    def sweep(self, transposed: bool = False) -> MatrixFacts:
        return sweep(self, transposed)


def _sum_products(total: numpy.ndarray, pairs: Any) -> None:
    """total = sum of left @ right over the pairs, added in order."""
    scratch = None
    for number, (left, right) in enumerate(pairs):
        if number == 0:
            np.matmul(left, right, out=total)
            continue
        if scratch is None:
            scratch = np.empty_like(total)
        np.matmul(left, right, out=scratch)
        np.add(total, scratch, out=total)


def row_contiguous(tile: numpy.ndarray) -> numpy.ndarray:
    """The tile with its rows contiguous: itself when it is so, else a C-ordered copy."""
    return tile if tile.strides[1] == tile.itemsize else np.ascontiguousarray(tile)


def scale_exactly(array: numpy.ndarray, exponent: int) -> numpy.ndarray:
    """array * 2**exponent, exact but for underflow; works where 2**exponent itself would overflow."""
    if exponent == 0:
        return array
    if np.iscomplexobj(array):
        parts = np.ascontiguousarray(array).view(array.real.dtype)
        return np.ldexp(parts, exponent).view(array.dtype)
    return np.ldexp(array, exponent)
