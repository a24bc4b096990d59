"""What a pass over a dense matrix works out, slab by slab: several that are taken together share one reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..lazy import np
from .grid import FAN, TreeSum, waves
from .tall import Tall, contiguous, room
from .tiles import row_contiguous, sum_products

if TYPE_CHECKING:
    import numpy

    from .dense import TiledMatrix
    from .slabs import Slab

#: Entries of a strip whose tiles, where they are copies, are kept from the first product to the second.
_STRIP = 4_000_000


class Pass(Protocol):
    """what and operands say what is worked out; state holds what the slabs so far came to, as ``Watch.steps`` knows it.
    strips: 0 when slabs must be whole rows, 1 when they must be whole columns."""

    matrix: TiledMatrix
    what: str
    operands: Sequence[Any]
    state: dict[str, Any]
    strips: int | None

    def take(self, slab: Slab) -> None:
        """Work on the tiles of the next slab."""
        ...

    def result(self) -> Any:
        """What all slabs came to."""
        ...


def together(passes: Sequence[Pass]) -> list[Any]:
    """The results of passes over matrices of one source, from one reading of it."""
    matrix = passes[0].matrix
    strips = next((one.strips for one in passes if one.strips is not None), None)
    if len(passes) == 1:
        what, operands, state = passes[0].what, passes[0].operands, passes[0].state
    else:
        what = " and ".join(one.what for one in passes)
        operands = [part for one in passes for part in (*one.matrix.identity(), *one.operands)]
        state = {str(number): one.state for number, one in enumerate(passes)}
    for slab in matrix.slabs(what, operands, state, strips):
        for one in passes:
            one.take(slab)
    return [one.result() for one in passes]


class Multiplied:
    """A X, in parallel over row blocks, each summing its tiles in index order."""

    what, strips = "matmat", None

    def __init__(self, matrix: TiledMatrix, X: Any, keep: bool = False):
        self.matrix, self.X = matrix, contiguous(X)
        self.out: Any = (room if keep else np.empty)(
            (matrix.shape[0], X.shape[1]), np.result_type(matrix.dtype, X.dtype)
        )
        self.operands, self.state = (self.X,), {"out": self.out}

    def take(self, slab: Slab) -> None:
        X, matrix = self.X, self.matrix

        def block(i: int) -> None:
            rows = matrix.row_blocks[i]
            pieces = [matrix.col_blocks[j] for j in slab.col_blocks]
            pairs = ((matrix.operand(slab, rows, cols, X.shape[1]), X[cols]) for cols in pieces)
            total = self.out[rows]
            sum_products(total, pairs, slab.col_blocks.start == 0)
            if isinstance(self.out, Tall):
                self.out[rows] = total

        matrix.each(slab, 0, block)

    def result(self) -> numpy.ndarray:
        return self.out


class AdjointMultiplied:
    """A^H Y, in parallel over column blocks, each summing its tiles in the tree."""

    what, strips = "rmatmat", None

    def __init__(self, matrix: TiledMatrix, Y: Any, keep: bool = False):
        self.matrix, self.Y = matrix, contiguous(Y)
        self.out: Any = (room if keep else np.empty)(
            (matrix.shape[1], Y.shape[1]), np.result_type(matrix.dtype, Y.dtype)
        )
        self.sums = [TreeSum() for _ in matrix.col_blocks]
        self.operands, self.state = (self.Y,), {"out": self.out, "sums": [tree.state for tree in self.sums]}

    def take(self, slab: Slab) -> None:
        Y, matrix = self.Y, self.matrix

        def block(j: int) -> None:
            cols = matrix.col_blocks[j]
            _sum_adjoint(
                matrix,
                slab,
                cols,
                Y,
                self.sums[j],
                lambda i: matrix.operand(slab, matrix.row_blocks[i], cols, Y.shape[1]),
            )
            if slab.row_blocks.stop == len(matrix.row_blocks):
                total = self.sums[j].total()
                self.out[cols] = total.T if matrix.turns(cols, Y) else total

        matrix.each(slab, 1, block)

    def result(self) -> numpy.ndarray:
        return self.out


class Fused:
    """(A X, A^H (A X)) from whole rows, or, axis 1, (A^H X, A (A^H X)) from whole columns: the bits of the two products
    after one another. What the strips add to the second product is summed in its order, a wave of them at a time."""

    def __init__(self, matrix: TiledMatrix, X: numpy.ndarray, axis: int, keep: bool = False):
        self.matrix, self.X, self.axis, self.strips = matrix, X, axis, axis
        self.what = f"fused {axis}"
        self._lines = matrix.col_blocks if axis else matrix.row_blocks
        self._pieces = matrix.row_blocks if axis else matrix.col_blocks
        b, dtype = X.shape[1], np.result_type(matrix.dtype, X.dtype)
        self.out: Any = (room if keep else np.empty)((self._lines[-1].stop, b), dtype)
        self.back = np.empty((self._pieces[-1].stop, b), dtype)
        self.sums = [TreeSum() for _ in self._pieces]
        self.operands = (self.X,)
        self.state = {"out": self.out, "back": self.back, "sums": [tree.state for tree in self.sums]}

    def take(self, slab: Slab) -> None:
        matrix, pieces = self.matrix, self._pieces
        strip = self._columns if self.axis else self._rows
        # with few threads twice as many as elsewhere: these parts are small, and at the end of a wave some wait
        planned = waves(slab.col_blocks if self.axis else slab.row_blocks, max(FAN // 2, matrix.engine.threads))
        parts = np.empty((len(planned[0]) if planned else 0, *self.back.shape), self.back.dtype)
        for wave in planned:

            def one(i: int, wave: range = wave) -> None:
                total = self.out[self._lines[i]]
                strip(slab, self._lines[i], total, parts[i - wave.start])
                if isinstance(self.out, Tall):
                    self.out[self._lines[i]] = total

            def add(j: int, wave: range = wave) -> None:
                for i in range(len(wave)):
                    part = parts[i][pieces[j]]
                    self.sums[j].add(part.copy() if self.sums[j].fresh else part)
                if wave.stop == len(self._lines):
                    self.back[pieces[j]] = self.sums[j].total()

            matrix.each(slab, self.axis, one, wave)
            matrix.engine.map(add, len(pieces))

    def _rows(self, slab: Slab, rows: slice, total: numpy.ndarray, parts: numpy.ndarray) -> None:
        pieces, X = self._pieces, self.X
        tile = self._tiles(slab, [(rows, cols) for cols in pieces])
        sum_products(total, ((tile(j), X[cols]) for j, cols in enumerate(pieces)))
        for j, cols in enumerate(pieces):
            if self.matrix.turns(cols, total):
                parts[cols] = np.matmul(total.T, tile(j)).T
            else:
                np.matmul(tile(j).conj().T, total, out=parts[cols])

    def _columns(self, slab: Slab, cols: slice, total: numpy.ndarray, parts: numpy.ndarray) -> None:
        pieces, Y, tree = self._pieces, self.X, TreeSum()
        tile = self._tiles(slab, [(rows, cols) for rows in pieces])
        _sum_adjoint(self.matrix, slab, cols, Y, tree, tile)
        summed = tree.total()
        total[...] = summed.T if self.matrix.turns(cols, Y) else summed
        for i, rows in enumerate(pieces):
            np.matmul(tile(i), total, out=parts[rows])

    def _tiles(self, slab: Slab, places: list[tuple[slice, slice]]) -> Callable[[int], numpy.ndarray]:
        """The tiles of a strip by number; copies serve both products, where a strip of them is not too much."""
        matrix, width = self.matrix, self.X.shape[1]
        entries = sum((rows.stop - rows.start) * (cols.stop - cols.start) for rows, cols in places)
        if not matrix.rounds or entries > _STRIP:
            return lambda j: matrix.operand(slab, *places[j], width)
        tiles = [matrix.operand(slab, *place, width, j) for j, place in enumerate(places)]
        return lambda j: tiles[j]

    def result(self) -> tuple[Any, Any]:
        return self.out, self.back


class Chained:
    """Two products of which the second needs all of the first, and another reading."""

    def __init__(self, first: Multiplied | AdjointMultiplied, second: Callable[[Any], Any]):
        self._first, self._second = first, second
        self.matrix, self.what, self.operands = first.matrix, first.what, first.operands
        self.state, self.strips, self.take = first.state, first.strips, first.take

    def result(self) -> tuple[Any, Any]:
        return self._first.out, self._second(self._first.out)


class Visited:
    """visit(i, rows, cols, tile) for every tile, and what ``conclude`` makes of the results in row-major order."""

    what, strips = "tiles", None

    def __init__(
        self,
        matrix: TiledMatrix,
        visit: Callable[[int, slice, slice, numpy.ndarray], Any],
        conclude: Callable[[list[Any]], Any] = list,
    ):
        self.matrix, self.visit, self.conclude = matrix, visit, conclude
        self.found: list[Any] = [None] * (len(matrix.row_blocks) * len(matrix.col_blocks))
        self.operands, self.state = (visit,), {"found": self.found}

    def take(self, slab: Slab) -> None:
        matrix, width = self.matrix, len(self.matrix.col_blocks)

        def strip(i: int) -> None:
            rows = matrix.row_blocks[i]
            for j in slab.col_blocks:
                cols = matrix.col_blocks[j]
                self.found[i * width + j] = self.visit(i, rows, cols, row_contiguous(matrix.tile(slab, rows, cols)))

        matrix.each(slab, 0, strip)

    def result(self) -> Any:
        return self.conclude(self.found)


def _sum_adjoint(
    matrix: TiledMatrix,
    slab: Slab,
    cols: slice,
    Y: numpy.ndarray,
    total: TreeSum,
    tile: Callable[[int], numpy.ndarray],
) -> None:
    """To total is added A[:, cols]^H Y, or its transpose where products are turned, over the slab's rows; tile(i) is
    A[rows i, cols]."""
    turns = matrix.turns(cols, Y)
    scratch: list[numpy.ndarray] = []
    for i in slab.row_blocks:
        rows = matrix.row_blocks[i]
        if turns:
            total.add_product(Y[rows].T, tile(i), scratch)
        else:
            total.add_product(tile(i).conj().T, Y[rows], scratch)
