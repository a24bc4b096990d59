"""The batch of samples under real make: in parallel, twice, after a change, and cut short."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest

ROOT = Path(__file__).resolve().parents[2]
LOWRANK = Path(sys.executable).parent / "lowrank"
STEMS = ("bus_1138", "camera", "cells_10x", "flow_p_t", "flow_vx")
ENV = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}


def make(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    argv = ["make", "-C", str(folder), "-j2", f"LOWRANK={LOWRANK}", *args]
    return subprocess.run(argv, capture_output=True, text=True, env=ENV, timeout=240)


def copy(to: Path) -> Path:
    return Path(shutil.copytree(ROOT / "samples", to / "samples", ignore=shutil.ignore_patterns("out")))


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A copy of the samples with the whole batch made, two jobs at a time."""
    folder = copy(tmp_path_factory.mktemp("batch"))
    done = make(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def made(folder: Path) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in (folder / "out").iterdir()}


def test_two_jobs_make_every_factor_and_the_summary(built):
    expected = {f"{stem}.svd.k20.h5" for stem in STEMS} | {"flow_vx_p.cr.k100.h5", "summary.svd.k20.tsv"}
    assert set(made(built)) == expected
    for stem in STEMS:
        with h5py.File(built / "out" / f"{stem}.svd.k20.h5") as file:
            assert file["s"].shape == (20,)


def test_the_summary_has_one_line_an_input_under_a_header(built):
    lines = (built / "out" / "summary.svd.k20.tsv").read_text().splitlines()
    assert len(lines) == 1 + len(STEMS) + 1
    assert len({line.count("\t") for line in lines}) == 1
    assert lines[0].count("\t") >= 3


def test_a_second_run_does_nothing(built):
    before = made(built)
    assert make(built, "-q").returncode == 0
    again = make(built)
    assert again.returncode == 0 and "lowrank" not in again.stdout.replace(str(built), "")
    assert made(built) == before


def test_a_touched_input_makes_its_own_output_again_and_no_other(built):
    before = made(built)
    os.utime(built / "camera.npy")
    assert make(built).returncode == 0
    after = made(built)
    assert {n for n in after if after[n] != before[n]} == {"camera.svd.k20.h5", "summary.svd.k20.tsv"}


def test_another_rank_comes_beside_the_first(built):
    before = made(built)
    done = make(built, "RANK=3", "METHOD=id")
    assert done.returncode == 0, done.stderr
    after = made(built)
    assert {n: after[n] for n in before} == before
    assert set(after) - set(before) == {f"{stem}.id.k3.h5" for stem in STEMS} | {"summary.id.k3.tsv"}


def test_an_input_that_cannot_be_read_stops_make_and_leaves_no_file(tmp_path):
    folder = copy(tmp_path)
    (folder / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00")
    done = make(folder, "out/broken.svd.k20.h5")
    assert done.returncode != 0
    assert "lowrank: error: broken.npy: " in done.stderr
    assert list((folder / "out").iterdir()) == []


def test_a_name_with_a_blank_is_refused_at_once_with_what_to_do(tmp_path):
    folder = copy(tmp_path)
    shutil.copy(folder / "camera.npy", folder / "my camera.npy")
    done = make(folder)
    assert done.returncode == 2 and "make takes no names with blanks" in done.stderr
    assert not (folder / "out").exists()
    argv = [str(LOWRANK), "approx", "camera.npy", "my camera.npy", "-k", "2", "-q", "-o", "{stem}.h5"]
    assert subprocess.run(argv, cwd=folder, timeout=60).returncode == 0
    assert (folder / "my camera.h5").read_bytes() == (folder / "camera.h5").read_bytes()


def test_make_3_81_is_enough():
    """None of what later versions brought: grouped targets, shell flags, one shell a recipe, other assignments."""
    text = (ROOT / "samples" / "Makefile").read_text()
    for new in (
        "&:",
        ".SHELLFLAGS",
        ".ONESHELL",
        "!=",
        "::=",
        ".RECIPEPREFIX",
        "$(file ",
        "$(guile ",
        "undefine",
        ".WAIT",
    ):
        assert new not in text


@pytest.mark.parametrize("delay", [0.5, *(pytest.param(x, marks=pytest.mark.slow) for x in (0.1, 0.9))])
def test_an_interrupt_leaves_whole_files_only_and_the_next_run_goes_on(tmp_path, delay):
    folder = copy(tmp_path)
    argv = ["make", "-C", str(folder), "-j2", f"LOWRANK={LOWRANK}"]
    child = subprocess.Popen(
        argv, env=ENV, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not (folder / "out").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(delay)
    os.killpg(child.pid, signal.SIGINT)
    child.wait(60)
    for path in (folder / "out").iterdir():
        assert path.suffix == ".h5", f"left behind: {path.name}"
        with h5py.File(path) as file:
            assert file.keys()
    done = make(folder)
    assert done.returncode == 0, done.stderr
    assert make(folder, "-q").returncode == 0
