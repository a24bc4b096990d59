"""The whole command on a real matrix in memory-sized files: factor, describe, verify, reconstruct."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pytest

from .conftest import COMMAND, environment


@pytest.fixture
def decaying(tmp_path):
    """A 60 x 40 matrix with singular values 2**-i."""
    rng = np.random.default_rng(1)
    U, _ = np.linalg.qr(rng.standard_normal((60, 40)))
    V, _ = np.linalg.qr(rng.standard_normal((40, 40)))
    np.save(tmp_path / "D.npy", (U * 0.5 ** np.arange(40)) @ V.T)
    return tmp_path


@pytest.mark.parametrize("method", ["svd", "id", "id --axis rows"])
@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_factor_then_verify_then_reconstruct(shell, decaying, method, suffix):
    done = shell(f"L approx D.npy --method {method} --rtol 1e-3 -o F.{suffix} --json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["error"]["kind"] == "exact" and report["error"]["relative"] <= 1e-3
    assert shell(f"L verify F.{suffix} --against D.npy").returncode == 0
    assert shell(f"L reconstruct F.{suffix} -o A.npy").returncode == 0
    D, A = np.load(decaying / "D.npy"), np.load(decaying / "A.npy")
    assert np.linalg.norm(A - D) / np.linalg.norm(D) == pytest.approx(report["error"]["relative"], rel=1e-9)


def test_a_product_is_approximated_and_verified(shell, decaying):
    np.save(decaying / "Y.npy", np.load(decaying / "D.npy")[:40].T)
    done = shell("L product D.npy Y.npy --rank 30 -o P.npz --json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["command"] == "product" and report["times"]["shape"] == [40, 40]
    assert shell("L verify P.npz --against D.npy --times Y.npy").returncode == 0


def test_h19_factors_held_against_another_matrix_do_not_hold(shell, decaying):
    np.save(decaying / "other.npy", np.load(decaying / "D.npy") * 1.5)
    assert shell("L approx D.npy -k 5 -o F.npz -q").returncode == 0
    done = shell("L verify F.npz --against other.npy --json")
    assert done.returncode == 8 and json.loads(done.stdout)["holds"] is False


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_a_flipped_bit_of_an_array_does_not_hold(shell, decaying, suffix):
    assert shell(f"L approx D.npy -k 5 -o F.{suffix} -q").returncode == 0
    path = decaying / f"F.{suffix}"
    U = shell("L approx D.npy -k 5 -o - --part U -q").stdout[128:]  # fmt: skip
    held = bytearray(path.read_bytes())
    held[held.index(U[:64])] ^= 1
    path.write_bytes(held)
    done = shell(f"L verify F.{suffix} --against D.npy --json")
    assert done.returncode == 8, done.stderr
    assert json.loads(done.stdout)["holds"] is False


def test_a_file_that_holds_no_factors_is_unreadable_and_not_a_mismatch(shell, decaying):
    (decaying / "F.npz").write_bytes(b"PK\x03\x04 and no more")
    for name in ("F.npz", "D.npy", "missing.npz"):
        assert shell(f"L verify {name} --against D.npy").returncode == 4


def test_a_rank_cap_before_the_tolerance_exits_3_with_the_output_marked(shell, decaying):
    done = shell("L approx D.npy -k 2 --rtol 1e-6 -o F.npz")
    assert done.returncode == 3 and done.stderr.count(b"\n") == 1
    assert json.loads(shell("L info F.npz --json").stdout)["stored"]["status"] == "rank_reached"


def test_any_number_of_threads_writes_the_same_file(shell, decaying):
    done = shell("for t in 1 2 4; do L approx D.npy -k 5 -o F$t.npz --threads $t -q; done; cksum < F1.npz; "
                 "cksum < F2.npz; cksum < F4.npz")  # fmt: skip
    assert len(done.stdout.splitlines()) == 3 and len(set(done.stdout.splitlines())) == 1


def test_a_pipe_gives_the_same_factors_as_the_file(shell, decaying):
    piped = shell("cat D.npy | L approx - -k 5 -o - --part s -q").stdout
    assert np.array_equal(np.load(io.BytesIO(piped)), np.load(io.BytesIO(shell(
        "L approx D.npy -k 5 -o - --part s -q").stdout)))  # fmt: skip


def test_a_small_dense_matrix_loads_neither_scipy_nor_numba(decaying):
    argv = [sys.executable, "-X", "importtime", *COMMAND[1:], "approx", "D.npy", "-k", "5", "-o", "F.npz", "--json"]
    done = subprocess.run(argv, cwd=decaying, env=environment(), capture_output=True, timeout=60)
    assert done.returncode == 0
    names = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.decode().splitlines() if "|" in line}
    assert "numpy" in names
    assert not {"scipy", "numba", "h5py", "rich"} & names


def test_python_and_the_command_give_the_same_numbers(shell, decaying):
    import lowrank_cli

    outcome = lowrank_cli.approx(str(decaying / "D.npy"), rank=5)
    report = json.loads(shell("L approx D.npy -k 5 --json").stdout)
    assert outcome.certificate.relative == report["error"]["relative"]
