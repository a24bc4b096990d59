"""Several matrices in one file: readable by everybody, the same bytes for the same content, whole or not there."""

from __future__ import annotations

import json
import time

import h5py
import numpy as np
import pytest

from lowrank_cli.errors import OutputError, UsageError
from lowrank_cli.formats import arrays
from lowrank_cli.formats.opening import list_items, open_matrix


def named(dtype="float64"):
    rng = np.random.default_rng(0)
    return {
        "/layers/0/weight": (rng.standard_normal((3, 4)).astype(dtype), {"command": "msign", "run": {"seconds": 1}}),
        "/layers/1/weight": (np.asfortranarray(rng.standard_normal((2, 5)).astype(dtype)), {"command": "msign"}),
        "top": (np.eye(2, dtype=dtype), {"rank": 2}),
    }


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_numpy_reads_the_archive_under_the_names_of_the_container(tmp_path, dtype):
    target = tmp_path / "out.npz"
    arrays.save(named(dtype), str(target))
    with np.load(target, allow_pickle=False) as found:
        for name, (array, _) in named(dtype).items():
            assert np.array_equal(found[name.strip("/")], array) and found[name.strip("/")].dtype == dtype
        meta = json.loads(found["meta.json"]) if "meta.json" in found else None
    assert meta == {
        "schema": "lowrank.arrays/1",
        "reports": {
            "layers/0/weight": {"command": "msign"},
            "layers/1/weight": {"command": "msign"},
            "top": {"rank": 2},
        },
    }


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_the_hdf5_file_has_the_groups_of_the_container_and_is_read_again(tmp_path, dtype):
    target = str(tmp_path / "out.h5")
    arrays.save(named(dtype), target)
    assert sorted(item.path for item in list_items(target)[1]) == ["/layers/0/weight", "/layers/1/weight", "/top"]
    for name, (array, _) in named(dtype).items():
        assert np.array_equal(open_matrix(target, name).array, array)
    with h5py.File(target) as file:
        assert json.loads(file["layers/0/weight"].attrs["report"]) == {"command": "msign"}
        assert file.attrs["schema"] == b"lowrank.arrays/1"


@pytest.mark.parametrize("suffix", arrays.SUFFIXES)
def test_the_same_content_gives_the_same_bytes_at_any_time(tmp_path, suffix):
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    arrays.save(named(), str(first))
    time.sleep(1.1 if suffix == ".h5" else 0)  # HDF5 stamps objects with seconds, unless told not to
    arrays.save(named(), str(second))
    assert first.read_bytes() == second.read_bytes()


def test_a_report_too_long_for_an_attribute_does_not_stop_the_arrays(tmp_path):
    long = {"W": (np.eye(3), {"text": "x" * 70_000})}
    arrays.save(long, str(tmp_path / "out.h5"))
    assert np.array_equal(open_matrix(str(tmp_path / "out.h5")).array, np.eye(3))


def test_names_and_suffixes_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"\.npz or \.h5"):
        arrays.save(named(), str(tmp_path / "out.npy"))
    with pytest.raises(UsageError, match=r"write \.h5"):
        arrays.save({"/Gewichtß": (np.eye(2), {})}, str(tmp_path / "out.npz"))
    arrays.save({"/Gewichtß": (np.eye(2), {})}, str(tmp_path / "out.h5"))
    assert list(tmp_path.iterdir()) == [tmp_path / "out.h5"]


def test_an_existing_file_is_kept_when_asked(tmp_path):
    target = tmp_path / "out.npz"
    target.write_bytes(b"mine")
    with pytest.raises(OutputError):
        arrays.save(named(), str(target), no_clobber=True)
    assert target.read_bytes() == b"mine"
