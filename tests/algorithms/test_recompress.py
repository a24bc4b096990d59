"""Recompression: the SVD of what the factors stand for, its measured error, and what that leaves of older claims."""

from __future__ import annotations

import functools
import json

import gallery
import measure
import numpy as np
import pytest
from formats.factor_samples import CASES
from scipy.sparse import csr_array

import lowrank_cli
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.analysis.recompress import recompress
from lowrank_cli.api import Job, run
from lowrank_cli.budget import Budget
from lowrank_cli.errors import InputError, NumericalError, UsageError
from lowrank_cli.factors.base import Factorization
from lowrank_cli.factors.interpolative import ColumnID, RowID
from lowrank_cli.factors.qb import QB
from lowrank_cli.factors.svd import SVD
from lowrank_cli.formats.memory import from_array
from lowrank_cli.formats.saving import Saved


def saved(factor, report=None) -> Saved:
    return Saved(factor, report or {}, factor.kind, "F.npz", {name: "sha256:0" for name in factor.arrays()})


def truncated(*inputs, product=False, scale=None, **asked):
    items = [
        one if isinstance(one, Saved) else saved(one) if hasattr(one, "kind") else from_array(one) for one in inputs
    ]
    return recompress(items, Budget(**asked), product=product, scale=scale)


def approximated(A, method="svd", **asked) -> Saved:
    outcome, report = run(Job("approx", method, Budget(**asked)), from_array(A))
    return saved(outcome.factor, json.loads(json.dumps(report)))


@functools.cache
def pair(m, n, r, dtype="float64", seed=0) -> QB:
    rng = np.random.default_rng([seed, m, n, r])
    L, R = rng.standard_normal((m, r)) * gallery.poly(r), rng.standard_normal((r, n))
    if np.dtype(dtype).kind == "c":
        L, R = L + 1j * rng.standard_normal(L.shape), R * np.exp(1j * rng.standard_normal(R.shape))
    return QB(L.astype(dtype), R.astype(dtype))


def assert_best(outcome, F, k, eps):
    """Eckart and Young: the singular values of F, orthonormal factors, and the error of the tail."""
    s = np.linalg.svd(F, compute_uv=False)
    factor = outcome.factor
    np.testing.assert_allclose(factor.s, s[:k], atol=50 * eps * s[0])
    assert measure.from_orthonormal(factor.U) <= 10 and measure.from_orthonormal(factor.Vh.conj().T) <= 10
    error = np.linalg.norm(F - measure.product(factor).astype(F.dtype))
    assert error == pytest.approx(measure.best(s, k), rel=1e-6, abs=50 * eps * s[0])
    assert outcome.certificate.absolute == pytest.approx(error, rel=1e-6, abs=1e-13 * s[0])


# The best there is


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("name", [name for name, made in CASES.items() if isinstance(made, Factorization)])
def test_every_kind_is_truncated_to_the_svd_of_its_product(name, k):
    F, k = measure.product(CASES[name]), min(k, CASES[name].rank)
    outcome, report = truncated(CASES[name], rank=k)
    assert outcome.factor.dtype == CASES[name].dtype and report["inputs"][0]["kind"] == CASES[name].kind
    assert_best(outcome, F.astype("complex128" if np.iscomplexobj(F) else "float64"), k, measure.eps(outcome.factor.U))


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", [(90, 70), (70, 90), (12, 300), (300, 12)])
def test_larger_factors_too_even_with_more_columns_than_the_matrix_has(shape, dtype):
    factor = pair(*shape, 15, dtype)
    wide = "complex128" if np.dtype(dtype).kind == "c" else "float64"
    outcome, _ = truncated(factor, rank=7)
    assert_best(outcome, factor.Q.astype(wide) @ factor.B.astype(wide), 7, measure.eps(factor.Q))


@pytest.mark.parametrize("axis", ["cols", "rows"])
def test_factors_that_are_sparse_are_truncated_like_dense_ones(axis):
    rng = np.random.default_rng(5)
    C = csr_array(np.where(rng.random((60, 9)) < 0.8, 0.0, rng.standard_normal((60, 9))))
    Z, index = rng.standard_normal((9, 40)), np.arange(9)
    factor = ColumnID(index, C, Z) if axis == "cols" else RowID(index, csr_array(C.T), Z.T.copy())
    assert_best(truncated(factor, rank=4)[0], measure.dense(measure.product(factor)).astype(float), 4, 1e-16)


@pytest.mark.parametrize("rtol", [0.5, 0.1, 0.03, 1e-3])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_tolerance_takes_the_smallest_rank_there_is(dtype, rtol):
    factor = pair(80, 60, 20, dtype)
    s = np.linalg.svd(measure.product(factor).astype(float), compute_uv=False)
    outcome, _ = truncated(factor, rtol=rtol)
    assert outcome.factor.rank == min(20, measure.smallest_rank(s, rtol)) and outcome.bound_met
    assert outcome.certificate.relative <= rtol


def test_a_spectral_tolerance_takes_the_first_rank_whose_next_singular_value_meets_it():
    factor = pair(80, 60, 20)
    s = np.linalg.svd(measure.product(factor).astype(float), compute_uv=False)
    for k in (3, 11):
        outcome, _ = truncated(factor, rtol=float(s[k] / s[0]) * (1 + 1e-9), norm="spectral")
        assert outcome.factor.rank == k and outcome.certificate.absolute == pytest.approx(s[k], rel=1e-9)


def test_a_rank_cap_before_the_tolerance_is_a_status():
    outcome, report = truncated(pair(80, 60, 20), rank=3, rtol=1e-6)
    assert outcome.status is Status.RANK_REACHED and report["status"] == "rank_reached" and outcome.factor.rank == 3


@pytest.mark.parametrize(("dtype", "most"), [("float64", 1e-14), ("complex128", 1e-14), ("float32", 5e-7)])
def test_at_full_rank_nothing_is_lost_but_rounding(dtype, most):
    factor = pair(50, 40, 12, dtype)
    outcome, _ = truncated(factor, rank=12)
    assert measure.relative(measure.product(factor), outcome.factor) <= most
    assert outcome.certificate.relative <= most


def test_errors_far_below_the_root_of_eps_are_measured_and_not_differences_of_squares():
    """Singular values 1, 1e-6, 1e-12: cut after two, the error is 1e-12 to three digits; 1 - (1 - 1e-24) is 0."""
    rng = np.random.default_rng(1)
    U, V = gallery.orthonormal(40, 3, rng), gallery.orthonormal(30, 3, rng)
    outcome, _ = truncated(SVD(U, np.array([1.0, 1e-6, 1e-12]), V.T.copy()), rank=2)
    assert outcome.certificate.relative == pytest.approx(1e-12, rel=1e-3)


def test_no_matrix_is_formed():
    """The matrix would take 320 GB."""
    factor = pair(200_000, 200_000, 3)
    outcome, _ = truncated(factor, rank=2)
    assert outcome.factor.shape == (200_000, 200_000) and 0 < outcome.certificate.relative < 1


# Sums and products


def test_a_sum_with_weights_is_truncated_to_the_svd_of_the_sum():
    one, two, three = pair(50, 40, 5), pair(50, 40, 4, seed=1), pair(50, 40, 3, seed=2)
    F = sum(w * measure.product(f) for w, f in zip((1.0, -0.5, 3.0), (one, two, three), strict=True)).astype(float)
    for k in (4, 12):
        assert_best(truncated(one, two, three, scale=[1.0, -0.5, 3.0], rank=k)[0], F, k, 1e-15)


def test_a_lora_update_is_the_product_of_its_pair_and_several_are_their_sum():
    rng = np.random.default_rng(3)
    pairs = [(rng.standard_normal((64, 8)), rng.standard_normal((8, 48))) for _ in range(3)]
    one, _ = truncated(*pairs[0], product=True, rank=4)
    assert_best(one, pairs[0][0] @ pairs[0][1], 4, 1e-15)
    whole = [matrix for one in pairs for matrix in one]
    merged, report = truncated(*whole, product=True, scale=[2.0, 1.0, -1.0], rank=10)
    assert_best(merged, sum(w * B @ A for w, (B, A) in zip((2.0, 1.0, -1.0), pairs, strict=True)), 10, 1e-15)
    assert report["options"]["scale"] == [2.0, 1.0, -1.0] and len(report["inputs"]) == 6
    assert report["method_facts"]["input_rank"] == 24


@pytest.mark.parametrize("ranks", [(5, 9), (9, 5), (5, 5)])
def test_a_product_of_factors_is_truncated_to_the_svd_of_the_product(ranks):
    one, two = pair(50, 70, ranks[0]), pair(70, 40, ranks[1])
    outcome, report = truncated(one, two, product=True, rank=3)
    assert_best(outcome, (measure.product(one) @ measure.product(two)).astype(float), 3, 1e-15)
    assert report["method_facts"]["input_rank"] == min(ranks)


def test_a_matrix_times_factors_is_truncated_like_their_product():
    factor, M = pair(50, 70, 5), np.random.default_rng(2).standard_normal((70, 30))
    outcome, _ = truncated(factor, M, product=True, rank=3)
    assert_best(outcome, measure.product(factor).astype(float) @ M, 3, 1e-15)


def test_a_factorization_less_itself_says_that_only_rounding_is_left():
    outcome, report = truncated(pair(50, 40, 5), pair(50, 40, 5), scale=[1.0, -1.0], rank=2)
    assert any("cancel" in text for text in report["method_facts"]["warnings"])
    assert outcome.certificate.matrix_norm <= 1e-13 * np.linalg.norm(measure.product(pair(50, 40, 5)).astype(float))
    assert "warnings" not in truncated(pair(50, 40, 5), rank=2)[1]["method_facts"]


# What was known of the matrices behind the factors


@pytest.mark.parametrize("method", ["svd", "id", "qb"])
@pytest.mark.parametrize("norm", ["fro", "spectral"])
def test_the_total_error_bounds_the_error_against_the_matrix(method, norm):
    A, _ = gallery.with_spectrum(60, 50, gallery.poly(50), seed=3)
    F = approximated(A, method, rank=15, norm=norm)
    outcome, report = truncated(F, rank=6, norm=norm)
    order = None if norm == "fro" else 2
    true = np.linalg.norm(A - measure.product(outcome.factor).astype(float), order)
    total = report["total"]
    assert true <= total["absolute"] <= 2.5 * true and total["kind"] == "bound"
    assert total["absolute"] == pytest.approx(F.report["error"]["absolute"] + outcome.certificate.absolute, rel=1e-14)
    assert total["relative"] == pytest.approx(total["absolute"] / np.linalg.norm(A, order), rel=1e-9)


def test_the_total_error_of_a_sum_and_of_a_product_bounds_theirs():
    A, B = (gallery.with_spectrum(60, 60, gallery.poly(60), seed=seed)[0] for seed in (1, 2))
    F, G = approximated(A, rank=40), approximated(B, "id", rank=45)
    for product, weights, exact in ((False, [1.0, -2.0], A - 2 * B), (True, [3.0], 3 * A @ B)):
        outcome, report = truncated(F, G, product=product, scale=weights, rank=5)
        true = np.linalg.norm(exact - measure.product(outcome.factor).astype(float))
        assert true <= report["total"]["absolute"] <= 10 * true
        assert true / np.linalg.norm(exact) <= report["total"]["relative"]


def test_recompressing_twice_keeps_a_bound_against_the_first_matrix():
    A, _ = gallery.with_spectrum(60, 50, gallery.poly(50), seed=3)
    outcome, report = truncated(approximated(A, rank=20), rank=10)
    again, second = truncated(saved(outcome.factor, report), rank=5)
    true = np.linalg.norm(A - measure.product(again.factor).astype(float))
    assert true <= second["total"]["absolute"]
    known = report["total"]["absolute"] + again.certificate.absolute
    assert second["total"]["absolute"] == pytest.approx(known, rel=1e-14)


def test_claims_that_do_not_reach_leave_the_total_unknown():
    A, _ = gallery.with_spectrum(60, 50, gallery.poly(50), seed=3)
    unmeasured, spectral = approximated(A, rank=20, certify="none"), approximated(A, rank=20, norm="spectral")
    for F in (unmeasured, spectral, saved(pair(60, 50, 4))):
        assert truncated(F, rank=3)[1]["total"] is None
    # the other way round it does: a Frobenius error is never below the spectral one
    outcome, report = truncated(approximated(A, rank=20), rank=3, norm="spectral")
    assert np.linalg.norm(A - measure.product(outcome.factor).astype(float), 2) <= report["total"]["absolute"]


def test_bounds_that_may_fail_add_their_probabilities():
    A, _ = gallery.with_spectrum(60, 50, gallery.poly(50), seed=3)
    F, G = (approximated(A, rank=20, certify="probes", failure_probability=p) for p in (1e-3, 1e-2))
    assert truncated(F, G, rank=3)[1]["total"]["failure_probability"] == pytest.approx(0.011)
    assert truncated(approximated(A, rank=20), rank=3)[1]["total"]["failure_probability"] is None


@pytest.mark.parametrize("how", ["alone", "again"])
def test_verify_holds_recompressed_factors_against_the_first_matrix(how):
    from lowrank_cli.analysis.verify import verify

    A, _ = gallery.with_spectrum(60, 50, gallery.poly(50), seed=3)
    outcome, report = truncated(approximated(A, rank=20), rank=10)
    if how == "again":
        outcome, report = truncated(saved(outcome.factor, report), rank=5)
    held = verify(outcome.factor, report, from_array(A))
    assert held["holds"] and held["claimed"] == report["total"]["relative"] and held["measured"] <= held["claimed"]
    assert not verify(outcome.factor, report, from_array(A + 1))["holds"]


# Scale, shapes, refusals


@pytest.mark.parametrize("exponent", [-1000, -300, 300, 900])
def test_a_power_of_two_changes_nothing_but_s(exponent):
    factor = pair(50, 40, 8)
    one, _ = truncated(factor, rank=5)
    for other in (QB(np.ldexp(factor.Q, exponent), factor.B), QB(factor.Q, np.ldexp(factor.B, exponent))):
        there, _ = truncated(other, rank=5)
        assert np.array_equal(one.factor.U, there.factor.U) and np.array_equal(one.factor.Vh, there.factor.Vh)
        assert np.array_equal(np.ldexp(one.factor.s, exponent), there.factor.s)
        assert one.certificate.relative == there.certificate.relative
    up, down = QB(np.ldexp(factor.Q, 1000), factor.B), np.ldexp(np.eye(40), -1000)
    assert np.array_equal(truncated(up, down, product=True, rank=5)[0].factor.s, one.factor.s)


def test_terms_of_very_different_scale_are_added_as_they_are():
    outcome, _ = truncated(
        QB(np.eye(4, 1) * 1e300, np.eye(1, 3)), QB(np.eye(4, 2)[:, 1:], np.eye(2, 3)[1:] * 1e-300), rank=2
    )
    assert outcome.factor.s[0] == pytest.approx(1e300) and outcome.certificate.relative <= 1e-15


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (7, 5)])
def test_zero_factors_have_error_zero_and_orthonormal_factors(shape):
    outcome, report = truncated(QB(np.zeros((shape[0], 2)), np.zeros((2, shape[1]))), rank=1)
    assert outcome.certificate.absolute == 0.0 == outcome.certificate.relative and outcome.factor.s[0] == 0
    assert measure.from_orthonormal(outcome.factor.U) <= 10 and json.dumps(report, allow_nan=False)


def test_no_bit_depends_on_how_a_matrix_of_a_product_was_stored():
    rng = np.random.default_rng(0)
    B, A = rng.standard_normal((300, 20)), rng.standard_normal((20, 200))
    found = {
        truncated(b, a, product=True, rank=9)[0].factor.U.tobytes()
        for b, a in ((B, A), (np.asfortranarray(B), A), (B.astype(">f8"), np.asfortranarray(A)))
    }
    assert len(found) == 1


def test_what_cannot_be_recompressed_is_refused():
    factor = pair(50, 40, 8)
    for words, error, call in [
        ("--rank 9.*50x40.*rank 8", UsageError, lambda: truncated(factor, rank=9)),
        ("below the rounding", UsageError, lambda: truncated(factor, rtol=1e-17)),
        ("cannot be added", UsageError, lambda: truncated(factor, pair(50, 41, 3), rank=2)),
        ("do not chain", UsageError, lambda: truncated(factor, factor, product=True, rank=2)),
        ("two by two", UsageError, lambda: truncated(factor, product=True, rank=2)),
        ("2 weights for 1 term", UsageError, lambda: truncated(factor, scale=[1.0, 2.0], rank=2)),
        ("always measured", UsageError, lambda: truncated(factor, rank=2, certify="none")),
        ("not finite", InputError, lambda: truncated(QB(np.full((3, 1), np.nan), np.ones((1, 2))), rank=1)),
        ("NaN", InputError, lambda: truncated(np.full((3, 1), np.nan), np.ones((1, 2)), product=True, rank=1)),
        ("overflows", NumericalError, lambda: truncated(QB(np.ones((3, 1)) * 1e300, np.ones((1, 2)) * 1e300), rank=1)),
    ]:
        with pytest.raises(error, match=words):
            call()


def test_columns_of_a_real_table_recompressed_lose_what_their_svd_says(data):
    """An ID of rank 40 cut to 15: the error against the table is near that of the best rank 15."""
    path = str(data("heat_90.npy"))
    F = lowrank_cli.approx(path, method="id", rank=40).factor
    outcome, _ = truncated(F, rank=15)
    s = np.linalg.svd(np.load(path), compute_uv=False)
    error = np.linalg.norm(np.load(path) - measure.product(outcome.factor).astype(float))
    assert measure.best(s, 15) * (1 - 1e-12) <= error <= 1.01 * measure.best(s, 15)
