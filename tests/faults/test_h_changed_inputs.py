"""Rows H1 and H2 of the catalogue of faults: a matrix that changes under the run ends it, and nothing is written."""

from __future__ import annotations

import dataclasses
import os

import h5py
import numpy as np
import pytest
from contracts import cases
from contracts.stopping import stopped
from scipy.sparse import csr_array, save_npz

from lowrank_cli import api
from lowrank_cli.budget import Budget
from lowrank_cli.errors import Exit, InputError
from lowrank_cli.formats import hdf5, npy, npz
from lowrank_cli.formats.checkpoint import Checkpoint
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.watch import Watch

JOB = api.Job("approx", "svd", Budget(rank=3))
A = np.random.default_rng(3).standard_normal((2100, 700))
ALLOWED = 2_000_000


class At(Watch):
    """Does something when a pass begins."""

    def __init__(self, number, act):
        self.number, self.act = number, act

    def begins(self, number):
        if number == self.number:
            self.act()


def flip(path: str) -> None:
    """Change one bit of a value in the middle of a .npy file, and leave its times as they were."""
    found = os.stat(path)
    with open(path, "r+b") as file:
        file.seek(found.st_size // 2 + 3)
        (byte,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def stored(tmp_path, how: str) -> tuple[str, object]:
    path = str(tmp_path / ("A.h5" if how == "h5" else "A.npy"))
    if how == "h5":
        with h5py.File(path, "w") as file:
            file["A"] = A
        return path, hdf5.filed(path, None, ALLOWED)
    np.save(path, np.asarray(A, order=how))
    return path, npy.filed(path, None, ALLOWED)


@pytest.mark.parametrize("pass_", [2, 4])
def test_h01_a_byte_that_changes_between_passes_ends_the_run(tmp_path, pass_):
    path, loaded = stored(tmp_path, "C")
    with pytest.raises(InputError, match=r"A\.npy: changed while it was being read") as ended:
        api.run(JOB, dataclasses.replace(loaded, watch=At(pass_, lambda: flip(path))))
    assert ended.value.exit_code == Exit.INPUT


@pytest.mark.parametrize("how", ["C", "F", "h5"])
def test_h01_a_change_that_no_time_shows_is_found_by_the_tile_it_is_in(tmp_path, how):
    path, loaded = stored(tmp_path, how)
    loaded.array._check = lambda: None
    if how == "h5":
        loaded.array._read = changing(loaded.array._read, after=loaded.array)
        act = lambda: setattr(loaded.array, "changed", True)  # noqa: E731
    else:
        act = lambda: flip(path)  # noqa: E731
    rows = r"in rows \d+ to \d+, columns \d+ to \d+ \(counted from 0\)"
    with pytest.raises(InputError, match=f"changed while it was being read, {rows}"):
        api.run(JOB, dataclasses.replace(loaded, watch=At(3, act)))


def changing(read, after):
    def other(rows, cols, out):
        read(rows, cols, out)
        if getattr(after, "changed", False):
            out[-1, -1] += 1

    return other


def test_h01_a_change_of_a_sparse_matrix_that_no_time_shows_is_found_by_its_rows(tmp_path):
    path = str(tmp_path / "A.npz")
    save_npz(path, csr_array(np.where(np.abs(A) > 1.5, A, 0)), compressed=False)
    loaded = npz.filed(path, None, ALLOWED // 2)
    loaded.array.entries.check = lambda: None
    with pytest.raises(InputError, match=r"changed while it was being read, in rows \d+ to \d+ \(counted from 0\)"):
        api.run(JOB, dataclasses.replace(loaded, watch=At(3, lambda: flip(path))))


@pytest.mark.parametrize("how", ["C", "F", "h5"])
def test_h01_the_checksums_of_passes_are_those_of_the_digest(tmp_path, how):
    _, loaded = stored(tmp_path, how)
    found = api.described(loaded, api.tiled(loaded, api_engine()), True)["digest"]
    matrix = api.tiled(loaded, api_engine())
    assert isinstance(matrix, TiledMatrix) and (matrix.sums >= 0).all()
    in_memory = cases.load(A)
    assert found == api.described(in_memory, api.tiled(in_memory, api_engine()), True)["digest"]


def api_engine():
    from lowrank_cli.engines.threads import engine_for

    return engine_for(2)


def test_h02_a_file_that_is_cut_off_while_it_is_read_ends_the_run(tmp_path):
    path, loaded = stored(tmp_path, "C")
    with pytest.raises(InputError, match=r"A\.npy: changed while it was being read") as ended:
        api.run(JOB, dataclasses.replace(loaded, watch=At(2, lambda: os.truncate(path, 5_000_000))))
    assert ended.value.exit_code == Exit.INPUT


def kept_run(tmp_path, kept):
    return api.run(JOB, npy.filed(str(tmp_path / "A.npy"), None, ALLOWED), checkpoint=kept)


def test_h04_a_file_that_was_touched_or_copied_is_the_same_matrix(tmp_path):
    path, loaded = stored(tmp_path, "C")
    wanted = api.run(JOB, loaded)
    stopped(tmp_path / "kept", 9, lambda kept: kept_run(tmp_path, kept))
    os.utime(path)
    said = []
    with Checkpoint(str(tmp_path / "kept"), tell=said.append) as kept:
        outcome, report = kept_run(tmp_path, kept)
    assert cases.bits(outcome.factor) == cases.bits(wanted[0].factor) and report == wanted[1]
    assert said and said[0].startswith("resumed at pass ")


def test_h04_a_file_that_was_replaced_between_two_runs_is_refused(tmp_path):
    path, _ = stored(tmp_path, "C")
    stopped(tmp_path / "kept", 9, lambda kept: kept_run(tmp_path, kept))
    flip(path)
    os.utime(path)
    with pytest.raises(InputError, match=r"the checkpoint is of another matrix: .*A.npy has other values now"):
        with Checkpoint(str(tmp_path / "kept")) as kept:
            kept_run(tmp_path, kept)


def test_h04_a_change_between_two_runs_that_no_time_shows_is_found_in_the_next_pass(tmp_path):
    path, _ = stored(tmp_path, "C")
    stopped(tmp_path / "kept", 9, lambda kept: kept_run(tmp_path, kept))
    flip(path)
    with pytest.raises(InputError, match="changed while it was being read, in rows"):
        with Checkpoint(str(tmp_path / "kept")) as kept:
            kept_run(tmp_path, kept)


@pytest.mark.parametrize("number", [2, 3])
def test_h01_nothing_is_written_by_a_command_whose_input_changes(tmp_path, number, monkeypatch, capsys):
    from lowrank_cli import memory
    from lowrank_cli.cli.app import run
    from lowrank_cli.cli.terminal import Terminal

    path, _ = stored(tmp_path, "C")
    monkeypatch.setattr(memory, "available_memory", lambda: 2 * ALLOWED)
    monkeypatch.setattr("lowrank_cli.formats.opening.available_memory", lambda: 2 * ALLOWED)
    tiled = api.tiled

    def watched(loaded, engine):
        return tiled(dataclasses.replace(loaded, watch=At(number, lambda: flip(path))), engine)

    monkeypatch.setattr(api, "tiled", watched)
    assert run(["approx", path, "-k", "3", "-o", str(tmp_path / "F.npz")], Terminal()) == Exit.INPUT
    assert sorted(p.name for p in tmp_path.iterdir()) == ["A.npy"]
    assert "A.npy: changed while it was being read" in capsys.readouterr().err
