"""lowrank verify as a process, on real factors."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest


@pytest.fixture
def run(tmp_path):
    np.save(tmp_path / "A.npy", np.random.default_rng(3).standard_normal((30, 20)))

    def run(*argv):
        done = subprocess.run(
            [sys.executable, "-m", "lowrank_cli", *argv], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        return done.returncode, done.stdout

    assert run("approx", "A.npy", "-k", "4", "-q", "-o", "F.npz") == (0, "")
    return run


def test_without_the_matrix_the_file_and_its_structure_are_checked(run, tmp_path):
    code, out = run("verify", "F.npz", "--orthogonality", "--json")
    report = json.loads(out)
    assert code == 0 and report["holds"] and report["measured"] is None
    assert set(report["orthogonality"]) == {"U", "Vh"} and max(report["orthogonality"].values()) < 30
    spoilt = bytearray((tmp_path / "F.npz").read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    (tmp_path / "F.npz").write_bytes(spoilt)
    assert run("verify", "F.npz")[0] == 8


def test_a_sample_gives_an_interval_that_holds_the_claim(run):
    code, out = run("verify", "F.npz", "--against", "A.npy", "--sample", "--seed", "7", "--json")
    report = json.loads(out)
    assert code == 0 and report["measured_lower"] <= report["claimed"] <= report["measured"]
    assert run("verify", "F.npz", "--against", "A.npy", "--sample", "--failure-probability", "0.2")[0] == 2


def test_another_matrix_does_not_hold(run, tmp_path):
    np.save(tmp_path / "B.npy", 1 + np.load(tmp_path / "A.npy"))
    assert run("verify", "F.npz", "--against", "B.npy")[0] == 8
