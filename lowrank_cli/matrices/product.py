"""The product X Y as a matrix that is never stored: what a column-row approximation is measured against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..engines.threads import Engine, SerialEngine
from ..errors import UsageError
from ..lazy import np
from .adjoint import Adjoint, adjoint_of
from .facts import MatrixFacts, sweep
from .grid import cuts, one_by_one, ranges, visit_tiles
from .metered import Metered

if TYPE_CHECKING:
    import numpy

    from .protocols import Matrix


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
        return visit_tiles(self, self.engine, visit)

    def sweep(self, transposed: bool = False) -> MatrixFacts:
        return sweep(self, transposed)


def gram_of(matrix: Matrix, engine: Engine) -> Product:
    """A^H A as a matrix that is never stored."""
    left: Any = Adjoint(Metered(matrix))
    return Product(left, matrix, engine)


def _dense(array: Any) -> numpy.ndarray:
    return array.toarray() if hasattr(array, "toarray") else array
