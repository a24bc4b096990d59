"""The conjugate transpose of a matrix, as a matrix: nothing is copied, the two products trade places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..lazy import np
from .metered import Metered
from .protocols import Operator

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine


class Adjoint:
    """A^H of a metered matrix; what is asked of it is charged to that matrix."""

    def __init__(self, matrix: Metered):
        self.inner = matrix
        self.ledger = matrix.ledger
        self.dtype = matrix.dtype
        self.nnz = matrix.nnz
        self.engine: Engine = matrix.engine
        self.watch = matrix.watch
        #: Workers keep rows of A, not of A^H.
        self.home = None
        self.shape: tuple[int, int] = (matrix.shape[1], matrix.shape[0])
        self.grid: tuple[Sequence[int], Sequence[int]] = (matrix.grid[1], matrix.grid[0])

    def matmat(self, X: numpy.ndarray, keep: bool = False) -> Any:
        return self.inner.rmatmat(X, keep)

    def rmatmat(self, Y: numpy.ndarray, keep: bool = False) -> Any:
        return self.inner.matmat(Y, keep)

    def normal_matmat(self, X: numpy.ndarray, keep: bool = False) -> tuple[Any, numpy.ndarray]:
        """(A^H X, A (A^H X)) in one pass."""
        return self.inner.adjoint_normal_matmat(X, keep)

    def gram(self) -> numpy.ndarray:
        """A A^H of a dense matrix, in one pass."""
        return self.inner.adjoint_gram()

    def rows(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> Any:
        return adjoint_of(self.inner.cols(index, scale))

    def cols(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> Any:
        return adjoint_of(self.inner.rows(index, scale))

    def block(self, rows: slice, cols: slice) -> numpy.ndarray:
        return np.ascontiguousarray(self.inner.block(cols, rows).conj().T)

    def whole(self) -> numpy.ndarray:
        return np.ascontiguousarray(self.inner.whole().conj().T)

    def identity(self) -> tuple[Any, ...]:
        """See ``Matrix``."""
        return "adjoint", *self.inner.inner.identity()

    def scaled(self, exponent: int) -> Adjoint:
        return Adjoint(self.inner.scaled(exponent))

    def single(self, exponent: int) -> Adjoint:
        return Adjoint(self.inner.single(exponent))

    def tiles(self, visit: Callable[[int, slice, slice, numpy.ndarray], Any], flops: int = 0) -> list[Any]:
        return self.inner.tiles(
            lambda i, rows, cols, tile: visit(i, cols, rows, np.ascontiguousarray(tile.conj().T)), flops
        )


class AdjointOperator:
    """F^H of any operator."""

    def __init__(self, operator: Operator):
        self.inner = operator
        self.shape: tuple[int, int] = (operator.shape[1], operator.shape[0])
        self.dtype = operator.dtype

    def matmat(self, X: numpy.ndarray) -> numpy.ndarray:
        return self.inner.rmatmat(X)

    def rmatmat(self, Y: numpy.ndarray) -> numpy.ndarray:
        return self.inner.matmat(Y)


def adjoint_of(array: Any) -> Any:
    """The conjugate transpose of a block, C-ordered; of a sparse one, as csr_array."""
    if hasattr(array, "tocsr"):
        return array.conj().T.tocsr()
    return np.ascontiguousarray(array.conj().T)
