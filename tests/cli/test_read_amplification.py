"""When a pass has to read more than the matrix, the report says it."""

from __future__ import annotations

import io
import json

import h5py
import numpy as np

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


def said(*argv):
    asked, out = ["approx", *argv, "-k", "3"], io.StringIO()
    assert run(asked, Terminal(out, io.StringIO(), None, asked)) == 0
    return out.getvalue()
