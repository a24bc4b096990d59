"""A sparse matrix: CSR for A X, its transposed copy for A^H Y, each summing a row's entries in stored order.

Sums over rows, those of A^H Y and of the lengths of columns, are by stretches of rows, which are added in the tree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..engines.threads import Engine, SerialEngine
from ..kernels import csr as kernel
from ..kernels import jit
from ..kernels.sweep import TileFacts, tile_sweep
from ..lazy import np
from .dense import SINGLE
from .facts import MatrixFacts, combine, refuse_not_finite
from .grid import one_by_one, ranges, sparse_grid, sparse_row_cuts, stretch, visit_tiles
from .scattered import Scattered
from .tiles import scale_exactly
from .watch import UNWATCHED, Watch

if TYPE_CHECKING:
    import numpy

#: Columns of products a run is expected to take, for the estimate whether compiled kernels pay.
_USUAL_COLUMNS = 512


@dataclasses.dataclass(frozen=True, eq=False)
class Piece:
    """Some entries of a sparse matrix."""

    rows: numpy.ndarray
    cols: numpy.ndarray
    data: numpy.ndarray


def compiled_for(nnz: int, dtype: numpy.dtype) -> bool:
    """Whether compiled kernels pay for a matrix of so many entries."""
    return jit.pays(kernel.seconds_saved(nnz, _USUAL_COLUMNS)) and dtype.kind == "f"


class SparseMatrix:
    """A canonical SciPy csr_array (sorted indices, no duplicates) through an engine.

    Work estimates, and so the choice of kernel, follow from the number of entries and the dtype alone.
    """

    def __init__(self, array: Any, engine: Engine | None = None, name: str | None = None, watch: Watch = UNWATCHED):
        self.name, self.watch = name, watch
        self.array = array
        self.engine = engine or SerialEngine()
        self.shape: tuple[int, int] = (int(array.shape[0]), int(array.shape[1]))
        self.dtype = array.dtype
        self.nnz: int | None = int(array.nnz)
        self.row_pointer = array.indptr
        self.grid: tuple[Sequence[int], Sequence[int]] = sparse_grid(array.indptr, self.shape[1])
        self.compiled = compiled_for(int(array.nnz), self.dtype)
        self._adjoint: tuple[Any, Any, Any] | None = None

    def scaled(self, exponent: int) -> SparseMatrix:
        """A copy of the values times 2**exponent; the pattern is shared."""
        from scipy.sparse import csr_array

        a = self.array
        made = csr_array((scale_exactly(a.data, exponent), a.indices, a.indptr), shape=a.shape, copy=False)
        return SparseMatrix(made, self.engine, self.name, self.watch)

    def single(self, exponent: int) -> SparseMatrix:
        """A copy of the values times 2**exponent in single precision; the patterns of both orientations are shared."""
        from scipy.sparse import csr_array

        def rounded(data: numpy.ndarray) -> numpy.ndarray:
            return scale_exactly(data, exponent).astype(SINGLE[str(self.dtype)])

        a = self.array
        low = SparseMatrix(
            csr_array((rounded(a.data), a.indices, a.indptr), shape=a.shape, copy=False),
            self.engine,
            self.name,
            self.watch,
        )
        indptr, indices, data = self._transposed()
        low._adjoint = indptr, indices, rounded(data)
        return low

    def identity(self) -> tuple[Any, ...]:
        """Where two matrices agree in it, they are equal."""
        a = self.array
        return "sparse", *self.shape, a.indptr, a.indices, a.data

    def matmat(self, X: numpy.ndarray, keep: bool = False) -> numpy.ndarray:
        a = self.array
        return self.watch.result(
            self, "matmat", (X,), lambda: self._multiply(a.indptr, a.indices, a.data, X, self.grid[0])
        )

    def rmatmat(self, Y: numpy.ndarray, keep: bool = False) -> numpy.ndarray:
        def make() -> numpy.ndarray:
            indptr, indices, data = self._transposed()
            return self._multiply(indptr, indices, data, Y, sparse_row_cuts(indptr), stretch(self.shape[0]))

        return self.watch.result(self, "rmatmat", (Y,), make)

    def _transposed(self) -> tuple[Any, Any, Any]:
        if self._adjoint is None:
            a = self.array
            self._adjoint = kernel.transpose_csr(
                a.indptr, a.indices, a.data, self.shape, conjugate=self.dtype.kind == "c", compiled=self.compiled
            )
        return self._adjoint

    def _multiply(
        self,
        indptr: numpy.ndarray,
        indices: numpy.ndarray,
        data: numpy.ndarray,
        X: numpy.ndarray,
        marks: Sequence[int],
        by: int = 0,
    ) -> numpy.ndarray:
        X = np.ascontiguousarray(X)
        out = np.empty((len(indptr) - 1, X.shape[1]), np.result_type(data.dtype, X.dtype))
        blocks = ranges(marks)
        entry = data.itemsize + indices.itemsize
        self.watch.reads(len(data) * entry)

        def block(i: int) -> None:
            rows = blocks[i]
            kernel.csr_matmat(indptr, indices, data, X, out[rows], rows.start, rows.stop, self.compiled, by)
            self.watch.came(int(indptr[rows.stop] - indptr[rows.start]) * entry)

        self.engine.map(block, len(blocks))
        return out

    def normal_matmat(self, X: numpy.ndarray, keep: bool = False) -> tuple[numpy.ndarray, numpy.ndarray]:
        Y = self.matmat(X)
        return Y, self.rmatmat(Y)

    def adjoint_normal_matmat(self, Y: numpy.ndarray, keep: bool = False) -> tuple[numpy.ndarray, numpy.ndarray]:
        X = self.rmatmat(Y)
        return X, self.matmat(X)

    def rows(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> Any:
        picked = self.array[index, :]
        return picked if scale is None else scaled_lines(picked, scale[:, None])

    def cols(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> Any:
        picked = self.array[:, index]
        picked.sort_indices()
        return picked if scale is None else scaled_lines(picked, scale[None, :])

    def block(self, rows: slice, cols: slice) -> numpy.ndarray:
        return np.ascontiguousarray(self.array[rows, cols].toarray())

    def occupied(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Which rows, and which columns, have stored entries."""
        columns = np.zeros(self.shape[1], bool)
        columns[self.array.indices] = True
        return np.diff(self.array.indptr) > 0, columns

    def restricted(self, rows: numpy.ndarray, cols: numpy.ndarray) -> SparseMatrix:
        """The matrix of the rows and columns at these indices, on the same engine."""
        return SparseMatrix(self.array[rows][:, cols], self.engine, self.name, self.watch)

    def together(self, asks: Sequence[tuple[Any, ...]]) -> list[Any]:
        return one_by_one(asks)

    def row_parts(self) -> Iterator[tuple[range, Any]]:
        """(row blocks, their rows as a csr_array): all of them at once."""
        yield range(len(self.grid[0]) - 1), self.array

    def entries(self) -> Iterator[Piece]:
        """Rows, columns and values of all entries, by rows."""
        a = self.array
        yield Piece(np.repeat(np.arange(self.shape[0]), np.diff(a.indptr)), a.indices, a.data)

    def tiles(self, visit: Callable[[int, slice, slice, numpy.ndarray], Any]) -> list[Any]:
        return visit_tiles(self, self.engine, visit)

    def sweep(self, transposed: bool = False) -> MatrixFacts:
        """From the stored entries alone; the squares of a row are added in stored order, those of a column as A^H Y."""
        a = self.array
        facts = tile_sweep(a.data[None, :])
        rows = np.repeat(np.arange(self.shape[0]), np.diff(a.indptr))
        if facts.first_bad is not None:
            position = facts.first_bad[1]
            refuse_not_finite(int(rows[position]), int(a.indices[position]), facts.bad, self.name)
        m, n = self.shape
        length, squares = m if transposed else n, facts.column_squares
        if transposed:
            lines = np.bincount(rows, weights=squares, minlength=m)
        else:
            sums = Scattered((n,), squares.dtype, m, stretch(m))
            sums.take(slice(0, m), a.indptr, a.indices, lambda _, at, part: np.add.at(part, a.indices[at], squares[at]))
            lines = sums.total()
        seen = TileFacts(facts.max_abs, facts.exponent, lines, 0, None)
        return combine([(slice(0, length), seen)], length, "numpy")


def scaled_lines(array: Any, factors: numpy.ndarray) -> Any:
    """Its rows (factors a column) or columns (a row) times real factors."""
    return array.multiply(factors.astype(array.real.dtype)).tocsr()
