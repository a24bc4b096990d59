"""Products side by side: rows against the runs they stand for, the best against all others, advice by its rules."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from algorithms.cr_products import pair

from lowrank_cli import api
from lowrank_cli.algorithms.cr import SCHEMES, CROptions
from lowrank_cli.analysis.compare import pareto
from lowrank_cli.analysis.compare_products import advice, compare_products
from lowrank_cli.budget import Budget
from lowrank_cli.cli.app import run
from lowrank_cli.cli.terminal import Terminal
from lowrank_cli.errors import InputError, UsageError
from lowrank_cli.formats.memory import from_array
from lowrank_cli.reports import TABLE as FACES
from lowrank_cli.reports import Style, render

NAMES = [*(f"cr {name}" for name in SCHEMES[1:]), "gaussian", "sparse", "best"]


def compared(X, Y, *, seed=0, threads=1, **asked):
    return compare_products(from_array(X), from_array(Y), Budget(**asked), seed=seed, threads=threads)


def by_name(report):
    return {row["structure"]: row for row in report["rows"]}


@pytest.mark.parametrize("asked", [{"rank": 12}, {"rtol": 0.3}, {"rank": 6, "rtol": 1e-3}], ids=str)
def test_a_row_reports_what_product_reports_for_that_scheme(asked):
    X, Y = pair(60, 40, 50)
    report = compared(X, Y, seed=3, **asked)
    assert [row["structure"] for row in report["rows"]] == NAMES and report["skipped"] == []
    rows = by_name(report)
    for scheme in SCHEMES[1:]:
        job = api.Job("product", "cr", Budget(**asked), CROptions(scheme=scheme), 3)
        alone = api.run(job, from_array(X), {"times": from_array(Y)})[1]
        changed = {"structure", "optimal", "optimality_ratio", "pareto", "run", "flops"}
        row = rows[f"cr {scheme}"]
        assert {k: v for k, v in row.items() if k not in changed} == {k: v for k, v in alone.items() if k != "optimal"}


@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
def test_nothing_is_better_than_the_best_of_its_rank(dtype):
    X, Y = pair(60, 40, 50, dtype=dtype)
    s = np.linalg.svd(X @ Y, compute_uv=False).astype(float)
    for row in compared(X, Y, rank=12)["rows"]:
        best = np.sqrt(np.sum(s[row["rank"] :] ** 2) / np.sum(s**2))
        assert row["optimal"]["relative_lower"] == pytest.approx(best, rel=1e-4)
        assert row["error"]["relative"] >= best * (1 - 1e-4)
        assert row["optimality_ratio"] == pytest.approx(row["error"]["relative"] / best, rel=1e-4)


def test_flops_are_those_of_their_formulas():
    m, l, n, r = 60, 40, 50, 12
    X, Y = pair(m, l, n)
    report = compared(X, Y, rank=r)
    assert report["exact_flops"] == 2 * m * n * l
    lengths, gram = 2 * (m + n) * l, l**2 * (m + n)
    found = {
        "cr top": lengths,
        "cr uniform": lengths,
        "cr wta": lengths + gram,
        "cr least-squares": lengths + gram,
        "cr greedy": lengths + gram + 2 * l * r**2,
        "gaussian": 2 * r * l * (m + n),
        "sparse": 16 * l * (m + n),
    }
    for name, flops in found.items():
        assert by_name(report)[name]["flops"] == {"find": flops, "multiply": 2 * m * n * r}, name


def test_marks_and_threads():
    X, Y = pair(60, 40, 50)
    one, other = (compared(X, Y, rtol=0.4, threads=threads) for threads in (1, 4))
    points = [(row["error"]["relative"], row["compression"]["bytes_out"]) for row in one["rows"]]
    assert [row["pareto"] for row in one["rows"]] == pareto(points)
    for report in (one, other):
        for row in report["rows"]:
            del row["run"]
    assert one == other


def test_gram_matrices_are_formed_once(monkeypatch):
    from lowrank_cli.algorithms.cr_errors import Pairs

    made, original = [], Pairs._gram

    def counted(self):
        made.append(self.X.matrix.shared.get("pairs") is None)
        return original(self)

    monkeypatch.setattr(Pairs, "_gram", counted)
    compared(*pair(60, 40, 50), rank=5)
    assert len(made) == 9 and made.count(True) == 1


def test_what_does_not_apply_is_listed_with_its_reason():
    X, Y = pair(6, 5000, 5)
    report = compared(X, Y, rank=20)
    assert [one["structure"] for one in report["skipped"]] == ["cr greedy"]
    assert "Gram matrix" in report["skipped"][0]["reason"]


@pytest.mark.parametrize("asked", [{}, {"rank": 41}, {"rank": 5, "norm": "spectral"}], ids=str)
def test_what_all_refuse_is_refused(asked):
    with pytest.raises(UsageError):
        compared(*pair(60, 40, 50), **asked)


def test_shapes_that_do_not_chain_and_bad_entries_are_refused():
    X, Y = pair(60, 40, 50)
    with pytest.raises(UsageError, match=r"60x40.*39x50"):
        compared(X, Y[:-1], rank=3)
    X[2, 1] = np.nan
    with pytest.raises(InputError, match="row 2, column 1"):
        compared(X, Y, rank=3)


@pytest.mark.parametrize("shape", [(5, 1, 4), (1, 7, 1), (1, 1, 1), (1, 6, 5)])
def test_vectors_are_compared_too(shape):
    for seed in range(5):
        for row in compared(*pair(*shape, seed=seed), rank=1)["rows"]:
            assert row["rank"] == 1 or row["structure"] == "cr threshold"
            assert shape[1] > 1 or row["structure"] == "gaussian" or row["error"]["relative"] <= 1e-14


def test_a_zero_product_is_perfect_everywhere():
    for row in compared(np.zeros((5, 7)), np.ones((7, 4)), rank=3)["rows"]:
        assert row["error"]["relative"] == 0 and row["optimality_ratio"] == 1


# Advice


def told(structure, error, flops, status="converged"):
    method = "cr" if structure.startswith("cr") else structure
    return {
        "structure": structure,
        "method": method,
        "status": status,
        "error": {"relative": error},
        "flops": {"find": flops, "multiply": 0},
    }


@pytest.mark.parametrize(
    ("rows", "tolerance", "words"),
    [
        ([told("cr a", 0.1, 200), told("best", 0.01, 90)], False, "costs more than the exact product"),
        ([told("cr a", 1.5, 50), told("best", 0.01, 90)], False, "better than the zero matrix"),
        ([told("cr a", 0.1, 50), told("cr b", 0.2, 10), told("best", 0.01, 50)], False, "best does better than cr a"),
        (
            [told("cr a", 0.1, 50), told("cr b", 0.2, 10), told("best", 0.01, 51)],
            False,
            "cr a is the sample to take: 0.5",
        ),
        (
            [told("cr a", 0.1, 50), told("cr b", 0.2, 10), told("best", 0.01, 51)],
            True,
            "cr b is the sample to take: 0.1",
        ),
        ([told("cr a", 0.1, 50, "rank_reached"), told("best", 0.01, 51)], True, "No sample met the tolerance"),
        ([told("cr a", 0.1, 50), told("sparse", 0.2, 40)], True, "sparse does better than cr a"),
        ([told("cr a", 0.1, 50), told("sparse", 0.2, 40, "rank_reached")], True, "cr a is the sample to take"),
    ],
)
def test_advice_follows_its_rules(rows, tolerance, words):
    (said,) = advice(rows, 100, tolerance)
    assert words in said


# The command


@pytest.fixture
def files(tmp_path):
    X, Y = pair(60, 40, 50)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "Y.npy", Y)
    return str(tmp_path / "X.npy"), str(tmp_path / "Y.npy")


def lowrank(*argv):
    out, err = io.StringIO(), io.StringIO()
    return run(list(argv), Terminal(out, err, None, argv)), out.getvalue(), err.getvalue()


def test_every_face_shows_every_row(files):
    X, Y = files
    code, text, _ = lowrank("compare", X, "--times", Y, "-k", "5", "--json")
    report = json.loads(text)
    assert code == 0 and report["times"]["shape"] == [40, 50] and report["run"]["times_path"] == Y
    for face in FACES:
        code, shown, _ = lowrank("compare", X, "--times", Y, "-k", "5", "--report", face)
        assert code == 0
        for row in report["rows"]:
            assert repr(row["error"]["relative"]) in shown
    lines = list(csv.DictReader(io.StringIO(lowrank("compare", X, "--times", Y, "-k", "5", "--report", "csv")[1])))
    for line, row in zip(lines, report["rows"], strict=True):
        assert line["structure"] == row["structure"]
        assert (
            int(line["flops_find"]) == row["flops"]["find"] and int(line["flops_multiply"]) == row["flops"]["multiply"]
        )
        assert float(line["predicted_relative"]) == row["method_facts"]["predicted_relative"]


def test_on_a_terminal_of_eighty_columns_every_row_keeps_its_line(files):
    report = json.loads(lowrank("compare", files[0], "--times", files[1], "-k", "5", "--json")[1])
    report["run"] = {name: None if name.endswith("_path") else value for name, value in report["run"].items()}
    shown = render("table", [report], Style(width=80, full=False)).splitlines()
    assert max(map(len, shown)) <= 80
    for row in report["rows"]:
        name = row["structure"].removeprefix("cr ")
        (line,) = [line for line in shown if f" {name} " in line and f" {row['rank']} " in line]
        assert f"{row['error']['relative']:.4g}" in line and ("*" in line) == row["pareto"]
    assert any("advice" in line for line in shown)


def test_the_exit_code_says_whether_anything_met_the_tolerance(files):
    X, Y = files
    assert lowrank("compare", X, "--times", Y, "--rtol", "0.2", "-q")[0] == 0
    code, _, err = lowrank("compare", X, "--times", Y, "--rtol", "1e-6", "-k", "2")
    assert code == 3 and "no structure met" in err
    code, out, err = lowrank("compare", "no-X.npy", "--times", "no-Y.npy")
    assert code == 2 and out == "" and "--rank" in err
