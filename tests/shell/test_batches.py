"""Batches as real processes: cut short, out of memory, and with outputs that cannot be written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest

from .conftest import COMMAND, STANDIN, environment


@pytest.fixture
def files(tmp_path) -> list[str]:
    for i in range(6):
        np.save(tmp_path / f"a{i}.npy", np.random.default_rng(i).standard_normal((40 + i, 30)))
    return sorted(p.name for p in tmp_path.iterdir())


@pytest.mark.parametrize("jobs", ["1", "3"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_all_jobs_at_once_and_leaves_whole_files_only(files, tmp_path, jobs, number, code):
    """Each job is inside LAPACK for minutes."""
    (tmp_path / "a0.npz").write_bytes(b"old")
    argv = [*STANDIN, "approx", *files, "--jobs", jobs, "-o", "{stem}.npz"]
    child = subprocess.Popen(
        argv, cwd=tmp_path, env=environment(LOWRANK_STANDIN="svd"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        while child.stderr.readline() != b"ready\n":
            assert child.poll() is None
        time.sleep(0.5)
        child.send_signal(number)
        assert child.wait(30) == code
    finally:
        child.kill()
        child.communicate()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["a0.npz", *files])
    assert (tmp_path / "a0.npz").read_bytes() == b"old"


def test_an_interrupt_keeps_what_was_done(files, tmp_path):
    """The last input is a pipe that nobody writes: the batch waits for it with all before it done."""
    os.mkfifo(tmp_path / "z.npy")
    argv = [*COMMAND, "approx", *files, "z.npy", "-k", "2", "--json", "-o", "{stem}.npz"]
    child = subprocess.Popen(argv, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        told = [json.loads(child.stdout.readline()) for _ in files]
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 130
    finally:
        child.kill()
        child.communicate()
    for name, report in zip(files, told, strict=True):
        assert report["run"]["input_path"] == name
        subprocess.run([*COMMAND, "verify", report["run"]["output"], "--against", name, "-q"], cwd=tmp_path, check=True)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_jobs_share_an_allowance_and_change_no_byte(shell, tmp_path):
    for i in range(3):
        np.save(tmp_path / f"b{i}.npy", np.random.default_rng(i).standard_normal((3000, 500)))
    done = shell(
        "mkdir one three; L approx b*.npy -k 5 -q -o 'one/{stem}.h5' && "
        "L approx b*.npy -k 5 -q --jobs 3 --memory 300M -o 'three/{stem}.h5' && "
        "for f in one/*; do cmp $f three/${f#one/}; done"
    )
    assert done.returncode == 0 and done.stdout == b"", done.stderr


def test_an_output_that_fails_is_one_line_and_the_others_are_there(shell, files, tmp_path):
    done = shell("mkdir out; ln -s /dev/full out/a2.npz; L approx a*.npy -k 2 --keep-going -q -o 'out/{stem}.npz'")
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and b"a2.npz" in done.stderr
    made = sorted(p.name for p in (tmp_path / "out").iterdir() if not p.is_symlink())
    assert made == [f"a{i}.npz" for i in (0, 1, 3, 4, 5)]


def test_a_batch_of_small_matrices_loads_no_heavy_library(files, tmp_path):
    argv = [COMMAND[0], "-X", "importtime", *COMMAND[1:], "approx", *files, "-k", "2", "--json", "--jobs", "2"]
    done = subprocess.run(argv, cwd=tmp_path, env=environment(), capture_output=True, timeout=60)
    assert done.returncode == 0
    names = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.decode().splitlines() if "|" in line}
    assert "numpy" in names and not {"scipy", "numba", "h5py", "rich"} & names
