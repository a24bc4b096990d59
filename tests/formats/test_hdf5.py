"""Reading HDF5: values bit for bit in any storage, and never a byte from outside the file."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest

from lowrank_cli.errors import InputError, LowrankError, ResourceError
from lowrank_cli.formats import hdf5, hdf5_read, hdf5_walk, working
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
def test_every_dtype_and_storage_gives_the_same_values(path, stored, byteorder, chunks, monkeypatch):
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
def test_the_four_plain_filters_are_read_and_others_refused(path, filters):
    values = RNG.standard_normal((40, 30))
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=values, chunks=(16, 8), **filters)
    if "scaleoffset" in filters:
        assert "filter 6 (scaleoffset)" in refusal(path)
        return
    loaded = hdf5.load(path)
    assert (loaded.array == values).all()
    assert next(iter(filters.values())) is True or filters["compression"] in loaded.item.detail


def test_an_unknown_filter_is_named_with_what_to_do(path):
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4, 4))
        plist.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, ())
        h5py.h5d.create(file.id, b"a", h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((8, 8)), plist)
    line = refusal(path)
    assert "filter 32001 (blosc)" in line and "h5repack" in line


def test_the_only_matrix_is_used_and_named(path):
    with h5py.File(path, "w") as file:
        file["deep/down/a"] = np.ones((3, 4))
        file["vector"], file["number"], file["text"], file["cube"] = np.ones(5), 1.0, "hello", np.ones((2, 2, 2))
    loaded = hdf5.load(path)
    assert loaded.item.path == "/deep/down/a" and loaded.notes == (f"using {path}:/deep/down/a",)


def test_several_matrices_are_listed_so_that_one_can_be_copied(path):
    with h5py.File(path, "w") as file:
        file["a"], file["g/b c"] = np.ones((3, 4)), np.ones((5, 6), "f4")
    line = refusal(path)
    assert f"{path}:/a (3 x 4 float64)" in line and f"{path}:/g/b c (5 x 6 float32)" in line
    assert open_matrix(f"{path}:/g/b c").shape == (5, 6)
    assert open_matrix(path, "g/b c").shape == (5, 6)
    assert open_matrix(f"{path}:/a").notes == ()


@pytest.mark.parametrize("item", ["nope", "g", "/", "", "g/nope", "a/below", "kind"])
def test_a_missing_dataset_or_a_group_lists_the_candidates(path, item):
    with h5py.File(path, "w") as file:
        file["a"], file["g/b"] = np.ones((3, 4)), np.ones((5, 6))
        file["kind"] = np.dtype("f8")
    line = refusal(path, item)
    assert f"{path}:/a (3 x 4" in line and f"{path}:/g/b (5 x 6" in line


def test_a_file_without_matrices_says_what_it_holds(path):
    with h5py.File(path, "w") as file:
        file["cube"] = np.ones((2, 3, 4))
    assert "/cube (2 x 3 x 4 float64)" in refusal(path)


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
def test_what_is_no_numeric_matrix_is_refused_by_name(path, make, words):
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


# --- nothing outside the file -------------------------------------------------------------------------------------


@pytest.mark.parametrize("item", ["link", "link/x", "group/link", "soft", "soft_in_group/link"])
def test_external_links_are_refused_wherever_they_stand_in_the_path(tmp_path, path, item):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.full((2, 2), 42.0)
    with h5py.File(path, "w") as file:
        file["link"] = h5py.ExternalLink("other.h5", "/x")
        file["group/link"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")
        file["soft"] = h5py.SoftLink("/group/link")
        file["soft_in_group"] = h5py.SoftLink("group")
    assert "external link" in refusal(path, item)


def test_external_links_are_never_candidates(tmp_path, path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.full((2, 2), 42.0)
    with h5py.File(path, "w") as file:
        file["a"] = np.ones((3, 4))
        file["link"] = h5py.ExternalLink("other.h5", "/x")
        file["dangling"] = h5py.SoftLink("/nowhere")
    assert hdf5.load(path).item.path == "/a"


def test_soft_links_in_the_file_are_followed_and_loops_refused(path):
    with h5py.File(path, "w") as file:
        file["g/a"] = np.ones((3, 4))
        file["soft"] = h5py.SoftLink("g")
        file["g/relative"] = h5py.SoftLink("a")
        file["one"], file["two"] = h5py.SoftLink("/two"), h5py.SoftLink("/one")
        file["dangling"] = h5py.SoftLink("/nowhere")
    assert hdf5.load(path, "soft/a").shape == (3, 4)
    assert hdf5.load(path, "soft/relative").shape == (3, 4)
    assert "circle" in refusal(path, "one")
    assert "there is no '/dangling'" in refusal(path, "dangling")


def test_external_storage_never_gives_the_bytes_of_another_file(tmp_path, path):
    secret = tmp_path / "secret"
    secret.write_bytes(np.full(4, 42.0).tobytes())
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (2, 2), "f8", external=[(str(secret), 0, 32)])
    assert "external storage" in refusal(path)


@pytest.mark.parametrize("missing", [False, True])
def test_virtual_datasets_are_refused(tmp_path, path, missing):
    with h5py.File(tmp_path / "source.h5", "w") as source:
        source["x"] = np.ones((2, 2))
    layout = h5py.VirtualLayout((2, 2), "f8")
    layout[...] = h5py.VirtualSource(str(tmp_path / "source.h5"), "x", (2, 2))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("a", layout, fillvalue=-7)
    if missing:
        os.unlink(tmp_path / "source.h5")
    assert "virtual dataset" in refusal(path)


# --- damage and size ----------------------------------------------------------------------------------------------


def test_a_flipped_byte_under_a_checksum_names_its_chunk(path):
    values = RNG.standard_normal((64, 64))
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("a", data=values, chunks=(16, 16), fletcher32=True)
        offset = dataset.id.get_chunk_info_by_coord((32, 16)).byte_offset
    with open(path, "r+b") as raw:
        raw.seek(offset + 100)
        byte = raw.read(1)
        raw.seek(offset + 100)
        raw.write(bytes([byte[0] ^ 1]))
    line = refusal(path)
    assert "checksum" in line and "chunk (2, 1)" in line


def test_a_damaged_compressed_chunk_is_one_line(path):
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("a", data=RNG.integers(0, 9, (64, 64)), chunks=(16, 16), compression="gzip")
        info = dataset.id.get_chunk_info_by_coord((0, 0))
    with open(path, "r+b") as raw:
        raw.seek(info.byte_offset)
        raw.write(b"\xff" * info.size)
    assert "chunk (0, 0)" in refusal(path)


def test_a_file_cut_anywhere_is_refused(path, tmp_path):
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=RNG.standard_normal((20, 20)), chunks=(7, 7))
    whole = open(path, "rb").read()
    for size in range(0, len(whole), 97):
        cut = tmp_path / "cut.h5"
        cut.write_bytes(whole[:size])
        with pytest.raises(InputError):
            open_matrix(str(cut))


def test_flipped_bytes_raise_nothing_but_a_lowrank_error(path, tmp_path):
    with h5py.File(path, "w") as file:
        file.create_dataset("g/a", data=np.arange(12.0).reshape(3, 4), chunks=(2, 2))
        file["b"] = np.ones(3)
    whole = bytearray(open(path, "rb").read())
    broken = str(tmp_path / "broken.h5")
    for _ in range(150):
        content = bytearray(whole)
        for at in RNG.integers(0, len(whole), 3):
            content[at] = RNG.integers(0, 256)
        with open(broken, "wb") as raw:
            raw.write(content)
        try:
            open_matrix(broken)
            list_items(broken)
        except LowrankError as error:
            assert "\n" not in str(error)


def test_a_small_file_that_claims_terabytes_is_refused_before_memory_is_taken(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (10**6, 10**6), "f8", chunks=(100, 100), fillvalue=3.0)
    assert os.path.getsize(path) < 10_000
    assert "7.3 TiB" in refusal(path, kind=ResourceError)


def test_dimensions_whose_product_overflows_are_refused(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (2**31, 2**31), "f8", chunks=(100, 100), maxshape=(None, None))
        file["a"].resize((2**40, 2**40))
    refusal(path, kind=ResourceError)


def test_gigabytes_of_which_nothing_is_stored_are_refused_even_with_the_memory(path, monkeypatch):
    monkeypatch.setattr(hdf5_read, "available_memory", lambda: 2**50)
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (2**15, 2**15), "f8", chunks=(100, 100))
    assert "only 0 bytes are stored" in refusal(path)


def test_a_chunk_beyond_a_quarter_of_memory_is_refused(path, monkeypatch):
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=np.zeros((100, 100)), chunks=(50, 100), compression="gzip")
    monkeypatch.setattr(hdf5_read, "available_memory", lambda: 100_000)
    assert "one chunk" in refusal(path, kind=ResourceError)
    monkeypatch.setattr(hdf5_read, "available_memory", lambda: 160_000)
    assert hdf5.load(path).shape == (100, 100)


def test_a_matrix_larger_than_memory_is_refused(path, monkeypatch):
    with h5py.File(path, "w") as file:
        file["a"] = np.zeros((100, 100), "i1")
    monkeypatch.setattr(working, "available_memory", lambda: 79_999)
    refusal(path, kind=ResourceError)


def test_missing_chunks_are_the_fill_value_and_said(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (20, 20), "f8", chunks=(10, 10), fillvalue=3.0)
        file["a"][:10, :10] = 1.0
        file.create_dataset("b", (4, 4), "f8")
    loaded = hdf5.load(path, "a")
    assert loaded.array.sum() == 100 + 900
    assert loaded.notes == ("3 of 4 chunks are not stored: their entries are the fill value",)
    assert hdf5.load(path, "b").notes == ("no values are stored: every entry is the fill value",)


def test_packing_attributes_are_not_applied_and_said(path):
    with h5py.File(path, "w") as file:
        file["a"] = np.ones((3, 3))
        file["a"].attrs["scale_factor"] = 0.1
    assert "scale_factor" in hdf5.load(path, "a").notes[0]


def test_a_file_a_writer_holds_is_refused_as_in_use(path):
    script = "import h5py,sys; f=h5py.File(sys.argv[1],'w'); f['a']=[[1.]]; f.flush(); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        writer.stdout.readline()
        line = refusal(path)
        writer.communicate("\n")
    assert "in use" in line
    assert hdf5.load(path).shape == (1, 1)


# --- odd files ----------------------------------------------------------------------------------------------------


def test_a_user_block_is_accepted_by_name(path):
    with h5py.File(path, "w", userblock_size=512) as file:
        file["a"] = np.ones((3, 4))
    with open(path, "r+b") as raw:
        raw.write(b"#!/bin/sh\n")
    assert open_matrix(path).shape == (3, 4)


@pytest.mark.parametrize("name", ["\x1b[31mred", "[/red]", "a\nb", "a:b", "a b", "ü", "x" * 300])
def test_odd_names_are_listed_and_loaded(path, name):
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


def test_listing_ends_on_cycles_depth_and_number(path):
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
