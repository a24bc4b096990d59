"""Structures side by side: rows against the runs they stand for, marks against brute force, the best against LAPACK."""

from __future__ import annotations

import functools
import math

import gallery
import measure
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from lowrank_cli import algorithms, api
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.algorithms.method import Method
from lowrank_cli.analysis.compare import compare, pareto, structures
from lowrank_cli.budget import Budget
from lowrank_cli.errors import InputError, ResourceError, UsageError
from lowrank_cli.formats.memory import from_array
from lowrank_cli.registry import Entry

FORMS = [one.name for one in structures()]
#: What has more ranks as a matrix than it has terms: no best error of a rank is a bound for it.
UNBOUNDED = {"kron", "diag-lowrank"}


@functools.cache
def large(name: str) -> tuple[np.ndarray, np.ndarray]:
    s = {"1/i": gallery.poly(540), "exp(-i/20)": gallery.exponential(540, 0.05)}[name]
    return gallery.with_spectrum(600, 540, s, seed=5)


def compared(A, *, seed: int = 0, threads: int = 1, **asked):
    return compare(from_array(A), Budget(**asked), seed=seed, threads=threads)


@functools.cache
def reported(name: str, **asked) -> dict:
    """Of a large matrix, once for all claims about it; nobody changes it."""
    return compared(large(name)[0], seed=3, **asked)


def best_errors(A) -> np.ndarray:
    """By rank, up to the number of rows: so many codewords a quantizer may have."""
    s = np.linalg.svd(A, compute_uv=False)
    return np.array([measure.best(s, k) for k in range(max(A.shape) + 1)]) / (measure.best(s, 0) or 1.0)


def bounded(report):
    """The rows whose rank bounds that of the matrix they stand for; the others have no distance from the best."""
    others = [row for row in report["rows"] if row["method"] in UNBOUNDED]
    assert all(row["optimality_ratio"] is row["optimal"]["relative_upper"] is None for row in others)
    return [row for row in report["rows"] if row["method"] not in UNBOUNDED]


def without_run(report):
    return {**report, "rows": [{k: v for k, v in row.items() if k != "run"} for row in report["rows"]]}


# Rows


def test_the_structures_are_those_of_the_table_one_for_each_axis_and_no_product():
    assert FORMS[0] == "svd" and {"id cols", "id rows", "id both", "qb"} <= set(FORMS)
    assert not any(name.startswith("cr") for name in FORMS) and len(set(FORMS)) == len(FORMS)


def test_a_method_added_to_the_table_is_compared_without_another_line(monkeypatch):
    monkeypatch.setitem(algorithms.TABLE, "other", Entry(f"{__name__}:OTHER", "an ID under another name"))
    monkeypatch.setitem(__import__("sys").modules, __name__, _Here)
    names = [row["structure"] for row in compared(np.eye(6) + 1, rank=2)["rows"]]
    assert names[-3:] == ["other cols", "other rows", "other both"] and set(names[:-3]) <= set(FORMS)


class _Here:
    """Stands in for this module, which pytest imports under no name that can be looked up."""

    OTHER = Method("other", IDOptions, algorithms.TABLE["id"].load().run, *[""] * 5)


ASKED = [{"rank": 12}, {"rtol": 0.05}, {"rank": 6, "rtol": 1e-3}]


@pytest.mark.parametrize("asked", ASKED, ids=str)
@pytest.mark.parametrize("name", ["1/i", "exp(-i/20)"])
def test_a_row_reports_what_approx_reports_for_that_structure(name, asked):
    loaded = from_array(large(name)[0])
    report = reported(name, **asked)
    skipped = {one["structure"] for one in report["skipped"]}
    assert [row["structure"] for row in report["rows"]] == [name for name in FORMS if name not in skipped]
    for row, form in zip(report["rows"], [one for one in structures() if one.name not in skipped], strict=True):
        job = api.Job("approx", form.method, Budget(**asked), form.options, 3)
        alone = api.run(job, loaded)[1]
        changed = {"structure", "optimal", "optimality_ratio", "pareto", "run"}
        assert {k: v for k, v in row.items() if k not in changed} == {k: v for k, v in alone.items() if k != "optimal"}
        assert row["run"]["seconds"] >= 0


@pytest.mark.parametrize("name", sorted(gallery.GALLERY))
@pytest.mark.parametrize("k", [1, 4])
def test_no_structure_is_better_than_the_svd_of_the_same_rank(name, k):
    A, _ = gallery.GALLERY[name]()
    k = min(k, *A.shape)
    svd, *others = bounded(compared(A, rank=k))
    for row in others:
        assert row["rank"] <= svd["rank"]
        assert row["error"]["relative"] >= svd["error"]["relative"] * (1 - 1e-6) - 4 * max(A.shape) * measure.eps(A)


def test_every_row_meets_the_tolerance_or_says_that_it_does_not():
    rows = reported("exp(-i/20)", rtol=0.05)["rows"]
    assert all((row["status"] == "converged") == (row["error"]["relative"] <= 0.05) for row in rows)
    # a quantizer has no small answer here
    assert {row["method"] for row in rows if row["status"] != "converged"} <= {"vq"}
    capped = reported("exp(-i/20)", rank=6, rtol=1e-3)["rows"]
    assert all(row["status"] == "rank_reached" and row["error"]["relative"] > 1e-3 for row in capped)


def test_without_a_question_the_tolerance_is_one_percent():
    assert compared(gallery.with_spectrum(40, 30, gallery.poly(30))[0])["options"]["rtol"] == 0.01


def test_the_largest_interpolation_coefficient_is_that_of_the_factor():
    rows = {row["structure"]: row for row in reported("1/i", rank=12)["rows"]}
    assert "max_abs_Z" not in rows["svd"]["method_facts"]
    factor = api.run(api.Job("approx", "id", Budget(rank=12), seed=3), from_array(large("1/i")[0]))[0].factor
    assert rows["id cols"]["method_facts"]["max_abs_Z"] == float(np.abs(factor.Z).max())


def test_threads_change_nothing_but_the_seconds():
    A, _ = large("1/i")
    assert without_run(compared(A, seed=3, rtol=0.05, threads=4)) == without_run(reported("1/i", rtol=0.05))


# The best there can be


@pytest.mark.parametrize("asked", [{"rank": 9}, {"rtol": 0.2}, {"rtol": 0.03}], ids=str)
@pytest.mark.parametrize("name", sorted(gallery.GALLERY))
def test_the_best_possible_error_lies_in_the_interval_of_every_row(name, asked):
    A, _ = gallery.GALLERY[name]()
    if "rank" in asked:
        asked = {"rank": min(asked["rank"], *A.shape)}
    assert_enclosed(A, compared(A, **asked))


@pytest.mark.parametrize("asked", ASKED, ids=str)
@pytest.mark.parametrize("name", ["1/i", "exp(-i/20)"])
def test_the_best_possible_error_of_a_large_matrix_lies_in_the_interval_of_every_row(name, asked):
    assert_enclosed(large(name)[0], reported(name, **asked))


def assert_enclosed(A, report):
    best, slack = best_errors(A), 4 * max(A.shape) * measure.eps(A)
    for row in bounded(report):
        low, high = row["optimal"]["relative_lower"], row["optimal"]["relative_upper"]
        assert low <= best[row["rank"]] * (1 + 1e-5) + slack
        assert best[row["rank"]] <= high * (1 + 1e-5) + slack
        assert high <= row["error"]["relative"]


def test_the_ratio_to_the_best_is_right_for_lapack_whatever_the_rank_of_the_row():
    A, _ = gallery.with_spectrum(80, 60, gallery.inverse_sqrt(60), seed=2)
    best = best_errors(A)
    rows = bounded(compared(A, rtol=0.3))
    assert len({row["rank"] for row in rows}) > 1
    for row in rows:
        if best[row["rank"]]:
            assert row["optimality_ratio"] == pytest.approx(row["error"]["relative"] / best[row["rank"]], rel=1e-9)
    assert rows[0]["optimality_ratio"] == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("name", ["1/i", "exp(-i/20)"])
def test_the_ratio_to_the_best_is_never_flattering(name):
    best = best_errors(large(name)[0])
    for row in bounded(reported(name, rtol=0.05)):
        assert row["optimality_ratio"] >= row["error"]["relative"] / best[row["rank"]] * (1 - 1e-9)


# Pareto

POINTS = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.3]), st.integers(1, 4)), min_size=1, max_size=7)


@given(POINTS)
def test_a_point_is_marked_exactly_when_nothing_beats_it(points):
    for i, ((error, size), mark) in enumerate(zip(points, pareto(points), strict=True)):
        beaten = False
        for j, (e, b) in enumerate(points):
            if i != j and ((e < error and b <= size) or (e <= error and b < size)):
                beaten = True
        assert mark is not beaten


@given(POINTS)
def test_the_smallest_and_the_most_accurate_are_marked(points):
    marks = pareto(points)
    assert marks[points.index(min(points))]
    assert marks[points.index(min(points, key=lambda p: (p[1], p[0])))]


def test_the_marks_of_rows_are_those_of_their_errors_and_bytes():
    A = scipy.sparse.random_array((300, 200), density=0.05, rng=np.random.default_rng(1), format="csr")
    rows = compared(A, rank=20)["rows"]
    points = [(row["error"]["relative"], row["compression"]["bytes_out"]) for row in rows]
    assert [row["pareto"] for row in rows] == pareto(points)
    # a sparse matrix is where an ID is smaller
    assert "id" in {row["structure"].split()[0] for row in rows if row["pareto"]}


# Edges


@pytest.mark.parametrize("shape", [(20, 10), (700, 560)], ids=["lapack", "krylov"])
def test_on_a_zero_matrix_all_are_perfect(shape):
    for row in bounded(compared(np.zeros(shape), rank=3)):
        assert row["error"]["relative"] == 0 and row["optimality_ratio"] == 1
        assert row["optimal"] == {"relative_lower": 0.0, "relative_upper": 0.0, "failure_probability": None}


@pytest.mark.parametrize("scale", [1e-290, 1e290])
def test_scale_does_not_matter(scale):
    A, _ = gallery.with_spectrum(50, 40, gallery.poly(40), seed=1)
    here, there = bounded(compared(A, rank=5)), bounded(compared(A * scale, rank=5))
    for a, b in zip(here, there, strict=True):
        assert b["optimality_ratio"] == pytest.approx(a["optimality_ratio"], rel=1e-9)
        assert b["pareto"] == a["pareto"]


def test_a_structure_of_lower_rank_than_asked_for_is_compared_at_its_own():
    A, _ = gallery.exact_rank(60, 50, 4)
    rows = compared(A, rank=10)["rows"]
    assert rows[0]["rank"] == 10 and all(row["rank"] <= 10 for row in rows)
    assert all(math.isfinite(row["error"]["relative"]) for row in rows)


def _refusing(error):
    def run(*args):
        raise error

    return Method("id", IDOptions, run, *[""] * 5)


@pytest.mark.parametrize("error", [UsageError("wants a symmetric matrix"), ResourceError("would not fit")])
def test_a_structure_that_does_not_apply_is_listed_with_its_reason(monkeypatch, error):
    class Stub:
        summary = ""

        def load(self):
            return _refusing(error)

    monkeypatch.setitem(algorithms.TABLE, "id", Stub())
    report = compared(np.eye(6), rank=2)
    left, skipped = [row["structure"] for row in report["rows"]], report["skipped"]
    assert left[0] == "svd" and not {"id cols", "id rows"} & set(left)
    reasons = {one["structure"]: one["reason"] for one in skipped}
    assert reasons["id cols"] == reasons["id rows"] == error.what


def test_what_the_svd_refuses_is_refused():
    with pytest.raises(UsageError, match="too large"):
        compared(np.eye(4), rank=5)
    with pytest.raises(InputError, match="row 1, column 0"):
        compared(np.array([[1.0, 2.0], [np.nan, 1.0]]), rank=1)


@pytest.mark.parametrize("asked", [{"certify": "none"}, {"certify": "probes"}, {"norm": "spectral"}], ids=str)
def test_errors_that_cannot_be_compared_are_refused(asked):
    with pytest.raises(UsageError, match=next(iter(asked)) if "certify" in asked else "Frobenius"):
        compared(np.eye(4), rank=2, **asked)


@pytest.mark.parametrize(("asked", "bases"), [({"rank": 20}, 1), ({"rtol": 0.2}, 2)])
def test_all_structures_work_on_one_basis_and_one_sweep(monkeypatch, asked, bases):
    """With a tolerance the SVD of the largest rank in the table takes a second one."""
    from lowrank_cli.algorithms.krylov import BlockKrylov
    from lowrank_cli.matrices.dense import TiledMatrix

    # decomposes another matrix, the rearranged one
    monkeypatch.delitem(algorithms.TABLE, "kron")
    made: list[str] = []
    for owner, name in ((BlockKrylov, "start"), (TiledMatrix, "sweep")):
        original = getattr(owner, name)

        def counted(self, *given, original=original, name=name, **named):
            made.append(name)
            return original(self, *given, **named)

        monkeypatch.setattr(owner, name, counted)
    A, _ = gallery.with_spectrum(620, 540, gallery.poly(540), seed=2)
    rows = compared(A, **asked)["rows"]
    assert len(rows) >= 4
    assert made.count("start") == bases and made.count("sweep") == 1
