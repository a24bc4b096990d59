"""HDF5 files that lead elsewhere, are damaged, or claim more than they hold: refused in one line, before the harm."""

from __future__ import annotations

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from lowrank_cli.errors import InputError, LowrankError, ResourceError
from lowrank_cli.formats import hdf5, hdf5_read, working
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


# --- nothing outside the file -------------------------------------------------------------------------------------


@pytest.mark.parametrize("item", ["link", "link/x", "group/link", "soft", "soft_in_group/link"])
def test_c03_external_links_are_refused_wherever_they_stand_in_the_path(tmp_path, path, item):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.full((2, 2), 42.0)
    with h5py.File(path, "w") as file:
        file["link"] = h5py.ExternalLink("other.h5", "/x")
        file["group/link"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")
        file["soft"] = h5py.SoftLink("/group/link")
        file["soft_in_group"] = h5py.SoftLink("group")
    assert "external link" in refusal(path, item)


def test_c03_external_links_are_never_candidates(tmp_path, path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.full((2, 2), 42.0)
    with h5py.File(path, "w") as file:
        file["a"] = np.ones((3, 4))
        file["link"] = h5py.ExternalLink("other.h5", "/x")
        file["dangling"] = h5py.SoftLink("/nowhere")
    assert hdf5.load(path).item.path == "/a"


def test_c06_soft_links_in_the_file_are_followed_and_loops_refused(path):
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


def test_c04_external_storage_never_gives_the_bytes_of_another_file(tmp_path, path):
    secret = tmp_path / "secret"
    secret.write_bytes(np.full(4, 42.0).tobytes())
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (2, 2), "f8", external=[(str(secret), 0, 32)])
    assert "external storage" in refusal(path)


@pytest.mark.parametrize("missing", [False, True])
def test_c05_virtual_datasets_are_refused(tmp_path, path, missing):
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


def test_c10_a_flipped_byte_under_a_checksum_names_its_chunk(path):
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


def damage(path: str, chunk) -> None:
    with open(path, "r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\xff" * chunk.size)


def test_a_damaged_compressed_chunk_is_one_line(path):
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("a", data=RNG.integers(0, 9, (64, 64)), chunks=(16, 16), compression="gzip")
        info = dataset.id.get_chunk_info_by_coord((0, 0))
    damage(path, info)
    assert "chunk (0, 0)" in refusal(path)


def test_of_many_chunks_some_are_tried_for_the_one_that_is_damaged(path, monkeypatch):
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("a", data=RNG.integers(0, 9, (64, 64)), chunks=(8, 8), compression="gzip")
        info = dataset.id.get_chunk_info_by_coord((16, 24))
    damage(path, info)
    assert "chunk (2, 3)" in refusal(path)
    monkeypatch.setattr(hdf5_read, "_CHUNKS_TRIED", 19)
    assert "in rows 0 to 63" in refusal(path)


def test_c12_a_file_cut_anywhere_is_refused(path, tmp_path):
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


def test_c16_a_small_file_that_claims_terabytes_is_refused_before_memory_is_taken(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (10**6, 10**6), "f8", chunks=(100, 100), fillvalue=3.0)
    assert os.path.getsize(path) < 10_000
    assert "7.3 TiB" in refusal(path, kind=ResourceError)


def test_c18_dimensions_whose_product_overflows_are_refused(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (2**31, 2**31), "f8", chunks=(100, 100), maxshape=(None, None))
        file["a"].resize((2**40, 2**40))
    assert "memory" in refusal(path, kind=ResourceError)


def test_gigabytes_of_which_nothing_is_stored_are_refused_even_with_the_memory(path, monkeypatch):
    monkeypatch.setattr(hdf5_read, "available_memory", lambda: 2**50)
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (2**15, 2**15), "f8", chunks=(100, 100))
    assert "only 0 bytes are stored" in refusal(path)


def test_c17_a_chunk_beyond_a_quarter_of_memory_is_refused(path, monkeypatch):
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
    assert "memory" in refusal(path, kind=ResourceError)


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


def test_c14_a_file_a_writer_holds_is_refused_as_in_use(path):
    script = "import h5py,sys; f=h5py.File(sys.argv[1],'w'); f['a']=[[1.]]; f.flush(); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        writer.stdout.readline()
        line = refusal(path)
        writer.communicate("\n")
    assert "in use" in line
    assert hdf5.load(path).shape == (1, 1)


def test_a_dataset_with_its_values_elsewhere_is_no_candidate_beside_a_readable_one(tmp_path, path):
    with h5py.File(path, "w") as file:
        file["here"] = np.ones((2, 2))
        file.create_dataset("there", (2, 2), "f8", external=[(str(tmp_path / "raw.bin"), 0, 32)])
    loaded = hdf5.load(path)
    assert loaded.item.path == "/here"
    listed = {item.path: item.detail for item in hdf5.items(path)}
    assert "another file" in listed["/there"]
