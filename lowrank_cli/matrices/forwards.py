"""A dense matrix line by line, forwards: its rows, or its columns where these lie together, read a block ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from ..lazy import np

if TYPE_CHECKING:
    import numpy

    from .protocols import Matrix

#: Bytes of a block, about; and the most that it takes to have as many lines as make a product worth while.
_BLOCK, _MOST, _WORTH = 16 << 20, 128 << 20, 128


class Forwards(Protocol):
    """Lines of ``length`` entries each: rows of the matrix when ``by_rows``, else columns, not conjugated. count: how
    many there are, None when nobody knows before the last has come."""

    by_rows: bool
    count: int | None
    length: int
    dtype: numpy.dtype

    def read(self, out: numpy.ndarray) -> int:
        """Fill out (lines, length), C-ordered, with the next lines; how many came, fewer only at the end."""
        ...


class Stored:
    """The lines of a matrix that can be read by position; by_rows None: those that lie together."""

    def __init__(self, matrix: Matrix, by_rows: bool | None = None):
        self._matrix, self._next = matrix, 0
        self.by_rows = _lie_by_rows(matrix) if by_rows is None else by_rows
        self.count, self.length = matrix.shape if self.by_rows else matrix.shape[::-1]
        self.dtype = matrix.dtype

    def read(self, out: numpy.ndarray) -> int:
        first = self._next
        self._next = last = min(self.count, first + len(out))
        along, across = slice(first, last), slice(0, self.length)
        if first < last and self.by_rows:
            out[: last - first] = self._matrix.block(along, across)
        elif first < last:
            # a block would be turned twice
            stored: Any = self._matrix
            out[: last - first] = stored.source.part(across, along).T
        return last - first


def _lie_by_rows(matrix: Matrix) -> bool:
    """Whether the rows of a matrix lie together where it is stored, as those of one line do either way."""
    source = getattr(matrix, "source", None)
    array = getattr(source, "array", None)
    if array is not None:
        return not array.flags.f_contiguous or bool(array.flags.c_contiguous)
    return bool(getattr(source, "by_rows", True)) or 1 in matrix.shape


def height(length: int, itemsize: int) -> int:
    """Lines of a block, from the size of a line alone."""
    line = max(1, length * itemsize)
    lines = max(1, min(_MOST // line, max(_WORTH, _BLOCK // line)))
    return lines - lines % _WORTH if lines > _WORTH else lines


def blocks(lines: Forwards, most: int) -> Iterator[tuple[int, numpy.ndarray]]:
    """(number of its first line, block) for all lines in order, ``most`` a time; a block is good until the next.

    The next block is read while this one is worked on. The thread that reads is nobody's to wait for: one that hangs on
    a pipe must not keep the process alive.
    """
    most = max(1, most if lines.count is None else min(most, lines.count))
    free: queue.SimpleQueue[Any] = queue.SimpleQueue()
    filled: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for _ in range(2):
        free.put(np.empty((most, lines.length), lines.dtype))

    def fill() -> None:
        came = most
        try:
            while came == most and (buffer := free.get()) is not None:
                came = lines.read(buffer)
                filled.put((buffer, came))
        except BaseException as failure:
            filled.put((failure, 0))

    threading.Thread(target=fill, name="lowrank-read", daemon=True).start()
    first = 0
    try:
        while True:
            buffer, came = filled.get()
            if isinstance(buffer, BaseException):
                raise buffer
            if came:
                yield first, buffer[:came]
            first += came
            if came < most:
                return
            free.put(buffer)
    finally:
        free.put(None)
