"""The kernel matrix of points, as a matrix that is never stored: entries are made when they are asked for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..engines.threads import Engine, SerialEngine
from ..errors import InputError, UsageError
from ..lazy import np
from .dense import SINGLE
from .facts import MatrixFacts, sweep
from .grid import TILE, cuts, one_by_one, ranges, row_blocks, visit_tiles
from .tiles import scale_exactly
from .watch import UNWATCHED, Watch

if TYPE_CHECKING:
    import numpy

NAMES = ("gaussian", "laplace")


@dataclasses.dataclass(frozen=True)
class Kernel:
    """gaussian: exp(-|x - y|_2^2 / (2 scale^2)); laplace: exp(-|x - y|_1 / scale). Both are positive definite."""

    name: str
    scale: float

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise UsageError(f"--kernel {self.name!r} is not known", hint=f"choose one of {', '.join(NAMES)}")
        if not (self.scale > 0 and math.isfinite(self.scale)):
            raise UsageError(f"the scale of --kernel must be above 0 and finite, not {self.scale}")

    def __call__(self, left: numpy.ndarray, right: numpy.ndarray) -> numpy.ndarray:
        """Entries (a, b) for points as columns, left (d, a) and right (d, b).

        Coordinates are taken one after another, elementwise: an entry has the same bits whatever is made beside it, and
        near points lose no digits, as they would in |x|^2 - 2 x y + |y|^2. Cost: 4 d flops an entry.
        """
        total = np.zeros((left.shape[1], right.shape[1]), left.dtype)
        apart = np.empty_like(total)
        factor = left.dtype.type(1 / self.scale)
        with np.errstate(over="ignore", under="ignore"):
            for x, y in zip(left, right, strict=True):
                np.subtract(x[:, None], y[None, :], out=apart)
                np.multiply(apart, factor, out=apart)
                if self.name == "gaussian":
                    np.multiply(apart, apart, out=apart)
                else:
                    np.abs(apart, out=apart)
                total += apart
            total *= left.dtype.type(-0.5 if self.name == "gaussian" else -1)
            return np.exp(total, out=total)


class KernelMatrix:
    """K_ij = kernel(x_i, x_j) for points (n, d), one a row, in their precision; symmetric, with ones on the diagonal.

    A pass makes all n^2 entries, tile by tile; rows, columns and corners make theirs alone. ``exponent`` and ``dtype``
    as in ``TiledMatrix``.
    """

    nnz: int | None = None
    symmetric = True

    def __init__(
        self,
        points: numpy.ndarray,
        kernel: Kernel,
        engine: Engine | None = None,
        exponent: int = 0,
        name: str | None = None,
        dtype: numpy.dtype | None = None,
        watch: Watch = UNWATCHED,
    ):
        if points.dtype.kind == "c":
            raise InputError("points of a kernel matrix have real coordinates", where=name)
        self.points, self.kernel, self.name, self.watch = points, kernel, name, watch
        self.engine = engine or SerialEngine()
        self._columns = np.ascontiguousarray(points.T)
        self._exponent = exponent
        n = int(points.shape[0])
        self.shape: tuple[int, int] = (n, n)
        self.dtype = points.dtype if dtype is None else np.dtype(dtype)
        self.grid: tuple[Sequence[int], Sequence[int]] = (cuts(n), cuts(n))

    def identity(self) -> tuple[Any, ...]:
        """What is made of the points: where two matrices of the same points agree in it, they are equal."""
        return self.kernel.name, self.kernel.scale, *self.shape, str(self.dtype), self._exponent

    def _entries(self, left: numpy.ndarray, right: numpy.ndarray) -> numpy.ndarray:
        made = scale_exactly(self.kernel(left, right), self._exponent)
        return made.astype(self.dtype, copy=False)

    def scaled(self, exponent: int) -> KernelMatrix:
        return self._made(exponent, self.dtype)

    def single(self, exponent: int) -> KernelMatrix:
        low = np.dtype(SINGLE[str(self.dtype)])
        return self._made(exponent, low)

    def _made(self, exponent: int, dtype: numpy.dtype) -> KernelMatrix:
        total = self._exponent + exponent
        return KernelMatrix(self.points, self.kernel, self.engine, total, self.name, dtype, self.watch)

    def matmat(self, X: numpy.ndarray, keep: bool = False) -> numpy.ndarray:
        X = np.ascontiguousarray(X)
        out = np.empty((self.shape[0], X.shape[1]), np.result_type(self.dtype, X.dtype))
        parts = ranges(self.grid[0])

        def strip(i: int) -> None:
            total = out[parts[i]]
            total[...] = 0
            for cols in parts:
                total += self.block(parts[i], cols) @ X[cols]
            self.watch.came(total.shape[0] * self.shape[0] * self.dtype.itemsize)

        for some in row_blocks(self, "matmat", (X,), {"out": out}, self.shape[0] ** 2 * self.dtype.itemsize):
            self.engine.map(lambda i, some=some: strip(some[i]), len(some))  # type: ignore[misc]
        return out

    def rmatmat(self, Y: numpy.ndarray, keep: bool = False) -> numpy.ndarray:
        return self.matmat(Y)

    def normal_matmat(self, X: numpy.ndarray, keep: bool = False) -> tuple[numpy.ndarray, numpy.ndarray]:
        Y = self.matmat(X)
        return Y, self.matmat(Y)

    def adjoint_normal_matmat(self, Y: numpy.ndarray, keep: bool = False) -> tuple[numpy.ndarray, numpy.ndarray]:
        return self.normal_matmat(Y)

    def rows(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> numpy.ndarray:
        return np.ascontiguousarray(self.cols(index, scale).T)

    def cols(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> numpy.ndarray:
        """K[:, index]: n entries a column."""
        return self.watch.result(self, "cols", (index, scale), lambda: self._cols(index, scale))

    def _cols(self, index: numpy.ndarray, scale: numpy.ndarray | None) -> numpy.ndarray:
        right = np.ascontiguousarray(self._columns[:, index])
        out = np.empty((self.shape[0], len(index)), self.dtype)
        parts = ranges(self.grid[0])

        def piece(i: int) -> None:
            out[parts[i]] = self._entries(self._columns[:, parts[i]], right)

        self.engine.map(piece, len(parts))
        return out if scale is None else out * scale.astype(self.dtype)

    def corner(self, index: numpy.ndarray) -> numpy.ndarray:
        """K[index, index], and no entry more."""
        chosen = np.ascontiguousarray(self._columns[:, index])
        return self._entries(chosen, chosen)

    def block(self, rows: slice, cols: slice) -> numpy.ndarray:
        (a, b), (c, d) = rows.indices(self.shape[0])[:2], cols.indices(self.shape[1])[:2]
        if max(b - a, d - c) <= 2 * TILE:
            return self._entries(self._columns[:, a:b], self._columns[:, c:d])
        out = np.empty((b - a, d - c), self.dtype)
        for top in range(a, b, TILE):
            for left in range(c, d, TILE):
                piece = slice(top, min(top + TILE, b)), slice(left, min(left + TILE, d))
                out[piece[0].start - a : piece[0].stop - a, piece[1].start - c : piece[1].stop - c] = self.block(*piece)
        return out

    def together(self, asks: Sequence[tuple[Any, ...]]) -> list[Any]:
        return one_by_one(asks)

    def tiles(self, visit: Callable[[int, slice, slice, numpy.ndarray], Any]) -> list[Any]:
        return visit_tiles(self, self.engine, visit)

    def sweep(self, transposed: bool = False) -> MatrixFacts:
        return sweep(self, transposed)
