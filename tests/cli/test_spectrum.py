"""lowrank spectrum as a command: its faces, its picture, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys

import gallery
import numpy as np
import pytest

from lowrank_cli.formats.memory import from_array
from lowrank_cli.reports import Style, facts, render
from lowrank_cli.reports.spectrum_rows import picture


def report_of(A, path="A.npy", **asked):
    from lowrank_cli.analysis.spectrum import spectrum

    return facts.with_run(spectrum(from_array(A), **asked), input_path=path, seconds=0.5, threads=2)


@pytest.fixture
def hilbert(tmp_path) -> str:
    np.save(tmp_path / "H.npy", gallery.hilbert(10)[0])
    return str(tmp_path / "H.npy")


# Faces


def test_json_holds_the_contract(lowrank, hilbert):
    done = lowrank("spectrum", hilbert, "--json", "-k", "4")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert list(report)[:2] == ["schema", "command"]
    assert report["schema"] == "lowrank.report/1" and report["command"] == "spectrum"
    assert report["values"] == pytest.approx(list(gallery.hilbert(10)[1][:4]), rel=1e-14)
    assert report["options"] == {"k": 4, "all": False} and report["seed"] == 0
    assert report["input"]["shape"] == [10, 10] and report["input"]["digest"]
    assert {"effective_ranks", "numeric_rank", "norms", "energy", "tail", "radii", "gap", "condition"} <= set(report)
    assert report["run"]["input_path"] == hilbert


def test_tsv_and_csv_have_one_value_a_line_and_read_back_bit_for_bit(lowrank, hilbert):
    values = json.loads(lowrank("spectrum", hilbert, "--json").out)["values"]
    for face, separator in (("tsv", "\t"), ("csv", ",")):
        done = lowrank("spectrum", hilbert, "--report", face)
        lines = list(csv.reader(io.StringIO(done.out), delimiter=separator))
        assert lines[0] == ["index", "value", "radius", "energy", "tail"]
        assert [int(line[0]) for line in lines[1:]] == list(range(1, 11))
        assert [float(line[1]) for line in lines[1:]] == values


def test_a_comma_in_a_name_does_not_split_a_csv_cell(lowrank, tmp_path):
    np.save(tmp_path / 'a,"b.npy', np.eye(2))
    done = lowrank("info", str(tmp_path / 'a,"b.npy'), "--report", "csv")
    header, line = csv.reader(io.StringIO(done.out))
    assert dict(zip(header, line, strict=True))["file"] == str(tmp_path / 'a,"b.npy')


@pytest.mark.parametrize("face", ["table", "md"])
def test_people_are_told_every_number_and_its_definition(lowrank, hilbert, face):
    said = " ".join(lowrank("spectrum", hilbert, "--report", face).out.replace("\\", "").split())
    for words in ("10 of 10", "stable rank", "numeric rank", "condition", "nuclear norm", "Roy and Vetterli", "energy"):
        assert words in said
    assert repr(float(gallery.hilbert(10)[1][0]))[:14] in said


def test_the_table_fits_eighty_columns_and_an_ascii_stream():
    A, _ = gallery.with_spectrum(600, 520, gallery.exponential(520), seed=1)
    for report in (report_of(A, k=40), report_of(gallery.hilbert(30)[0]), report_of(np.zeros((3, 2)))):
        seen = render("table", [report], Style(width=80, full=False))
        assert max(map(len, seen.splitlines())) <= 80
        plain = render("table", [report], Style(ascii=True))
        assert plain.isascii() and "\\u" not in plain


def test_what_is_not_known_is_given_as_an_interval_with_its_chance():
    A, _ = gallery.with_spectrum(600, 520, gallery.exponential(520, 0.05), seed=1)
    said = " ".join(render("table", [report_of(A, k=5)], Style(width=100, full=False)).split())
    assert re.search(r"nuclear norm │ \S+ to \S+ │", said)
    assert "may fail │ 1e-06" in said and "at least" in said and "5 of 520" in said


def test_an_interval_shown_to_few_digits_still_contains_the_exact_one():
    A, _ = gallery.with_spectrum(600, 520, gallery.exponential(520, 0.05), seed=1)
    report = report_of(A, k=5)
    report["intervals"]["nuclear"] = [1.23456, 9.87612]
    seen = next(x for x in render("table", [report], Style(width=80, full=False)).splitlines() if "nuclear" in x)
    assert "1.234 to 9.877" in seen
    assert "1.23456 to 9.87612" in render("table", [report], Style())


def test_a_spectrum_without_a_gap_is_said_to_have_none():
    A = np.diag(np.geomspace(1, 1e-19, 60))
    said = " ".join(render("table", [report_of(A)], Style(width=100)).split())
    assert "No clear gap decides the numeric rank" in said
    assert "No clear gap" not in render("table", [report_of(gallery.exact_rank(30, 20, 5)[0])], Style())


# The bars


def test_the_bars_fall_with_the_values_on_a_log_scale():
    bars = picture([1.0, 1e-2, 1e-4, 1e-6, 0.0], "01234567")
    assert bars == "75200"


def test_bars_of_equal_values_are_equal_and_no_values_have_none():
    assert picture([3.0] * 4, "01234567") == "7777"
    assert picture([0.0, 0.0], "01234567") == ""


def test_a_cut_stands_after_the_values_that_are_kept():
    assert picture([1.0, 1e-2, 1e-4, 1e-6], "01234567", 2) == "75|20"
    assert picture([1.0, 1e-2], "01234567", 2) == "70"


@pytest.mark.parametrize("count", [1, 47, 48, 49, 1000])
def test_the_bars_are_at_most_as_many_as_fit_and_end_with_the_last_value(count):
    bars = picture(list(np.geomspace(1, 1e-9, count)), "01234567")
    assert len(bars) == min(count, 48) and bars[0] == "7"
    assert count == 1 or bars[-1] == "0"


# The command


@pytest.mark.parametrize(
    ("argv", "code", "what"),
    [
        (["-k", "0"], 2, "at least 1"),
        (["-k", "11"], 2, "too large"),
        (["-k", "1.5"], 2, "whole number"),
        (["-k", "3", "--all"], 2, "contradict"),
        (["--seed", "-1"], 2, "--seed"),
        (["--report", "xml"], 2, "csv"),
        (["-d", "X"], 4, "X"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_line(lowrank, hilbert, argv, code, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = lowrank("spectrum", hilbert, *argv)
    assert done.code == code
    assert what in done.err and done.err.count("\n") == 1 and not done.out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["H.npy"]


def test_values_less_certain_than_intended_are_warned_of(lowrank, hilbert, monkeypatch):
    from lowrank_cli.analysis import spectrum as analysis

    made = analysis.spectrum
    monkeypatch.setattr(analysis, "spectrum", lambda *a, **k: made(*a, **k) | {"status": "passes_spent"})
    done = lowrank("spectrum", hilbert)
    assert done.code == 0 and "warning" in done.err and "passes spent" in done.err
    assert "less certain" in " ".join(done.out.split())


def shell(line: str, cwd) -> subprocess.CompletedProcess:
    program = f'L() {{ "{sys.executable}" -m lowrank_cli "$@"; }}\n{line}'
    return subprocess.run(["bash", "-c", program], cwd=cwd, capture_output=True, timeout=120, text=True)


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    np.save(tmp_path / "A.npy", np.diag(np.arange(1.0, 401)))
    done = shell("L spectrum A.npy --report tsv | head -n 3; echo ${PIPESTATUS[0]}", tmp_path)
    header, first, _, code = done.stdout.splitlines()
    assert header.startswith("index\tvalue") and first.startswith("1\t400") and code in ("0", "141")
    assert done.stderr == ""


def test_a_matrix_comes_from_a_pipe(tmp_path):
    np.save(tmp_path / "A.npy", np.diag([3.0, 2.0]))
    done = shell("L spectrum - --json < A.npy", tmp_path)
    assert json.loads(done.stdout)["values"] == pytest.approx([3.0, 2.0])
