"""Quoted patterns on the command line: several files, one matrix."""

from __future__ import annotations

import json

import numpy as np


def test_commands_take_a_pattern_as_one_matrix(shell, tmp_path):
    A = np.random.default_rng(3).standard_normal((60, 20))
    np.save(tmp_path / "all.npy", A)
    for number, rows in enumerate((slice(0, 25), slice(25, 60))):
        np.save(tmp_path / f"part-{number}.npy", A[rows])
    done = shell(
        "set -e; L approx 'part-*.npy' -k 4 -o one.npz -q; L approx all.npy -k 4 -o two.npz -q; cmp one.npz two.npz\n"
        "L verify one.npz --against 'part-?.npy' -q; L plan 'part-*.npy' --bytes 1k --dry-run -q\n"
        "L spectrum 'part-*.npy' -k 3 -q; L convert 'part-*.npy' B.npy; cmp all.npy B.npy; L info --json 'part-*.npy'"
    )
    assert done.returncode == 0, done
    told = json.loads(done.stdout)["items"][0]
    assert told["shape"] == [60, 20] and "part-0.npy (25), part-1.npy (35)" in told["detail"]
    assert b"part-*.npy: 2 files stacked by rows: part-0.npy, part-1.npy" in done.stderr
    assert shell("L convert 'part-*.npy' part-1.npy").returncode == 2
    assert shell("L approx 'none-*.npy' -k 1").returncode == 4
