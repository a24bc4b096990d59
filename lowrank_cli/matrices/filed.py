"""A dense matrix that stays in its file: slabs of it are read into two buffers, one ahead of the computation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ..errors import ResourceError
from ..lazy import np
from .grid import cuts
from .slabs import Slab

if TYPE_CHECKING:
    import numpy

#: Row (column) blocks, at least, of a slab of whole rows (columns): fewer would leave threads idle.
_LEAST = 4


class Filed:
    """Entries that ``read(rows, cols, out)`` brings, out being A[rows, cols] in the order of the file.

    by_rows: rows lie together in the file, else columns do. buffer: bytes of each of the two buffers, about: at least
    one tile fits. A slab takes whole lines of the file where the lines of four blocks fit, else parts of them. Values
    and grid decide every bit, the buffer none. ``check`` is called after each pass, and raises if the file has changed.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        dtype: numpy.dtype,
        by_rows: bool,
        read: Callable[[slice, slice, numpy.ndarray], None],
        check: Callable[[], None],
        buffer: int,
    ):
        self.shape, self.dtype, self.by_rows = shape, np.dtype(dtype), by_rows
        self._read, self._check = read, check
        self._entries = max(1, buffer // self.dtype.itemsize)
        marks, length = (cuts(shape[0]), shape[1]) if by_rows else (cuts(shape[1]), shape[0])
        whole = self._entries >= marks[min(_LEAST, len(marks) - 1)] * length
        self.strips: int | str | None = (0 if by_rows else 1) if whole else None
        self.sums = np.full((len(cuts(shape[0])) - 1, len(cuts(shape[1])) - 1), -1, np.int64)
        #: Bytes of values that were asked of the file so far.
        self.bytes_read = 0
        self._buffers: list[numpy.ndarray] = []
        self._reader: ThreadPoolExecutor | None = None

    def plan(self, row_cuts: Sequence[int], col_cuts: Sequence[int]) -> list[tuple[range, range]]:
        return [*self._plan(row_cuts, col_cuts)]

    def slabs(self, row_cuts: Sequence[int], col_cuts: Sequence[int], first: int = 0) -> Iterator[Slab]:
        plan = self.plan(row_cuts, col_cuts)
        if self._reader is None:
            largest = max(self._size(rows, cols, row_cuts, col_cuts) for rows, cols in plan)
            self._buffers = [np.empty(largest, self.dtype) for _ in range(min(2, len(plan)))]
            self._reader = ThreadPoolExecutor(1, thread_name_prefix="lowrank-read")
        waiting: Future[Slab] | None = None
        try:
            for number, blocks in enumerate([*plan[first:], None]):
                ready, waiting = waiting, None
                slab = None if ready is None else ready.result()
                if blocks is not None:
                    buffer = self._buffers[number % len(self._buffers)]
                    waiting = self._reader.submit(self._fill, *blocks, row_cuts, col_cuts, buffer)
                if slab is not None:
                    yield slab
        finally:
            # the buffer of a slab that nobody waits for must not be written when the next pass begins
            if waiting is not None and not waiting.cancel():
                waiting.exception()
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
        self.bytes_read += out.nbytes
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

    def _plan(self, row_cuts: Sequence[int], col_cuts: Sequence[int]) -> Iterator[tuple[range, range]]:
        """(row blocks, column blocks) of each slab, in the order of the file."""
        rows, cols = len(row_cuts) - 1, len(col_cuts) - 1
        if self.by_rows:
            for some in _runs(row_cuts, self.shape[1], self._entries):
                height = row_cuts[some.stop] - row_cuts[some.start]
                for part in [range(cols)] if self.strips == 0 else _runs(col_cuts, height, self._entries):
                    yield some, part
            return
        for some in _runs(col_cuts, self.shape[0], self._entries):
            width = col_cuts[some.stop] - col_cuts[some.start]
            for part in [range(rows)] if self.strips == 1 else _runs(row_cuts, width, self._entries):
                yield part, some

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
        self.bytes_read += array.nbytes
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
