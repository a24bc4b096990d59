"""Formats that need an optional package: read right, refused right, and asked for by name when it is missing."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
import zarr
from PIL import Image

from lowrank_cli.errors import DependencyError, InputError, LowrankError
from lowrank_cli.formats.opening import list_items, open_matrix

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 5)).astype(np.uint8)
D = np.random.default_rng(1).standard_normal((6, 3))


def write_table(path, columns):
    table = pa.table(columns)
    if str(path).endswith(".parquet"):
        pyarrow.parquet.write_table(table, path)
    elif str(path).endswith(".feather"):
        pyarrow.feather.write_feather(table, path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)


def refusal(path, kind=InputError) -> str:
    with pytest.raises(kind) as caught:
        open_matrix(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "pixels", "dtype"),
    [
        ("a.png", PIXELS, "uint8"),
        ("a.tiff", PIXELS, "uint8"),
        ("a.png", PIXELS.astype(np.uint16) * 257, "uint16"),
        ("a.tiff", PIXELS.astype(np.uint16) * 257, "uint16"),
        ("a.tiff", PIXELS.astype(np.float32) / 7, "float32"),
        ("a.png", PIXELS > 100, "bool"),
    ],
)
def test_a_grey_image_is_its_pixels(name, pixels, dtype, tmp_path):
    Image.fromarray(pixels).save(tmp_path / name)
    loaded = open_matrix(str(tmp_path / name))
    assert np.array_equal(loaded.array, pixels) and loaded.item.dtype == dtype
    (item,) = list_items(str(tmp_path / name))[1]
    assert item.shape == (7, 5) and item.dtype == dtype


def test_a_tiff_on_its_side_is_refused(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.tiff", tiffinfo={274: 6})
    assert "on its side" in refusal(tmp_path / "a.tiff")


def test_a_channel_of_a_colour_image_has_to_be_named(tmp_path):
    colours = np.stack([PIXELS, PIXELS // 2, PIXELS // 3], axis=2)
    path = tmp_path / "c.png"
    Image.fromarray(colours).save(path)
    assert f"{path}:red" in refusal(path)
    for at, names in enumerate((("red", "r"), ("green", "g"), ("blue", "b"))):
        for name in names:
            assert np.array_equal(open_matrix(f"{path}:{name}").array, colours[:, :, at])


def test_several_images_in_a_file_and_a_damaged_one_are_refused(tmp_path):
    first = Image.fromarray(PIXELS)
    first.save(tmp_path / "two.tiff", save_all=True, append_images=[first])
    assert "2 images" in refusal(tmp_path / "two.tiff")
    first.save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[:70] + bytes([whole[70] ^ 1]) + whole[71:])
    assert "image" in refusal(tmp_path / "a.png")
    for length in (20, 40, len(whole) - 20):
        (tmp_path / "a.png").write_bytes(whole[:length])
        assert "image" in refusal(tmp_path / "a.png")


def test_an_image_of_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    Image.new("L", (20_000, 20_000)).save(tmp_path / "bomb.png")
    assert "too many pixels" in refusal(tmp_path / "bomb.png", LowrankError)


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.feather"])
def test_the_columns_of_numbers_make_a_matrix_with_their_names(name, tmp_path):
    columns = {"x": D[:, 0], "gene": list("abcdef"), "y": D[:, 1].astype(np.float32), "n": np.arange(6)}
    write_table(tmp_path / name, columns)
    loaded = open_matrix(str(tmp_path / name))
    assert np.array_equal(loaded.array, np.column_stack([columns[c].astype(float) for c in "xyn"]))
    assert loaded.names.cols == ("x", "y", "n") and loaded.names.rows == tuple("abcdef")
    write_table(tmp_path / name, {"x": D[:, 0].astype(np.float32), "ok": np.array([True, False] * 3)})
    loaded = open_matrix(str(tmp_path / name))
    assert loaded.array.dtype == np.float32 and loaded.names.rows is None and loaded.array[1, 1] == 0


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.feather"])
@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"x": [1.0, None]}, "'x' has 1 missing"),
        ({"a": ["u", "v"], "b": ["u", "v"], "x": [1.0, 2.0]}, "holds string, not numbers"),
        ({"x": [1.0, 2.0], "l": [[1], [2]]}, "'l' holds list"),
        ({"a": ["u", "v"]}, "no columns"),
    ],
)
def test_a_table_that_is_no_matrix_is_refused_with_the_column(name, columns, words, tmp_path):
    write_table(tmp_path / name, columns)
    assert words in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.feather"])
def test_a_cut_table_is_refused_in_one_line(name, tmp_path):
    write_table(tmp_path / name, {"x": D[:, 0]})
    whole = (tmp_path / name).read_bytes()
    for length in range(8, len(whole), 37):
        (tmp_path / name).write_bytes(whole[:length])
        assert name in refusal(tmp_path / name, LowrankError)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int16", "complex128", "float16"])
def test_a_zarr_array_is_read_in_any_chunks(version, dtype, tmp_path):
    values = (D * 9).astype(dtype)
    for number, chunks in enumerate(((6, 3), (4, 2), (1, 1))):
        path = f"{tmp_path}/{number}.zarr"
        zarr.create_array(path, data=values, chunks=chunks, zarr_format=version)
        loaded = open_matrix(path)
        assert np.array_equal(loaded.array, values.astype(loaded.array.dtype)) and loaded.item.dtype == dtype


def test_an_array_of_a_zarr_group_is_named_or_the_only_matrix(tmp_path):
    group = zarr.open_group(f"{tmp_path}/g.zarr", mode="w")
    for name, values, stored in [("deep/X", D, {"shards": (6, 2), "chunks": (2, 2)}), ("v", D[0], {})]:
        group.create_array(name, shape=values.shape, dtype=values.dtype, **stored)[...] = values
    assert open_matrix(f"{tmp_path}/g.zarr").notes == (f"using {tmp_path}/g.zarr:deep/X",)
    assert np.array_equal(open_matrix(f"{tmp_path}/g.zarr:/deep/X").array, D)
    assert [item.path for item in list_items(f"{tmp_path}/g.zarr")[1]] == ["deep/X", "v"]
    group.create_array("Y", shape=D.shape, dtype=D.dtype)
    assert "deep/X" in refusal(f"{tmp_path}/g.zarr") and "Y" in refusal(f"{tmp_path}/g.zarr")
    assert "1-D" in refusal(f"{tmp_path}/g.zarr:v")


def nested(levels: int) -> dict:
    inside = [] if levels == 1 else [nested(levels - 1)]
    return {"name": "sharding_indexed", "configuration": {"codecs": inside}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"filters": [{"id": "pickle"}]}, "codec 'pickle'"),
        ({"dtype": "|O", "filters": [{"id": "pickle"}]}, "no numbers"),
        ({"shape": [2**60, 2]}, "too large"),
        ({"chunks": [2**40, 2**20]}, "memory"),
        ({"shape": "many"}, "damaged"),
        ({"shape": [math.inf, 2]}, "damaged"),
        ({"shape": [-3, 2]}, "damaged"),
        ({"shape": [1.5, 2]}, "damaged"),
        ({"shape": [2**40] * 9999}, "damaged"),
        ({"chunks": [2]}, "damaged"),
        ({"dtype": "(" * 9999}, "no numbers"),
        ({"dtype": "f8," * 9999}, "no numbers"),
        ({"filters": [nested(150)]}, "damaged"),
    ],
)
def test_a_hostile_zarr_array_is_refused_before_zarr_reads_it(change, words, tmp_path, monkeypatch):
    zarr.create_array(f"{tmp_path}/a.zarr", data=D, zarr_format=2)
    path = tmp_path / "a.zarr" / ".zarray"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    monkeypatch.setattr(zarr, "open_array", lambda *args, **more: pytest.fail("zarr was asked"))
    assert words in refusal(tmp_path / "a.zarr", LowrankError)


@pytest.mark.parametrize("filter", ["Blosc", "LZ4", "Bitshuffle", "Zstd", "Blosc2"])
def test_filters_of_hdf5plugin_are_read(filter, tmp_path):
    import h5py
    import hdf5plugin

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("X", data=D, chunks=(4, 2), **getattr(hdf5plugin, filter)())
    loaded = open_matrix(str(tmp_path / "a.h5"))
    assert np.array_equal(loaded.array, D) and filter.lower() in loaded.item.detail


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("a.png", "PIL", "image"),
        ("t.parquet", "pyarrow", "arrow"),
        ("t.feather", "pyarrow", "arrow"),
        ("z", "zarr", "zarr"),
        ("a.h5", "hdf5plugin", "hdf5"),
    ],
)
def test_a_missing_package_is_asked_for_by_its_extra(name, package, extra, tmp_path, monkeypatch):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    write_table(tmp_path / "t.parquet", {"x": D[:, 0]})
    write_table(tmp_path / "t.feather", {"x": D[:, 0]})
    zarr.create_array(f"{tmp_path}/z", data=D)
    import importlib

    import h5py
    import hdf5plugin

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("X", data=D, chunks=(4, 2), **hdf5plugin.Zstd())

    real = importlib.import_module

    def missing(module, *more):
        if module.partition(".")[0] == package:
            raise ImportError(module)
        return real(module, *more)

    monkeypatch.setattr(importlib, "import_module", missing)
    line = refusal(tmp_path / name, DependencyError)
    assert f"pip install 'lowrank-cli[{extra}]'" in line and DependencyError.exit_code == 6
