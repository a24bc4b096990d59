"""Choosing the reader, naming items, and pipes: by content first, and every refusal one helpful line."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import subprocess
import sys
import threading
import zipfile
from contextlib import contextmanager

import h5py
import numpy as np
import pytest

from lowrank_cli.errors import InputError, LowrankError, ResourceError, UsageError
from lowrank_cli.formats import working
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


@contextmanager
def stdin_is(descriptor: int):
    """Standard input of this process, for a while."""
    saved = os.dup(0)
    os.dup2(descriptor, 0)
    try:
        yield
    finally:
        os.dup2(saved, 0)
        os.close(saved)


@contextmanager
def stdin_gives(content: bytes, piece: int = 65536):
    """Standard input is a pipe into which ``content`` drips in pieces."""
    read, write = os.pipe()

    def feed():
        try:
            for start in range(0, len(content), piece):
                os.write(write, content[start : start + piece])
        except BrokenPipeError:
            pass
        finally:
            os.close(write)

    writer = threading.Thread(target=feed)
    with stdin_is(read):
        os.close(read)
        writer.start()
        yield
        os.close(0)
        os.open(os.devnull, os.O_RDONLY)
        writer.join()


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
        (b"MATLAB 5.0 MAT-file" + bytes(200), "MATLAB"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "image"),
        (gzip.compress(b"hello"), "gzip"),
        (b"BZh91AY", "bzip2"),
        (b"a,b\n1,2\n", "text in a format that is not known; formats read: .npy"),
        (bytes(100), "in a format that is not known; formats read: .npy"),
    ],
)
@pytest.mark.parametrize("name", ["a", "a.dat"])
def test_files_that_are_none_of_ours_are_named_for_what_they_are(tmp_path, content, words, name):
    assert words in refusal(put(tmp_path, name, content))


def test_a_git_lfs_pointer_is_named_even_under_a_known_suffix(tmp_path):
    for suffix in ("npy", "mtx", "h5"):
        assert "git lfs pull" in refusal(put(tmp_path, f"a.{suffix}", b"version https://git-lfs.github.com/spec/v1\n"))


def test_an_npz_is_refused_with_what_to_do(tmp_path):
    np.savez(tmp_path / "a.npz", A=A)
    assert "numpy.save" in refusal(str(tmp_path / "a.npz"))
    with zipfile.ZipFile(tmp_path / "b.zip", "w"):
        pass
    assert "ZIP" in refusal(str(tmp_path / "b.zip"))


def test_a_known_suffix_with_foreign_content_is_refused_by_its_reader(tmp_path):
    assert "not a .npy file" in refusal(put(tmp_path, "a.npy", b"1 2 3\n4 5 6\n"))
    assert "HDF5" in refusal(put(tmp_path, "a.h5", b"1 2 3\n4 5 6\n"))


# --- what cannot be opened ----------------------------------------------------------------------------------------


def test_missing_files_directories_and_empty_files_are_one_line(tmp_path):
    assert "no such file" in refusal(str(tmp_path / "none.npy"))
    assert "there is no directory" in refusal(str(tmp_path / "none" / "a.npy"))
    assert "directory" in refusal(str(tmp_path))
    for suffix in ("npy", "h5", "mtx"):
        assert "empty" in refusal(put(tmp_path, f"a.{suffix}", b""))
    os.symlink("nowhere", tmp_path / "link.npy")
    assert "symbolic link" in refusal(str(tmp_path / "link.npy"))
    os.symlink("circle", tmp_path / "circle")
    refusal(str(tmp_path / "circle"))
    refusal(str(tmp_path / ("x" * 5000)))
    refusal("", UsageError)
    refusal("a\0b", UsageError)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/full"])
def test_devices_are_refused(device):
    if not os.path.exists(device):
        pytest.skip(f"no {device} here")
    assert "device" in refusal(device)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_one_line(tmp_path):
    path = put(tmp_path, "a.npy", npy_bytes(A))
    os.chmod(path, 0)
    assert "Permission denied" in refusal(path)


def test_a_file_that_claims_no_size_is_read_as_a_stream():
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


# --- streams ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 7, 511, 512, 513, 65536])
@pytest.mark.parametrize("stored", ["<f8", ">f4", "<i2"])
def test_a_pipe_gives_the_bits_of_the_file(tmp_path, piece, stored):
    content = npy_bytes(np.asfortranarray((100 * A[:20, :9]).astype(stored)))
    from_file = open_matrix(put(tmp_path, "a.npy", content))
    with stdin_gives(content, piece):
        loaded = open_matrix("-")
    assert loaded.array.tobytes("A") == from_file.array.tobytes("A")
    assert loaded.array.flags.f_contiguous and loaded.array.dtype == from_file.array.dtype
    assert (loaded.source, loaded.format, loaded.item.dtype) == ("-", "npy", np.dtype(stored).name)


def test_a_pipe_that_ends_early_is_refused_with_the_counts():
    content = npy_bytes(A)
    with stdin_gives(content[:-5]):
        line = refusal("-")
    assert line.startswith("standard input: truncated: got 23995 of 24000 bytes")


def test_a_pipe_cut_in_its_header_is_refused():
    for size in (3, 9, 60):
        with stdin_gives(npy_bytes(A)[:size]):
            refusal("-")


def test_a_byte_after_the_data_in_a_pipe_is_refused():
    with stdin_gives(npy_bytes(A) + b"\n"):
        assert "more bytes follow" in refusal("-")


def test_a_pipe_that_announces_more_than_memory_is_refused_before_its_data_come(monkeypatch):
    monkeypatch.setattr(working, "available_memory", lambda: 23_999)
    with stdin_gives(npy_bytes(A)[:200]):
        assert "23.4 KiB" in refusal("-", ResourceError)


def test_an_empty_pipe_is_refused():
    with stdin_gives(b""):
        assert "standard input: is empty" in refusal("-")


def test_matrix_market_comes_through_a_pipe_plain_and_gzipped():
    for content in (MTX, gzip.compress(MTX)):
        with stdin_gives(content, 5):
            loaded = open_matrix("-")
        assert loaded.source == "-" and loaded.array.toarray()[2, 1] == -2


def test_hdf5_in_a_pipe_is_refused_with_what_to_do(tmp_path):
    path = str(tmp_path / "a.h5")
    with h5py.File(path, "w") as file:
        file["a"] = A
    with stdin_gives(open(path, "rb").read()):
        assert "write it to a file first" in refusal("-")


def test_a_redirected_file_is_read_from_where_it_stands(tmp_path):
    path = put(tmp_path, "a.npy", b"junk" + npy_bytes(A))
    descriptor = os.open(path, os.O_RDONLY)
    os.lseek(descriptor, 4, os.SEEK_SET)
    with stdin_is(descriptor):
        assert (open_matrix("-").array == A).all()
    os.close(descriptor)


def test_a_terminal_on_standard_input_is_a_usage_error():
    main, terminal = os.openpty()
    with stdin_is(terminal):
        assert "is a terminal" in refusal("-", UsageError)
    os.close(main)
    os.close(terminal)


def test_a_closed_standard_input_is_one_line():
    code = (
        "from lowrank_cli.formats.opening import open_matrix\n"
        "try: open_matrix('-')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    run = subprocess.run(["sh", "-c", 'exec "$0" -c "$1" <&-', sys.executable, code], capture_output=True, text=True)
    assert run.stdout.startswith("InputError standard input:") and run.stdout.count("\n") == 1, run.stderr


def test_a_fifo_is_read_once_and_forwards(tmp_path):
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: open(path, "wb").write(npy_bytes(A)))
    writer.start()
    loaded = open_matrix(path)
    writer.join()
    assert (loaded.array == A).all() and loaded.source == path


def test_a_pipe_by_its_descriptor_name_is_a_stream():
    if not os.path.exists("/dev/fd"):
        pytest.skip("no /dev/fd here")
    with stdin_gives(npy_bytes(A)):
        assert (open_matrix("/dev/fd/0").array == A).all()


def test_the_header_of_a_pipe_is_enough_to_list_it():
    with stdin_gives(npy_bytes(A)[:300]):
        name, items = list_items("-")
    assert name == "npy" and items[0].shape == (60, 50)


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
