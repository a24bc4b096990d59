"""Rows F1, F9, F10, F14, F15, F17, H8: any system call of a command fails, is cut short, or is its last."""

from __future__ import annotations

import os

import pytest

from .injection import ERRORS, checkpointed, outputs, sweep

KINDS = list(outputs())


def everywhere(tmp_path, step):
    return sweep(
        tmp_path, {name: {**job, "step": step, "errors": ERRORS, "kill": True} for name, job in outputs().items()}
    )


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Every kind of output with some of its calls going wrong."""
    return everywhere(tmp_path_factory.mktemp("calls"), 83)


def killed_with_a_checkpoint(tmp_path, step):
    return sweep(tmp_path, {"kept": {**checkpointed(), "step": step, "kill": True}})["kept"]


@pytest.mark.parametrize("kind", KINDS)
def test_f09_after_a_failed_call_the_output_is_whole_or_the_old_one_and_the_message_one_line(kind, short):
    assert short[kind]["wrong"] == [] and short[kind]["faults"] >= 5


@pytest.mark.parametrize("kind", KINDS)
def test_f10_temporary_files_are_made_beside_the_output_only(kind, short):
    made = [path for call, path in short[kind]["calls"] if ".lowrank-" in path]
    assert made and {path.split("/out/")[1].split("/")[0].count(".lowrank-") for path in made} == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_f15_a_file_is_synced_before_it_gets_its_name_and_the_directory_after(kind, short):
    calls = [(call, path) for call, path in short[kind]["calls"] if "/out" in path]
    named = [place for place, (call, path) in enumerate(calls) if call == "rename"]
    assert len(named) == 1, calls
    before, after = calls[: named[0]], calls[named[0] + 1 :]
    written = {path for call, path in before if call == "write"}
    assert written
    for path in written:
        of_it = [call for call, its in before if its == path and call in ("write", "truncate", "fsync")]
        assert of_it[-1] == "fsync" and of_it.count("fsync") == 1
        folder = os.path.dirname(path)
        # a folder of files is synced too, so that they are in it
        assert folder.endswith("/out") or ("fsync", folder) in before
    assert "write" not in [call for call, _ in after]
    assert ("fsync", os.path.dirname(calls[named[0]][1])) in after


def test_h08_killed_at_any_call_a_checkpoint_is_used_or_begun_again_and_each_record_is_synced(tmp_path):
    done = killed_with_a_checkpoint(tmp_path, 31)
    assert done["wrong"] == [] and done["kills"] >= 3
    # the folder gets its name with its lock in it, both on the disk, and then is in its parent
    steps = [(call, path.split("/in/")[-1]) for call, path in done["calls"] if "/in" in path and call != "close"]
    named = steps.index(("rename", "kept"))
    assert [call for call, _ in steps[named - 3 : named + 2]] == ["write", "fsync", "fsync", "rename", "fsync"]
    assert [place.count("/lock") for _, place in steps[named - 3 : named]] == [1, 1, 0]
    assert steps[named + 1][1].endswith("/in")
    calls = [(call, path.split("/kept/")[1]) for call, path in done["calls"] if "/kept/" in path]
    written = [place for place, (call, name) in enumerate(calls) if call == "write" and calls[place + 1][0] != "write"]
    assert {calls[place][1] for place in written} > {"passes"} and len(written) > 3
    assert all(calls[place + 1] == ("fsync", calls[place][1]) for place in written)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_h08_killed_at_every_call_a_checkpoint_is_used_or_begun_again(tmp_path):
    done = killed_with_a_checkpoint(tmp_path, 1)
    assert done["wrong"] == [] and done["kills"] > 80


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_f14_every_call_that_fails_or_is_the_last_one_leaves_the_old_or_the_new(tmp_path):
    done = everywhere(tmp_path, 1)
    assert {name: job["wrong"] for name, job in done.items() if job["wrong"]} == {}
    assert min(job["kills"] for job in done.values()) > 20


def test_f01_f17_of_twenty_runs_together_one_whole_output_is_left(tmp_path):
    job = outputs()["factors in .npz"]
    races = [[*job["argv"], "--no-clobber"], job["argv"]]
    done = sweep(tmp_path, {"race": {**job, "many": 20, "races": races}})["race"]
    assert done["wrong"] == []
    kept, replaced = done["codes"]
    assert sorted(kept) == [0] + [5] * 19 and replaced == [0] * 20
