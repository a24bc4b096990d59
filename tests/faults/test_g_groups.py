"""Rows G1, G7, G8 in real control groups, where one can be made; tests/ground/test_cgroups.py has simulated ones."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from .test_g_resources import matrix, one_line, run  # noqa: F401  a fixture

JOIN = 'echo $$ > "$0/cgroup.procs" && exec "$@"'


@contextlib.contextmanager
def group(controller, **files):
    """A new group of that controller, of version 1 or 2, with these limits; what to put before a command."""
    made = None
    for parent in (Path("/sys/fs/cgroup", controller), Path("/sys/fs/cgroup")):
        folder = parent / f"lowrank-test-{os.getpid()}"
        try:
            folder.mkdir()
            made = folder
            for name, value in files.items():
                for file in folder.glob(f"{controller}.{name}"):
                    file.write_text(str(value))
            if not any((folder / f"{controller}.{name}").exists() for name in files):
                raise OSError("not of this version")
            break
        except OSError:
            if made:
                made.rmdir()
                made = None
    if made is None:
        pytest.skip("no control group can be made here")
    try:
        yield ("sh", "-c", JOIN, str(made))
    finally:
        for _ in range(50):
            for pid in (made / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
            with contextlib.suppress(OSError):
                made.rmdir()
                break
            time.sleep(0.1)


def test_g01_in_a_group_of_little_memory_what_does_not_fit_is_refused_and_not_killed(tmp_path):
    np.save(tmp_path / "A.npy", np.ones((3000, 2500), np.float32))
    with group("memory", limit_in_bytes=170 << 20, max=170 << 20) as prefix:
        done = run("approx", tmp_path / "A.npy", "-k", "2400", "-o", tmp_path / "F.npz", prefix=prefix)
        assert done.returncode == 7 and one_line(done), (done.returncode, done.stderr)
        assert not (tmp_path / "F.npz").exists()
        # and what fits is done within it
        done = run("approx", tmp_path / "A.npy", "-k", "3", "-o", tmp_path / "F.npz", prefix=prefix)
        assert done.returncode == 0, (done.returncode, done.stderr)


def test_g08_in_a_group_with_the_time_of_one_processor_there_is_one_thread(matrix):  # noqa: F811
    with group("cpu", cfs_quota_us=90_000, max="90000 100000") as prefix:
        done = run("approx", matrix, "-k", "3", "--json", prefix=prefix)
    assert done.returncode == 0 and '"threads": 1' in done.stdout, done.stderr


@pytest.mark.parametrize("most", [1, 2])
def test_g07_where_no_more_threads_may_be_started_the_work_is_done_without_them(most, matrix, tmp_path):  # noqa: F811
    with group("pids", max=most) as prefix:
        argv = ("approx", matrix, "-k", "3", "--threads", "4", "-o", tmp_path / "F.npz")
        done = run(*argv, prefix=prefix)
        assert done.returncode == 0, done.stderr
        done = run("info", matrix, tmp_path / "F.npz", prefix=prefix)
        assert done.returncode == 0, done.stderr
        done = run("approx", matrix, matrix, "--jobs", "2", "-k", "3", prefix=prefix)
    assert done.returncode == 7 and one_line(done) and "threads" in done.stderr
