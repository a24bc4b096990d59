"""Factors as a folder of .npy files: the same bits back, damage found, and nothing lost that was there before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from lowrank_cli.errors import DamagedError, InputError, OutputError, UsageError
from lowrank_cli.formats import atomic, folders, saving, temporaries

from .factor_samples import CASES, REPORT, STORED, assert_same, content, svd


@pytest.mark.parametrize("case", CASES)
def test_equal_factors_give_equal_files_and_the_headers_name_each(case, tmp_path):
    for name in ("a/", "b/"):
        saving.save(CASES[case], REPORT, f"{tmp_path}/{name}")
    saved = saving.load_factors(str(tmp_path / "a"))
    assert_same(CASES[case], saved.factor)
    assert saved.report == STORED and saving.is_factors(f"{tmp_path}/a/")
    assert content(tmp_path / "a") == content(tmp_path / "b")
    headers = saving.load_headers(str(tmp_path / "a"))
    assert {f"{name}.npy" for name in headers.arrays} == set(content(tmp_path / "a")) - {"meta.json"}


def test_the_arrays_are_files_that_numpy_maps(tmp_path):
    saving.save(svd(), REPORT, f"{tmp_path}/F/")
    assert np.array_equal(np.load(tmp_path / "F" / "Vh.npy", mmap_mode="r"), svd().Vh)


def test_a_folder_of_factors_is_replaced_whole(tmp_path):
    saving.save(CASES["id-sparse-float64"], REPORT, f"{tmp_path}/F/")
    saving.save(svd(), REPORT, f"{tmp_path}/F/")
    assert sorted(content(tmp_path / "F")) == ["U.npy", "Vh.npy", "meta.json", "s.npy"]
    assert os.listdir(tmp_path) == ["F"]


def test_a_folder_is_replaced_where_names_cannot_change_places(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "_exchanged", lambda *args: False)
    saving.save(CASES["id-sparse-float64"], REPORT, f"{tmp_path}/F/")
    saving.save(svd(), REPORT, f"{tmp_path}/F/")
    assert_same(svd(), saving.load_factors(f"{tmp_path}/F").factor)
    assert os.listdir(tmp_path) == ["F"]


def test_an_empty_folder_is_filled_and_a_link_to_one_is_written_through(tmp_path):
    (tmp_path / "real").mkdir(mode=0o750)
    (tmp_path / "link").symlink_to("real")
    saving.check_target(f"{tmp_path}/link/", [], False)
    saving.save(svd(), REPORT, f"{tmp_path}/link/")
    assert (tmp_path / "link").is_symlink() and "U.npy" in content(tmp_path / "real")
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("there", ["notes.txt", "other.npy", ".hidden", "inner"])
def test_a_folder_with_anything_else_in_it_is_left_as_it_is(there, tmp_path):
    target = tmp_path / "F"
    if there == "other.npy":
        # arrays without our metadata
        target.mkdir()
    else:
        saving.save(svd(), REPORT, f"{target}/")
    if there == "inner":
        (target / "inner").mkdir()
    else:
        (target / there).write_bytes(b"theirs")
    before = sorted(os.listdir(target))
    for attempt in (
        lambda: saving.check_target(f"{target}/", [], False),
        lambda: saving.save(svd(), REPORT, f"{target}/"),
    ):
        with pytest.raises(OutputError, match="other files"):
            attempt()
    assert sorted(os.listdir(target)) == before and os.listdir(tmp_path) == ["F"]


def test_no_clobber_keeps_a_folder_and_a_file_is_never_replaced_by_one(tmp_path):
    saving.save(svd(), REPORT, f"{tmp_path}/F/")
    (tmp_path / "file").write_bytes(b"theirs")
    before = content(tmp_path / "F")
    with pytest.raises(OutputError, match="not replaced"):
        saving.save(svd(np.float32), REPORT, f"{tmp_path}/F/", no_clobber=True)
    with pytest.raises(OutputError, match="no folder"):
        saving.save(svd(), REPORT, f"{tmp_path}/file/")
    with pytest.raises(OutputError, match="directory does not exist"):
        saving.check_target(f"{tmp_path}/none/F/", [], False)
    assert content(tmp_path / "F") == before and sorted(os.listdir(tmp_path)) == ["F", "file"]


@pytest.mark.parametrize("source", ["F", "F/", "F/U.npy", "link"])
def test_a_folder_that_is_read_is_not_written(source, tmp_path):
    saving.save(svd(), REPORT, f"{tmp_path}/F/")
    (tmp_path / "link").symlink_to("F")
    with pytest.raises(UsageError, match="same folder"):
        saving.check_target(f"{tmp_path}/F/", [f"{tmp_path}/{source}"], False)


def test_f20_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path, monkeypatch):
    saving.save(svd(), REPORT, f"{tmp_path}/F/")
    before = content(tmp_path / "F")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    for name in ("fsync", "rename"):
        with monkeypatch.context() as patched:
            patched.setattr(atomic.os, name, full)
            if name == "rename":
                patched.setattr(folders, "_exchanged", lambda *args: False)
            with pytest.raises(OutputError, match="no space left"):
                saving.save(svd(np.float32), REPORT, f"{tmp_path}/F/")
        assert content(tmp_path / "F") == before and os.listdir(tmp_path) == ["F"]


def test_f20_what_a_killed_run_left_behind_is_removed_by_the_next(tmp_path):
    script = (
        "import os, signal, sys\nfrom lowrank_cli.formats import folders\n"
        "with folders.building(sys.argv[1], lambda *args: True) as folder:\n"
        "    open(os.path.join(folder, 'U.npy'), 'wb').close()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, f"{tmp_path}/F/"])
    assert killed.returncode == -signal.SIGKILL and "F" not in os.listdir(tmp_path) and len(os.listdir(tmp_path)) == 1
    saving.save(svd(), REPORT, f"{tmp_path}/F/")
    assert os.listdir(tmp_path) == ["F"] and temporaries.pending() == []


def flips(content: bytes):
    return range(0, len(content), 7)


def test_h16_every_flip_and_every_cut_in_every_file_is_caught_or_changes_nothing(tmp_path):
    factor, report = CASES["id-sparse-float32"], {"rank": 1, "error": {"relative": 0.125}}
    saving.save(factor, report, f"{tmp_path}/F/")
    caught = 0
    for path in (tmp_path / "F").iterdir():
        whole = path.read_bytes()
        changed = [whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :] for at in flips(whole)]
        for damaged in (*changed, *(whole[:at] for at in range(0, len(whole), 11)), whole + b"\0"):
            path.write_bytes(damaged)
            try:
                saved = saving.load_factors(f"{tmp_path}/F")
            except InputError as error:
                assert "\n" not in str(error)
                caught += 1
                continue
            assert_same(factor, saved.factor)
            assert saved.report == report
        path.write_bytes(whole)
    assert caught > 300


@pytest.mark.parametrize("how", ["missing", "link", "fifo", "folder"])
def test_a_file_that_is_not_there_or_is_none_is_damage(how, tmp_path):
    saving.save(svd(), REPORT, f"{tmp_path}/F/")
    path = tmp_path / "F" / "U.npy"
    path.rename(tmp_path / "U.npy")
    if how == "link":
        path.symlink_to(tmp_path / "U.npy")
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()
    with pytest.raises(InputError, match=r"U\.npy"):
        saving.load_factors(f"{tmp_path}/F")
    if how == "missing":
        with pytest.raises(DamagedError):
            saving.load_factors(f"{tmp_path}/F")
