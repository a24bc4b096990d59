"""When a pass has to read more than the matrix, the report says it."""

from __future__ import annotations

import io
import json

import h5py
import numpy as np
import pytest

from lowrank_cli.cli.app import run
from lowrank_cli.cli.terminal import Terminal
from lowrank_cli.formats import opening

A = np.random.default_rng(0).standard_normal((1500, 700))


def test_the_report_says_how_often_chunks_were_unpacked(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "A.h5", "w") as file:
        file["A"] = A
        file.create_dataset("B", data=A, chunks=(1499, 699))
    monkeypatch.setattr(opening, "available_memory", lambda: 4_000_000)
    reports = {}
    for name in "AB":
        reports[name] = json.loads(said(f"{tmp_path}/A.h5:{name}", "--json"))["run"]
    assert reports["A"]["read_amplification"] < 1.5 and "chunks" not in reports["A"]
    assert reports["B"]["read_amplification"] > 2 and reports["B"]["chunks"] == [1499, 699]
    warned = said(f"{tmp_path}/A.h5:B")
    assert "x the matrix a pass" in warned and "lowrank convert" in warned
    monkeypatch.undo()
    assert "a pass" not in said(f"{tmp_path}/A.h5:B")


@pytest.mark.parametrize("command", ["spectrum", "norm", "plan", "pinv", "verify"])
def test_every_command_that_reads_by_passes_says_so(command, tmp_path, monkeypatch):
    path = f"{tmp_path}/A.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("B", data=A, chunks=(1499, 699))
    said(path, "-o", f"{tmp_path}/F.npz", "-q")
    more = {"verify": ["--against", path], "pinv": ["-k", "3"], "spectrum": ["-k", "3"]}.get(command, [])
    argv = [f"{tmp_path}/F.npz" if command == "verify" else path, *more]
    monkeypatch.setattr(opening, "available_memory", lambda: 4_000_000)
    out = said(*argv, command=command)
    assert "x the matrix a pass" in out and "lowrank convert" in out


def test_a_fetch_of_columns_that_lie_across_the_file_is_a_read_beside_the_passes(tmp_path, monkeypatch):
    reports = {}
    for order in "CF":
        np.save(tmp_path / f"{order}.npy", np.asarray(A, order=order))
        monkeypatch.setattr(opening, "available_memory", lambda: 4_000_000)
        reports[order] = json.loads(said(f"{tmp_path}/{order}.npy", "-m", "id", "--json"))
    across, along = reports["C"]["run"], reports["F"]["run"]
    assert across["fetches"] >= 1 and "fetches" not in along
    assert reports["C"]["ledger"] == reports["F"]["ledger"]
    passes = reports["C"]["ledger"]["passes"] + across["fetches"]
    assert round(passes * A.nbytes * across["read_amplification"]) == across["bytes_read"]
    assert "beside the passes" in said(f"{tmp_path}/C.npy", "-m", "id")


def said(*argv, command="approx"):
    asked, out = [command, *argv, *(["-k", "3"] if command == "approx" else [])], io.StringIO()
    assert run(asked, Terminal(out, io.StringIO(), None, asked)) == 0
    return out.getvalue()
