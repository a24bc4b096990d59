"""Pipes, FIFOs and redirections: read once, forwards, to the last byte and no further."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import scipy.io

from lowrank_cli.errors import InputError, LowrankError, ResourceError, UsageError
from lowrank_cli.formats import working
from lowrank_cli.formats.opening import list_items, open_matrix

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
            assert refusal("-").startswith("standard input: ")


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


def test_c22_containers_come_through_a_pipe_by_way_of_a_temporary_file_that_is_gone_after(tmp_path, monkeypatch):
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    hdf5, npz, mat = (str(tmp_path / name) for name in ("a.h5", "a.npz", "a.mat"))
    with h5py.File(hdf5, "w") as file:
        file["A"], file["B"] = A, A.T
    np.savez(npz, A=A, B=A.T)
    scipy.io.savemat(mat, {"A": A, "B": A.T})
    for path in (hdf5, npz, mat):
        content = open(path, "rb").read()
        with stdin_gives(content):
            loaded = open_matrix("-", "A")
        assert (loaded.array == A).all() and loaded.source == "-"
        with stdin_gives(content):
            assert [item.shape for item in list_items("-")[1]] == [(60, 50), (50, 60)]
        with stdin_gives(content):
            said = refusal("-")
        assert said.startswith("standard input: holds 2 matrices; name one: -d ") and str(room) not in said
        with stdin_gives(content[:-100]):
            assert str(room) not in refusal("-", item="B")
        packed = put(tmp_path, "packed.gz", gzip.compress(content))
        assert (open_matrix(packed, "B").array == A.T).all()
        assert not list(room.iterdir())


def test_an_endless_pipe_takes_no_more_than_half_of_the_disk(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", A=A)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=20_000))
    with stdin_gives((tmp_path / "a.npz").read_bytes()):
        assert "half of the disk" in refusal("-", ResourceError)


def test_a_copy_that_finds_no_room_is_a_matter_of_resources(tmp_path):
    np.savez(tmp_path / "a.npz", A=A)
    content = (tmp_path / "a.npz").read_bytes()
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
    code += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    code += "from lowrank_cli.formats.opening import open_matrix\n"
    code += "try: open_matrix('-')\nexcept Exception as error: print(type(error).__name__, error)"
    run = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True)
    assert b"ResourceError" in run.stdout and b"no room for a copy" in run.stdout and b"TMPDIR" in run.stdout


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


def test_a20_a_fifo_is_read_once_and_forwards(tmp_path):
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


def test_several_matrices_on_standard_input_are_named_as_they_can_be(tmp_path):
    np.savez(tmp_path / "a.npz", A=np.eye(2), B=np.eye(3))
    with stdin_gives((tmp_path / "a.npz").read_bytes()), pytest.raises(InputError) as caught:
        open_matrix("-")
    assert "name one: -d A (2 x 2 float64), -d B (3 x 3 float64)" in caught.value.line()
