"""Rows G14 to G16: forked, suspended, or on another type of processor."""

from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from shell.conftest import COMMAND, environment

import lowrank_cli


@pytest.fixture
def large(tmp_path):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((1500, 12)) * 0.5 ** np.arange(12) @ rng.standard_normal((12, 1200))
    np.save(tmp_path / "A.npy", A + 1e-6 * rng.standard_normal(A.shape))
    return tmp_path


FORKED = """
import os, sys
import lowrank_cli
one = lowrank_cli.approx(sys.argv[1], rank=3, threads=2).factor.arrays()
child = os.fork()
if child == 0:
    two = lowrank_cli.approx(sys.argv[1], rank=3, threads=2).factor.arrays()
    os._exit(0 if all((one[name] == two[name]).all() for name in one) else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_g14_a_process_that_was_forked_after_threads_ran_computes_the_same(large):
    assert subprocess.run([sys.executable, "-c", FORKED, large / "A.npy"], timeout=100).returncode == 0


def test_g14_the_package_forks_nothing_itself():
    for file in Path(lowrank_cli.__file__).parent.rglob("*.py"):
        assert not re.search(r"\bfork\b|import multiprocessing", file.read_text()), file


def test_g15_a_run_that_is_suspended_and_continued_writes_the_same_file(large):
    argv = [*COMMAND, "approx", "A.npy", "-k", "5", "-q", "-o"]
    assert subprocess.run([*argv, "F.npz"], cwd=large, env=environment()).returncode == 0
    child = subprocess.Popen([*argv, "G.npz"], cwd=large, env=environment())
    while child.poll() is None:
        child.send_signal(signal.SIGSTOP)
        time.sleep(0.05)
        child.send_signal(signal.SIGCONT)
        time.sleep(0.2)
    assert child.returncode == 0 and (large / "F.npz").read_bytes() == (large / "G.npz").read_bytes()


def test_g16_another_type_of_processor_chooses_the_same_columns_and_agrees_to_rounding(large):
    found = []
    for core in ("Haswell", "Sandybridge"):
        env = environment(OPENBLAS_CORETYPE=core)
        argv = [*COMMAND, "approx", "A.npy", "--method", "id", "-k", "5", "-q", "-o", "-"]
        done = subprocess.run(argv, cwd=large, env=env, capture_output=True, check=True)
        with np.load(io.BytesIO(done.stdout)) as arrays:
            found.append({name: arrays[name] for name in ("cols", "C", "Z")})
    one, two = found
    assert (one["cols"] == two["cols"]).all() and (one["C"] == two["C"]).all()
    assert abs(one["Z"] - two["Z"]).max() <= 1e-9 * abs(one["Z"]).max()
