"""A sparse matrix in its file: the passes of ``sparse`` strip by strip, each sum in the same order and so bit for bit.

Along the lines that the file keeps together a product gathers, as in memory; across them it scatters, line after line,
which adds to every entry in the order of the transposed copy that memory would hold. The same passes over some rows of
a file by rows, at the place that they have in the whole, are what a worker of a cluster does.
"""

from __future__ import annotations

import bisect
import dataclasses
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..engines.threads import Engine, SerialEngine
from ..errors import InputError
from ..kernels import csr as kernel
from ..lazy import np
from .dense import SINGLE
from .facts import MatrixFacts
from .grid import one_by_one, ranges, sparse_grid, sparse_row_cuts, stretch
from .lines import Lines, Strip
from .scattered import Scattered
from .sparse import Piece, compiled_for, scaled_lines
from .sparse_squares import Squares, facts_of, squares
from .tiles import scale_exactly
from .watch import UNWATCHED, Watch

if TYPE_CHECKING:
    import numpy

#: Columns, at least, that a thread scatters: fewer share cache lines with those of its neighbour.
_SCATTER = 16


@dataclasses.dataclass(frozen=True)
class Whole:
    """Rows and entries of the matrix that some rows are a part of: they decide kernels and the order of sums."""

    rows: int
    nnz: int


class FiledSparseMatrix:
    """The lines of a file through an engine. ``exponent`` scales: the matrix is that of the file times 2**exponent.

    ``dtype``: that of the file, or a lower precision its entries are rounded to. What asks for entries by rows of a
    matrix that is stored by columns reads the file several times. ``whole``: of what this is a part, which begins where
    a stretch does.
    """

    def __init__(
        self,
        lines: Lines,
        engine: Engine | None = None,
        name: str | None = None,
        exponent: int = 0,
        dtype: numpy.dtype | None = None,
        watch: Watch = UNWATCHED,
        whole: Whole | None = None,
    ):
        self.name, self.watch, self.lines = name, watch, lines
        self.engine = engine or SerialEngine()
        self._exponent = exponent
        self.shape: tuple[int, int] = lines.shape
        self.dtype = lines.dtype if dtype is None else np.dtype(dtype)
        self.nnz: int | None = lines.nnz
        self.row_pointer = lines.row_pointer
        self.grid: tuple[Sequence[int], Sequence[int]] = sparse_grid(self.row_pointer, self.shape[1])
        self._whole = whole or Whole(lines.shape[0], lines.nnz)
        self.compiled = compiled_for(self._whole.nnz, self.dtype)
        self._stretch = stretch(self._whole.rows)

    @property
    def array(self) -> Any:
        """What methods that need all entries at once take; raises ResourceError."""
        raise self.lines.too_large()

    def scaled(self, exponent: int) -> FiledSparseMatrix:
        return self._made(self.lines, exponent, self.dtype)

    def single(self, exponent: int) -> FiledSparseMatrix:
        low = np.dtype(SINGLE[str(self.dtype)])
        return self._made(self.lines, exponent, low)

    def _made(self, lines: Lines, exponent: int, dtype: numpy.dtype) -> FiledSparseMatrix:
        return FiledSparseMatrix(lines, self.engine, self.name, self._exponent + exponent, dtype, self.watch)

    def identity(self) -> tuple[Any, ...]:
        """What is made of the values in the file: where two matrices of one file agree in it, they are equal."""
        return "sparse in its file", *self.shape, str(self.dtype), self._exponent

    def restricted(self, rows: numpy.ndarray, cols: numpy.ndarray) -> FiledSparseMatrix:
        """The matrix of the rows and columns at these indices; those left out have no entries."""
        return self._made(self.lines.restricted(rows, cols), 0, self.dtype)

    def occupied(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Which rows, and which columns, have stored entries."""
        along, across = np.diff(self.lines.pointer) > 0, self.lines.counts > 0
        return (along, across) if self.lines.by_rows else (across, along)

    def _values(self, data: numpy.ndarray) -> numpy.ndarray:
        return scale_exactly(data, self._exponent).astype(self.dtype, copy=False)

    def _products(self, X: numpy.ndarray, along: bool, back: bool = False) -> tuple[numpy.ndarray, numpy.ndarray]:
        """One read: along the lines of the file (by rows: A X; by columns: A^H X), else across; back: both, in turn."""
        X = np.ascontiguousarray(X)
        lines = self.lines
        dtype, count, across = np.result_type(self.dtype, X.dtype), len(lines.pointer) - 1, lines.across
        gathers = np.empty((count if along else 0, X.shape[1]), dtype)
        # of the two sums that over rows has a tree
        shape = (across if back or not along else 0, X.shape[1])
        scatters = Scattered(shape, dtype, count, self._stretch if lines.by_rows else 0, self.engine)
        what = f"{'along' if along else 'across'}{' and back' if back else ''}"
        for strip in self._strips(what, (X,), {"along": gathers, "across": scatters.state}):
            data = self._values(strip.data)
            # the conjugate stands where the adjoint of the matrix is meant
            turned = data.conj() if self.dtype.kind == "c" else data
            plain, other = (data, turned) if lines.by_rows else (turned, data)
            if along:
                self._gather(strip, plain, X, gathers[strip.lines])
            if back or not along:
                self._scatter(strip, other, gathers if back else X, scatters)
        return gathers, scatters.total()

    def _strips(self, what: str = "", operands: Sequence[Any] = (), state: Any = None) -> Iterator[Strip]:
        """The strips of a pass, told to who watches; of one with a state those that are still to be worked on."""
        plan, entry = self.lines.plan(), self.lines.dtype.itemsize + self.lines.index.itemsize
        pointer = self.lines.pointer

        def start(first: int) -> Iterator[Strip]:
            self.watch.reads(self.lines.nnz * entry)
            if first:
                self.watch.came(int(pointer[plan[first - 1][1]]) * entry)
            for strip in self.lines.strips(first):
                self._compare(strip)
                yield strip
                self.watch.came(len(strip.data) * entry)

        return start(0) if state is None else self.watch.steps(self, what, operands, state, plan, start)

    @property
    def sums(self) -> numpy.ndarray | None:
        """The CRC-32 of the entries of each block of lines that has been read, else -1; None for a part of a matrix."""
        return self.lines.sums

    def _compare(self, strip: Strip) -> None:
        """Raise InputError when a block of the strip is not what it was in an earlier pass."""
        sums, cuts = self.sums, sparse_row_cuts(self.lines.pointer)
        if sums is None:
            return
        blocks = range(bisect.bisect_left(cuts, strip.lines.start), bisect.bisect_left(cuts, strip.lines.stop))

        def one(number: int) -> None:
            first, last = cuts[blocks[number]], cuts[blocks[number] + 1]
            own = slice(*(int(strip.pointer[line - strip.lines.start]) for line in (first, last)))
            found = zlib.crc32(strip.data[own].data, zlib.crc32(strip.indices[own].astype(np.int64).data))
            if sums[blocks[number]] not in (-1, found):
                what = f"{'rows' if self.lines.by_rows else 'columns'} {first} to {last - 1} (counted from 0)"
                raise InputError(
                    f"changed while it was being read, in {what}", where=self.name, hint="run again when it rests"
                )
            sums[blocks[number]] = found

        self.engine.map(one, len(blocks))

    def _gather(self, strip: Strip, data: numpy.ndarray, X: numpy.ndarray, out: numpy.ndarray) -> None:
        blocks, by = ranges(sparse_row_cuts(strip.pointer)), 0 if self.lines.by_rows else self._stretch

        def block(i: int) -> None:
            rows = blocks[i]
            kernel.csr_matmat(
                strip.pointer, strip.indices, data, X, out[rows], rows.start, rows.stop, self.compiled, by
            )

        self.engine.map(block, len(blocks))

    def _scatter(self, strip: Strip, data: numpy.ndarray, Y: numpy.ndarray, scatters: Scattered) -> None:
        width = Y.shape[1]
        step = max(_SCATTER, -(-width // self.engine.threads))
        pieces = [slice(first, min(first + step, width)) for first in range(0, width, step)]

        def add(lines: slice, at: slice, out: numpy.ndarray) -> None:
            top = strip.lines.start
            pointer = strip.pointer[lines.start - top : lines.stop - top + 1]
            parts = pointer - pointer[0], strip.indices[at], data[at], np.ascontiguousarray(Y[lines]), out
            self.engine.map(lambda i: kernel.csr_scatter(*parts, pieces[i], compiled=self.compiled), len(pieces))

        scatters.take(strip.lines, strip.pointer, strip.indices, add)

    def matmat(self, X: numpy.ndarray, keep: bool = False) -> numpy.ndarray:
        return self._products(X, True)[0] if self.lines.by_rows else self._products(X, False)[1]

    def rmatmat(self, Y: numpy.ndarray, keep: bool = False) -> numpy.ndarray:
        return self._products(Y, False)[1] if self.lines.by_rows else self._products(Y, True)[0]

    def normal_matmat(self, X: numpy.ndarray, keep: bool = False) -> tuple[numpy.ndarray, numpy.ndarray]:
        if self.lines.by_rows:
            return self._products(X, True, back=True)
        Y = self.matmat(X)
        return Y, self.rmatmat(Y)

    def adjoint_normal_matmat(self, Y: numpy.ndarray, keep: bool = False) -> tuple[numpy.ndarray, numpy.ndarray]:
        if not self.lines.by_rows:
            return self._products(Y, True, back=True)
        X = self.rmatmat(Y)
        return X, self.matmat(X)

    def rows(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> Any:
        picked = self._kept("rows", index, self.lines.by_rows)
        return picked if scale is None else scaled_lines(picked, scale[:, None])

    def cols(self, index: numpy.ndarray, scale: numpy.ndarray | None = None) -> Any:
        picked = self._kept("cols", index, not self.lines.by_rows)
        return picked if scale is None else scaled_lines(picked, scale[None, :])

    def _kept(self, what: str, index: numpy.ndarray, along: bool) -> Any:
        index = np.asarray(index, np.int64)
        return self.watch.result(self, what, (index,), lambda: self._picked(index, along))

    def _picked(self, index: numpy.ndarray, along: bool) -> Any:
        """Rows or columns as a csr_array: lines are read one by one, what lies across them is picked from a pass."""
        from scipy.sparse import csr_array, vstack

        if along:
            read = (self.lines.fetch(line, line + 1) for line in index.tolist())
            parts = [self._compressed(strip) for strip in read]
        else:
            parts = [self._compressed(strip)[:, index] for strip in self._strips()]
        across = self.lines.across if along else len(index)
        kind = self.lines.index
        joined = csr_array(vstack(parts, format="csr")) if parts else csr_array((0, across), dtype=self.dtype)
        made = joined if self.lines.by_rows else csr_array(joined.T)
        made.sort_indices()
        made.indices, made.indptr = made.indices.astype(kind, copy=False), made.indptr.astype(kind, copy=False)
        return made

    def _compressed(self, strip: Strip) -> Any:
        """A strip as a csr_array whose rows are its lines."""
        from scipy.sparse import csr_array

        parts = self._values(strip.data), strip.indices, strip.pointer.astype(strip.indices.dtype)
        return csr_array(parts, shape=(len(strip.pointer) - 1, self.lines.across), copy=False)

    def block(self, rows: slice, cols: slice) -> numpy.ndarray:
        along, across = (rows, cols) if self.lines.by_rows else (cols, rows)
        found = self._compressed(self.lines.fetch(along.start, along.stop))[:, across].toarray()
        return np.ascontiguousarray(found if self.lines.by_rows else found.T)

    def row_parts(self) -> Iterator[tuple[range, Any]]:
        """(row blocks, their rows as a csr_array) in order; good until the next one."""
        cuts, lines = self.grid[0], self.lines
        if lines.by_rows:
            at = {line: number for number, line in enumerate(cuts)}
            for strip in self._strips():
                yield range(at[strip.lines.start], at[strip.lines.stop]), self._compressed(strip)
            return
        first = 0
        while first < len(cuts) - 1:
            last = first + 1
            while (
                last < len(cuts) - 1 and self.row_pointer[cuts[last + 1]] - self.row_pointer[cuts[first]] <= lines.room
            ):
                last += 1
            yield range(first, last), self._rows_of_columns(slice(cuts[first], cuts[last]))
            first = last

    def _rows_of_columns(self, rows: slice) -> Any:
        """Consecutive rows of a matrix that is stored by columns: picked from all of them, in one read."""
        from scipy.sparse import csr_array

        size = int(self.row_pointer[rows.stop] - self.row_pointer[rows.start])
        down, across = np.empty(size, self.lines.index), np.empty(size, self.lines.index)
        data, done = np.empty(size, self.dtype), 0
        for strip in self._strips():
            kept = np.flatnonzero((strip.indices >= rows.start) & (strip.indices < rows.stop))
            place = slice(done, done + len(kept))
            down[place] = strip.indices[kept] - rows.start
            columns = np.searchsorted(strip.pointer, kept, side="right") - 1 + strip.lines.start
            across[place] = columns
            data[place] = self._values(strip.data[kept])
            done += len(kept)
        order = np.argsort(down, kind="stable")
        pointer = self.row_pointer[rows.start : rows.stop + 1] - self.row_pointer[rows.start]
        parts = data[order], across[order], pointer.astype(self.lines.index)
        return csr_array(parts, shape=(rows.stop - rows.start, self.shape[1]), copy=False)

    def entries(self) -> Iterator[Piece]:
        """Rows, columns and values of all entries; those of a row come in order, and those of a column."""
        for strip in self._strips():
            yield Piece(*strip.places(self.lines.by_rows), self._values(strip.data))

    def together(self, asks: Sequence[tuple[Any, ...]]) -> list[Any]:
        return one_by_one(asks)

    def tiles(self, visit: Callable[[int, slice, slice, numpy.ndarray], Any]) -> list[Any]:
        return self.watch.result(self, "tiles", (visit,), lambda: self._tiles(visit))

    def _tiles(self, visit: Callable[[int, slice, slice, numpy.ndarray], Any]) -> list[Any]:
        row_ranges, col_ranges = ranges(self.grid[0]), ranges(self.grid[1])
        found: list[Any] = []
        for blocks, part in self.row_parts():
            top = row_ranges[blocks.start].start

            def one(number: int, blocks: range = blocks, part: Any = part, top: int = top) -> list[Any]:
                rows = row_ranges[blocks[number]]
                own = part[rows.start - top : rows.stop - top]
                tiles = ((cols, np.ascontiguousarray(own[:, cols].toarray())) for cols in col_ranges)
                return [visit(blocks[number], rows, cols, tile) for cols, tile in tiles]

            found += [value for values in self.engine.map(one, len(blocks)) for value in values]
        return found

    def sweep(self, transposed: bool = False) -> MatrixFacts:
        return self.watch.result(self, "sweep", (transposed,), lambda: self._sweep(transposed))

    def _sweep(self, transposed: bool) -> MatrixFacts:
        """From the stored entries alone, as in memory; a second read where their squares leave the range of floats."""
        return facts_of(lambda exponent: self.squares(transposed, exponent), self.name)

    def squares(self, transposed: bool, exponent: int) -> Squares:
        """Of the entries times 2**-exponent; one read."""
        strips = ((strip, self._values(strip.data)) for strip in self._strips())
        return squares(strips, self.shape, self.lines.by_rows, self._stretch, transposed, exponent)
