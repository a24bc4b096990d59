"""Rows H3 to H9 of the catalogue of faults: a checkpoint is right, or it is refused, or its work is done again."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import itertools
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from contracts import cases
from contracts.stopping import Killed, stopped, stopped_everywhere

from lowrank_cli import api
from lowrank_cli.algorithms.svd import SVDOptions
from lowrank_cli.budget import Budget
from lowrank_cli.errors import Exit, InputError, OutputError, UsageError
from lowrank_cli.formats import atomic, checkpoint_folder, npy
from lowrank_cli.formats.checkpoint import Checkpoint
from lowrank_cli.formats.checkpoint_folder import Folder
from lowrank_cli.formats.checkpoint_records import MAGIC, records, value
from lowrank_cli.reports import facts

JOB = api.Job("approx", "given", Budget(rank=3))
LEFT = np.random.default_rng(5).standard_normal((3100, 4))
A = np.random.default_rng(6).standard_normal((3100, 24)) * 3


@dataclasses.dataclass
class Work:
    """A job on a matrix that stays in its file; its result, if nothing disturbs it."""

    folder: Path
    job: api.Job = JOB

    def run(self, kept: Checkpoint | None = None):
        path = str(self.folder / "A.npy")
        left = {"left": cases.load(LEFT)} if self.job.method == "given" else {}
        outcome, report = api.run(self.job, npy.filed(path, None, 60_000), left, checkpoint=kept)
        return cases.bits(outcome.factor), report

    def finished(self, every=0, **more):
        with Checkpoint(str(self.folder / "kept"), every, **more) as kept:
            return self.run(kept)


@pytest.fixture
def work(tmp_path) -> Work:
    np.save(tmp_path / "A.npy", A)
    return Work(tmp_path)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def put(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)


def test_h03_a_read_that_fails_tells_where_and_the_checkpoint_is_taken_up_later(work, monkeypatch):
    wanted, reads, preadv = work.run(), itertools.count(), os.preadv

    def failing(fd, buffers, offset):
        if next(reads) == 5:
            raise OSError(errno.EIO, "Input/output error")
        return preadv(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", failing)
    with pytest.raises(InputError, match=r"A\.npy: reading failed at byte \d+ \(Input/output error\)"):
        work.finished()
    said = []
    assert work.finished(tell=said.append) == wanted
    assert len(said) == 1 and said[0].startswith("resumed at pass ")


OTHER = {
    "rank": (dict(job=dataclasses.replace(JOB, budget=Budget(rank=2))), UsageError, "options.rank was 3, is 2"),
    "tolerance": (dict(job=dataclasses.replace(JOB, budget=Budget(3, 0.1))), UsageError, "rtol was null, is 0.1"),
    "seed": (dict(job=dataclasses.replace(JOB, seed=7)), UsageError, "seed was 0, is 7"),
    "method": (dict(job=api.Job("approx", "svd", Budget(rank=3))), InputError, 'method was "given", is "svd"'),
    "options": (
        dict(job=api.Job("approx", "svd", Budget(rank=3), SVDOptions(block=8))),
        InputError,
        "options.block was null, is 8",
    ),
}


@pytest.mark.parametrize("what", OTHER)
def test_h04_other_work_is_refused_with_its_differences(work, what):
    stopped(work.folder / "kept", 2, work.run)
    before = content(work.folder / "kept")
    more, error, said = OTHER[what]
    with pytest.raises(error) as refused:
        dataclasses.replace(work, **more).finished()
    assert said in str(refused.value) and "remove the directory to start over" in str(refused.value)
    assert content(work.folder / "kept") == before
    assert work.finished() == work.run()


def test_h04_another_version_is_refused(work, monkeypatch):
    stopped(work.folder / "kept", 2, work.run)
    monkeypatch.setattr(facts, "versions", lambda: {"lowrank": "9.9"})
    with pytest.raises(UsageError, match=r'versions\.lowrank was "[^"]+", is "9\.9"'):
        work.finished()


@pytest.mark.parametrize("other", [A[:, :-1], A.astype(np.float32), A + 1e-9], ids=["shape", "dtype", "values"])
def test_h04_another_matrix_is_refused_also_where_it_is_in_memory(work, other):
    def run(matrix, kept):
        return api.run(JOB, cases.load(matrix), {"left": cases.load(LEFT)}, checkpoint=kept)

    stopped(work.folder / "kept", 2, lambda kept: run(A, kept))
    with pytest.raises(InputError, match=r"the checkpoint is of another run: input\.\w+ was"):
        with Checkpoint(str(work.folder / "kept")) as kept:
            run(other, kept)


def damaged(files: dict[str, bytes], name: str, at: int, how: str) -> dict[str, bytes]:
    data = files[name]
    changed = data[:at] if how == "cut" else data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]
    return {**files, name: changed}


def damages(files: dict[str, bytes], flips: int, cuts: int):
    """A bit of every so many bytes flipped, and the rest cut off before every so many."""
    for name, data in files.items():
        for how, step in (("flip", flips), ("cut", cuts)):
            yield from (damaged(files, name, at, how) for at in range(0, len(data), step))


def assert_never_wrong(work, times: int, flips: int, cuts: int) -> int:
    """How often a checkpoint was damaged; see ``damages``."""
    wanted = work.run()
    stopped(work.folder / "kept", times, work.run)
    files = content(work.folder / "kept")
    count = 0
    for changed in damages(files, flips, cuts):
        count += 1
        put(work.folder / "kept", changed)
        # saves nothing more of a pass under way: that is not what is looked at here
        assert work.finished(every=1000) == wanted
    return count


@pytest.mark.parametrize(("times", "step"), [(2, 1709), (8, 12007)])
def test_h05_a_cut_or_flipped_checkpoint_never_gives_a_wrong_result(work, times, step):
    assert_never_wrong(work, times, step, step)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_h05_no_byte_of_a_checkpoint_can_be_changed_unseen(work):
    assert assert_never_wrong(work, 8, 1, 8) > 8000


def test_h05_of_two_states_the_older_is_used_when_the_newer_is_damaged(work):
    stopped(work.folder / "kept", 2, work.run)
    files, said = content(work.folder / "kept"), []
    assert {"state.0", "state.1"} <= set(files)
    put(work.folder / "kept", damaged(files, "state.0", len(files["state.0"]) - 40, "flip"))
    assert work.finished(tell=said.append, warn=said.append) == work.run()
    assert "the last state of the checkpoint is damaged; an older one is used" in said[0]
    assert said[1].startswith("resumed at pass ")


def test_h05_a_description_that_is_damaged_starts_over_with_a_warning(work):
    stopped(work.folder / "kept", 2, work.run)
    put(work.folder / "kept", damaged(content(work.folder / "kept"), "about.json", 40, "cut"))
    said = []
    assert work.finished(warn=said.append) == work.run()
    assert said == [f"{work.folder / 'kept'}: the checkpoint is damaged; the run starts from the beginning"]


def test_h05_a_description_nested_to_any_depth_is_damaged_and_no_error(work):
    # there is a depth that JSON reads and does not write again
    for depth in range(500, 1000):
        put(
            work.folder / "kept",
            {"about.json": b'{"schema":"lowrank.checkpoint/1","a":' + b"[" * depth + b"]" * depth + b"}"},
        )
        kept = Folder(str(work.folder / "kept"))
        kept.close()
        assert kept.damaged and kept.about is None


def test_h06_a_checkpoint_of_a_later_layout_is_refused(work):
    put(work.folder / "kept", {"about.json": b'{"schema": "lowrank.checkpoint/2", "new": [1]}'})
    with pytest.raises(InputError, match=r"layout 'lowrank.checkpoint/2', which this version cannot read") as refused:
        work.finished()
    assert refused.value.exit_code == Exit.INPUT


def test_h08_a_kill_while_a_checkpoint_is_written_leaves_one_that_can_be_used(work, monkeypatch):
    wanted, written = work.run(), atomic.write_all

    def half(fd, pieces, where):
        all_of_it = b"".join(bytes(piece) for piece in pieces)
        written(fd, [all_of_it[: len(all_of_it) // 2]], where)
        raise Killed

    for whole in range(3, 10):
        calls = itertools.count()
        monkeypatch.setattr(
            atomic, "write_all", lambda *args, n=whole, c=calls: written(*args) if next(c) < n else half(*args)
        )
        with pytest.raises(Killed):
            work.finished()
        monkeypatch.setattr(atomic, "write_all", written)
        assert work.finished() == wanted
        with Checkpoint(str(work.folder / "kept")) as kept:
            kept.finish()


HOSTILE = {
    "a pickle": lambda data: pickle.dumps(os.system),
    "an array of objects": lambda data: data.replace(b'"<f8"', b'"|O8"'),
    "a negative side": lambda data: data.replace(b"[3100,", b"[-100,"),
    "a record that is longer than any disk": lambda data: MAGIC + b"\xff" * 16 + data[24:],
    "lists without end": lambda data: MAGIC + (100_000).to_bytes(8, "little") + bytes(8) + b"[" * 100_000,
}


def signed(data: bytes) -> bytes:
    """The first record of a file with hashes that fit whatever it holds now."""
    if not data.startswith(MAGIC):
        return data
    length = int.from_bytes(data[8:16], "little")
    head = data[: 24 + length] if length < len(data) else data
    return head + hashlib.sha256(head).digest() + data[24 + length + 32 :]


@pytest.mark.parametrize("what", HOSTILE)
def test_h09_a_hostile_checkpoint_opens_nothing_and_is_done_again(work, what):
    stopped(work.folder / "kept", 5, work.run)
    files = content(work.folder / "kept")
    put(work.folder / "kept", {**files, "passes": signed(HOSTILE[what](files["passes"]))})
    assert work.finished() == work.run()


@pytest.mark.parametrize("name", ["about.json", "passes", "state.1", "lock"])
def test_h09_links_in_a_checkpoint_are_not_written_through(work, name):
    precious = work.folder / "precious"
    precious.write_text("kept")
    put(work.folder / "kept", {})
    (work.folder / "kept" / name).symlink_to(precious)
    with pytest.raises(UsageError, match=f"is no checkpoint: it holds '{name}'"):
        work.finished()
    assert precious.read_text() == "kept"


def test_a_directory_that_is_no_checkpoint_is_left_alone(work):
    put(work.folder / "kept", {"thesis.tex": b"years of work"})
    with pytest.raises(UsageError, match=r"is no checkpoint: it holds 'thesis.tex'; name a new or an empty directory"):
        work.finished()
    assert content(work.folder / "kept") == {"thesis.tex": b"years of work"}


def test_a_run_that_is_refused_before_it_begins_leaves_no_directory(work):
    with pytest.raises(ZeroDivisionError), Checkpoint(str(work.folder / "kept")):
        1 / 0  # noqa: B018
    assert not (work.folder / "kept").exists()


def test_f18_two_runs_do_not_use_one_checkpoint(work):
    with Checkpoint(str(work.folder / "kept")):
        with pytest.raises(OutputError, match="another run uses this checkpoint; wait for it"):
            work.finished()
    assert work.finished() == work.run()


def test_a_file_or_a_missing_directory_is_refused(work):
    for name, error, said in (("A.npy", UsageError, "is a file"), ("no/kept", OutputError, "directory does not exist")):
        with pytest.raises(error, match=said):
            Checkpoint(str(work.folder / name)).__enter__()


def test_f22_a_full_disk_is_said_once_and_does_not_end_the_run(work, monkeypatch):
    def full(fd, offset, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    stopped(work.folder / "kept", 2, work.run)
    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(checkpoint_folder.Folder, "append", refuse)
    said = []
    assert work.finished(warn=said.append) == work.run()
    assert len(said) == 1 and "no space left on the device" in said[0] and said[0].endswith("; the run goes on")


def refuse(self, key, what):
    raise OutputError("the checkpoint cannot be written: no space left on the device", where=self.path)


def test_f22_a_full_disk_is_found_before_anything_is_worked_out(work, monkeypatch):
    def full(fd, offset, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OutputError, match="kept: the checkpoint cannot be written: no space left on the device"):
        work.finished()


def test_a_finished_run_leaves_the_directory_as_it_found_it(work):
    (work.folder / "mine").mkdir()
    for name, left in (("kept", False), ("mine", True)):
        stopped_everywhere(work.folder / name, work.run)
        assert (work.folder / name).exists() is left
    assert list((work.folder / "mine").iterdir()) == []


def test_what_others_put_into_the_directory_stays(work):
    stopped(work.folder / "kept", 2, work.run)
    with Checkpoint(str(work.folder / "kept"), 0) as kept:
        work.run(kept)
        (work.folder / "kept" / "notes").write_text("kept")
        kept.finish()
    assert content(work.folder / "kept") == {"notes": b"kept"}


def test_a_state_is_dropped_when_its_pass_is_finished(work):
    stopped(work.folder / "kept", 9, work.run)
    files = content(work.folder / "kept")
    assert json.loads(files["about.json"])["schema"] == "lowrank.checkpoint/1"
    with open(work.folder / "kept" / "passes", "rb") as file:
        kept = [(record.key, value(record)) for record in records(file.fileno())]
    assert kept and all(set(found) == {"state", "sums"} for _, found in kept)
    current = {one.split(b" ")[1] for one in (files[n][24:] for n in files if n.startswith("state")) if b" " in one}
    assert not {key.encode() for key, _ in kept} & current
