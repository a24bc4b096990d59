"""lowrank convert: the same values in another container, bit for bit."""

from __future__ import annotations

import itertools
import subprocess
import sys

import gallery
import h5py
import numpy as np
import pytest
import scipy.io
from formats.factor_samples import CASES, REPORT, assert_same, containers, content
from scipy.sparse import csr_array, load_npz, random_array

import lowrank_cli
from lowrank_cli.formats.saving import load_factors, save


@pytest.mark.parametrize("name", CASES)
def test_factors_there_and_back_are_the_same_file(lowrank, tmp_path, name):
    """From each container to each other one, or to the next one: a dtype more is read and written in each once.

    What convert writes is what saving there would have written.
    """
    direct = {}
    for suffix in containers(CASES[name]):
        direct[suffix] = f"{tmp_path}/direct{suffix}"
        save(CASES[name], REPORT, direct[suffix])
    suffixes = list(direct)
    all_pairs, ring = itertools.product(suffixes, suffixes), zip(suffixes, suffixes[1:] + suffixes[:1], strict=True)
    for source, suffix in all_pairs if name.endswith("-float64") else ring:
        target = f"{tmp_path}/from{source.strip('./')}{suffix}"
        assert lowrank("convert", direct[source], target).code == 0
        assert content(target) == content(direct[suffix]), (source, suffix)
        assert_same(CASES[name], load_factors(target).factor)


@pytest.mark.parametrize("dtype", gallery.STORED_DTYPES)
def test_a_matrix_keeps_its_values_from_every_format(lowrank, tmp_path, dtype):
    A = (np.random.default_rng(0).random((7, 4)) * 100).astype(dtype)
    if A.dtype.kind == "c":
        A += 1j
    np.save(tmp_path / "A.npy", np.asfortranarray(A))
    with h5py.File(tmp_path / "A.h5", "w") as file:
        file.create_dataset("X", data=A, chunks=(3, 2))
    for source in ("A.npy", "A.h5", "A.h5:/X"):
        result = lowrank("convert", str(tmp_path / source), str(tmp_path / "B.npy"))
        assert result.code == 0
        B = np.load(tmp_path / "B.npy")
        assert np.array_equal(A, B)
        assert ("written as" in result.err) == (B.dtype != A.dtype.newbyteorder("="))


def test_a_sparse_matrix_is_written_with_its_zeros_and_says_so(lowrank, tmp_path):
    A = csr_array(np.diag([1.0, -2.5, 1e-300]))
    scipy.io.mmwrite(tmp_path / "A.mtx", A, precision=17)
    result = lowrank("convert", str(tmp_path / "A.mtx"), str(tmp_path / "A.npy"))
    assert result.code == 0 and "3 stored entries become 3 x 3" in result.err
    assert np.array_equal(np.load(tmp_path / "A.npy"), A.toarray())


def test_a_sparse_matrix_stays_sparse_in_an_archive_and_small_memory_changes_no_byte(lowrank, tmp_path):
    A = random_array((400, 300), density=0.1, rng=np.random.default_rng(1), format="csr")
    scipy.io.mmwrite(tmp_path / "A.mtx", A, precision=17)
    assert lowrank("convert", str(tmp_path / "A.mtx"), str(tmp_path / "A.npz")).code == 0
    found = load_npz(tmp_path / "A.npz")
    assert all(np.array_equal(getattr(found, part), getattr(A, part)) for part in ("data", "indices", "indptr"))
    assert lowrank("convert", str(tmp_path / "A.npz"), str(tmp_path / "B.npz")).code == 0
    assert (tmp_path / "A.npz").read_bytes() == (tmp_path / "B.npz").read_bytes()


def test_a_raw_array_is_read_as_it_is_described(lowrank, tmp_path):
    A = np.arange(12.0).reshape(4, 3)
    (tmp_path / "A.bin").write_bytes(A.tobytes())
    for argv in ([f"{tmp_path}/A.bin:4x3:float64"], [f"{tmp_path}/A.bin", "--raw", "4x3:float64"]):
        assert lowrank("convert", *argv, str(tmp_path / "A.npy")).code == 0
        assert np.array_equal(np.load(tmp_path / "A.npy"), A)


def test_a_part_of_a_factor_file_is_a_matrix(lowrank, tmp_path):
    factor = CASES["svd-float64"]
    save(factor, REPORT, str(tmp_path / "F.h5"))
    for argv in ([f"{tmp_path}/F.h5:/U", f"{tmp_path}/U.npy"], [f"{tmp_path}/F.h5", f"{tmp_path}/U.npy", "-d", "U"]):
        assert lowrank("convert", *argv).code == 0
        assert np.array_equal(np.load(tmp_path / "U.npy"), factor.U)


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["F.npz", "F.npy"], 2, ["several arrays", ".h5", "reconstruct"]),
        (["F.npz", "F.csv"], 2, [".csv holds one", ".npz, .h5"]),
        (["F.npz", "F"], 2, ["no suffix"]),
        (["F.npz", "F.npz"], 2, ["input"]),
        (["F.npz", "kept.h5", "--no-clobber"], 5, ["kept.h5"]),
        (["A.npy", "A/"], 4, ["no factors"]),
        (["A.npy", "A.xlsx"], 2, [".npy", ".csv"]),
        (["C.npy", "A.csv"], 2, ["A.csv", "complex128"]),
        (["A.npy", "A.npy"], 2, ["input"]),
        (["none.npz", "B.npz"], 4, ["no such file"]),
        (["none.npy", "B.npy"], 4, ["no such file"]),
        (["damaged.npz", "B.npz"], 4, ["damaged"]),
        (["A.npy", "none/B.npy"], 5, ["none"]),
        (["A.npy"], 2, ["OUT"]),
    ],
)
def test_what_cannot_be_converted_is_refused_in_one_line(lowrank, tmp_path, monkeypatch, argv, code, words):
    monkeypatch.chdir(tmp_path)
    save(CASES["svd-float64"], REPORT, "F.npz")
    np.save("A.npy", np.eye(3))
    np.save("C.npy", np.eye(3) * 1j)
    (tmp_path / "kept.h5").write_bytes(b"kept")
    whole = (tmp_path / "F.npz").read_bytes()
    at = whole.index(CASES["svd-float64"].U.tobytes()) + 3
    (tmp_path / "damaged.npz").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result = lowrank("convert", *argv)
    assert result.code == code and result.err.count("\n") == 1, result.err
    assert all(word in result.err for word in words), result.err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_pipe_into_a_pipe(tmp_path):
    np.save(tmp_path / "A.npy", np.arange(6.0).reshape(2, 3))
    outcome = lowrank_cli.approx(np.arange(6.0).reshape(2, 3), rank=1)
    save(outcome.factor, REPORT, str(tmp_path / "F.h5"))
    command = [sys.executable, "-m", "lowrank_cli", "convert"]
    matrix = subprocess.run([*command, "-", "-"], stdin=open(tmp_path / "A.npy", "rb"), capture_output=True)
    assert matrix.returncode == 0 and matrix.stdout == (tmp_path / "A.npy").read_bytes()
    factors = subprocess.run([*command, "F.h5", "-"], cwd=tmp_path, capture_output=True)
    (tmp_path / "G.npz").write_bytes(factors.stdout)
    assert_same(outcome.factor, load_factors(str(tmp_path / "G.npz")).factor)
