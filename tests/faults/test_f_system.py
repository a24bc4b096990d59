"""Rows F3, F7, F21, F23, F24: one output for two inputs, a full disk, the clock, make, one cache for many runs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from shell.conftest import COMMAND, STANDIN, environment, one_error

from .injection import mounted, shim


def start(folder, *argv, **env):
    return subprocess.Popen(
        [*COMMAND, *argv], cwd=folder, env=environment(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("out", ["F.npz", "/dev/null", "{dir}F.npz"])
def test_f03_two_outputs_of_one_name_are_refused_before_anything_is_done(out, shell, matrix, tmp_path):
    np.save(tmp_path / "B.npy", np.ones((4, 3)))
    assert "would be the same file" in one_error(shell(f"L approx A.npy B.npy -k 1 -o '{out}'"), 2)
    assert sorted(os.listdir(tmp_path)) == ["A.npy", "B.npy"]


FULL = """
for suffix in .npz .h5 / .mat .safetensors; do
    "$PYTHON" -m lowrank_cli approx "$MATRIX" -k 3 -q -o "F$suffix"
    echo "$? $(ls -A | tr '\\n' ' ')" >&2
done
"""


def test_f07_a_disk_without_room_for_the_output_is_exit_5_for_every_container(tmp_path):
    np.save(tmp_path / "A.npy", np.random.default_rng(0).standard_normal((3000, 60)))
    done = mounted("size=32k", FULL, PYTHON=sys.executable, MATRIX=str(tmp_path / "A.npy"))
    lines = done.stderr.splitlines()
    assert len(lines) == 10, done.stderr
    for said, left in zip(lines[::2], lines[1::2], strict=True):
        assert re.fullmatch(r"lowrank: error: F.*: cannot be written: no space left on the device.*", said), said
        assert left.split() == ["5"]


def test_f07_the_room_is_taken_before_the_first_byte_is_written(matrix, tmp_path):
    log = tmp_path / "calls"
    code = (
        f"import ctypes, sys; ctypes.CDLL(None).fault_arm(b'{tmp_path}/', b'{log}', 0, 0, 0); sys.argv[0] = 'lowrank'; "
    )
    code += "from lowrank_cli.__main__ import main; main()"
    argv = [sys.executable, "-c", code, "approx", matrix, "-k", "2", "-q", "-o", str(tmp_path / "F.npz")]
    subprocess.run(argv, env=environment(LD_PRELOAD=str(shim(tmp_path))), check=True)
    calls = [line.split()[0] for line in log.read_text().splitlines() if ".tmp" in line]
    assert calls.count("fallocate") == 1 and calls.index("fallocate") < calls.index("write")


CLOCK = """
#include <time.h>
#include <sys/time.h>
static time_t past(void) { return 1; }
time_t time(time_t *t) { if (t) *t = past(); return past(); }
int clock_gettime(clockid_t id, struct timespec *t)
{
    static long ticks;
    /* of the clocks that must go on, one that runs; the calendar stands in 1970 */
    t->tv_sec = id == CLOCK_REALTIME ? past() : 1000 + ++ticks / 1000000, t->tv_nsec = ticks % 1000000 * 1000;
    return 0;
}
int gettimeofday(struct timeval *t, void *zone) { t->tv_sec = past(), t->tv_usec = 0; return 0; }
"""


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".mat", ".safetensors"])
def test_f21_no_output_depends_on_the_clock_or_where_it_was_made(suffix, matrix, tmp_path):
    (tmp_path / "clock.c").write_text(CLOCK)
    clock = tmp_path / "clock.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", clock, tmp_path / "clock.c"], check=True)
    (tmp_path / "elsewhere").mkdir()
    for name, env in (
        ("now", {}),
        ("elsewhere/then", {"LD_PRELOAD": str(clock), "SOURCE_DATE_EPOCH": "1", "TZ": "Asia/Tokyo"}),
    ):
        child = start(tmp_path, "approx", matrix, "-k", "2", "-q", "-o", f"{name}{suffix}", **env)
        assert child.communicate(timeout=100)[1] == b"" and child.returncode == 0
    assert (tmp_path / f"now{suffix}").read_bytes() == (tmp_path / f"elsewhere/then{suffix}").read_bytes()


def test_f23_an_interrupted_target_of_make_is_absent_or_old_and_made_the_next_time(matrix, tmp_path):
    rule = '\t"$(PYTHON)" "$(STANDIN)" approx $< -q -o $@\n'
    (tmp_path / "Makefile").write_text("all: F.npz G.npz\nF.npz G.npz: A.npy\n" + rule)

    def made(choice):
        env = environment(LOWRANK_STANDIN=choice, PYTHON=sys.executable, STANDIN=STANDIN[1])
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(["make", "-k", "-j2"], cwd=tmp_path, env=env, start_new_session=True, **pipes)

    (tmp_path / "F.npz").write_bytes(b"old")
    os.utime(tmp_path / "F.npz", (1, 1))
    child = made("write")
    while len(list(tmp_path.glob(".*.tmp"))) < 2:
        assert child.poll() is None
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode != 0 and not list(tmp_path.glob(".*.tmp")) and not (tmp_path / "G.npz").exists()
    assert not (tmp_path / "F.npz").exists() or (tmp_path / "F.npz").stat().st_mtime == 1
    again = made("quick")
    assert again.communicate(timeout=100)[1] == b"" and again.returncode == 0
    assert (tmp_path / "F.npz").stat().st_mtime > 1 and (tmp_path / "G.npz").exists()


COMPILES = "from lowrank_cli.kernels import warmup as w; print(w._sampling(), w.sampling.with_replacement.__name__)"


def test_f24_runs_that_share_a_new_cache_of_compiled_code_do_not_disturb_each_other(tmp_path):
    cache = tmp_path / "cache"
    env = {name: value for name, value in environment(XDG_CACHE_HOME=str(cache)).items() if name != "NUMBA_CACHE_DIR"}
    argv = [sys.executable, "-c", COMPILES]
    children = [subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    said = {child.communicate(timeout=150) for child in children}
    assert len(said) == 1 and {child.returncode for child in children} == {0}
    assert list(cache.rglob("*.nbi"))
