"""The product X Y as a matrix that is never stored: what a column-row approximation is measured against."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..engines.threads import Engine, SerialEngine
from ..errors import UsageError
from ..lazy import np
from ..memory import available_memory
from .adjoint import Adjoint, adjoint_of
from .facts import MatrixFacts, sweep
from .grid import cuts, one_by_one, ranges, row_blocks, visit_tiles
from .metered import Metered

if TYPE_CHECKING:
    import numpy

    from .protocols import Matrix


#: A panel of rows of X that stays in its file takes this share of the memory there is.
PANELS = 4


class Product:
    """X (m, l) times Y (l, n). Blocks are summed over the inner tiles in index order. A pass costs 2 m n l flops."""

    nnz: int | None = None

    def __init__(self, X: Matrix, Y: Matrix, engine: Engine | None = None):
        if X.shape[1] != Y.shape[0]:
            (m, l), (k, n) = X.shape, Y.shape
            raise UsageError(
                f"the shapes do not chain: {m}x{l} times {k}x{n}",
                hint="the columns of X must be as many as the rows of Y",
            )
        self.X, self.Y = X, Y
        self.watch = X.watch
        self.engine = engine or SerialEngine()
        self.shape: tuple[int, int] = (X.shape[0], Y.shape[1])
        self.dtype = np.result_type(X.dtype, Y.dtype)
        self.grid: tuple[Sequence[int], Sequence[int]] = (cuts(self.shape[0]), cuts(self.shape[1]))
        self._inner = ranges(cuts(X.shape[1]))

    def identity(self) -> tuple[Any, ...]:
        """What is made of two matrices: where two products of these agree in it, they are equal."""
        return "product", *self.X.identity(), *self.Y.identity()

    def scaled(self, exponent: int) -> Product:
        """X Y times 2**exponent, X carrying it."""
        return Product(self.X.scaled(exponent), self.Y, self.engine)

    def matmat(self, Z: numpy.ndarray, keep: bool = False) -> numpy.ndarray:
        return self.X.matmat(self.Y.matmat(Z))

    def rmatmat(self, Z: numpy.ndarray, keep: bool = False) -> numpy.ndarray:
        return self.Y.rmatmat(self.X.rmatmat(Z))

    def normal_matmat(self, Z: numpy.ndarray, keep: bool = False) -> tuple[numpy.ndarray, numpy.ndarray]:
        W = self.matmat(Z)
        return W, self.rmatmat(W)

    def adjoint_normal_matmat(self, Z: numpy.ndarray, keep: bool = False) -> tuple[numpy.ndarray, numpy.ndarray]:
        W = self.rmatmat(Z)
        return W, self.matmat(W)

    def single(self, exponent: int) -> Product:
        """The product of the factors in single precision, times 2**exponent."""
        return Product(self.X.single(exponent), self.Y.single(0), self.engine)

    def rows(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> numpy.ndarray:
        return adjoint_of(self.Y.rmatmat(adjoint_of(_dense(self.X.rows(index, scale)))))

    def cols(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> numpy.ndarray:
        return self.X.matmat(_dense(self.Y.cols(index, scale)))

    def block(self, rows: slice, cols: slice) -> numpy.ndarray:
        total = np.zeros((rows.stop - rows.start, cols.stop - cols.start), self.dtype)
        for inner in self._inner:
            total += np.ascontiguousarray(self.X.block(rows, inner)) @ np.ascontiguousarray(self.Y.block(inner, cols))
        return total

    def together(self, asks: Sequence[tuple[Any, ...]]) -> list[Any]:
        return one_by_one(asks)

    def tiles(self, visit: Callable[[int, slice, slice, numpy.ndarray], Any]) -> list[Any]:
        if not (in_file(self.X) or in_file(self.Y)):
            return visit_tiles(self, self.engine, visit)
        return self._panels(visit, available_memory() // PANELS)

    def _panels(self, visit: Callable[[int, slice, slice, numpy.ndarray], Any], room: int) -> list[Any]:
        """``visit_tiles`` with so many bytes for rows of X, of which each is read once, while Y is read for each panel
        of them: the same tiles, of which those of a row block come in any order."""
        row_ranges, col_ranges = ranges(self.grid[0]), ranges(self.grid[1])
        line = self.X.shape[1] * self.dtype.itemsize
        room -= self.engine.threads * line * max(cols.stop - cols.start for cols in col_ranges)
        if room < line * max(rows.stop - rows.start for rows in row_ranges):
            return visit_tiles(self, self.engine, visit)
        found: list[list[Any]] = [[None] * len(col_ranges) for _ in row_ranges]
        size = self.shape[0] * self.shape[1] * self.dtype.itemsize
        for some in row_blocks(self, "tiles", (visit,), {"found": found}, size):
            for panel in _runs(some, row_ranges, room // line):
                self._panel(visit, [(i, row_ranges[i]) for i in panel], col_ranges, found)
        return [value for values in found for value in values]

    def _panel(
        self,
        visit: Callable[[int, slice, slice, numpy.ndarray], Any],
        panel: list[tuple[int, slice]],
        col_ranges: list[slice],
        found: list[list[Any]],
    ) -> None:
        first, whole = panel[0][1].start, slice(0, self.X.shape[1])
        left = np.ascontiguousarray(self.X.block(slice(first, panel[-1][1].stop), whole))

        def one(j: int) -> None:
            cols = col_ranges[j]
            right = np.ascontiguousarray(self.Y.block(whole, cols))
            for i, rows in panel:
                own = left[rows.start - first : rows.stop - first]
                total = np.zeros((len(own), right.shape[1]), self.dtype)
                for inner in self._inner:
                    total += np.ascontiguousarray(own[:, inner]) @ right[inner]
                found[i][j] = visit(i, rows, cols, total)
                self.watch.came(total.nbytes)

        self.engine.map(one, len(col_ranges))

    def sweep(self, transposed: bool = False) -> MatrixFacts:
        return sweep(self, transposed)


def gram_of(matrix: Matrix, engine: Engine) -> Product:
    """A^H A as a matrix that is never stored."""
    left: Any = Adjoint(Metered(matrix))
    return Product(left, matrix, engine)


def in_file(matrix: Any) -> bool:
    """Whether a matrix stays in its file."""
    while hasattr(matrix, "inner"):
        matrix = matrix.inner
    return hasattr(matrix, "lines") or bool(getattr(getattr(matrix, "source", None), "buffers", 0))


def _runs(blocks: range, row_ranges: list[slice], rows: int) -> Iterator[range]:
    """Consecutive blocks of so many rows at most; at least one block."""
    first = blocks.start
    while first < blocks.stop:
        last = first + 1
        while last < blocks.stop and row_ranges[last].stop - row_ranges[first].start <= rows:
            last += 1
        yield range(first, last)
        first = last


def _dense(array: Any) -> numpy.ndarray:
    return array.toarray() if hasattr(array, "toarray") else array
