"""Column-row sampling to a tolerance: met by the measured error, with the fewest pairs, and equal to the run with that
many pairs. Nothing here may fail by chance: the measured error decides, and seeds are fixed."""

from __future__ import annotations

import numpy as np
import pytest
from algorithms.cr_products import CHOSEN, SCHEMES, UNBIASED, coefficients, cr, gram, lengths, pair
from scipy.sparse import csr_array

import lowrank_cli
from lowrank_cli.algorithms.cr import CROptions
from lowrank_cli.algorithms.outcome import Status

TOLERANCES = (0.6, 0.2, 0.03)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.arrays().values(), other.arrays().values(), strict=True))


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
@pytest.mark.parametrize("scheme", ["auto", *(s for s in SCHEMES if s != "optimal")])
def test_a_tolerance_is_met_by_the_measured_error(scheme, dtype):
    X, Y = pair(30, 60, 20, dtype=dtype)
    for rtol in TOLERANCES:
        outcome = cr(X, Y, scheme=scheme, rtol=rtol)
        assert outcome.status is Status.CONVERGED and outcome.bound_met
        assert outcome.certificate.relative <= rtol
        wide = [A.astype("complex128") for A in (X, Y, outcome.factor.C, outcome.factor.R)]
        error = np.linalg.norm(wide[0] @ wide[1] - wide[2] @ wide[3]) / np.linalg.norm(wide[0] @ wide[1])
        assert error <= rtol * (1 + 1e-5)


@pytest.mark.parametrize("scheme", CHOSEN)
def test_what_is_not_random_meets_a_tolerance_with_the_fewest_pairs_there_are(scheme):
    for seed in range(4):
        X, Y = pair(12, 24, 10, seed=seed)
        errors = np.array([cr(X, Y, r, scheme).certificate.relative for r in range(1, 25)])
        for rtol in TOLERANCES:
            assert cr(X, Y, scheme=scheme, rtol=rtol).factor.rank == 1 + int(np.argmax(errors <= rtol))


@pytest.mark.parametrize("scheme", [s for s in UNBIASED if s not in ("optimal", "threshold")])
def test_a_random_choice_meets_it_and_one_pair_fewer_does_not(scheme):
    for seed in range(4):
        X, Y = pair(12, 24, 10, seed=seed)
        outcome = cr(X, Y, scheme=scheme, rtol=0.4, seed=seed)
        r = outcome.factor.rank
        assert outcome.certificate.relative <= 0.4
        assert r == 1 or cr(X, Y, r - 1, scheme, seed=seed).certificate.relative > 0.4


@pytest.mark.parametrize("scheme", ["auto", *(s for s in SCHEMES if s != "threshold")])
def test_the_result_is_that_of_its_number_of_pairs(scheme):
    X, Y = pair(30, 200, 20)
    found = cr(X, Y, scheme=scheme, rtol=0.5)
    again = cr(X, Y, found.factor.rank, found.facts["scheme"])
    assert same(found.factor, again.factor) and found.certificate == again.certificate


def test_auto_takes_the_scheme_of_fewest_pairs():
    for seed in range(4):
        X, Y = pair(12, 24, 10, seed=seed)
        for rtol in TOLERANCES:
            others = [cr(X, Y, scheme=s, rtol=rtol).factor.rank for s in SCHEMES if s not in ("threshold", "optimal")]
            assert cr(X, Y, rtol=rtol).factor.rank <= min(others)


def test_top_may_need_fewer_pairs_than_a_larger_number_that_fails():
    """The error of the largest as they are may rise: of the sum 3 + 2.9 - 2.8 + 1 = 4.1 they leave 1.1, -1.8, 1, 0."""
    X, Y = np.array([[3.0, 2.9, -2.8, 1.0]]), np.ones((4, 1))
    errors = [cr(X, Y, r, "top").certificate.absolute for r in (1, 2, 3, 4)]
    assert errors == pytest.approx([1.1, 1.8, 1.0, 0.0], abs=1e-12)
    assert cr(X, Y, scheme="top", atol=1.2).factor.rank == 1
    assert cr(X, Y, scheme="top", atol=1.05).factor.rank == 3


def test_an_absolute_tolerance_and_a_relative_one_must_both_hold():
    X, Y = pair(30, 60, 20)
    size = np.linalg.norm(X @ Y)
    tight, loose = cr(X, Y, rtol=0.1), cr(X, Y, rtol=0.5)
    assert same(cr(X, Y, atol=0.1 * size, rtol=0.5).factor, tight.factor)
    assert same(cr(X, Y, atol=0.5 * size, rtol=0.1).factor, tight.factor)
    assert same(cr(X, Y, atol=0.5 * size).factor, loose.factor)


@pytest.mark.parametrize("exponents", [(900, -450), (-900, 0), (500, 500)])
def test_powers_of_two_do_not_matter(exponents):
    X, Y = pair(30, 60, 20)
    one = cr(X, Y, rtol=0.1)
    other = cr(np.ldexp(X, exponents[0]), np.ldexp(Y, exponents[1]), rtol=0.1)
    assert np.array_equal(one.factor.index, other.factor.index)
    assert one.certificate.relative == other.certificate.relative
    atol = 1.001 * np.ldexp(one.certificate.absolute, sum(exponents))
    if np.isfinite(atol) and atol > 0:
        held = cr(np.ldexp(X, exponents[0]), np.ldexp(Y, exponents[1]), atol=float(atol))
        assert held.certificate.absolute <= atol and held.factor.rank <= one.factor.rank


@pytest.mark.parametrize("atol", [1e300, 1e200])
def test_a_tolerance_beyond_all_squares_is_met_by_one_pair(atol):
    assert cr(*pair(30, 60, 20), atol=atol).factor.rank == 1


def test_a_product_beyond_the_largest_float_meets_a_relative_tolerance():
    X, Y = pair(30, 60, 20)
    one, other = cr(X, Y, rtol=0.1), cr(np.ldexp(X, 700), np.ldexp(Y, 700), rtol=0.1)
    assert other.certificate.absolute == np.inf and other.certificate.relative == one.certificate.relative
    assert np.array_equal(one.factor.index, other.factor.index)
    # float32, whose measured error is not that of the Gram matrix to the last digit
    low = cr(np.ldexp(X, 100).astype("float32"), np.ldexp(Y, 100).astype("float32"), rtol=0.1)
    assert low.certificate.relative <= 0.1 and np.array_equal(low.factor.index, one.factor.index)


# What cannot be met


@pytest.mark.parametrize("scheme", ["auto", *SCHEMES])
def test_a_cap_that_is_too_low_is_reached_and_said(scheme):
    X, Y = pair(30, 60, 20)
    outcome = cr(X, Y, 7, scheme, rtol=0.01)
    assert outcome.status is Status.RANK_REACHED and not outcome.bound_met
    assert outcome.certificate.relative > 0.01
    if scheme != "threshold":
        assert outcome.factor.rank == 7 and same(outcome.factor, cr(X, Y, 7, scheme).factor)


@pytest.mark.parametrize("scheme", ["auto", *SCHEMES])
def test_a_cap_that_suffices_changes_nothing(scheme):
    X, Y = pair(30, 200, 20)
    free = cr(X, Y, scheme=scheme, rtol=0.5)
    assert same(cr(X, Y, 190, scheme, rtol=0.5).factor, free.factor)


def test_drawing_with_replacement_may_never_meet_a_tolerance_and_says_what_to_do():
    X, Y = pair(30, 60, 20)
    outcome = cr(X, Y, scheme="optimal", rtol=0.01)
    assert outcome.status is Status.RANK_REACHED and outcome.factor.rank == 60
    assert any("another --scheme" in said for said in outcome.facts["warnings"])


@pytest.mark.parametrize("scheme", ["auto", *(s for s in SCHEMES if s != "optimal")])
@pytest.mark.parametrize("rtol", [1e-9, 1e-13])
def test_below_what_gram_matrices_show_all_pairs_that_count_are_taken(scheme, rtol):
    X, Y = pair(30, 60, 20)
    X[:, 50:] = 0
    outcome = cr(X, Y, scheme=scheme, rtol=rtol)
    assert outcome.status is Status.CONVERGED
    assert set(np.flatnonzero(lengths(X, Y))) <= set(outcome.factor.index.tolist())


def test_what_rounding_hides_is_a_status():
    """Pairs that cancel to 1e-13 of their size, in another order than the product is summed."""
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((30, 40)), rng.standard_normal((40, 20))
    X, Y = np.hstack([A, A]), np.vstack([B, -B + 1e-14 * rng.standard_normal((40, 20))])
    outcome = cr(X, Y, scheme="uniform", rtol=1e-15)
    assert outcome.status is Status.STAGNATED and outcome.factor.rank == 80


@pytest.mark.parametrize("scheme", ["auto", *SCHEMES])
def test_a_zero_product_meets_any_tolerance(scheme):
    outcome = cr(np.zeros((5, 7)), np.ones((7, 4)), scheme=scheme, rtol=1e-3)
    assert outcome.status is Status.CONVERGED and outcome.certificate.relative == 0 and outcome.factor.rank == 1


# Without Gram matrices


@pytest.mark.parametrize("scheme", ["auto", "top", "least-squares", "without-replacement", "priority", "wta"])
@pytest.mark.parametrize("rtol", [0.5, 0.15])
def test_for_a_long_inner_dimension_the_measured_error_meets_the_tolerance_too(scheme, rtol):
    X, Y = pair(12, 5000, 10)
    outcome = cr(X, Y, scheme=scheme, rtol=rtol)
    assert outcome.facts["predicted_kind"] == "estimate"
    assert outcome.status is Status.CONVERGED and outcome.certificate.relative <= rtol
    # not many more pairs than needed: the estimate of an error is within its spread, corrected by what was measured
    assert outcome.certificate.relative >= rtol / 3


@pytest.mark.parametrize("scheme", ["auto", "least-squares", "wta", "priority"])
def test_without_gram_matrices_no_bit_depends_on_threads_or_order(scheme):
    X, Y = pair(700, 5000, 9)
    options = CROptions(scheme=scheme)
    one, other = (
        lowrank_cli.approx(make(X), times=make(Y), rtol=0.5, method="cr", options=options, threads=threads)
        for make, threads in ((np.ascontiguousarray, 1), (np.asfortranarray, 4))
    )
    assert same(one.factor, other.factor) and one.certificate == other.certificate and one.ledger == other.ledger


# Shrinking, sparse, real


def test_a_shrunk_approximation_meets_a_tolerance():
    X, Y = pair(30, 60, 20)
    for scheme in ("auto", *(s for s in UNBIASED if s != "optimal")):
        outcome = cr(X, Y, scheme=scheme, shrink=True, rtol=0.4)
        assert outcome.status is Status.CONVERGED and outcome.certificate.relative <= 0.4
        assert outcome.facts["scheme"] in UNBIASED


def test_sparse_matrices_give_the_pairs_that_dense_ones_give():
    X, Y = pair(30, 60, 20)
    X[np.abs(X) < 0.1], Y[np.abs(Y) < 1] = 0, 0
    for scheme in ("auto", "priority", "least-squares"):
        dense, sparse = cr(X, Y, scheme=scheme, rtol=0.3), cr(csr_array(X), csr_array(Y), scheme=scheme, rtol=0.3)
        assert np.array_equal(dense.factor.index, sparse.factor.index)
        assert sparse.certificate.relative <= 0.3


@pytest.mark.parametrize("rtol", [0.01, *(pytest.param(rtol, marks=pytest.mark.slow) for rtol in (0.1, 0.003))])
def test_a_product_of_flow_snapshots_meets_a_tolerance(data, rtol):
    X, Y = np.load(data("snapshots_vx.npy")), np.ascontiguousarray(np.load(data("snapshots_vy.npy")).T)
    # where greedy takes many pairs, auto leaves it out for its time
    outcome = cr(X, Y, rtol=rtol, scheme="greedy" if rtol < 0.01 else "auto")
    assert outcome.status is Status.CONVERGED and outcome.certificate.relative <= rtol
    assert outcome.facts["scheme"] == "greedy" and outcome.factor.rank <= 250
    c = coefficients(outcome.factor, X.shape[1])
    G = gram(X, Y)
    assert np.sqrt(max(0, c @ G @ c) / G.sum()) == pytest.approx(outcome.certificate.relative, abs=1e-6)
