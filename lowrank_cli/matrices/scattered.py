"""Sums over the rows of a sparse matrix whose entries come row after row: by stretches, and these in the tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..engines.threads import Engine, SerialEngine
from ..kernels.csr import tree_levels
from ..lazy import np
from .grid import FAN

if TYPE_CHECKING:
    import numpy

#: Lines of a part that are added at a time.
_LINES = 4096


class Scattered:
    """What rows scatter over the lines of a block, added as ``csr_matmat`` adds with a stretch, bit for bit.

    parts[0] takes the rows of a stretch; parts[k] is the sum of 8**k of them, in which only lines are added that any of
    their rows has entries in. shape: of the block; m: all rows there are going to be. stretch: 0 for a sum without a
    tree. ``state`` is all there is to know. Memory: a block for each level, as far as it is touched.
    """

    def __init__(self, shape: tuple[int, ...], dtype: numpy.dtype, m: int, stretch: int, engine: Engine | None = None):
        self._m, self._stretch, self._engine = m, stretch or max(1, m), engine or SerialEngine()
        levels = tree_levels(m, self._stretch)
        self.parts = [np.zeros(shape, dtype) for _ in range(levels)]
        self._touched = [np.zeros(shape[0], bool) for _ in range(levels - 1)]
        self._closed = np.zeros(1, np.int64)
        self.state: list[Any] = [self.parts, self._touched, self._closed]

    def take(
        self,
        rows: slice,
        pointer: numpy.ndarray,
        indices: numpy.ndarray,
        add: Callable[[slice, slice, numpy.ndarray], None],
    ) -> None:
        """The next rows, whose entries the pointer bounds: add(rows, entries, block) for those of each stretch."""
        for some in self._within(rows):
            first, last = (int(pointer[row - rows.start]) for row in (some.start, some.stop))
            add(some, slice(first, last), self.parts[0])
            if self._touched:
                self._touched[0][indices[first:last]] = True
            if some.stop % self._stretch == 0 or some.stop == self._m:
                self._close()

    def _within(self, rows: slice) -> Iterator[slice]:
        """These rows, cut where stretches end."""
        start = rows.start
        while start < rows.stop:
            stop = min(rows.stop, start + self._stretch - start % self._stretch)
            yield slice(start, stop)
            start = stop

    def _close(self) -> None:
        """A stretch is over: it goes up to its node, and a node that is complete to that above."""
        self._closed += 1
        count = int(self._closed[0])
        for level in range(len(self._touched)):
            if count % FAN**level:
                break
            self._up(level)

    def _up(self, level: int) -> None:
        part, above = self.parts[level : level + 2]
        lines = np.flatnonzero(self._touched[level])
        self._touched[level][lines] = False
        if level + 1 < len(self._touched):
            self._touched[level + 1][lines] = True

        def piece(i: int) -> None:
            some = lines[i * _LINES : (i + 1) * _LINES]
            above[some] += part[some]
            part[some] = 0

        self._engine.map(piece, -(-len(lines) // _LINES))

    def total(self) -> numpy.ndarray:
        """The sum over all rows. Nothing can be added after it."""
        for level in range(len(self._touched)):
            self._up(level)
        return self.parts[-1]
