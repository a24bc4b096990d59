"""Raw arrays: what the user says of shape and type is held against the size of the file, and read to the bit."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pytest

from lowrank_cli.errors import InputError, UsageError
from lowrank_cli.formats import raw
from lowrank_cli.formats.opening import list_items, open_matrix, split_item

A = np.random.default_rng(31).standard_normal((5, 3))
DTYPES = [
    "float32",
    "float64",
    "float16",
    "<f8",
    ">f4",
    ">f8",
    "complex64",
    ">c16",
    "int16",
    ">i4",
    "uint8",
    "bool",
    "u8",
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_are_those_that_numpy_reads(tmp_path, dtype):
    array = (9 * A).astype(dtype)
    (tmp_path / "a.bin").write_bytes(array.tobytes())
    loaded = open_matrix(f"{tmp_path / 'a.bin'}:5x3:{dtype}")
    assert (loaded.array == array).all() and loaded.shape == (5, 3) and loaded.format == "raw"
    assert loaded.item.dtype == array.dtype.newbyteorder("=").name
    assert list_items(f"{tmp_path / 'a.bin'}:5x3:{dtype}")[1][0].shape == (5, 3)


@pytest.mark.parametrize("size", [0, 59, 61, 120])
def test_another_size_is_refused_with_the_numbers(tmp_path, size):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(range(1, 121))[:size])
    with pytest.raises(InputError, match=r"needs 60 bytes|bytes follow|is empty"):
        open_matrix(f"{path}:5x3:float32")


def test_a_shape_beyond_belief_allocates_nothing(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"12345678")
    for shape in ("999999999999999x999999999999999", "99999999999x1"):
        with pytest.raises(InputError, match=r"too large|needs"):
            open_matrix(f"{tmp_path / 'a.bin'}:{shape}:f8")


@pytest.mark.parametrize(
    "text", ["5x3", "5:f4", "5x3x2:f4", "0x3:f4", "-5x3:f4", "5x3:", ":f4", "5x3:f4,f4", "5x3:M8[s]"]
)
def test_what_is_no_shape_and_dtype_is_a_usage_error(text):
    with pytest.raises(UsageError, match="ROWSxCOLUMNS:DTYPE"):
        raw.spec(text)


@pytest.mark.parametrize("dtype", ["float31", "O", "S3", "longdouble", "U1", "V2"])
def test_what_is_no_dtype_of_numbers_is_a_usage_error(dtype):
    with pytest.raises(UsageError, match="dtype of numbers"):
        raw.spec(f"5x3:{dtype}")


def run(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "lowrank_cli", *words], input=stdin, capture_output=True)


def test_the_flag_reaches_the_file_and_standard_input(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(A.astype(">f8").tobytes())
    np.save(tmp_path / "a.npy", A)
    flags = ("--raw", "5x3:>f8", "--json")
    said = [
        json.loads(done.stdout)["values"]
        for done in (
            run("spectrum", str(path), *flags),
            run("spectrum", "-", *flags, stdin=path.read_bytes()),
            run("spectrum", str(tmp_path / "a.npy"), "--json"),
        )
    ]
    assert said[0] == said[1] == said[2]
    refused = run("spectrum", str(path), "-d", "x", *flags)
    assert refused.returncode == 2 and b"contradict" in refused.stderr
    assert b"--raw MxN:DTYPE" in run("spectrum", str(path)).stderr


@pytest.mark.parametrize("dtype", [">f8", "float32"])
def test_a_large_array_stays_in_its_file_and_is_read_in_parts(tmp_path, dtype):
    array = np.random.default_rng(5).standard_normal((400, 300)).astype(dtype)
    (tmp_path / "a.bin").write_bytes(array.tobytes())
    path = f"{tmp_path / 'a.bin'}:400x300:{dtype}"
    left = raw.filed(*split_item(path), 1000)
    assert left is not None and raw.filed(*split_item(path), 10**9) is None
    assert (left.array.part(slice(100, 130), slice(7, 47)) == array[100:130, 7:47]).all()


def test_bytes_too_many_in_a_pipe_are_refused():
    file = io.BytesIO(bytes(61))
    with pytest.raises(InputError, match="more bytes follow"):
        raw.load_stream(file, "pipe", "5x3:f4")
