"""An HDF5 dataset left in its file: parts of it read into the buffers of passes, chunk by chunk."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ..lazy import np
from ..matrices.filed import Filed
from .hdf5_chunks import chunks_of
from .hdf5_read import STRIP, read_part
from .unchanged import Unchanged
from .working import Conversion

if TYPE_CHECKING:
    import numpy

#: Most bytes of unpacked chunks that HDF5 keeps.
_CACHE = 256 * 2**20


def filed(
    dataset: Any,
    conversion: Conversion,
    turned: bool,
    open_file: contextlib.ExitStack,
    path: str,
    where: str,
    buffer: int,
) -> Filed:
    """The matrix of a dataset that has been examined; the file, which open_file closes, stays open as long as it.

    turned: the dataset holds the transpose, as MATLAB's do. Raises InputError when a chunk cannot be read, or when the
    file has changed since.
    """
    shape, chunks = dataset.shape, dataset.chunks
    across, cache = False, 0
    if chunks is not None:
        itemsize = max(dataset.dtype.itemsize, conversion.target.itemsize)
        rows, cols = chunks[0] * shape[1] * itemsize, shape[0] * chunks[1] * itemsize
        across = cols < rows and rows > buffer
        # two lines of chunks: one that two slabs share is unpacked once
        cache = min(2 * (cols if across else rows), buffer, _CACHE)
        dataset = _cached(dataset, cache)
    stored = _Dataset(dataset, conversion, turned, across, open_file, path, where, cache)
    if turned:
        shape, chunks = shape[::-1], None if chunks is None else chunks[::-1]
    by_rows = turned == across
    return Filed(shape, conversion.target, by_rows, stored.read, stored.check, buffer, chunks, cache, stored.use)


class _Dataset:
    def __init__(
        self,
        dataset: Any,
        conversion: Conversion,
        turned: bool,
        across: bool,
        open_file: contextlib.ExitStack,
        path: str,
        where: str,
        room: int,
    ):
        self.dataset, self.path, self.where = dataset, path, where
        self.conversion, self.turned, self._across = conversion, turned, across
        self._open_file = open_file
        self._chunks = None if across else chunks_of(dataset, conversion, room, where)
        self.check = Unchanged(path).check

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self._open_file.close()

    def use(self, threads: int) -> None:
        """How many threads may unpack."""
        if self._chunks is not None:
            self._chunks.use(threads)

    def read(self, rows: slice, cols: slice, out: numpy.ndarray) -> None:
        """Fill out with A[rows, cols]; it is contiguous in the order of the dataset, or across that."""
        (down, along), out = ((cols, rows), out.T) if self.turned else ((rows, cols), out)
        if self._chunks is not None and self._chunks.read(down, along, out):
            return
        if not self._across:
            read_part(self.dataset, (down, along), out, self.conversion, self.where)
            return
        step = self.dataset.chunks[1]
        width = max(1, STRIP // max(1, len(out) * step * out.itemsize)) * step
        first = along.start
        while first < along.stop:
            # to the end of a column of chunks, so that none is unpacked twice
            last = min((first // width + 1) * width, along.stop)
            piece = np.empty((len(out), last - first), out.dtype)
            read_part(self.dataset, (down, slice(first, last)), piece, self.conversion, self.where)
            out[:, first - along.start : last - along.start] = piece
            first = last


def _cached(dataset: Any, room: int) -> Any:
    """The dataset opened anew with that much room for unpacked chunks; the one given is closed, as HDF5 keeps to the
    room of the first that is open."""
    import h5py

    file, name = dataset.file.id, dataset.name.encode("utf-8", "surrogateescape")
    access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    access.set_chunk_cache(10_007, room, 0.75)
    h5py.h5i.dec_ref(dataset.id)
    return h5py.Dataset(h5py.h5d.open(file, name, access))
