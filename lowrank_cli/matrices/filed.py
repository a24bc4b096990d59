"""A dense matrix that stays in its file: slabs of it are read into two buffers, one ahead of the computation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ResourceError
from ..lazy import np
from .ahead import Ahead
from .grid import cuts
from .slabs import Slab
from .sums import fresh

if TYPE_CHECKING:
    import numpy

#: Row (column) blocks, at least, of a slab of whole rows (columns): fewer would leave threads idle.
_LEAST = 2
#: Bytes that lie together, at least, where a slab is read across the order of the file.
_PIECE = 1 << 16


class Filed:
    """Entries that ``read(rows, cols, out)`` brings, out being A[rows, cols] in the order of the file.

    by_rows: rows lie together in the file, else columns do. buffer: bytes of each of the two buffers, about: at least
    one tile fits. A slab takes whole rows or columns where those of two blocks fit, else parts of them. Values and
    grid decide every bit, the buffer none. ``check`` is called after each pass, and raises if the file has changed.
    chunks: rows and columns of what can only be unpacked whole; cache: bytes of those of the last part that are kept.
    ``use`` tells who unpacks how many threads there are.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        dtype: numpy.dtype,
        by_rows: bool,
        read: Callable[[slice, slice, numpy.ndarray], None],
        check: Callable[[], None],
        buffer: int,
        chunks: tuple[int, int] | None = None,
        cache: int = 0,
        use: Callable[[int], None] = lambda threads: None,
    ):
        self.shape, self.dtype, self.by_rows = shape, np.dtype(dtype), by_rows
        self.chunks, self._cache = chunks, cache
        self._last: list[tuple[int, int]] | None = None
        self._read, self._check, self.use = read, check, use
        self._entries = max(1, buffer // self.dtype.itemsize)
        self.sums = fresh(cuts(shape[0]), cuts(shape[1]))
        #: Bytes of values that were read so far, those of chunks that were unpacked again counted again.
        self.bytes_read = 0
        #: Reads of all of it for single rows or columns that lie across the file.
        self.fetches = 0
        self._buffers: list[numpy.ndarray] = []
        self._ahead = Ahead()

    @property
    def buffers(self) -> int:
        """Bytes of both buffers, about, and of the chunks that are kept."""
        return 2 * min(self._entries, self.shape[0] * self.shape[1]) * self.dtype.itemsize + self._cache

    def put(self, rows: slice, cols: slice, out: numpy.ndarray) -> None:
        """out = A[rows, cols], whatever the order of out."""
        if out.flags.c_contiguous if self.by_rows else out.flags.f_contiguous:
            self._read(rows, cols, out)
        else:
            out[...] = self.part(rows, cols)

    def check(self) -> None:
        """Raise if the file has changed."""
        self._check()

    def gives(self, strips: int, row_cuts: Sequence[int], col_cuts: Sequence[int]) -> bool:
        """Whether whole lines of two blocks fit, and of a chunk; where they lie apart in the file, with pieces long
        enough to read."""
        marks, length = (col_cuts, self.shape[0]) if strips else (row_cuts, self.shape[1])
        least = marks[min(_LEAST, len(marks) - 1)]
        if self.chunks is not None:
            least = max(least, min(marks[-1], self.chunks[strips]))
        elif (strips == 0) != self.by_rows:
            least = max(least, min(marks[-1], _PIECE // self.dtype.itemsize))
        return self._entries >= least * length

    def plan(
        self, row_cuts: Sequence[int], col_cuts: Sequence[int], strips: int | None = None
    ) -> list[tuple[range, range]]:
        order = 0 if self.by_rows else 1
        along = order if strips is None else strips
        whole = self.gives(along, row_cuts, col_cuts)
        along = along if whole else order
        marks, across = (col_cuts, row_cuts) if along else (row_cuts, col_cuts)
        found = []
        for some in _runs(marks, across[-1], self._entries):
            length = marks[some.stop] - marks[some.start]
            for part in [range(len(across) - 1)] if whole else _runs(across, length, self._entries):
                found.append((part, some) if along else (some, part))
        return found

    def slabs(
        self, row_cuts: Sequence[int], col_cuts: Sequence[int], strips: int | None = None, first: int = 0
    ) -> Iterator[Slab]:
        plan = self.plan(row_cuts, col_cuts, strips)
        largest = max(self._size(rows, cols, row_cuts, col_cuts) for rows, cols in plan)
        count = min(2, len(plan))
        if len(self._buffers) < count or len(self._buffers[0]) < largest:
            # those of the old size and those of the new would be too much
            self._buffers = []
            self._buffers = [np.empty(largest, self.dtype) for _ in range(count)]

        def fill(blocks: tuple[range, range], slot: int) -> Slab:
            return self._fill(*blocks, row_cuts, col_cuts, self._buffers[slot])

        yield from self._ahead.pieces(plan[first:], fill)
        self._check()

    def __array__(self, *_: Any, **__: Any) -> numpy.ndarray:
        m, n = self.shape
        raise ResourceError(
            f"the whole {m}x{n} matrix is needed in memory, where it does not fit",
            hint="allow more memory with --memory, or use a command that reads matrices in parts, such as approx",
        )

    def part(self, rows: slice, cols: slice) -> numpy.ndarray:
        out = np.empty((rows.stop - rows.start, cols.stop - cols.start), self.dtype, order="C" if self.by_rows else "F")
        self._read(rows, cols, out)
        self._count(rows, cols)
        return out

    def rows(self, index: numpy.ndarray, scale: numpy.ndarray | None) -> numpy.ndarray:
        picked = self._lines(np.asarray(index, np.int64), 0)
        return picked if scale is None else picked * scale.astype(self.dtype)[:, None]

    def cols(self, index: numpy.ndarray, scale: numpy.ndarray | None) -> numpy.ndarray:
        picked = self._lines(np.asarray(index, np.int64), 1)
        return picked if scale is None else picked * scale.astype(self.dtype)

    def _lines(self, index: numpy.ndarray, axis: int) -> numpy.ndarray:
        """Rows (axis 0) or columns (1): each read by itself where it lies together, else picked from a pass."""
        m, n = self.shape
        out = np.empty((len(index), n) if axis == 0 else (m, len(index)), self.dtype)
        if (axis == 0) == self.by_rows:
            for place, line in enumerate(index.tolist()):
                if axis == 0:
                    out[place] = self.part(slice(line, line + 1), slice(0, n))[0]
                else:
                    out[:, place] = self.part(slice(0, m), slice(line, line + 1))[:, 0]
        else:
            self.fetches += 1
            length, lines = (n, m) if self.by_rows else (m, n)
            step = max(1, self._entries // length)
            for first in range(0, lines, step):
                along = slice(first, min(first + step, lines))
                if self.by_rows:
                    out[along] = self.part(along, slice(0, n))[:, index]
                else:
                    out[:, along] = self.part(slice(0, m), along)[index]
        self._check()
        return out

    def _count(self, *part: slice) -> None:
        """Add what the part takes of the file: its chunks whole, but for those that are kept of the part before."""
        ends = [(one.start, one.stop) for one in part]
        kept = 0
        if self.chunks is not None:
            ends = [
                (first // step * step, min(-(-last // step) * step, length))
                for (first, last), step, length in zip(ends, self.chunks, self.shape, strict=True)
            ]
            if self._last is not None:
                kept = math.prod(
                    max(0, min(one[1], other[1]) - max(one[0], other[0]))
                    for one, other in zip(ends, self._last, strict=True)
                )
            self._last = ends
        itemsize = self.dtype.itemsize
        kept = kept if kept * itemsize <= self._cache else 0
        self.bytes_read += (math.prod(last - first for first, last in ends) - kept) * itemsize

    @staticmethod
    def _size(rows: range, cols: range, row_cuts: Sequence[int], col_cuts: Sequence[int]) -> int:
        return (row_cuts[rows.stop] - row_cuts[rows.start]) * (col_cuts[cols.stop] - col_cuts[cols.start])

    def _fill(
        self, rows: range, cols: range, row_cuts: Sequence[int], col_cuts: Sequence[int], buffer: numpy.ndarray
    ) -> Slab:
        along, across = (
            slice(row_cuts[rows.start], row_cuts[rows.stop]),
            slice(col_cuts[cols.start], col_cuts[cols.stop]),
        )
        shape = along.stop - along.start, across.stop - across.start
        array = buffer[: shape[0] * shape[1]].reshape(shape, order="C" if self.by_rows else "F")
        self._read(along, across, array)
        self._count(along, across)
        return Slab(rows, cols, array, along.start, across.start)


def _runs(cuts: Sequence[int], length: int, entries: int) -> Iterator[range]:
    """Consecutive blocks that hold so many entries at most, lines being so long; at least one block."""
    first, count = 0, len(cuts) - 1
    while first < count:
        last = first + 1
        while last < count and (cuts[last + 1] - cuts[first]) * length <= entries:
            last += 1
        yield range(first, last)
        first = last
