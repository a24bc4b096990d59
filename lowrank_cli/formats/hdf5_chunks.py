"""Chunks of an HDF5 dataset unpacked by several threads: HDF5 itself unpacks one at a time, whoever asks."""

from __future__ import annotations

import itertools
import math
import zlib
from typing import TYPE_CHECKING, Any

from ..engines.threads import ThreadEngine
from ..errors import InputError
from ..lazy import np
from .hdf5_walk import H5_ERRORS
from .working import Conversion

if TYPE_CHECKING:
    import numpy

#: Codes of the filters that are undone here, in the order in which they were applied.
_DEFLATE, _SHUFFLE = 1, 2
_UNDONE = ([_DEFLATE], [_SHUFFLE, _DEFLATE])
#: Smaller chunks are not worth the trouble. The largest, packed and unpacked on so many threads, take 48 MiB.
_SMALLEST, _LARGEST, _MOST_THREADS = 1 << 16, 4 << 20, 4


class Chunks:
    """Reads parts of a dataset whose values need no conversion. Chunks that go on beyond the rows of the last part are
    kept for the next one, as far as there is room."""

    def __init__(self, dataset: Any, room: int, where: str):
        self._room, self._where = room, where
        self._dataset, self._steps = dataset, dataset.chunks
        self._shuffled = len(_codes(dataset)) == 2
        self._dtype = dataset.dtype
        self._size = math.prod(self._steps) * self._dtype.itemsize
        self._engine = ThreadEngine(1)
        self._kept: dict[tuple[int, ...], numpy.ndarray] = {}

    def use(self, threads: int) -> None:
        """How many threads may unpack."""
        if self._engine.threads != (threads := min(threads, _MOST_THREADS)):
            self._engine = ThreadEngine(threads)

    def read(self, rows: slice, cols: slice, out: numpy.ndarray) -> bool:
        """Fill out with A[rows, cols]; False, with anything in out, where HDF5 has to: for a chunk that is not stored,
        was filtered in another way or is damaged, which it says best. Raises InputError for a chunk that unpacks to
        less than its size, which HDF5 does not see."""
        (height, width), kept = self._steps, self._kept
        marks = [
            range(one.start // step * step, one.stop, step) for one, step in zip((rows, cols), self._steps, strict=True)
        ]
        places = list(itertools.product(*marks))

        def one(number: int) -> tuple[bool, numpy.ndarray | None]:
            row, col = place = places[number]
            chunk = kept.get(place)
            if chunk is None and (chunk := self._unpacked(place)) is None:
                return False, None
            (down, own_rows), (along, own_cols) = _shared(row, height, rows), _shared(col, width, cols)
            out[down, along] = chunk[own_rows, own_cols]
            return True, chunk if row + height > rows.stop else None

        found = self._engine.map(one, len(places))
        goes_on = {place: chunk for place, (_, chunk) in zip(places, found, strict=True) if chunk is not None}
        self._kept = goes_on if len(goes_on) * self._size <= self._room else {}
        return all(well for well, _ in found)

    def _unpacked(self, place: tuple[int, ...]) -> numpy.ndarray | None:
        try:
            mask, packed = self._dataset.id.read_direct_chunk(place)
            if mask:
                return None
            stream = zlib.decompressobj()
            values = stream.decompress(packed, self._size)
            # the checksum comes after the last byte
            rest = stream.decompress(stream.unconsumed_tail, 1)
        except (*H5_ERRORS, zlib.error):
            return None
        if rest or not stream.eof:
            return None
        if len(values) < self._size:
            index = tuple(first // step for first, step in zip(place, self._steps, strict=True))
            raise InputError(
                f"damaged data in chunk {index} ({len(values):,} of {self._size:,} bytes)",
                where=self._where,
                hint="copy the file again, or restore it from a backup",
            )
        raw = np.frombuffer(values, np.uint8)
        if self._shuffled:
            raw = np.ascontiguousarray(raw.reshape(self._dtype.itemsize, -1).T)
        return raw.reshape(-1).view(self._dtype).reshape(self._steps)


def _shared(first: int, length: int, part: slice) -> tuple[slice, slice]:
    """Where a part has what a chunk shares with it, and where the chunk has it."""
    start, stop = max(first, part.start), min(first + length, part.stop)
    return slice(start - part.start, stop - part.start), slice(start - first, stop - first)


def _codes(dataset: Any) -> list[int]:
    plist = dataset.id.get_create_plist()
    return [plist.get_filter(index)[0] for index in range(plist.get_nfilters())]


def chunks_of(dataset: Any, conversion: Conversion, room: int, where: str) -> Chunks | None:
    """For a dataset in packed chunks of two dimensions, of numbers as we compute with them; None for any other. room:
    bytes of chunks that are kept."""
    if dataset.chunks is None or len(dataset.shape) != 2 or not conversion.direct or dataset.dtype != conversion.target:
        return None
    fits = _SMALLEST <= math.prod(dataset.chunks) * dataset.dtype.itemsize <= _LARGEST
    return Chunks(dataset, room, where) if fits and _codes(dataset) in _UNDONE else None
