"""A plan against LAPACK's spectra, against brute force, and against the runs it foretells."""

from __future__ import annotations

import functools
import tracemalloc

import gallery
import measure
import numpy as np
import pytest
import scipy.sparse

import lowrank_cli
from lowrank_cli import api
from lowrank_cli.analysis.plan import plan, plan_from_header
from lowrank_cli.budget import Budget
from lowrank_cli.errors import InputError, UsageError
from lowrank_cli.formats.memory import from_array

M, N = 700, 560  # beyond the size that goes to LAPACK

LARGE = {
    "1/i^2": lambda n: gallery.poly(n, 2.0),
    "exp(-i/20)": lambda n: gallery.exponential(n, 0.05),
    "stairs": lambda n: gallery.stairs(n, 30),
    "step": gallery.step,
    "rank 7": lambda n: np.linspace(1.0, 0.5, 7),
    "flat": gallery.flat,
    "1e-4 after 30": lambda n: 1e-4 + 1 / (1 + np.exp(np.minimum(np.arange(n) - 30.0, 300.0))),
}


@functools.cache
def large(name: str, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    return gallery.with_spectrum(M, N, LARGE[name](N), seed=3, dtype=dtype)


def planned(A, **asked):
    return plan(from_array(A), **asked)


def errors(report) -> np.ndarray:
    assert [point["rank"] for point in report["curve"]] == list(range(1, len(report["curve"]) + 1))
    return np.array([point["error"] for point in report["curve"]])


def without_run(report):
    return {key: value for key, value in report.items() if key != "run"}


# The curve


@pytest.mark.parametrize("name", sorted(gallery.GALLERY))
def test_the_curve_of_a_small_matrix_is_the_tails_of_lapacks_singular_values(name):
    A, _ = gallery.GALLERY[name]()
    s = np.linalg.svd(A.astype(np.result_type(A.dtype, "float64")), compute_uv=False)
    found = errors(planned(A))
    best = np.array([measure.best(s, k) for k in range(1, len(found) + 1)])
    best = best / (measure.best(s, 0) or 1.0)
    np.testing.assert_allclose(found, best, rtol=1e-5, atol=4 * max(A.shape) * measure.eps(A))
    if len(found) < len(s):
        # where the curve ends early the rest is rounding
        assert found[-1] <= 4 * max(A.shape) * measure.eps(A)


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("wide", [False, True], ids=["tall", "wide"])
def test_the_curve_from_a_krylov_basis_is_within_half_a_percent_of_the_best_at_every_rank_it_has(name, wide):
    A, s = large(name)
    report = planned(A.T if wide else A, bytes_=[50 * (M + N + 1) * 8])
    assert report["answers"][0]["rank"] == (7 if name == "rank 7" else 50)
    assert "block krylov" in report["method_facts"]["kernels"]
    found = errors(report)
    best = np.array([measure.best(s, k) for k in range(1, len(found) + 1)]) / measure.best(s, 0)
    assert np.all(found <= 1.005 * best + 1e-13)
    assert np.all(found >= (1 - 1e-10) * best - 1e-13)


@pytest.mark.parametrize("dtype", gallery.DTYPES)
def test_the_curve_holds_in_every_dtype(dtype):
    A, s = large("exp(-i/20)", dtype)
    found = errors(planned(A, bytes_=[60 * (M + N + 1) * A.itemsize]))[:60]
    best = np.array([measure.best(s, k) for k in range(1, 61)]) / measure.best(s, 0)
    np.testing.assert_allclose(found, best, rtol=5e-3)


def test_the_error_on_the_curve_is_what_approx_measures_at_that_rank():
    A, _ = large("1/i^2")
    found = errors(planned(A, ratios=[5]))
    for k in (3, 20, 50):
        assert found[k - 1] == pytest.approx(lowrank_cli.approx(A, rank=k).certificate.relative, rel=3e-3)


def test_errors_fall_with_the_rank_and_bytes_and_flops_are_those_of_the_real_factors():
    A, _ = gallery.with_spectrum(80, 50, gallery.poly(50), seed=1, dtype="complex64")
    report = planned(A)
    assert np.all(np.diff(errors(report)) <= 0)
    for k in (1, 7, 50):
        factor = lowrank_cli.approx(A, rank=k).factor
        point = report["curve"][k - 1]
        assert (point["bytes"], point["apply_flops"]) == (factor.nbytes, factor.apply_flops)


@pytest.mark.parametrize("exponent", [-900, 900])
@pytest.mark.parametrize("big", [False, True], ids=["lapack", "krylov"])
def test_the_scale_of_the_matrix_changes_no_bit_of_the_curve(exponent, big):
    A = large("1/i^2")[0] if big else gallery.with_spectrum(60, 40, gallery.poly(40), seed=1)[0]
    there = planned(np.ldexp(A, exponent), rtols=[0.01])
    # values so small or large are brought to scale first; the reference is brought there by the same rule
    here = planned(np.ldexp(A, 500 if exponent > 0 else -500), rtols=[0.01])
    assert there["curve"] == here["curve"] and there["answers"] == here["answers"]


def test_threads_change_nothing_but_the_run_block():
    A, _ = large("exp(-i/20)")
    one, four = planned(A, rtols=[0.01], threads=1), planned(A, rtols=[0.01], threads=4)
    assert without_run(one) == without_run(four)


def test_sparse_storage_gives_the_curve_of_the_same_matrix_stored_dense():
    A = scipy.sparse.random_array((900, 600), density=0.02, rng=np.random.default_rng(2), format="csr")
    A = scipy.sparse.csr_array(A * (0.97 ** np.arange(600))[None, :])
    sparse, dense = planned(A, rtols=[0.3]), planned(A.toarray(), rtols=[0.3])
    np.testing.assert_allclose(errors(sparse), errors(dense), rtol=1e-9)
    assert sparse["answers"][0]["rank"] == dense["answers"][0]["rank"]


# Answers


@pytest.mark.parametrize("name", sorted(gallery.GALLERY))
def test_the_answer_to_a_tolerance_is_the_smallest_rank_on_the_curve_that_meets_it(name):
    A, _ = gallery.GALLERY[name]()
    rtols = [0.5, 0.1, 1e-3]
    report = planned(A, rtols=rtols)
    found = np.append(1.0, errors(report))
    for rtol, answer in zip(rtols, report["answers"], strict=True):
        k = answer["rank"]
        assert (answer["asked"], answer["value"]) == ("rtol", rtol)
        assert answer["error"] == found[k] <= rtol
        assert k == 1 or found[k - 1] > rtol
        assert answer["rank_least"] in (k, k - 1)


@pytest.mark.parametrize("name", ["1/i^2", "exp(-i/20)", "stairs", "step", "rank 7"])
@pytest.mark.parametrize("rtol", [0.1, 1e-2, 2e-3])
def test_the_rank_answered_for_a_tolerance_is_at_most_one_above_the_smallest_possible(name, rtol):
    A, s = large(name)
    answer = planned(A, rtols=[rtol])["answers"][0]
    least = measure.smallest_rank(s, rtol)
    assert answer["rank_least"] <= max(least, 1) <= answer["rank"] <= least + 1
    assert lowrank_cli.approx(A, rtol=rtol).factor.rank in (answer["rank"] - 1, answer["rank"], answer["rank"] + 1)


def test_several_tolerances_are_answered_from_one_factorization():
    A, _ = large("exp(-i/20)")
    alone = planned(A, rtols=[1e-3])
    together = planned(A, rtols=[0.5, 0.1, 1e-2, 1e-3])
    assert together["ledger"] == alone["ledger"] and together["curve"] == alone["curve"]


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_the_answer_to_bytes_or_a_ratio_is_the_largest_rank_that_fits(dtype):
    A, _ = gallery.with_spectrum(90, 60, gallery.poly(60), seed=4, dtype=dtype)
    real = np.zeros(1, dtype).real.itemsize
    size = [k * (150 * A.itemsize + real) for k in range(61)]
    counts, ratios = [size[1], size[7], size[8] - 1, size[20] + 5], [2, 3.5, 9]
    report = planned(A, bytes_=counts, ratios=ratios)
    wanted = [max(k for k in range(61) if size[k] <= b) for b in [*counts, *(A.nbytes / r for r in ratios)]]
    assert [answer["rank"] for answer in report["answers"]] == wanted
    for answer in report["answers"]:
        assert answer["ratio"] == A.nbytes / answer["bytes"]
    for ratio, answer in zip(ratios, report["answers"][len(counts) :], strict=True):
        assert answer["ratio"] >= ratio


@pytest.mark.parametrize("rtol", [1e-3, 4e-4, 2e-4])
def test_a_long_flat_tail_is_not_taken_for_rounding(rtol):
    A, s = large("1e-4 after 30")
    answer = planned(A, rtols=[rtol])["answers"][0]
    least = measure.smallest_rank(s, rtol)
    assert answer["rank_least"] <= least <= answer["rank"] <= least + 1


def test_a_krylov_plan_reaches_the_rank_that_fits():
    A, _ = large("exp(-i/20)")
    answer = planned(A, bytes_=[100 * (M + N + 1) * 8])["answers"][0]
    assert answer["rank"] == 100 and answer["worth"] is True and answer["note"] == ""


def test_more_bytes_than_an_exact_factorization_needs_buy_no_more_rank():
    A, _ = gallery.exact_rank(80, 60, 5)
    for count in (60 * 141 * 8 // 2, 10**9):
        answer = planned(A, bytes_=[count])["answers"][0]
        assert answer["rank"] == 5 and answer["error"] <= 1e-14
    assert "rounding" in planned(A, bytes_=[30 * 141 * 8])["answers"][0]["note"]


def test_too_few_bytes_for_any_rank_are_said_with_the_number_that_rank_one_takes():
    A, _ = gallery.with_spectrum(40, 30, gallery.poly(30))
    answer = planned(A, bytes_=[567])["answers"][0]
    assert answer["rank"] is None and answer["predicted"] is None
    assert "568 bytes" in answer["note"]


def test_factors_larger_than_the_matrix_are_called_not_worth_it():
    A, _ = gallery.with_spectrum(60, 50, gallery.flat(50))
    answer = planned(A, rtols=[0.1])["answers"][0]
    assert answer["worth"] is False and answer["ratio"] < 1
    assert answer["note"].startswith("not worth it") and str(answer["bytes"]) in answer["note"]


def test_whether_it_pays_is_decided_by_bytes_at_the_very_rank_where_they_meet():
    A, _ = gallery.with_spectrum(60, 50, gallery.poly(50))
    limit = planned(A)["break_even"]["bytes_rank"]
    worths = {k: planned(A, bytes_=[k * 111 * 8])["answers"][0]["worth"] for k in (limit, limit + 1)}
    assert worths == {limit: True, limit + 1: False}


def test_a_sparse_matrix_whose_factors_save_bytes_but_not_work_is_said_so():
    A = scipy.sparse.random_array((300, 200), density=0.1, rng=np.random.default_rng(1), format="csr")
    report = planned(A)
    ends = report["break_even"]
    assert ends["apply_rank"] < ends["bytes_rank"]
    count = ends["bytes_rank"] * 501 * 8
    answer = planned(A, bytes_=[count])["answers"][0]
    assert answer["worth"] is True and "costs more" in answer["note"]


def test_what_the_basis_does_not_reach_has_no_rank_but_a_proven_least_one():
    A, s = gallery.with_spectrum(1060, 1040, gallery.inverse_sqrt(1040), seed=1, dtype="float32")
    report = planned(A)
    assert report["curve_ends"] == "basis"
    for answer in report["answers"]:
        assert answer["rank"] is None and str(len(report["curve"])) not in ("0", "1")
        assert answer["rank_least"] <= measure.smallest_rank(s, answer["value"])
        assert "or more" in answer["note"]


@pytest.fixture
def without_lapack(monkeypatch):
    """As if matrices of a test's size were too large for LAPACK."""
    from lowrank_cli.algorithms import plan as numerics

    monkeypatch.setattr(numerics, "LAPACK_ENTRIES", 1000)


def test_beyond_lapack_a_tolerance_that_cannot_pay_stops_the_basis_early(without_lapack):
    A, s = gallery.with_spectrum(M, N, gallery.flat(N), seed=1)
    report = planned(A.astype("float32"), rtols=[0.1])
    (answer,) = report["answers"]
    assert answer["rank"] is None and answer["worth"] is False and "not worth it" in answer["note"]
    assert report["break_even"]["bytes_rank"] < answer["rank_least"] <= measure.smallest_rank(s, 0.1)


def test_beyond_lapack_a_tolerance_that_pays_is_still_answered_beside_one_that_does_not(without_lapack):
    s = np.append(gallery.exponential(60, 0.05), np.full(N - 60, 0.02))
    A, s = gallery.with_spectrum(M, N, s, seed=1)
    first, second = planned(A, rtols=[0.2, 0.01])["answers"]
    least = measure.smallest_rank(s, 0.2)
    assert first["rank_least"] <= least <= first["rank"] <= least + 1
    assert second["rank"] is None or second["rank"] >= measure.smallest_rank(s, 0.01)
    assert second["worth"] is False


def test_beyond_lapack_bytes_are_answered_however_hopeless_a_tolerance_is(without_lapack):
    A, _ = large("1/i^2")
    answer = planned(A, rtols=[1e-15 * 4], bytes_=[90 * (M + N + 1) * 8])["answers"][1]
    assert answer["rank"] == 90 and answer["worth"] is True


# Break-even


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((40, 30), "float64"), ((30, 40), "int8"), ((1, 9), "float64"), ((50, 50), "complex64"), ((7, 2000), "float16")],
)
def test_break_even_ranks_are_those_of_brute_force(shape, dtype):
    m, n = shape
    A = np.arange(m * n).reshape(shape).astype(dtype)
    report = planned(A)
    work = from_array(A).array
    price = [k * ((m + n) * work.itemsize + work.real.itemsize) for k in range(min(shape) + 1)]
    ends = report["break_even"]
    assert ends["rank"] == m * n / (m + n)
    assert ends["bytes_rank"] == max(k for k in range(min(shape) + 1) if k == 0 or price[k] < A.nbytes)
    assert ends["apply_rank"] == max(k for k in range(min(shape) + 1) if k == 0 or 2 * k * (m + n) < 2 * m * n)


def test_break_even_ranks_of_a_sparse_matrix_count_its_stored_entries():
    A = scipy.sparse.random_array((200, 100), density=0.05, rng=np.random.default_rng(1), format="csr")
    loaded = from_array(A)
    ends = plan(loaded)["break_even"]
    assert ends["apply_rank"] == (A.nnz - 1) // 300
    assert ends["bytes_rank"] == (loaded.item.bytes - 1) // (301 * 8)


# What a run will take


RUNS = {
    "lapack": (lambda: gallery.with_spectrum(60, 40, gallery.poly(40))[0], 5),
    "lapack, full rank": (lambda: large("1/i^2")[0], 400),
    "lapack, zero": (lambda: np.zeros((30, 20)), 3),
    **{name: (lambda name=name: large(name)[0], 12) for name in LARGE},
    **{f"{name}, wide": (lambda name=name: large(name)[0].T.copy(), 60) for name in LARGE},
    "krylov, zero": (lambda: np.zeros((M, N)), 12),
    "krylov, float32": (lambda: large("exp(-i/20)", "float32")[0], 12),
}


@pytest.mark.parametrize("name", RUNS)
def test_the_passes_foretold_are_those_in_the_ledger_of_the_run(name):
    make, k = RUNS[name]
    A = make()
    loaded = from_array(A)
    count = k * (sum(A.shape) + 1) * A.itemsize
    answer = plan_from_header(loaded.item, bytes_=[count])["answers"][0]
    assert answer["rank"] == k
    outcome, _ = api.run(api.Job("approx", "svd", Budget(rank=k)), loaded, digests=False)
    passes, taken = answer["predicted"]["passes"], outcome.ledger.passes
    assert passes["least"] <= passes["usual"] <= passes["most"]
    assert passes["least"] <= taken <= passes["most"]
    assert (answer["predicted"]["driver"] == "lapack") == ("block krylov" not in outcome.facts["kernels"])
    if answer["predicted"]["driver"] == "lapack":
        assert passes["least"] == taken == passes["most"]
    elif name in ("1/i^2", "exp(-i/20)", "krylov, float32"):
        assert passes["usual"] <= taken <= passes["usual"] + 3


@pytest.mark.parametrize("name", ["exp(-i/20)", "1/i^2"])
@pytest.mark.parametrize("k", [12, 60])
def test_the_memory_foretold_is_about_what_the_run_takes(name, k):
    A, _ = large(name)
    loaded = from_array(A)
    foretold = plan_from_header(loaded.item, bytes_=[k * (M + N + 1) * 8])["answers"][0]["predicted"]["memory"]
    lowrank_cli.approx(A, rank=k, threads=1)
    tracemalloc.start()
    lowrank_cli.approx(A, rank=k, threads=1)
    peak = tracemalloc.get_traced_memory()[1] + A.nbytes
    tracemalloc.stop()
    assert 0.6 * foretold <= peak <= 1.6 * foretold


def test_a_time_is_foretold_for_every_rank_and_only_in_the_run_block():
    A, _ = large("exp(-i/20)")
    report = planned(A, rtols=[0.1, 0.01], bytes_=[10])
    first, second, none = report["run"]["predicted_seconds"]
    assert 0 < first < 60 and 0 < second < 60 and none is None
    assert "seconds" not in str(without_run(report))


# A header alone


def test_a_plan_from_the_header_agrees_with_the_one_from_the_data():
    A, _ = large("exp(-i/20)", "float32")
    loaded = from_array(A)
    counts, ratios = [200_000, 10], [4.0]
    full, dry = plan(loaded, bytes_=counts, ratios=ratios), plan_from_header(loaded.item, bytes_=counts, ratios=ratios)
    assert dry["break_even"] == full["break_even"]
    for known, guess in zip(full["answers"], dry["answers"], strict=True):
        assert {**known, "error": None} == guess
    points = {point["rank"]: point for point in full["curve"]}
    assert all({**points[p["rank"]], "error": None} == p for p in dry["curve"] if p["rank"] in points)


def test_a_plan_from_the_header_reads_sparse_sizes_too():
    A = scipy.sparse.random_array((900, 600), density=0.02, rng=np.random.default_rng(2), format="csr")
    loaded = from_array(A)
    full, dry = plan(loaded, ratios=[2]), plan_from_header(loaded.item, ratios=[2])
    assert dry["break_even"] == full["break_even"]
    assert dry["answers"][0]["predicted"] == full["answers"][0]["predicted"]


# Edges


@pytest.mark.parametrize("shape", [(20, 10), (M, N)], ids=["lapack", "krylov"])
def test_a_zero_matrix_needs_rank_one_for_anything(shape):
    report = planned(np.zeros(shape), rtols=[0.5, 1e-6])
    assert errors(report).tolist() == [0.0]
    assert [answer["rank"] for answer in report["answers"]] == [1, 1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1)])
def test_a_single_row_column_or_entry_has_rank_one(shape):
    report = planned(np.full(shape, 3.0))
    assert len(report["curve"]) == 1 and [a["rank"] for a in report["answers"]] == [1, 1, 1]


def test_nan_is_refused():
    A = np.ones((5, 4))
    A[2, 3] = np.nan
    with pytest.raises(InputError, match="row 2, column 3"):
        planned(A)


@pytest.mark.parametrize(
    "asked",
    [
        {"rtols": [0.0]},
        {"rtols": [1.0]},
        {"rtols": [float("nan")]},
        {"rtols": [1e-17]},
        {"bytes_": [0]},
        {"bytes_": [1.5]},
        {"ratios": [0.0]},
        {"ratios": [float("inf")]},
        {"ratios": [float("nan")]},
        {"seed": -1},
    ],
)
def test_questions_that_make_no_sense_are_refused(asked):
    with pytest.raises(UsageError):
        planned(np.eye(4), **asked)


@pytest.mark.parametrize("name", ["1138_bus.mtx", "rect.mtx", pytest.param("mhd1280b.mtx", marks=pytest.mark.slow)])
def test_plans_of_real_matrices_hold(data, name):
    from lowrank_cli.formats.opening import open_matrix

    loaded = open_matrix(str(data(name)))
    A = loaded.array.toarray() if hasattr(loaded.array, "toarray") else loaded.array
    s = np.linalg.svd(A, compute_uv=False)
    report = plan(loaded, rtols=[0.3, 0.1])
    found = errors(report)
    best = np.array([measure.best(s, k) for k in range(1, len(found) + 1)]) / measure.best(s, 0)
    assert np.all(found <= 1.005 * best + 1e-13) and np.all(found >= (1 - 1e-9) * best - 1e-13)
    for answer in report["answers"]:
        least = measure.smallest_rank(s, answer["value"])
        assert answer["rank_least"] <= least <= answer["rank"] <= least + 1
