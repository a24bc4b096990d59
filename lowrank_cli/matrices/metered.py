"""A matrix that counts what is asked of it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..lazy import np
from ..memory import require
from . import blocks
from .protocols import Matrix
from .tall import Read
from .triangle import triangle

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine
    from ..sketches.counting import CountSketch
    from .facts import MatrixFacts
    from .watch import Watch

#: Products with blocks of columns in passes that have any.
PRODUCTS = {"matmat": 1, "rmatmat": 1, "normal_matmat": 2, "adjoint_normal_matmat": 2}


@dataclasses.dataclass
class Ledger:
    """Logical cost: the same however the data lay and however many threads ran.

    passes: complete reads of the matrix. products: blocks the matrix was multiplied with, a fused A^H (A X) counting
    two. flops: of these products, of the dense work done on tiles, and of decompositions of all of the matrix.
    """

    passes: int = 0
    products: int = 0
    flops: int = 0

    def since(self, before: Ledger) -> Ledger:
        """What was added after ``before``."""
        return Ledger(self.passes - before.passes, self.products - before.products, self.flops - before.flops)

    def add(self, more: Ledger) -> None:
        self.passes += more.passes
        self.products += more.products
        self.flops += more.flops


class Metered:
    """A Matrix around a Matrix, with a ledger. Reading single rows or columns is not a pass.

    shared: what runs on the same matrix have made and others may use, each charged as if it had made it. stored: the
    type its values are stored in, where that is known.
    """

    def __init__(
        self, matrix: Matrix, ledger: Ledger | None = None, shared: dict[Any, Any] | None = None, stored: str = ""
    ):
        self.inner = matrix
        self.ledger = ledger or Ledger()
        self.shared: dict[Any, Any] = {} if shared is None else shared
        self.stored = stored

    @property
    def shape(self) -> tuple[int, int]:
        return self.inner.shape

    @property
    def dtype(self) -> numpy.dtype:
        return self.inner.dtype

    @property
    def nnz(self) -> int | None:
        return self.inner.nnz

    @property
    def engine(self) -> Engine:
        return self.inner.engine

    @property
    def grid(self) -> tuple[Sequence[int], Sequence[int]]:
        return self.inner.grid

    @property
    def watch(self) -> Watch:
        return self.inner.watch

    @contextlib.contextmanager
    def _passing(self, products: int = 0, columns: int = 0) -> Iterator[None]:
        """Enter one pass that multiplies ``products`` blocks of ``columns`` columns, and tell the watch."""
        self.ledger.passes += 1
        if products:
            self._charge(products, columns)
        self.watch.begins(self.ledger.passes)
        try:
            yield
        finally:
            self.watch.ends()

    def _charge(self, products: int, columns: int) -> None:
        entries = self.inner.nnz if self.inner.nnz is not None else self.shape[0] * self.shape[1]
        self.ledger.products += products
        self.ledger.flops += 2 * entries * columns * products

    @property
    def home(self) -> Any:
        """The workers that keep what A X makes; None for this process."""
        return getattr(self.inner, "home", None)

    def matmat(self, X: numpy.ndarray, keep: bool = False) -> Any:
        with self._passing(1, X.shape[1]):
            return self.inner.matmat(X, keep)

    def matmat_in_sweep(self, X: numpy.ndarray) -> numpy.ndarray:
        """A X for a pass that swept the matrix and that another run has made: a product but not a pass."""
        self._charge(1, X.shape[1])
        return self.inner.matmat(X)

    def rmatmat(self, Y: numpy.ndarray, keep: bool = False) -> Any:
        with self._passing(1, Y.shape[1]):
            return self.inner.rmatmat(Y, keep)

    def normal_matmat(self, X: numpy.ndarray, keep: bool = False) -> tuple[Any, Any]:
        with self._passing(2, X.shape[1]):
            return self.inner.normal_matmat(X, keep)

    def adjoint_normal_matmat(self, Y: numpy.ndarray, keep: bool = False) -> tuple[Any, Any]:
        with self._passing(2, Y.shape[1]):
            return self.inner.adjoint_normal_matmat(Y, keep)

    def together(self, *asks: Any) -> list[Any]:
        """What each (matrix, name, argument, ...) gives, in one pass; the matrices are this one, scaled or in single
        precision perhaps."""
        with self._passing():
            for _, name, argument, *_ in asks:
                if name in PRODUCTS:
                    self._charge(PRODUCTS[name], argument.shape[1])
            return self.inner.together([(matrix.inner, *rest) for matrix, *rest in asks])

    def gram(self) -> numpy.ndarray:
        """A^H A of a dense matrix, in one pass."""
        stored: Any = self.inner
        with self._passing(1, self.shape[1]):
            return stored.gram()

    def adjoint_gram(self) -> numpy.ndarray:
        """A A^H of a dense matrix, in one pass."""
        stored: Any = self.inner
        with self._passing(1, self.shape[0]):
            return stored.adjoint_gram()

    def rows(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> Any:
        return self.inner.rows(index, scale)

    def cols(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> Any:
        return self.inner.cols(index, scale)

    def block(self, rows: slice, cols: slice) -> numpy.ndarray:
        return self.inner.block(rows, cols)

    def whole(self) -> numpy.ndarray:
        """All of A as one dense array; a pass. Raises ResourceError where it does not fit into memory."""
        m, n = self.shape
        if getattr(getattr(self.inner, "source", None), "buffers", 0):
            require(
                m * n * self.dtype.itemsize,
                f"the whole {m}x{n} matrix, which is needed in memory,",
                "allow more memory with --memory, or use a command that reads matrices in parts, such as approx",
            )
        with self._passing():
            return self.inner.block(slice(0, m), slice(0, n))

    def pair_gram(self, transposed: bool = False) -> numpy.ndarray:
        """A^H A, or transposed A A^H, in double precision, from rows (columns) of A that are dense one piece at a
        time. One pass; no bit depends on where the matrix is."""
        return self._of_lines("gram of {} in pairs", blocks.gram, transposed)

    def triangle(self, transposed: bool = False) -> numpy.ndarray:
        """R of a QR decomposition of A, or transposed of A^H, whose rows are many; see ``triangle``. One pass."""
        return self._of_lines("triangle of {}", triangle, transposed)

    def _of_lines(self, what: str, make: Callable[[Any, Engine], numpy.ndarray], transposed: bool) -> numpy.ndarray:
        """What is made of all rows of A, or transposed of A^H, that are asked for a few at a time."""
        (m, n), size = self.shape, self.dtype.itemsize

        def read(lines: slice) -> numpy.ndarray:
            piece = self.block(slice(0, m), lines).conj().T if transposed else self.block(lines, slice(0, n))
            self.watch.came(piece.size * size)
            return piece

        def made() -> numpy.ndarray:
            self.watch.reads(m * n * size)
            return make(Read((n, m) if transposed else (m, n), self.dtype, read), self.engine)

        with self._passing():
            return self.watch.result(self.inner, what.format("columns" if transposed else "rows"), (), made)

    def scaled(self, exponent: int) -> Metered:
        """The scaled matrix, counted on the same ledger."""
        return Metered(self.inner.scaled(exponent), self.ledger, self.shared)

    def single(self, exponent: int) -> Metered:
        """The scaled matrix in single precision, counted on the same ledger."""
        return Metered(self.inner.single(exponent), self.ledger, self.shared)

    def sweep(self, transposed: bool = False, low: Any = None) -> MatrixFacts:
        """low: a dense matrix's ``kept_single``."""
        stored: Any = self.inner
        with self._passing():
            return stored.sweep(transposed) if low is None else stored.sweep(transposed, low)

    def survey(self, sketch: CountSketch, transposed: bool = False) -> tuple[MatrixFacts, numpy.ndarray]:
        """(what ``sweep`` finds, S A), transposed both of A^T, in one pass. S A is good for nothing where entries are
        out of scale. Where they are not stored one beside the other it is a product with S^T."""
        inner: Any = self.inner
        if hasattr(inner, "survey"):
            with self._passing(1, 1):
                return inner.together([(inner, "survey", sketch, transposed)])[0]
        name, S = "matmat" if transposed else "rmatmat", sketch.dense(self.dtype)
        with self._passing(1, S.shape[1]), np.errstate(all="ignore"):
            facts, found = inner.together([(inner, "sweep", transposed), (inner, name, S)])
        return facts, np.ascontiguousarray((found if transposed else found.conj()).T)

    def lines(self, most: int, widths: Sequence[int] = ()) -> Iterator[tuple[int, numpy.ndarray]]:
        """The one pass over a matrix that is seen once, see ``Once.passing``, multiplied with blocks of these widths;
        charged when it is over, as the number of rows may not be known before."""
        stored: Any = self.inner
        with self._passing():
            yield from stored.passing(most)
        for columns in widths:
            self._charge(1, columns)

    def tiles(self, visit: Callable[[int, slice, slice, numpy.ndarray], Any], flops: int = 0) -> list[Any]:
        self.ledger.flops += flops
        with self._passing():
            return self.inner.tiles(visit)
