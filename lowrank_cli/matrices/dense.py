"""A dense matrix over a fixed grid of tiles: the arithmetic of every product, whatever stores the values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..engines.threads import Engine, SerialEngine
from ..kernels.gather import gather_columns, gather_rows, seconds_saved
from ..kernels.jit import pays
from ..lazy import np
from .facts import MatrixFacts, sweep
from .grid import cuts, ranges, visit_tiles

if TYPE_CHECKING:
    import numpy

#: BLAS takes other paths, with other rounding, for products this small and for single columns, and which path
#: depends on storage order and stride; such tiles are copied to C order first. Above, the packed kernels see the
#: same numbers in the same order whatever the storage (measured: OpenBLAS 0.3.31, all four dtypes).
_SMALL_PRODUCT = 4_000_000


class TiledMatrix:
    """Tiles of a 2-D array in memory, in either storage order, through an engine.

    A X runs in parallel over row blocks and A^H Y over column blocks, each summing its tiles in index order, so the
    bits depend on neither threads nor storage. ``exponent`` scales: the matrix is array * 2**exponent, exactly.
    ``name`` is what messages call it.
    """

    nnz: int | None = None

    def __init__(self, array: numpy.ndarray, engine: Engine | None = None, exponent: int = 0, name: str | None = None):
        self.name = name
        # NumPy multiplies misaligned arrays in a loop of its own, which rounds differently
        self.array = array if array.flags.aligned else array.copy(order="K")
        self.engine = engine or SerialEngine()
        self._exponent = exponent
        self.shape: tuple[int, int] = (int(array.shape[0]), int(array.shape[1]))
        self.dtype = array.dtype
        self.grid: tuple[Sequence[int], Sequence[int]] = (cuts(self.shape[0]), cuts(self.shape[1]))

    def scaled(self, exponent: int) -> TiledMatrix:
        """This matrix times 2**exponent; nothing is copied, tiles are scaled as they are used."""
        return TiledMatrix(self.array, self.engine, self._exponent + exponent, self.name)

    def _tile(self, rows: slice, cols: slice) -> numpy.ndarray:
        tile = self.array[rows, cols]
        return scale_exactly(tile, self._exponent) if self._exponent else tile

    def _operand(self, rows: slice, cols: slice, width: int) -> numpy.ndarray:
        tile = self._tile(rows, cols)
        if width == 1 or tile.size * width <= _SMALL_PRODUCT:
            return np.ascontiguousarray(tile)
        return tile

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
        dtype = np.result_type(self.dtype, Y.dtype)
        out = np.empty((self.shape[1], Y.shape[1]), dtype)
        row_ranges, col_ranges = ranges(self.grid[0]), ranges(self.grid[1])

        def block(j: int) -> None:
            cols = col_ranges[j]
            total = out[cols]
            _sum_products(total, ((self._operand(rows, cols, Y.shape[1]).conj().T, Y[rows]) for rows in row_ranges))

        self.engine.map(block, len(col_ranges))
        return out

    def normal_matmat(self, X: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
        """(A X, A^H (A X)): in memory two sweeps give the bits that one sweep gives out of core."""
        Y = self.matmat(X)
        return Y, self.rmatmat(Y)

    def rows(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> numpy.ndarray:
        return scale_exactly(gather_rows(self.array, index, scale), self._exponent)

    def cols(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> numpy.ndarray:
        use = pays(seconds_saved(self.shape[0], len(index)))
        return scale_exactly(gather_columns(self.array, index, scale, compiled=use), self._exponent)

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
