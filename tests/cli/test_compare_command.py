"""lowrank compare: the faces of a comparison, its exit codes and its refusals."""

from __future__ import annotations

import csv
import io
import json

import gallery
import numpy as np
import pytest

from lowrank_cli.reports import TABLE as FACES
from lowrank_cli.reports import Style, render

from .conftest import refusal


@pytest.fixture
def lowrank(command):
    """lowrank(*argv) runs a command line with the real library."""
    return command


@pytest.fixture
def matrix(tmp_path) -> str:
    np.save(tmp_path / "A.npy", gallery.with_spectrum(60, 40, gallery.poly(40, 2.0), seed=1)[0])
    return str(tmp_path / "A.npy")


def test_json_has_a_report_for_every_structure(lowrank, matrix):
    result = lowrank("compare", matrix, "-k", "5", "--json")
    report = json.loads(result.out)
    assert result.code == 0 and list(report)[:2] == ["schema", "command"]
    for row in report["rows"]:
        assert row["schema"] == report["schema"] and row["rank"] == 5
        assert row["run"]["seconds"] >= 0 and row["input"]["digest"] == report["input"]["digest"] is not None
    names = [row["structure"] for row in report["rows"]]
    assert names[0] == "svd" and {"id cols", "id rows", "qb"} <= set(names)


def test_tsv_has_a_line_for_every_structure(lowrank, matrix):
    report = json.loads(lowrank("compare", matrix, "-k", "5", "--json").out)
    text = lowrank("compare", matrix, "-k", "5", "--report", "tsv").out
    lines = list(csv.DictReader(io.StringIO(text), delimiter="\t"))
    assert len(lines) == len(report["rows"])
    for line, row in zip(lines, report["rows"], strict=True):
        assert (line["structure"], line["file"]) == (row["structure"], matrix)
        assert float(line["error_relative"]) == row["error"]["relative"]
        ratio = row["optimality_ratio"]
        assert line["optimality_ratio"] == "" if ratio is None else float(line["optimality_ratio"]) == ratio
        assert int(line["bytes_out"]) == row["compression"]["bytes_out"]
        assert line["pareto"] == str(row["pareto"]).lower() and float(line["seconds"]) > 0
    assert lines[0]["max_abs_Z"] == "" and float(lines[1]["max_abs_Z"]) >= 1


def test_every_face_shows_every_error_in_full(lowrank, matrix):
    report = json.loads(lowrank("compare", matrix, "-k", "5", "--json").out)
    for face in FACES:
        result = lowrank("compare", matrix, "-k", "5", "--report", face)
        assert result.code == 0
        for row in report["rows"]:
            assert repr(row["error"]["relative"]) in result.out


def test_on_a_terminal_of_eighty_columns_every_structure_keeps_its_line(lowrank, matrix):
    report = json.loads(lowrank("compare", matrix, "-k", "5", "--json").out)
    lines = render("table", [report], Style(width=80, full=False)).splitlines()
    assert max(map(len, lines)) <= 80 + len(matrix)
    for row in report["rows"]:
        (line,) = [line for line in lines if f" {row['structure']} " in line]
        assert f"{row['error']['relative']:.4g}" in line and ("*" in line) == row["pareto"]


def test_factors_larger_than_the_matrix_and_skipped_structures_are_said(lowrank, matrix):
    report = json.loads(lowrank("compare", matrix, "-k", "30", "--json").out)
    report["skipped"] = [{"structure": "other", "method": "other", "reason": "wants a \x1b[31mpsd matrix"}]
    text = " ".join(render("table", [report], Style()).split())
    assert "Not worth it" in text and "does not apply" in text and "\x1b" not in text


def test_a_tolerance_no_structure_meets_is_exit_3_with_the_report(lowrank, matrix):
    result = lowrank("compare", matrix, "-k", "2", "--rtol", "1e-6", "--json")
    assert result.code == 3 and len(json.loads(result.out)["rows"]) >= 4
    assert "no structure met the tolerance" in result.err


def test_a_tolerance_that_one_structure_meets_is_exit_0(lowrank, tmp_path):
    A, s = gallery.with_spectrum(60, 40, gallery.inverse_sqrt(40), seed=1)
    np.save(tmp_path / "A.npy", A)
    rtol = float(np.sqrt(np.sum(s[10:] ** 2) / np.sum(s**2))) * (1 + 1e-6)
    result = lowrank("compare", str(tmp_path / "A.npy"), "-k", "10", "--rtol", repr(rtol), "--json")
    statuses = {row["structure"]: row["status"] for row in json.loads(result.out)["rows"]}
    assert statuses["svd"] == "converged" and statuses["id cols"] == "rank_reached" and result.code == 0


@pytest.mark.parametrize(
    ("argv", "code", "word"),
    [
        (["-k", "41"], 2, "too large"),
        (["-k", "0"], 2, "rank"),
        (["--rtol", "2"], 2, "below 1"),
        (["--rtol", "x"], 2, "rtol"),
        (["--seed", "-1"], 2, "seed"),
        (["--method", "id"], 2, "method"),
        (["-d", "X"], 4, "X"),
    ],
)
def test_requests_that_cannot_be_are_one_line(lowrank, matrix, argv, code, word):
    assert word in refusal(lowrank("compare", matrix, *argv), code)


def test_a_missing_file_is_exit_4(lowrank):
    assert "no such file" in refusal(lowrank("compare", "nothing.npy"), 4)
