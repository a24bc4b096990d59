"""A sparse matrix that stays in its file: strips of its rows (or columns) are read into two buffers, one ahead."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InputError, ResourceError
from ..lazy import np
from .ahead import Ahead
from .grid import sparse_row_cuts

if TYPE_CHECKING:
    import numpy


class Entries(Protocol):
    """The entries of a compressed matrix in their file.

    ``read`` fills values and indices with those from ``first`` on, and raises InputError for an index out of range;
    ``check`` raises it if the file has changed. Either array may be empty. ``bytes_read``: in memory, of all reads.
    """

    where: str
    bytes_read: int

    def read(self, first: int, indices: numpy.ndarray, data: numpy.ndarray) -> None: ...

    def check(self) -> None: ...


@dataclasses.dataclass(frozen=True, eq=False)
class Strip:
    """Consecutive lines in memory: sorted indices and values, and the pointer into them; good until the next strip."""

    lines: slice
    pointer: numpy.ndarray
    indices: numpy.ndarray
    data: numpy.ndarray

    def places(self, by_rows: bool) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Rows and columns of the entries."""
        along = np.repeat(np.arange(self.lines.start, self.lines.stop), np.diff(self.pointer))
        return (along, self.indices) if by_rows else (self.indices, along)


@dataclasses.dataclass(frozen=True, eq=False)
class Canonical:
    """What one look at all indices found. pointer: of the lines once repeated entries are summed; counts: entries
    across the lines, None where nobody asks; sorted: nothing has to be sorted or summed."""

    pointer: numpy.ndarray
    counts: numpy.ndarray | None
    sorted: bool


class Lines:
    """The lines of an m x n matrix: rows (by_rows) or columns, whose entries lie together.

    pointer: (lines + 1,) int64, checked, where each line begins in ``entries``. index: type of the indices in memory.
    buffer: bytes of each of the two buffers, about; the longest line fits. Lines that are not sorted, or repeat an
    index, are sorted and summed each time they are read. What may be asked before it is ``settled`` by what a look at
    all indices found is its shape, and ``part``.
    """

    pointer: numpy.ndarray
    counts: numpy.ndarray | None
    nnz: int
    #: Checksums of the blocks of lines, -1 where they have not been read; None for a part of the matrix.
    sums: numpy.ndarray | None

    def __init__(
        self,
        shape: tuple[int, int],
        dtype: numpy.dtype,
        by_rows: bool,
        pointer: numpy.ndarray,
        index: Any,
        entries: Entries,
        buffer: int,
    ):
        self.shape, self.dtype, self.by_rows = shape, np.dtype(dtype), by_rows
        self.index, self.entries = np.dtype(index), entries
        #: The pointer as the file has it, where repeated entries count.
        self.stored = pointer
        #: Entries of a buffer.
        self.room = max(1, buffer // (self.dtype.itemsize + self.index.itemsize))
        self._renumber: numpy.ndarray | None = None
        self._spare: list[tuple[numpy.ndarray, numpy.ndarray]] = []
        self._ahead = Ahead()

    def settled(self, found: Canonical | None = None) -> Lines:
        """These lines, from now on; found: what one read of all indices says, which is done here without it."""
        found = self.survey() if found is None else found
        self.pointer, self.counts, self._sorted = found.pointer, found.counts, found.sorted
        self.nnz = int(self.pointer[-1])
        self.sums = np.full(len(sparse_row_cuts(self.pointer)) - 1, -1, np.int64)
        return self

    @property
    def across(self) -> int:
        """How many lines there are the other way."""
        return self.shape[1 if self.by_rows else 0]

    def part(self, lines: slice) -> Lines:
        """Some of the lines as a matrix, which is not settled, of the same file."""
        made = object.__new__(Lines)
        vars(made).update(vars(self))
        made._spare, made._ahead, made.sums = [], Ahead(), None
        made.stored = self.stored[lines.start : lines.stop + 1]
        count = lines.stop - lines.start
        made.shape = (count, self.shape[1]) if self.by_rows else (self.shape[0], count)
        return made

    @property
    def bytes_read(self) -> int:
        """Bytes of values and indices that were asked of the file so far."""
        return self.entries.bytes_read

    @property
    def buffers(self) -> int:
        """Bytes of both buffers, about."""
        return 2 * min(self.room, int(self.stored[-1])) * (self.dtype.itemsize + self.index.itemsize)

    @property
    def repeated(self) -> int:
        """Entries that were given more than once, beyond the first."""
        return int(self.stored[-1] - self.stored[0]) - self.nnz

    @property
    def row_pointer(self) -> numpy.ndarray:
        """The pointer of the rows, whichever way the matrix is stored."""
        if self.by_rows:
            return self.pointer
        assert self.counts is not None
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.counts)])

    def __array__(self, *_: Any, **__: Any) -> numpy.ndarray:
        raise self.too_large()

    def too_large(self) -> ResourceError:
        """The refusal to whoever needs all entries in memory."""
        m, n = self.shape
        return ResourceError(
            f"the whole {m}x{n} matrix is needed in memory, where it does not fit",
            hint="allow more memory with --memory, or use a command that reads matrices in parts, such as approx",
        )

    def plan(self) -> list[tuple[int, int]]:
        """(first line, line behind the last) of each strip: whole blocks of ``sparse_row_cuts``."""
        return [*_runs(sparse_row_cuts(self.pointer), self.stored, self.room)]

    def strips(self, first: int = 0) -> Iterator[Strip]:
        """Every line once, in order; without the first strips of the plan where they have been seen."""
        plan = self.plan()[first:]
        largest = max((int(self.stored[b] - self.stored[a]) for a, b in plan), default=0)
        # a pass within a pass takes buffers of its own
        buffers = [self._spare.pop() if self._spare else self._buffers(largest) for _ in range(2)]
        try:
            yield from self._ahead.pieces(plan, lambda run, slot: self._strip(*run, buffers[slot]))
        finally:
            self._spare += buffers
        self.entries.check()

    def fetch(self, first: int, last: int) -> Strip:
        """Lines first to last, in memory of their own."""
        return self._strip(first, last, self._buffers(int(self.stored[last] - self.stored[first])))

    def restricted(self, rows: numpy.ndarray, cols: numpy.ndarray) -> Lines:
        """The matrix without the rows and columns that are not at these indices, none of which may have entries."""
        lines, across = (rows, cols) if self.by_rows else (cols, rows)
        assert self.counts is not None
        made = object.__new__(Lines)
        vars(made).update(vars(self))
        made._spare, made._ahead = [], Ahead()
        made.shape = len(rows), len(cols)
        made.pointer = np.append(self.pointer[lines], self.nnz)
        made.stored = np.append(self.stored[lines], self.stored[-1])
        made.counts, made.sums = self.counts[across], None
        made._renumber = np.zeros(self.across, self.index)
        made._renumber[across] = np.arange(len(across), dtype=self.index)
        if self._renumber is not None:
            made._renumber = made._renumber[self._renumber]
        return made

    def _buffers(self, entries: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        return np.empty(entries, self.index), np.empty(entries, self.dtype)

    def _strip(self, first: int, last: int, buffers: tuple[numpy.ndarray, numpy.ndarray]) -> Strip:
        start, stop = int(self.stored[first]), int(self.stored[last])
        indices, data = (buffer[: stop - start] for buffer in buffers)
        self.entries.read(start, indices, data)
        pointer = self.stored[first : last + 1] - start
        if not self._sorted:
            pointer, indices, data = self._tidied(pointer, indices, data)
            if not np.array_equal(pointer, self.pointer[first : last + 1] - self.pointer[first]):
                raise InputError("changed while it was being read", where=self.entries.where)
        if self._renumber is not None:
            indices = self._renumber[indices]
        return Strip(slice(first, last), pointer, indices, data)

    def _tidied(
        self, pointer: numpy.ndarray, indices: numpy.ndarray, data: numpy.ndarray
    ) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
        """The lines sorted, repeated entries summed in the order in which a reader of the whole matrix sums them."""
        from scipy.sparse import csc_array, csr_array

        across = self.across if self._renumber is None else len(self._renumber)
        parts = data, indices, pointer.astype(indices.dtype)
        if self.by_rows:
            made = csr_array(parts, shape=(len(pointer) - 1, across), copy=True)
            made.sum_duplicates()
        else:
            turned = csr_array(csc_array(parts, shape=(across, len(pointer) - 1), copy=False))
            turned.sum_duplicates()
            made = turned.tocsc()
        return made.indptr.astype(np.int64), made.indices.astype(indices.dtype, copy=False), made.data

    def survey(self) -> Canonical:
        """One look at all indices, a strip at a time."""
        pointer = self.stored
        counts = np.zeros(self.across, np.int64)
        lengths: list[numpy.ndarray] = []
        tidy = True
        for first, last in _runs(sparse_row_cuts(pointer - pointer[0]), pointer, self.room):
            start, stop = int(pointer[first]), int(pointer[last])
            indices = np.empty(stop - start, self.index)
            self.entries.read(start, indices, np.empty(0, self.dtype))
            bounds = pointer[first : last + 1] - start
            if not _rises(bounds, indices):
                tidy = False
                bounds, indices, _ = self._tidied(bounds, indices, np.zeros(len(indices), np.int8))
            counts += np.bincount(indices, minlength=len(counts))
            lengths.append(np.diff(bounds))
        self.entries.check()
        return Canonical(np.concatenate([np.zeros(1, np.int64), *lengths]).cumsum(), counts, tidy)


def _rises(bounds: numpy.ndarray, indices: numpy.ndarray) -> bool:
    """Whether the indices of every line rise."""
    rises = np.ones(len(indices) + 1, bool)
    np.greater(indices[1:], indices[:-1], out=rises[1 : max(1, len(indices))])
    rises[bounds] = True
    return bool(rises.all())


def _runs(cuts: Sequence[int], pointer: numpy.ndarray, room: int) -> Iterator[tuple[int, int]]:
    """(first line, line behind the last) of strips: whole blocks, at least one, as many as have room."""
    first = None
    for start, stop in itertools.pairwise(cuts):
        if first is not None and int(pointer[stop] - pointer[first]) > room:
            yield first, start
            first = None
        first = start if first is None else first
    if first is not None:
        yield first, cuts[-1]
