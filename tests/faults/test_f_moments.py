"""Rows F12 and F15 at random moments: signals, and the power."""

from __future__ import annotations

import statistics
import subprocess

import pytest

from lowrank_cli.cli.process import GRACE

from .power import cuts
from .signals import anywhere, signalled


@pytest.mark.timeout(300)
def test_f12_a_signal_that_meets_work_of_any_kind_ends_it_within_a_second(tmp_path):
    for name, done in signalled(tmp_path, 1).items():
        assert done["wrong"] == [] and done["met"] == 1, (name, done)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_f12_two_hundred_signals_that_meet_work_end_it_within_a_second_and_a_second_one_at_once(tmp_path):
    found = signalled(tmp_path, 30)
    assert {name: done["wrong"] for name, done in found.items() if done["wrong"]} == {}
    assert sum(done["met"] for done in found.values()) >= 200
    # a machine busy with other work makes some of them late
    seconds = [second for done in found.values() for second in done["seconds"]]
    again = [second for done in found.values() for second in done["second"]]
    assert statistics.median(seconds) < 1 and statistics.median(again) < GRACE


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_f12_at_sixty_random_moments_of_its_life_a_signal_leaves_the_old_output_or_the_new(tmp_path):
    assert anywhere(tmp_path, 60)["wrong"] == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_f15_what_was_said_to_be_written_survives_a_power_cut(tmp_path):
    try:
        done = cuts(tmp_path, 50)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk image can be made and mounted here: {getattr(error, 'stderr', error)}")
    assert done["wrong"] == [] and done["files"] == 150
