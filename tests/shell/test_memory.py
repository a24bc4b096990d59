"""--memory bounds the whole process, and no byte of the output depends on it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

COMMAND = [sys.executable, "-m", "lowrank_cli"]


#: A process counts the memory of the one that started it as its own: let that be a small one.
WATCH = (
    "import resource, subprocess, sys\n"
    "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode\n"
    "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
)


def run(*argv: str, stdin: int | None = None) -> tuple[int, str, int]:
    """Exit code, standard error, and the most memory the process had, in bytes."""
    watched = [sys.executable, "-c", WATCH, *COMMAND, *argv]
    done = subprocess.run(watched, stdin=stdin, capture_output=True, text=True, check=True)
    code, kibibytes = map(int, done.stdout.split())
    return code, done.stderr, kibibytes * 1024


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    """384 MB of rank 40 and noise."""
    path = tmp_path_factory.mktemp("big") / "A.npy"
    rng = np.random.default_rng(1)
    V = rng.standard_normal((40, 1500))
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(32_000, 1500))
    for start in range(0, 32_000, 4000):
        file[start : start + 4000] = rng.standard_normal((4000, 40)) @ V + 0.1 * rng.standard_normal((4000, 1500))
    file.flush()
    return path


@pytest.mark.slow
@pytest.mark.parametrize("method", ["svd", "id"])
def test_an_allowance_is_held_and_changes_no_byte(method, matrix, tmp_path):
    asked = ["approx", str(matrix), "--method", method, "-k", "20", "-q"]
    free = run(*asked, "-o", str(tmp_path / "free.h5"))
    held = run(*asked, "-o", str(tmp_path / "held.h5"), "--memory", "300M")
    assert free[0] == held[0] == 0
    assert free[2] > 450e6
    assert held[2] <= 1.1 * 300e6 + 64e6
    assert (tmp_path / "free.h5").read_bytes() == (tmp_path / "held.h5").read_bytes()


def test_an_allowance_below_what_the_program_itself_takes_is_refused(tmp_path):
    np.save(tmp_path / "A.npy", np.eye(30))
    code, said, _ = run("approx", str(tmp_path / "A.npy"), "--memory", "1M")
    assert code == 7 and "--memory 1000000 is below what the program itself takes" in said
    assert said.count("\n") == 1
