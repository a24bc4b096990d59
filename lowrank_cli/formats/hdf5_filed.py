"""An HDF5 dataset left in its file: parts of it read into the buffers of passes, chunk by chunk."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..matrices.filed import Filed
from .hdf5_read import read_part
from .hdf5_walk import H5_ERRORS
from .working import Conversion

if TYPE_CHECKING:
    import numpy

#: Most bytes of unpacked chunks that HDF5 keeps: a row of chunks that two slabs share is unpacked once.
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
    stored = _Dataset(dataset, conversion, turned, open_file, path, where)
    shape = dataset.shape[::-1] if turned else dataset.shape
    return Filed(shape, conversion.target, not turned, stored.read, stored.check, buffer)


class _Dataset:
    def __init__(
        self,
        dataset: Any,
        conversion: Conversion,
        turned: bool,
        open_file: contextlib.ExitStack,
        path: str,
        where: str,
    ):
        self.dataset, self.path, self.where = _cached(dataset), path, where
        self.conversion, self.turned = conversion, turned
        self._open_file = open_file
        self._mark = self._now()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self._open_file.close()

    def _now(self) -> tuple[int, ...]:
        found = os.stat(self.path)
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def check(self) -> None:
        """Raise InputError when the file has changed since it was opened."""
        try:
            same = self._now() == self._mark
        except OSError:
            same = False
        if not same:
            raise InputError("changed while it was being read", where=self.path, hint="run again when it rests")

    def read(self, rows: slice, cols: slice, out: numpy.ndarray) -> None:
        """Fill out, contiguous in the order of the file, with A[rows, cols]."""
        part, out = ((cols, rows), out.T) if self.turned else ((rows, cols), out)
        read_part(self.dataset, part, out, self.conversion, self.where)


def _cached(dataset: Any) -> Any:
    """The dataset opened again with room for two rows of its chunks."""
    import h5py

    if dataset.chunks is None:
        return dataset
    row = dataset.chunks[0] * (dataset.shape[1] + dataset.chunks[1]) * dataset.dtype.itemsize
    try:
        access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
        access.set_chunk_cache(10_007, min(2 * row, _CACHE), 1.0)
        return h5py.Dataset(h5py.h5d.open(dataset.file.id, dataset.name.encode("utf-8", "surrogateescape"), access))
    except H5_ERRORS:
        return dataset
