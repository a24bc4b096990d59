"""Signals: acted on within a second or so even inside LAPACK, with the shell's exit codes and no temporary file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from .conftest import STANDIN, environment


def start(tmp_path, choice, *argv, ready=True):
    np.save(tmp_path / "A.npy", np.ones((6, 5)))
    child = subprocess.Popen(
        [*STANDIN, "approx", "A.npy", *argv],
        cwd=tmp_path,
        env=environment(LOWRANK_STANDIN=choice),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while ready:
        line = child.stderr.readline()
        assert line, "ended before it was ready"
        if line == b"ready\n":
            break
    return child


def ended(child, limit=30):
    """The exit code; the child would run for minutes if nothing stopped it."""
    try:
        return child.wait(limit)
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_f12_a_signal_during_a_write_leaves_the_old_output_and_no_temporary_file(tmp_path, number, code):
    target = tmp_path / "out.npz"
    target.write_bytes(b"old")
    child = start(tmp_path, "write", "-o", "out.npz")
    assert len(list(tmp_path.iterdir())) == 3, "the temporary file is not there, so the test shows nothing"
    child.send_signal(number)
    assert ended(child) == code
    assert target.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["A.npy", "out.npz"]


def test_f12_a_signal_inside_lapack_does_not_wait_for_it(tmp_path):
    child = start(tmp_path, "svd")
    time.sleep(0.5)
    child.send_signal(signal.SIGTERM)
    assert ended(child) == 143


FINALIZED = """
import os, signal, time
from lowrank_cli.cli.process import Signals, Stopped
Signals()
class Freed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        self.over = True
def work():
    Freed()
    time.sleep(60)
try:
    work()
except Stopped as stopped:
    print(stopped.number)
"""


def test_f12_a_signal_during_a_finalizer_stops_what_that_interrupted_and_nothing_is_said_of_it():
    """Python prints what is raised in one and goes on; h5py has one after each read."""
    done = subprocess.run([sys.executable, "-c", FINALIZED], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "15\n", "")


def test_f13_a_second_interrupt_ends_it_too(tmp_path):
    child = start(tmp_path, "svd")
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    assert ended(child) == 130


def test_an_ignored_hangup_stays_ignored(tmp_path):
    np.save(tmp_path / "A.npy", np.ones((6, 5)))
    code = "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    argv = [STANDIN[0], "-c", code, *STANDIN, "approx", "A.npy", "-o", "out.npz"]
    child = subprocess.Popen(argv, cwd=tmp_path, env=environment(LOWRANK_STANDIN="write"), stderr=subprocess.PIPE)
    assert child.stderr.readline() == b"ready\n"
    os.kill(child.pid, signal.SIGHUP)
    time.sleep(1.5)
    assert child.poll() is None
    os.kill(child.pid, signal.SIGTERM)
    assert ended(child) == 143


@pytest.mark.parametrize(("before", "after"), [("default_int_handler", "SIG_DFL"), ("SIG_IGN", "SIG_IGN")])
def test_an_interrupt_while_the_command_is_being_imported_leaves_no_traceback(before, after):
    code = f"import signal; signal.signal(signal.SIGINT, signal.{before}); import lowrank_cli.__main__; "
    code += f"assert signal.getsignal(signal.SIGINT) == signal.{after}"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
