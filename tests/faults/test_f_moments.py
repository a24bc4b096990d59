"""Rows F12 and F15 at random moments: signals, and the power."""

from __future__ import annotations

import subprocess

import pytest

from .power import cuts
from .signals import signalled


def test_f12_at_six_random_moments_a_signal_leaves_the_old_output_or_the_new(tmp_path):
    assert signalled(tmp_path, 6)["wrong"] == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_f12_at_two_hundred_random_moments_a_signal_leaves_the_old_output_or_the_new(tmp_path):
    done = signalled(tmp_path, 200)
    assert done["wrong"] == [] and done["during"] > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_f15_what_was_said_to_be_written_survives_a_power_cut(tmp_path):
    try:
        done = cuts(tmp_path, 50)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk image can be made and mounted here: {getattr(error, 'stderr', error)}")
    assert done["wrong"] == [] and done["files"] == 150
