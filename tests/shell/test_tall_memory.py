"""Factors larger than the memory allowed: the same bytes, and the allowance is held."""

from __future__ import annotations

import numpy as np
import pytest

from .test_memory import run


def write(path, m, n=80):
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((n, n)) * 0.9 ** np.arange(n)
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(m, n))
    for start in range(0, m, 50_000):
        rows = min(50_000, m - start)
        file[start : start + rows] = rng.standard_normal((rows, n)) @ mix
    file.flush()


def assert_same_file(folder, m, memory, output, *more):
    write(folder / "A.npy", m)
    asked = ["approx", str(folder / "A.npy"), "-k", "44", "-q", *more]
    free = run(*asked, "-o", f"{folder}/free{output}")
    held = run(*asked, "-o", f"{folder}/held{output}", "--memory", str(memory))
    assert (free[0], held[0]) == (0, 0), held[1]
    names = ["U.npy", "s.npy", "Vh.npy", "meta.json"] if output == "/" else [""]
    for name in names:
        one, other = (folder / (kind + output.rstrip("/")) / name for kind in ("free", "held"))
        assert one.read_bytes() == other.read_bytes()
    return free[2], held[2]


def test_a_run_that_is_short_of_memory_writes_the_same_file(tmp_path):
    assert_same_file(tmp_path, 60_000, 130 << 20, ".h5", "--passes", "2")


@pytest.mark.slow
@pytest.mark.parametrize("output", ["/", ".h5", ".npz"])
def test_a_left_factor_larger_than_the_allowance_is_written_part_by_part(tmp_path, output):
    m, memory = 900_000, 250 << 20
    assert m * 44 * 8 > memory
    free, held = assert_same_file(tmp_path, m, memory, output)
    assert held <= 1.1 * memory + (64 << 20) < free
