"""Checksums of the tiles of a matrix that stays in its file: of every pass, for the digest and for what changed since.

The first pass takes the CRC-32, which the digest is made of. Every pass takes a sum of the words of a tile, each times
odd weights of its row and its column, in wrapping arithmetic: it changes with every change of one word, and
takes half of the time of the CRC from memory, a quarter from the cache, in the threads that multiply. Tiles are looked
at when they are used.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import InputError
from ..lazy import np

if TYPE_CHECKING:
    import numpy

#: CRC-32 of a tile, and the halves of its sum.
_KINDS = 3
#: Of the weights of rows and of columns: odd as both are, no word can change without the sum; with 5 mod 8 they are as
#: long without a repetition as there can be (Knuth, The Art of Computer Programming, 3.2.1.2).
_BASES = 0x9E3779B97F4A7C15, 0xD1342543DE82EF95


def fresh(row_cuts: Sequence[int], col_cuts: Sequence[int]) -> numpy.ndarray:
    """The checksums of tiles none of which has been seen: -1."""
    return np.full((_KINDS, len(row_cuts) - 1, len(col_cuts) - 1), -1, np.int64)


class Looking:
    """Called with each tile of a slab as it is used; ``sums`` gets its checksums, or it has to have those.

    Raises InputError when it has not: the file was changed in a way that shows in nothing else.
    """

    def __init__(self, sums: numpy.ndarray, rows: list[slice], cols: list[slice], name: str | None):
        self._sums, self._name = sums, name
        self._row = {block.start: i for i, block in enumerate(rows)}
        self._col = {block.start: j for j, block in enumerate(cols)}
        self._done: set[tuple[int, int]] = set()

    def __call__(self, rows: slice, cols: slice, tile: numpy.ndarray) -> None:
        place = rows.start, cols.start
        if place in self._done:
            return
        known = self._sums[:, self._row[rows.start], self._col[cols.start]]
        found = divmod(word_sum(tile), 2**32)
        if known[0] < 0:
            known[1:] = found
            known[0] = zlib.crc32(np.ascontiguousarray(tile).data)
        elif tuple(known[1:]) != found:
            raise InputError(
                f"changed while it was being read, in rows {rows.start} to {rows.stop - 1}, columns "
                f"{cols.start} to {cols.stop - 1} (counted from 0)",
                where=self._name,
                hint="run again when it rests",
            )
        self._done.add(place)


def word_sum(tile: numpy.ndarray) -> int:
    """The sum of a tile's words of 8 bytes (4 in single precision), each times odd weights; it wraps around."""
    lines = tile if tile.strides[1] == tile.itemsize else tile.T
    if lines.strides[1] != lines.itemsize:
        lines = np.ascontiguousarray(lines)
    words = lines.view(np.uint32 if tile.itemsize == 4 else np.uint64)
    down, along = (_weights(base, length, words.dtype.name) for base, length in zip(_BASES, words.shape, strict=True))
    # by lines, and each with one wrapping product: this is what the compiler makes vector instructions of
    sums = np.einsum("ij,j->i", words, along)
    return int((sums.astype(np.uint64) * down.astype(np.uint64)).sum(dtype=np.uint64))


@functools.lru_cache(64)
def _weights(base: int, count: int, dtype: str) -> numpy.ndarray:
    """Odd numbers that look random: powers of an odd one."""
    bits = np.dtype(dtype).itemsize * 8
    return np.array([pow(base, i, 2**bits) for i in range(1, count + 1)], dtype)
