"""Row H7 of the catalogue of faults: ended at any moment and started again, a command gives the same result."""

from __future__ import annotations

import dataclasses
import json
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shell.conftest import COMMAND, environment

#: Two commands: the result of one is a file, of the other what it prints.
ASKED = {"approx": ("-k", "4", "-o", "F.npz"), "spectrum": ("-k", "4", "--json")}


@dataclasses.dataclass
class Work:
    """A command in a folder. wanted: its result when nothing disturbs it, in so many seconds."""

    folder: Path
    command: str
    wanted: Any = None
    seconds: float = 0.0

    def start(self, *more: str) -> subprocess.Popen:
        # the matrix takes 77 MB, more than half of what is allowed beside the libraries
        argv = [*COMMAND, self.command, "A.npy", *ASKED[self.command], "--memory", "150M", "-v", *more]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(argv, cwd=self.folder, env=environment(), **pipes)

    def kept(self, every: str = "0") -> subprocess.Popen:
        return self.start("--checkpoint", "kept", "--checkpoint-every", every)

    def ended(self, after: float, number: int = signal.SIGKILL) -> int:
        """Start it and end it so many seconds later; its exit code."""
        child = self.kept()
        time.sleep(after)
        child.send_signal(number)
        found = self.result(child.communicate(timeout=60)[0])
        assert found is None or found == self.wanted
        assert child.returncode or (found is not None and not (self.folder / "kept").exists())
        return child.returncode

    def finish(self) -> str:
        """Start it and wait; what it said."""
        child = self.kept()
        out, said = child.communicate(timeout=120)
        assert child.returncode == 0, said
        assert self.result(out) == self.wanted
        assert [path.name for path in self.folder.iterdir()] == ["A.npy"]
        return said.decode()

    def result(self, out: bytes) -> Any:
        """What came of it, None if nothing did: the bytes of the file, which goes, or the report but for the run."""
        file = self.folder / "F.npz"
        if self.command == "spectrum":
            return {name: one for name, one in json.loads(out).items() if name != "run"} if out else None
        if not file.exists():
            return None
        found = file.read_bytes()
        file.unlink()
        return found


@pytest.fixture(scope="module", params=ASKED)
def work(tmp_path_factory, request) -> Work:
    folder = tmp_path_factory.mktemp("kills")
    rng = np.random.default_rng(0)
    A = rng.standard_normal((12_000, 12)) @ rng.standard_normal((12, 800)) + 0.1 * rng.standard_normal((12_000, 800))
    np.save(folder / "A.npy", A)
    made, started = Work(folder, request.param), time.monotonic()
    out, said = made.start().communicate(timeout=120)
    assert b"left in its file" in said, said
    made.seconds, made.wanted = time.monotonic() - started, made.result(out)
    assert made.wanted
    return made


def assert_kills_leave_the_result(work: Work, times: int) -> None:
    chance = random.Random(times)
    for _ in range(times):
        work.ended(chance.uniform(0.3, 1.2) * work.seconds)
    work.finish()


def test_h07_killed_at_five_random_moments_the_result_is_the_same(work):
    assert_kills_leave_the_result(work, 5)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_h07_killed_at_a_hundred_random_moments_the_result_is_the_same(work):
    assert_kills_leave_the_result(work, 100)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_h07_asked_to_stop_it_saves_the_pass_under_way(work, number):
    child = work.kept(every="1000")
    while not list(work.folder.glob("kept/passes")) or not (work.folder / "kept" / "passes").stat().st_size:
        time.sleep(0.01)
    time.sleep(0.1)
    child.send_signal(number)
    started = time.monotonic()
    child.communicate(timeout=60)
    assert child.returncode in (128 + number, 0) and time.monotonic() - started < 10
    states = [path.name for path in work.folder.glob("kept/state.*")]
    said = work.finish()
    assert child.returncode == 0 or "resumed at pass " in said
    assert not states or "% of it done" in said
