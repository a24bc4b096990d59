"""lowrank spectrum as a command: its faces, its picture, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import gallery
import numpy as np
import pytest

from lowrank_cli.formats.memory import from_array
from lowrank_cli.reports import Style, facts, render
from lowrank_cli.reports.plot import spectrum_svg
from lowrank_cli.reports.spectrum_rows import picture

SVG = "{http://www.w3.org/2000/svg}"


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


@pytest.mark.parametrize("count", [1, 47, 48, 49, 1000])
def test_the_bars_are_at_most_as_many_as_fit_and_end_with_the_last_value(count):
    bars = picture(list(np.geomspace(1, 1e-9, count)), "01234567")
    assert len(bars) == min(count, 48) and bars[0] == "7"
    assert count == 1 or bars[-1] == "0"


# The picture


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def test_the_plot_marks_every_value_from_top_to_bottom():
    root = parsed(spectrum_svg(report_of(gallery.hilbert(8)[0])))
    marks = root.findall(f"{SVG}circle")
    assert len(marks) == 8
    x, y = ([float(m.get(c)) for m in marks] for c in ("cx", "cy"))
    assert x == sorted(x) and y == sorted(y)
    # on a log axis: steps as the logarithms of the values
    s = np.log10(np.linalg.svd(gallery.hilbert(8)[0], compute_uv=False))
    assert (np.array(y) - y[0]) / (y[-1] - y[0]) == pytest.approx((s - s[0]) / (s[-1] - s[0]), abs=1e-2)


def test_the_plot_is_labelled_and_knows_light_and_dark():
    text = spectrum_svg(report_of(gallery.exact_rank(30, 20, 5)[0]))
    words = [t.text for t in parsed(text).iter(f"{SVG}text")]
    for label in ("Singular values of A.npy", "index i", "singular value s_i", "numeric rank 5", "1"):
        assert label in words
    assert "prefers-color-scheme: dark" in text


def test_many_values_are_a_line_of_bounded_length():
    report = report_of(np.eye(3))
    report |= {"values": list(np.geomspace(1, 1e-9, 20_000)), "count": 20_000}
    root = parsed(spectrum_svg(report))
    points = root.find(f"{SVG}polyline").get("points").split()
    assert 1000 <= len(points) <= 2000 and not root.findall(f"{SVG}circle")


@pytest.mark.parametrize(
    "A",
    [
        np.zeros((4, 3)),
        np.eye(5),
        np.ones((1, 1)),
        np.diag([1.0, 0.0]),
        1e-320 * np.eye(3),
        1e307 * np.eye(3),
        np.diag(np.geomspace(1e300, 1e-300, 30)),
        np.diag([1.0, 1 + 1e-13]),
        np.diag([1.0, 1e-3]),
    ],
)
def test_no_spectrum_leaves_the_paper(A):
    root = parsed(spectrum_svg(report_of(A)))
    for mark in root.findall(f"{SVG}circle"):
        assert 84 <= float(mark.get("cx")) <= 776 and 56 <= float(mark.get("cy")) <= 424
    labels = [t for t in root.iter(f"{SVG}text") if t.get("text-anchor") == "end"]
    assert len(labels) <= 16 and (A.any() <= (len(labels) >= 2))


def test_zeros_are_counted_where_a_log_axis_cannot_show_them():
    assert "2 of them zero, not shown" in spectrum_svg(report_of(np.diag([1.0, 0.0, 0.0])))


@pytest.mark.parametrize("path", ["<script>.npy", 'a&"b.npy', "\u202eevil.npy", "x\x00y", "n" * 300])
def test_a_name_cannot_act_in_the_plot(path):
    text = spectrum_svg(report_of(np.eye(2), path=path))
    parsed(text)
    assert "<script" not in text and "\u202e" not in text and "\x00" not in text and "n" * 61 not in text


def test_the_same_report_draws_the_same_plot():
    first, second = (spectrum_svg(report_of(gallery.hilbert(8)[0])) for _ in range(2))
    assert first == second


# The command


def test_the_plot_is_written_beside_the_report(lowrank, hilbert, tmp_path):
    done = lowrank("spectrum", hilbert, "--plot", str(tmp_path / "H.svg"), "--json")
    assert done.code == 0 and json.loads(done.out)["run"]["output"] == str(tmp_path / "H.svg")
    parsed((tmp_path / "H.svg").read_text())


@pytest.mark.parametrize(
    ("argv", "code", "what"),
    [
        (["-k", "0"], 2, "at least 1"),
        (["-k", "11"], 2, "too large"),
        (["-k", "1.5"], 2, "whole number"),
        (["-k", "3", "--all"], 2, "contradict"),
        (["--plot", "H.png"], 2, ".svg"),
        (["--plot", "missing/H.svg"], 5, "missing/H.svg"),
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


def test_no_clobber_keeps_a_plot(lowrank, hilbert, tmp_path):
    (tmp_path / "H.svg").write_text("mine")
    done = lowrank("spectrum", hilbert, "--plot", str(tmp_path / "H.svg"), "--no-clobber")
    assert done.code == 5 and (tmp_path / "H.svg").read_text() == "mine"


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


def test_the_plot_goes_into_a_pipe_and_the_report_to_stderr(tmp_path):
    np.save(tmp_path / "A.npy", np.eye(3))
    done = shell("L spectrum A.npy --plot - --json", tmp_path)
    assert done.returncode == 0
    parsed(done.stdout)
    assert json.loads(done.stderr)["values"] == [1.0, 1.0, 1.0]


def test_a_matrix_comes_from_a_pipe(tmp_path):
    np.save(tmp_path / "A.npy", np.diag([3.0, 2.0]))
    done = shell("L spectrum - --json < A.npy", tmp_path)
    assert json.loads(done.stdout)["values"] == pytest.approx([3.0, 2.0])
