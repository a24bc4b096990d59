"""U written into a folder by the workers that hold it: the bytes of one process, all of them or nothing."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from lowrank_cli.engines.threads import SerialEngine
from lowrank_cli.errors import OutputError
from lowrank_cli.factors.svd import SVD
from lowrank_cli.formats import folder_parts, saving
from lowrank_cli.matrices.blocks import times
from lowrank_cli.matrices.spread import Home

REPORT = {"schema": "lowrank.report/1", "command": "approx"}


def factors(cluster, m=30_000, k=5):
    """Of several shards: U made on the workers, and the same here."""
    rng = np.random.default_rng(0)
    W, s, Vh = rng.standard_normal((m, k)), np.arange(k, 0.0, -1), rng.standard_normal((k, 40))
    eye = np.eye(k)
    there = times(Home(cluster, m, 8).sent(W), eye, SerialEngine())
    return SVD(there, s, Vh), SVD(times(W, eye, SerialEngine()), s, Vh)


def content(folder):
    return {name: (folder / name).read_bytes() for name in os.listdir(folder)}


def saved_here(here, tmp_path):
    saving.save(here, REPORT, f"{tmp_path}/here/")
    return content(tmp_path / "here")


def test_a_folder_has_the_bytes_of_one_process_and_u_never_comes_to_it(cluster, tmp_path):
    there, here = factors(cluster)
    before = cluster.gathered
    saving.save(there, REPORT, f"{tmp_path}/there/")
    assert cluster.gathered == before
    assert content(tmp_path / "there") == saved_here(here, tmp_path)
    assert (tmp_path / "there" / "U.npy").stat().st_mode == (tmp_path / "here" / "U.npy").stat().st_mode
    assert sorted(os.listdir(tmp_path)) == ["here", "there"]
    # and in the place of one that is there
    saving.save(there, {**REPORT, "seed": 1}, f"{tmp_path}/here/")
    assert saving.load_factors(f"{tmp_path}/here").report["seed"] == 1


def test_where_workers_do_not_see_the_folder_this_process_writes_the_same_bytes(cluster, tmp_path, monkeypatch):
    there, here = factors(cluster)
    monkeypatch.setattr(folder_parts, "_seen", lambda *_: False)
    before = cluster.gathered
    saving.save(there, REPORT, f"{tmp_path}/there/")
    assert cluster.gathered - before >= there.U.nbytes
    assert content(tmp_path / "there") == saved_here(here, tmp_path)


def test_a_worker_that_dies_while_it_writes_changes_no_byte(cluster, tmp_path, monkeypatch):
    there, here = factors(cluster)
    mark, real = str(tmp_path / "mark"), folder_parts.write_rows

    def dies(path, offset, rows, target):
        import contextlib

        with contextlib.suppress(FileExistsError):
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            with open(path, "r+b") as file:
                file.seek(offset)
                file.write(b"half of it")
            os.kill(os.getpid(), signal.SIGKILL)
        return real(path, offset, rows, target)

    monkeypatch.setattr(folder_parts, "write_rows", dies)
    saving.save(there, REPORT, f"{tmp_path}/there/")
    assert os.path.exists(mark)
    assert content(tmp_path / "there") == saved_here(here, tmp_path)


def full(path, offset, rows, target):
    """As ``write_rows`` on a disk that fills up."""
    import errno

    from lowrank_cli.formats.os_errors import explained

    with explained(target):
        raise OSError(errno.ENOSPC, "no space")


def lost(path, offset, rows, target):
    """As ``write_rows`` where what is written does not arrive."""
    import zlib

    return zlib.crc32(rows), rows.nbytes


@pytest.mark.parametrize(("write", "said"), [(full, "no space left"), (lost, "is not what one of them reads")])
def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(cluster, tmp_path, monkeypatch, write, said):
    there, here = factors(cluster)
    before = saved_here(here, tmp_path)
    monkeypatch.setattr(folder_parts, "write_rows", write)
    for name in ("here", "there"):
        with pytest.raises(OutputError, match=said):
            saving.save(there, {**REPORT, "seed": 2}, f"{tmp_path}/{name}/")
    assert os.listdir(tmp_path) == ["here"] and content(tmp_path / "here") == before
