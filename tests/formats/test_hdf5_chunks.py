"""A chunked dataset that stays in its file: each chunk is unpacked once a pass, or what that comes to is counted."""

from __future__ import annotations

import os

import h5py
import numpy as np
import pytest

from lowrank_cli.formats import hdf5
from lowrank_cli.matrices.grid import cuts

A = np.random.default_rng(0).standard_normal((1500, 700))
#: Chunks, bytes from which a matrix stays in its file, and how often it is then read in a pass.
CASES = {
    "rows": ((1, 700), 200_000, 1.0),
    "squares": ((64, 64), 2_000_000, 1.0),
    "small": ((10, 7), 200_000, 1.0),
    "columns": ((1500, 1), 200_000, 3.0),
    "large": ((1499, 699), 200_000, None),
}


def bytes_asked():
    """Bytes that this process has read so far."""
    with open("/proc/self/io") as file:
        return int(file.readline().split()[1])


@pytest.mark.parametrize(("chunks", "most", "times"), CASES.values(), ids=CASES)
def test_what_a_pass_reads_is_what_is_counted(tmp_path, chunks, most, times):
    path = str(tmp_path / "A.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("A", data=A, chunks=chunks, compression="gzip", compression_opts=1)
    stored = hdf5.filed(path, None, most).array
    for strips in (None, 0, 1):
        stored.part(slice(0, 1), slice(0, 1))
        counted, came, found = stored.bytes_read, bytes_asked(), np.empty(A.shape)
        for slab in stored.slabs(cuts(1500), cuts(700), strips):
            m, n = slab.array.shape
            found[slab.top : slab.top + m, slab.left : slab.left + n] = slab.array
        assert np.array_equal(found, A)
        counted, came = (stored.bytes_read - counted) / A.nbytes, (bytes_asked() - came) / os.path.getsize(path)
        assert times is None or counted == pytest.approx(times, abs=0.1)
        assert came == pytest.approx(counted, abs=0.2)
