"""Choosing the reader and naming items: by content first, and every refusal one helpful line."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import subprocess
import sys

import h5py
import numpy as np
import pytest

from lowrank_cli.errors import InputError, LowrankError, UsageError
from lowrank_cli.formats.opening import list_items, open_matrix, split_item

A = np.random.default_rng(3).standard_normal((60, 50))
MTX = b"%%MatrixMarket matrix coordinate real general\n3 2 2\n1 1 1.5\n3 2 -2\n"


def npy_bytes(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def refusal(path: str, kind: type[LowrankError] = InputError, item: str | None = None) -> str:
    with pytest.raises(kind) as caught:
        open_matrix(path, item)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def put(tmp_path, name: str, content: bytes) -> str:
    path = tmp_path / name
    path.write_bytes(content)
    return str(path)


# --- content and names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.npy", "a.mtx", "a.h5", "a", "a.txt"])
def test_content_decides_whatever_the_name_says(tmp_path, name):
    assert (open_matrix(put(tmp_path, name, npy_bytes(A))).array == A).all()
    path = put(tmp_path, name, b"")
    with h5py.File(path, "w") as file:
        file["a"] = A
    assert (open_matrix(path).array == A).all()
    loaded = open_matrix(put(tmp_path, name, MTX))
    assert loaded.format == "mtx" and loaded.array.toarray().tolist() == [[1.5, 0], [0, 0], [0, -2]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\n<html><body>", "web page"),
        (pickle.dumps([1, 2]), "never loaded"),
        (b"MATLAB 5.0 MAT-file" + bytes(200), "in a format that is not known"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "image"),
        (gzip.compress(b"hello", mtime=0), "text in a format that is not known"),
        (gzip.compress(b"", mtime=0), "nothing behind its gzip"),
        (gzip.compress(gzip.compress(MTX), mtime=0), "compressed twice"),
        (b"\xfd7zXZ\x00", "compressed with xz"),
        (gzip.compress(b"X\n\x00\x00\x00\x03", mtime=0), "R data file"),
        (b"PAR1" + bytes(20), "Parquet"),
        (b"CDF\x01" + bytes(20), "netCDF"),
        (b"BZh91AY", "packed data"),
        (b"hello, world\n", "text in a format that is not known; formats read: .npy"),
        (b'{"a": [1, 2]}\n', "text in a format that is not known"),
        (bytes(100), "in a format that is not known; formats read: .npy"),
    ],
)
@pytest.mark.parametrize("name", ["a", "a.dat"])
def test_files_that_are_none_of_ours_are_named_for_what_they_are(tmp_path, content, words, name):
    assert words in refusal(put(tmp_path, name, content))


def test_a_git_lfs_pointer_is_named_even_under_a_known_suffix(tmp_path):
    for suffix in ("npy", "mtx", "h5", "csv", "npz"):
        assert "git lfs pull" in refusal(put(tmp_path, f"a.{suffix}", b"version https://git-lfs.github.com/spec/v1\n"))


def test_a_known_suffix_with_foreign_content_is_refused_by_its_reader(tmp_path):
    assert "not a .npy file" in refusal(put(tmp_path, "a.npy", b"1 2 3\n\x00\x01"))
    assert "HDF5" in refusal(put(tmp_path, "a.h5", b"1 2 3\n\x00\x01"))


# --- what cannot be opened ----------------------------------------------------------------------------------------


def test_a20_missing_files_directories_and_empty_files_are_one_line(tmp_path):
    assert "no such file" in refusal(str(tmp_path / "none.npy"))
    assert "there is no directory" in refusal(str(tmp_path / "none" / "a.npy"))
    assert "directory" in refusal(str(tmp_path))
    for suffix in ("npy", "h5", "mtx"):
        assert "empty" in refusal(put(tmp_path, f"a.{suffix}", b""))
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / ".zarray").write_text("{}")
    assert "Zarr" in refusal(str(tmp_path / "store"))
    os.symlink("nowhere", tmp_path / "link.npy")
    assert "symbolic link" in refusal(str(tmp_path / "link.npy"))
    os.symlink("circle", tmp_path / "circle")
    refusal(str(tmp_path / "circle"))
    refusal(str(tmp_path / ("x" * 5000)))
    refusal("", UsageError)
    refusal("a\0b", UsageError)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/full"])
def test_a20_devices_are_refused(device):
    if not os.path.exists(device):
        pytest.skip(f"no {device} here")
    assert "device" in refusal(device)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_one_line(tmp_path):
    path = put(tmp_path, "a.npy", npy_bytes(A))
    os.chmod(path, 0)
    assert "Permission denied" in refusal(path)


def test_a20_a_file_that_claims_no_size_is_read_as_a_stream():
    if not os.path.exists("/proc/version"):
        pytest.skip("no /proc here")
    assert "text in a format that is not known" in refusal("/proc/version")


# --- PATH:ITEM ----------------------------------------------------------------------------------------------------


def test_the_longest_prefix_that_exists_is_the_path(tmp_path):
    for name in ("a", "a:b", "a:b:c"):
        put(tmp_path, name, b"x")
    base = str(tmp_path)
    assert split_item(f"{base}/a") == (f"{base}/a", None)
    assert split_item(f"{base}/a:x") == (f"{base}/a", "x")
    assert split_item(f"{base}/a:b") == (f"{base}/a:b", None)
    assert split_item(f"{base}/a:b:/x:y") == (f"{base}/a:b", "/x:y")
    assert split_item(f"{base}/a:b:c:/g/d") == (f"{base}/a:b:c", "/g/d")
    assert split_item(f"{base}/a:") == (f"{base}/a", "")
    assert split_item(f"{base}/none:x") == (f"{base}/none:x", None)
    assert split_item("-") == ("-", None)
    assert split_item(":x") == (":x", None)


def test_an_item_named_twice_is_a_usage_error(tmp_path):
    path = str(tmp_path / "a.h5")
    with h5py.File(path, "w") as file:
        file["a"] = A
    assert "named twice" in refusal(f"{path}:/a", UsageError, item="a")


@pytest.mark.parametrize(("name", "content"), [("a.npy", npy_bytes(A)), ("a.mtx", MTX)])
def test_formats_without_items_refuse_one(tmp_path, name, content):
    path = put(tmp_path, name, content)
    assert "no item 'x'" in refusal(path + ":x")
    assert "no item 'x'" in refusal(path, item="x")


def test_listing_names_the_format_and_one_item_when_asked(tmp_path):
    path = str(tmp_path / "a.h5")
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = A, A.astype("f4")
    assert [item.path for item in list_items(path)[1]] == ["/a", "/b"]
    assert [item.dtype for item in list_items(f"{path}:/b")[1]] == ["float32"]
    with pytest.raises(InputError):
        list_items(f"{path}:/c")
    assert list_items(put(tmp_path, "a.npy", npy_bytes(A)))[0] == "npy"
    assert list_items(put(tmp_path, "a.mtx", MTX))[1][0].shape == (3, 2)


def test_a_dense_input_imports_neither_scipy_nor_h5py(tmp_path):
    path = put(tmp_path, "a.npy", npy_bytes(A))
    code = (
        "import sys\n"
        "from lowrank_cli.formats.opening import open_matrix\n"
        f"assert 'numpy' not in sys.modules\nopen_matrix({path!r})\n"
        "print([name for name in ('scipy', 'h5py', 'numba') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "[]\n", run.stderr
