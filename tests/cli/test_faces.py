"""What each face must never do: cut a number, obey a foreign string, or print what the stream cannot carry."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.budget import Budget
from lowrank_cli.errors import UsageError
from lowrank_cli.factors.cr import CR
from lowrank_cli.reports import TABLE, Style, facts, render
from lowrank_cli.reports.text import safe, size

from . import samples

HOSTILE = [
    "[/x]",
    "[red]x",
    "a b",
    "new\nline",
    "esc\x1b]0;t\x07",
    "\u202ertl",
    "quo\"te'",
    "\udcff",
    "|md*",
    "tab\tx",
    "é",
]


def run_of(path: str, **more):
    return facts.with_run(samples.report(), argv=["lowrank"], input_path=path, seconds=0.25, threads=2, **more)


@pytest.mark.parametrize("face", TABLE)
@pytest.mark.parametrize("path", HOSTILE)
def test_no_face_lets_a_file_name_act(face, path):
    text = render(face, [run_of(path, output=path)], Style())
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    if face == "tsv":
        lines = text.splitlines()
        assert len(lines) == 2 and lines[0].count("\t") == lines[1].count("\t")


@pytest.mark.parametrize("path", ["[/x].npy", "[red]x.npy", "[bold]", ":smile:"])
def test_the_table_prints_markup_as_it_stands(path):
    assert path in render("table", [run_of(path)], Style())


@pytest.mark.parametrize("width", [None, 1, 5, 20, 40, 80, 200])
def test_no_width_cuts_a_number(width):
    text = render("table", [run_of("x.npy")], Style(width=width))
    assert repr(samples.THIRD) in text and "…" not in text


def test_the_table_of_a_usual_run_fits_eighty_columns():
    report = run_of("samples/matrix_of_a_usual_name.mtx", output="out/matrix.svd.npz")
    for style in (Style(), Style(width=80, full=False)):
        assert max(map(len, render("table", [report], style).splitlines())) <= 80


def test_a_terminal_sees_short_numbers_and_colour_and_a_pipe_neither():
    seen = render("table", [run_of("x")], Style(width=80, full=False, colour=True))
    assert "0.3333 " in seen and repr(samples.THIRD) not in seen and "\x1b[" in seen
    assert "\x1b" not in render("table", [run_of("x")], Style())


def test_an_ascii_stream_gets_ascii():
    text = render("table", [run_of("é.npy")], Style(ascii=True))
    assert text.isascii() and "\\xe9.npy" in text


def test_the_table_says_norm_kind_status_and_what_compression_means():
    text = render("table", [run_of("x")], Style())
    for word in ("Frobenius norm", "exact", "converged", "matrix / factors", "best possible"):
        assert word in text


def test_a_missed_tolerance_is_said_with_its_advice():
    report = samples.report(status=Status.RANK_REACHED, budget=Budget(rank=2, rtol=0.1))
    assert "raise --rank" in " ".join(render("table", [report], Style()).split())


def test_factors_larger_than_the_matrix_are_said_plainly():
    report = samples.report(shape=(2, 2))
    assert "larger than the matrix" in render("table", [report], Style())


def test_a_useless_product_carries_its_warning():
    factor = CR(np.arange(2), np.ones(2), np.ones((6, 2)), np.ones((2, 4)))
    known = {"scheme": "optimal", "predicted_relative": 1.5, "Z2_over_F2": 9.0}
    report = samples.report(factor=factor, times=samples.matrix_input(5, 4), facts=known, relative=1.25)
    text = render("table", [report], Style())
    for word in ("scheme", "optimal", "predicted error", "1.5", "Z2/F2", "WARNING", "zero matrix"):
        assert word in text


def test_json_and_tsv_numbers_read_back_bit_for_bit():
    report = run_of("x")
    assert json.loads(render("json", [report], Style())) == report
    header, line = render("tsv", [report], Style()).splitlines()
    cells = dict(zip(header.split("\t"), line.split("\t"), strict=True))
    assert float(cells["error_relative"]) == samples.THIRD
    assert float(cells["ratio"]) == report["compression"]["ratio"]


def test_json_of_several_inputs_is_one_object_a_line():
    lines = render("json", [run_of("a"), run_of("b")], Style()).splitlines()
    assert [json.loads(line)["run"]["input_path"] for line in lines] == ["a", "b"]


def test_an_unknown_face_names_the_known_ones():
    with pytest.raises(UsageError, match="table, json"):
        render("xml", [], Style())


@given(st.text())
def test_safe_text_is_printable_on_one_line(text):
    made = safe(text)
    assert len(made.splitlines()) <= 1
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", made)


@pytest.mark.parametrize(("count", "said"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (1234567, "1.23 MB")])
def test_sizes_are_said_in_decimal_units(count, said):
    assert size(count, full=False) == said
    assert size(count, full=True) == f"{count} bytes"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.25, 0.5, "at most 0.5, at least 0.25 "),
        (None, 0.5, "at most 0.5 "),
        (0.25, None, "at least 0.25 "),
        (0.5, 0.5, "0.5 "),
        (0.33331, 0.33332, "0.3333 "),
    ],
)
def test_the_best_possible_error_is_said_as_an_enclosure(low, high, said):
    report = run_of("x")
    report["optimal"] = {"relative_lower": low, "relative_upper": high}
    text = render("table", [report], Style(width=80, full=False))
    row = next(line for line in text.splitlines() if "best possible" in line)
    assert row.split("│")[2].lstrip().startswith(said)


def test_no_line_of_a_table_ends_in_blanks():
    text = render("table", [run_of("x")], Style())
    assert text == "".join(line.rstrip() + "\n" for line in text.splitlines())


def test_nothing_known_of_the_best_possible_error_is_null_and_not_shown():
    report = run_of("x")
    report["optimal"] = {"relative_lower": None, "relative_upper": None}
    assert "best possible" not in render("table", [report], Style())


def test_tsv_says_how_often_a_bound_may_be_wrong_and_what_encloses_the_best_error():
    report = run_of("A.npy")
    report["error"] |= {"kind": "bound", "failure_probability": 1e-6}
    report["optimal"] = {"relative_lower": 0.125, "relative_upper": 0.25, "failure_probability": None}
    header, line = (text.split("\t") for text in render("tsv", [report], Style()).splitlines())
    assert (
        dict(zip(header, line, strict=True)).items()
        >= {
            "error_failure_probability": "1e-06",
            "optimal_lower": "0.125",
            "optimal_upper": "0.25",
        }.items()
    )


def test_tsv_gives_an_array_of_three_dimensions_no_rows_and_columns():
    item = {"path": "conv", "shape": [128, 3, 32], "dtype": "float32", "nnz": None, "bytes": 49152}
    told = {"command": "info", "format": "safetensors", "items": [item], "run": {"input_path": "m.safetensors"}}
    header, line = (text.split("\t") for text in render("tsv", [told], Style()).splitlines())
    seen = dict(zip(header, line, strict=True))
    assert (seen["item"], seen["rows"], seen["cols"], seen["bytes"]) == ("conv", "", "", "49152")
