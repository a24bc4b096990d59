"""Reading HDF5: values bit for bit in any storage, and never a byte from outside the file."""

from __future__ import annotations

import re

import h5py
import numpy as np
import pytest

from lowrank_cli.errors import InputError, LowrankError
from lowrank_cli.formats import hdf5, hdf5_read, hdf5_walk
from lowrank_cli.formats.opening import list_items, open_matrix

RNG = np.random.default_rng(7)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "a.h5")


def refusal(path: str, item: str | None = None, kind: type[LowrankError] = InputError) -> str:
    with pytest.raises(kind) as caught:
        hdf5.load(path, item)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "stored", ["f2", "f4", "f8", "c8", "c16", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"]
)
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("chunks", [None, (5, 3), (37, 1), (1, 11)])
def test_c15_every_dtype_and_storage_gives_the_same_values(path, stored, byteorder, chunks, monkeypatch):
    monkeypatch.setattr(hdf5_read, "STRIP", 200)
    values = RNG.integers(0, 100, (37, 11)).astype(stored)
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=values.astype(np.dtype(stored).newbyteorder(byteorder)), chunks=chunks)
    loaded = hdf5.load(path)
    kept = np.dtype(stored).name if stored in ("f4", "f8", "c8", "c16") else "float32" if stored == "f2" else "float64"
    assert loaded.array.dtype == np.dtype(kept) and loaded.array.dtype.isnative
    assert loaded.array.tobytes() == values.astype(kept).tobytes()
    assert loaded.item.dtype == np.dtype(stored).name
    assert loaded.notes == (f"using {path}:/a",)


@pytest.mark.parametrize(
    "filters",
    [{"compression": "gzip"}, {"compression": "lzf"}, {"shuffle": True}, {"fletcher32": True}, {"scaleoffset": 2}],
)
def test_c08_the_four_plain_filters_are_read_and_others_refused(path, filters):
    values = RNG.standard_normal((40, 30))
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=values, chunks=(16, 8), **filters)
    if "scaleoffset" in filters:
        assert "filter 6 (scaleoffset)" in refusal(path)
        return
    loaded = hdf5.load(path)
    assert (loaded.array == values).all()
    assert next(iter(filters.values())) is True or filters["compression"] in loaded.item.detail


def test_c07_an_unknown_filter_is_named_with_what_to_do(path):
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4, 4))
        plist.set_filter(32013, h5py.h5z.FLAG_OPTIONAL, ())
        h5py.h5d.create(file.id, b"a", h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((8, 8)), plist)
    line = refusal(path)
    assert "filter 32013 (zfp)" in line and "h5repack" in line


def test_the_only_matrix_is_used_and_named(path):
    with h5py.File(path, "w") as file:
        file["deep/down/a"] = np.ones((3, 4))
        file["vector"], file["number"], file["text"], file["cube"] = np.ones(5), 1.0, "hello", np.ones((2, 2, 2))
    loaded = hdf5.load(path)
    assert loaded.item.path == "/deep/down/a" and loaded.notes == (f"using {path}:/deep/down/a",)


def test_c02_several_matrices_are_listed_so_that_one_can_be_copied(path):
    with h5py.File(path, "w") as file:
        file["a"], file["g/b c"] = np.ones((3, 4)), np.ones((5, 6), "f4")
    line = refusal(path)
    assert f"{path}:/a (3 x 4 float64)" in line and f"{path}:/g/b c (5 x 6 float32)" in line
    assert open_matrix(f"{path}:/g/b c").shape == (5, 6)
    assert open_matrix(path, "g/b c").shape == (5, 6)
    assert open_matrix(f"{path}:/a").notes == ()


@pytest.mark.parametrize("item", ["nope", "g", "/", "", "g/nope", "a/below", "kind"])
def test_c01_a_missing_dataset_or_a_group_lists_the_candidates(path, item):
    with h5py.File(path, "w") as file:
        file["a"], file["g/b"] = np.ones((3, 4)), np.ones((5, 6))
        file["kind"] = np.dtype("f8")
    line = refusal(path, item)
    assert f"{path}:/a (3 x 4" in line and f"{path}:/g/b (5 x 6" in line


def test_a_file_without_matrices_says_what_it_holds(path):
    with h5py.File(path, "w") as file:
        file["cube"] = np.ones((2, 3, 4))
    assert "/cube: 3-D array (2 x 3 x 4)" in refusal(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda f: f.create_dataset("a", data=np.zeros((2, 2), [("x", "f8"), ("y", "i4")])),
            r"compound values \(x, y\)",
        ),
        (lambda f: f.create_dataset("a", (2, 2), h5py.vlen_dtype("f8")), "variable-length"),
        (lambda f: f.create_dataset("a", data=np.array([["a", "b"]], "S1")), "text"),
        (lambda f: f.create_dataset("a", (2, 2), h5py.string_dtype()), "text"),
        (lambda f: f.create_dataset("a", (2, 2), h5py.ref_dtype), "references"),
        (lambda f: f.create_dataset("a", (2, 2), h5py.enum_dtype({"R": 0, "G": 1})), "enumeration"),
        (lambda f: f.create_dataset("a", (2, 2), np.dtype("V5")), "opaque"),
        (lambda f: f.create_dataset("a", (2, 2), np.dtype(("f8", (3,)))), "array in every entry"),
        (lambda f: f.create_dataset("a", data=h5py.Empty("f8")), "null dataspace"),
        (lambda f: f.create_dataset("a", data=1.0), "single number"),
        (lambda f: f.create_dataset("a", data=np.ones(5)), "1-D"),
        (lambda f: f.create_dataset("a", data=np.ones((2, 2, 2))), "3-D"),
        (lambda f: f.create_dataset("a", (0, 5), "f8"), "no rows"),
        (lambda f: f.create_dataset("a", (5, 0), "f8"), "no columns"),
        (lambda f: f.create_dataset("a", (2, 2), np.longdouble), "longdouble|float128"),
    ],
)
def test_c15_what_is_no_numeric_matrix_is_refused_by_name(path, make, words):
    with h5py.File(path, "w") as file:
        make(file)
    assert re.search(words, refusal(path, "a"))
    refusal(path)
    assert list_items(path)[1][0].path == "/a"


def test_bool_bytes_are_read_as_zero_and_one(path):
    with h5py.File(path, "w") as file:
        file["a"] = np.array([[True, False], [False, True]])
    assert hdf5.load(path).array.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_integers_that_float64_cannot_hold_are_counted(path):
    with h5py.File(path, "w") as file:
        file["a"] = np.array([[2**53 + 1, 2**60, 3]])
    assert hdf5.load(path, "a").notes == ("1 value is not exact in float64 (integers beyond 2^53)",)


# --- odd files ----------------------------------------------------------------------------------------------------


def test_c13_a_user_block_is_accepted_by_name(path):
    with h5py.File(path, "w", userblock_size=512) as file:
        file["a"] = np.ones((3, 4))
    with open(path, "r+b") as raw:
        raw.write(b"#!/bin/sh\n")
    assert open_matrix(path).shape == (3, 4)


@pytest.mark.parametrize("name", ["\x1b[31mred", "[/red]", "a\nb", "a:b", "a b", "ü", "x" * 300])
def test_c21_odd_names_are_listed_and_loaded(path, name):
    with h5py.File(path, "w") as file:
        file[name] = np.ones((3, 4))
    assert list_items(path)[1][0].path == "/" + name
    assert hdf5.load(path).item.path == "/" + name
    assert open_matrix(f"{path}:/{name}").shape == (3, 4)


def test_names_that_are_not_utf8_are_listed_and_loaded(path):
    with h5py.File(path, "w") as file:
        file["a"] = np.ones((3, 4))
        file.id.links.move(b"a", file.id, b"\xff\xfe")
    item = list_items(path)[1][0].path
    assert open_matrix(path, item).shape == (3, 4)


def test_c20_listing_ends_on_cycles_depth_and_number(path):
    with h5py.File(path, "w") as file:
        group = file
        for level in range(hdf5_walk.MAX_DEPTH + 10):
            group = group.create_group(f"g{level}")
            group["up"] = file["/"]
        group["deep"] = np.ones((2, 2))
        many = file.create_group("many")
        for number in range(hdf5_walk.MAX_OBJECTS + 50):
            many.create_group(f"{number}")
    with h5py.File(path) as file:
        names = [name for name, _ in hdf5_walk.walk(file, closed=lambda group: False)]
    assert len(names) == hdf5_walk.MAX_OBJECTS
    assert max(name.count("/") for name in names) == hdf5_walk.MAX_DEPTH
    assert hdf5.load(path, "/".join(f"g{level}" for level in range(hdf5_walk.MAX_DEPTH + 10)) + "/deep").shape == (2, 2)


def test_c20_paths_of_any_length_are_not_kept(path):
    with h5py.File(path, "w") as file:
        group = file
        for level in range(3):
            group[f"d{level}"] = np.ones((2, 2))
            group = group.create_group(f"{level}" * (hdf5_walk.MAX_PATH // 2))
    with h5py.File(path) as file:
        names = [name for name, _ in hdf5_walk.walk(file, closed=lambda group: False)]
    assert [name.rpartition("/")[2] for name in names] == ["0" * (hdf5_walk.MAX_PATH // 2), "d1", "d0"]


def test_two_names_of_one_dataset_are_one_candidate(path):
    with h5py.File(path, "w") as file:
        file["a"] = np.ones((3, 4))
        file["b"] = file["a"]
    assert hdf5.load(path).item.path == "/a"
    assert hdf5.load(path, "b").item.path == "/b"


def test_a_file_of_factors_is_no_matrix_but_its_parts_are(path):
    with h5py.File(path, "w") as file:
        file.attrs["schema"] = "lowrank.factors/1"
        file["U"] = np.ones((3, 2))
    assert "lowrank reconstruct" in refusal(path)
    assert hdf5.load(path, "U").shape == (3, 2)


def test_the_listing_reads_headers_only(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (10**6, 10**6), "f4", chunks=(100, 100), compression="gzip")
        file["v"] = np.ones(3)
    listed = list_items(path)
    assert listed[0] == "hdf5"
    assert [(item.path, item.shape, item.dtype, item.detail) for item in listed[1]] == [
        ("/a", (10**6, 10**6), "float32", "chunks 100x100 gzip"),
        ("/v", (3,), "float64", "contiguous"),
    ]
    assert listed[1][0].bytes == 4 * 10**12
