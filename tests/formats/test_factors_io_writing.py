"""What cannot be saved is refused; single arrays and streams of bytes arrive whole."""

import dataclasses
import io
import os
import stat

import numpy as np
import pytest

from lowrank_cli.errors import LowrankError, OutputError, UsageError
from lowrank_cli.factors.svd import SVD
from lowrank_cli.formats import factor_meta, hdf5_factors, saving
from lowrank_cli.matrices.tall import Scratch

from .factor_samples import REPORT, svd


@pytest.mark.parametrize("name", ("f", "f.txt", "f.npz.bak", "f.npy", ".npz", "dir.h5/f"))
def test_an_unknown_suffix_is_a_usage_error_that_lists_the_known_ones(name, tmp_path):
    with pytest.raises(UsageError, match=r"\.npz, \.h5"):
        saving.save(svd(), {}, str(tmp_path / name))
    assert os.listdir(tmp_path) == []


def test_factors_that_no_file_holds_are_refused_and_nothing_is_written(tmp_path):
    odd = SVD(np.ones((2, 1), np.longdouble), np.ones(1), np.ones((1, 2)))
    with pytest.raises(OutputError, match="float"):
        saving.save(odd, {}, str(tmp_path / "f.npz"))
    for report in ({"x": float("nan")}, {"x": float("inf")}, {"x": object()}):
        with pytest.raises((ValueError, TypeError)):
            saving.save(svd(), report, str(tmp_path / "f.npz"))
    assert os.listdir(tmp_path) == []


def test_a_factor_that_is_not_in_memory_gives_the_same_bytes(tmp_path):
    whole = SVD(np.random.default_rng(0).standard_normal((3000, 5)), np.arange(5.0, 0, -1), np.ones((5, 7)))
    U = Scratch(whole.U.shape, whole.U.dtype)
    U[0:3000] = whole.U
    for name in ("f.npz", "f.h5", "f/", "f.safetensors", "f.mat"):
        target = tmp_path / name.rstrip("/")
        found = []
        for factor in (whole, dataclasses.replace(whole, U=U)):
            saving.save(factor, {"a": 1}, str(tmp_path) + "/" + name)
            files = sorted(target.iterdir()) if target.is_dir() else [target]
            found.append([file.read_bytes() for file in files])
        assert found[0] == found[1]


def test_an_h5_file_is_laid_out_without_the_values_in_memory():
    U = Scratch((1 << 20, 32), np.float64)
    chunks = hdf5_factors.encode(dict.fromkeys(factor_meta.FIELDS, "x"), {"U": U, "s": np.ones(32)})
    assert U in chunks
    assert sum(memoryview(chunk).nbytes for chunk in chunks if chunk is not U) < 64 << 10


ARRAYS = [
    np.arange(12.0).reshape(3, 4),
    np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
    np.arange(24.0).reshape(4, 6)[::2, ::3],
    np.arange(3, dtype=np.int64),
    np.ones((1, 5), np.complex128) * 1j,
    np.zeros((0, 4)),
    np.array([[True, False]]),
    np.arange(6, dtype=">f8").reshape(2, 3),
]


@pytest.mark.parametrize("number", range(len(ARRAYS)))
def test_an_array_is_read_back_by_numpy_with_its_order(number, tmp_path):
    array, path = ARRAYS[number], str(tmp_path / "a.npy")
    saving.write_array(array, path)
    got = np.load(path, allow_pickle=False)
    assert got.shape == array.shape and np.array_equal(got, array)
    assert got.dtype == array.dtype.newbyteorder("<")
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        assert got.flags.f_contiguous
    with open(path, "rb") as file:
        lead = file.read(10)
    assert lead[:8] == b"\x93NUMPY\x01\x00" and (10 + int.from_bytes(lead[8:], "little")) % 64 == 0


def test_an_array_has_the_bytes_numpy_writes(tmp_path):
    array = np.arange(12.0).reshape(3, 4)
    saving.write_array(array, str(tmp_path / "a.npy"))
    np.save(tmp_path / "b.npy", array)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_an_array_under_another_suffix_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"\.npy"):
        saving.write_array(np.ones((2, 2)), str(tmp_path / "a.txt"))
    assert os.listdir(tmp_path) == []


def through_a_pipe(write):
    """What another process would read while write(fd) runs."""
    import threading

    reader, writer = os.pipe()
    got = []

    def drain():
        while part := os.read(reader, 1 << 16):
            got.append(part)

    thread = threading.Thread(target=drain)
    thread.start()
    try:
        write(writer)
    finally:
        os.close(writer)
        thread.join()
        os.close(reader)
    return b"".join(got)


def test_arrays_and_factors_go_through_a_pipe_whole(tmp_path):
    array = np.random.default_rng(0).random((300, 200))
    got = through_a_pipe(lambda fd: saving.write_array_to(fd, array))
    assert np.array_equal(np.load(io.BytesIO(got)), array)
    saving.save(svd(), REPORT, str(tmp_path / "f.npz"))
    got = through_a_pipe(lambda fd: saving.write_factors_to(fd, svd(), REPORT))
    assert got == (tmp_path / "f.npz").read_bytes()


def test_a_pipe_that_does_not_block_is_waited_for():
    array = np.random.default_rng(0).random((500, 500))

    def write(fd):
        os.set_blocking(fd, False)
        saving.write_array_to(fd, array)

    assert np.array_equal(np.load(io.BytesIO(through_a_pipe(write))), array)


def test_a_pipe_nobody_reads_is_a_broken_pipe_and_a_full_device_an_output_error():
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError) as caught:
        saving.write_array_to(writer, np.ones((200, 200)))
    assert not isinstance(caught.value, LowrankError)
    os.close(writer)
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OutputError, match="no space left"):
        saving.write_array_to(full.fileno(), np.ones((2, 2)))


def test_a_device_takes_an_archive_under_any_name():
    saving.save(svd(), REPORT, "/dev/null")
    saving.write_array(np.ones((2, 2)), "/dev/null")
    # written into, and not replaced by a file of that name
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
