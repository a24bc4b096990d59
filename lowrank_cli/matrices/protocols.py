"""What an algorithm may ask of a matrix. Two products make an Operator; the rest makes a Matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np

    from ..engines.threads import Engine
    from .facts import MatrixFacts
    from .watch import Watch


@runtime_checkable
class Operator(Protocol):
    """A linear map known by its products with blocks of columns."""

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def matmat(self, X: np.ndarray) -> np.ndarray:
        """A X, for X of shape (n, l). Cost: one pass, 2 m n l flops."""
        ...

    def rmatmat(self, Y: np.ndarray) -> np.ndarray:
        """A^H Y, for Y of shape (m, l). Cost: one pass, 2 m n l flops."""
        ...


@runtime_checkable
class Matrix(Operator, Protocol):
    """An operator whose entries can be read: tile by tile, or by rows and columns."""

    @property
    def nnz(self) -> int | None:
        """Stored entries of a sparse matrix; None for a dense one."""
        ...

    @property
    def engine(self) -> Engine:
        """What its passes run on; the tall blocks of an algorithm use it too."""
        ...

    @property
    def watch(self) -> Watch:
        """Who is told how far its passes are."""
        ...

    def identity(self) -> tuple[Any, ...]:
        """Numbers, texts and arrays that tell it from other matrices that are made of the same input."""
        ...

    @property
    def grid(self) -> tuple[Sequence[int], Sequence[int]]:
        """Row cuts and column cuts of the tiles, each from 0 to the dimension: fixed by shape, dtype and, for
        a sparse matrix, its row pointer."""
        ...

    def matmat(self, X: np.ndarray, keep: bool = False) -> Any:
        """A X as an array; keep: where it is large perhaps as a ``Tall``, which stays where it was made."""
        ...

    def rmatmat(self, Y: np.ndarray, keep: bool = False) -> Any: ...

    def normal_matmat(self, X: np.ndarray, keep: bool = False) -> tuple[Any, Any]:
        """(A X, A^H (A X)) in one pass."""
        ...

    def adjoint_normal_matmat(self, Y: np.ndarray, keep: bool = False) -> tuple[Any, Any]:
        """(A^H Y, A (A^H Y)) in one pass."""
        ...

    def together(self, asks: Sequence[tuple[Any, ...]]) -> list[Any]:
        """What each (matrix, name, argument, ...) gives, such as (A, "sweep", False) and (A.single(0), "matmat", X), in
        one pass: the matrices are this one or have been made of it by ``scaled`` or ``single``."""
        ...

    def rows(self, index: np.ndarray, scale: np.ndarray | None = None) -> Any:
        """A[index, :], bit for bit, or its rows times scale; sparse (csr_array) when the matrix is."""
        ...

    def cols(self, index: np.ndarray, scale: np.ndarray | None = None) -> Any:
        """A[:, index], bit for bit, or its columns times scale; sparse (csr_array) when the matrix is."""
        ...

    def block(self, rows: slice, cols: slice) -> np.ndarray:
        """A[rows, cols], dense, its rows contiguous, read-only."""
        ...

    def sweep(self, transposed: bool = False) -> MatrixFacts:
        """The first look, one pass: is every entry finite, how large, how long are the columns (transposed: rows)."""
        ...

    def scaled(self, exponent: int) -> Matrix:
        """This matrix times 2**exponent, exact but for underflow."""
        ...

    def single(self, exponent: int) -> Matrix:
        """This matrix times 2**exponent, rounded to single precision; for float64 and complex128 only."""
        ...

    def tiles(self, visit: Callable[[int, slice, slice, np.ndarray], Any]) -> list[Any]:
        """One pass: visit(block, rows, cols, tile) for every tile, where block numbers the row block; the results in
        row-major order of the tiles. Tiles are C-ordered, read-only, and dense whatever the storage. Row blocks run
        in parallel; the tiles of one row block are visited in order by one thread. visit.fold, if
        there is one, makes of the results of a node of the tree of row blocks fewer that say as much: where results
        travel, it is used."""
        ...
