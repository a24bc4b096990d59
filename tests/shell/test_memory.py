"""--memory bounds the whole process, and no byte of the output depends on it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.io import mmwrite
from scipy.sparse import coo_array, save_npz

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


def sparse(folder, rows, entries):
    """Entries in no order, in text, and by rows in a stored and in a packed archive."""
    rng = np.random.default_rng(2)
    places = rng.integers(0, rows, entries), rng.integers(0, 3000, entries)
    A = coo_array((rng.standard_normal(entries), places), shape=(rows, 3000))
    mmwrite(folder / "A.mtx", A, precision=17)
    save_npz(folder / "stored.npz", A.tocsr(), compressed=False)
    save_npz(folder / "packed.npz", A.tocsr())
    return folder


def assert_read_in_parts(folder, memory, limit):
    """What is done with the three files in all memory and in some: the same bytes."""
    for name in ("A.mtx", "packed.npz"):
        free = run("convert", str(folder / name), str(folder / "free.npz"))
        held = run("convert", str(folder / name), str(folder / "held.npz"), "--memory", memory)
        assert free[0] == held[0] == 0 and held[2] <= limit
        assert (folder / "free.npz").read_bytes() == (folder / "held.npz").read_bytes()
        code, said, _ = run("approx", str(folder / name), "-k", "5", "--memory", memory)
        assert code == 7 and "lowrank convert" in said
    asked = ["approx", str(folder / "stored.npz"), "-k", "5"]
    free = run(*asked, "-o", str(folder / "free.h5"))
    held = run(*asked, "-o", str(folder / "held.h5"), "--memory", memory)
    assert free[0] == held[0] == 0 and held[2] <= limit
    assert "left in its file" in held[1] and "left in its file" not in free[1]
    assert (folder / "free.h5").read_bytes() == (folder / "held.h5").read_bytes()


def test_a_sparse_matrix_is_read_and_converted_in_parts(tmp_path):
    assert_read_in_parts(sparse(tmp_path, 1500, 1_400_000), "90M", 1.1 * 90e6 + 64e6)


@pytest.mark.slow
def test_a_large_sparse_matrix_is_read_and_converted_in_parts(tmp_path):
    assert_read_in_parts(sparse(tmp_path, 20_000, 8_000_000), "240M", 1.1 * 240e6 + 64e6)


def test_an_allowance_below_what_the_program_itself_takes_is_refused(tmp_path):
    np.save(tmp_path / "A.npy", np.eye(30))
    code, said, _ = run("approx", str(tmp_path / "A.npy"), "--memory", "1M")
    assert code == 7 and "--memory 1000000 is below what the program itself takes" in said
    assert said.count("\n") == 1
