"""Chunks unpacked by several threads: the values HDF5 gives, each chunk once, and HDF5's word on what is damaged."""

from __future__ import annotations

import zlib

import h5py
import numpy as np
import pytest

from lowrank_cli.errors import InputError
from lowrank_cli.formats import hdf5, hdf5_chunks
from lowrank_cli.formats.working import Conversion
from lowrank_cli.matrices.grid import cuts

A = np.round(8 * np.random.default_rng(0).standard_normal((1700, 190)))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(hdf5_chunks, "_SMALLEST", 1)


def written(path, data=A, chunks=(300, 70), **how):
    with h5py.File(path, "w") as file:
        file.create_dataset("A", data=data, chunks=chunks, **({"compression": "gzip"} | how))
    return str(path)


def passed(path, threads, strips=None, most=1_000_000):
    """The matrix as one pass reads it."""
    source = hdf5.filed(path, "A", most).array
    source.use(threads)
    out = np.empty(source.shape, source.dtype)
    marks = cuts(source.shape[0]), cuts(source.shape[1])
    for slab in source.slabs(*marks, strips):
        rows, cols = (
            slice(ends[blocks.start], ends[blocks.stop])
            for ends, blocks in zip(marks, (slab.row_blocks, slab.col_blocks), strict=True)
        )
        out[rows, cols] = slab.tile(rows, cols)
    return out


@pytest.mark.parametrize("chunks", [(300, 70), (1, 190), (1700, 3), (511, 190), (1700, 190), (7, 11)])
@pytest.mark.parametrize("how", [{}, {"shuffle": True}])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_values_are_those_that_hdf5_gives(tmp_path, chunks, how, dtype):
    data = A.astype(dtype)
    path = written(tmp_path / "A.h5", data, chunks, **how)
    for strips in (None, 0, 1):
        assert passed(path, 3, strips).tobytes() == data.tobytes()
    source = hdf5.filed(path, "A", 1000).array
    source.use(2)
    assert np.array_equal(source.part(slice(299, 301), slice(69, 143)), data[299:301, 69:143])


def test_each_chunk_is_unpacked_once_in_a_pass(tmp_path, monkeypatch):
    path, seen, inner = written(tmp_path / "A.h5"), [], hdf5_chunks.Chunks._unpacked
    monkeypatch.setattr(hdf5_chunks.Chunks, "_unpacked", lambda self, place: seen.append(place) or inner(self, place))
    assert passed(path, 2, most=2_500_000).tobytes() == A.tobytes()
    assert len(seen) == len(set(seen)) == 6 * 3


@pytest.mark.parametrize(
    "how", [{"compression": "lzf"}, {"compression": None}, {"fletcher32": True}, {"data": A.astype("int16")}]
)
def test_what_is_packed_or_stored_otherwise_is_left_to_hdf5(tmp_path, how, monkeypatch):
    path = written(tmp_path / "A.h5", **how)
    monkeypatch.setattr(hdf5_chunks.Chunks, "read", lambda *_: pytest.fail("not one of ours"))
    assert np.array_equal(passed(path, 2), A)


def test_chunks_that_are_not_stored_or_not_filtered_are_left_to_hdf5(tmp_path):
    path = tmp_path / "A.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("A", A.shape, "f8", chunks=(300, 70), compression="gzip", fillvalue=2.5)
        made[:600] = A[:600]
        made.id.write_direct_chunk((600, 0), np.ascontiguousarray(A[600:900, :70]).tobytes(), filter_mask=1)
    expected = np.full(A.shape, 2.5)
    expected[:600], expected[600:900, :70] = A[:600], A[600:900, :70]
    assert np.array_equal(passed(str(path), 3), expected)


PACKED = zlib.compress(np.ascontiguousarray(A[300:600, 70:140]).tobytes())
DAMAGE = {
    "bytes changed": PACKED[:40] + bytes(8) + PACKED[48:],
    "cut off": PACKED[: len(PACKED) // 2],
    "no checksum": PACKED[:-4],
    "another checksum": PACKED[:-1] + bytes([PACKED[-1] ^ 1]),
    "too little": zlib.compress(b"1234"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_refused_in_the_words_of_one_thread(tmp_path, case):
    path = written(tmp_path / "A.h5")
    with h5py.File(path, "r+") as file:
        file["A"].id.write_direct_chunk((300, 70), DAMAGE[case])
    said = []
    for threads in (1, 3):
        try:
            said.append(str(zlib.crc32(passed(path, threads))))
        except InputError as error:
            said.append(str(error))
    assert said[0] == said[1]
    # HDF5 does without the checksum, and would take whatever is in memory for what is missing
    assert "chunk (1, 1)" in said[0] or case == "no checksum"


def test_a_chunk_that_unpacks_to_more_than_its_size_is_left_to_hdf5(tmp_path):
    path = written(tmp_path / "A.h5")
    with h5py.File(path, "r+") as file:
        file["A"].id.write_direct_chunk((300, 70), zlib.compress(bytes(50_000_000)))
    with h5py.File(path) as file:
        chunks = hdf5_chunks.chunks_of(file["A"], Conversion(A.dtype), 0, path)
        assert chunks._unpacked((300, 70)) is None and chunks._unpacked((0, 0)) is not None
