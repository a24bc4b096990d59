"""Column-row sampling: exact mean-square errors by Monte Carlo, predictions, exactness, and honest warnings.

Seeds are fixed, so a test here passes or fails for good; four standard errors are what a correct sampler stays within
in all but six of 100 000 such tests.
"""

from __future__ import annotations

import itertools
import subprocess
import sys

import gallery
import measure
import numpy as np
import pytest
from algorithms.cr_products import (
    CHOSEN,
    SCHEMES,
    SEEDS,
    UNBIASED,
    coefficients,
    cr,
    gram,
    lengths,
    pair,
    squared_error,
    within_four_standard_errors,
)
from scipy.sparse import csr_array, random_array

from lowrank_cli.errors import UsageError

# Mean-square errors


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_optimal_sampling_has_the_mean_square_error_z2_minus_f2_over_r(dtype):
    X, Y = pair(dtype=dtype)
    Z, F2, r = lengths(X, Y).sum(), np.linalg.norm(X @ Y) ** 2, 5
    expected = (Z**2 - F2) / r
    outcomes = [cr(X, Y, r, "optimal", seed=seed) for seed in range(SEEDS)]
    assert within_four_standard_errors([squared_error(o.factor, X, Y) for o in outcomes], expected)
    assert outcomes[0].facts["predicted_relative"] ** 2 * F2 == pytest.approx(expected, rel=1e-10)
    assert outcomes[0].facts["Z2_over_F2"] == pytest.approx(Z**2 / F2, rel=1e-10)


def test_uniform_sampling_has_the_mean_square_error_of_simple_random_samples():
    X, Y = pair()
    l, r, F2 = X.shape[1], 5, np.linalg.norm(X @ Y) ** 2
    spread = (np.sum(lengths(X, Y) ** 2) - F2 / l) / (l - 1)
    expected = l**2 / r * (1 - r / l) * spread
    outcomes = [cr(X, Y, r, "uniform", seed=seed) for seed in range(SEEDS)]
    assert within_four_standard_errors([squared_error(o.factor, X, Y) for o in outcomes], expected)
    assert outcomes[0].facts["predicted_relative"] ** 2 * F2 == pytest.approx(expected, rel=1e-10)


def test_sampling_without_replacement_has_the_mean_square_error_it_predicts():
    """The prediction knows the random order of the pairs and averages over the start, so only the mean of the
    difference vanishes."""
    X, Y = pair()
    F2 = np.linalg.norm(X @ Y) ** 2
    outcomes = [cr(X, Y, 5, "without-replacement", seed=seed) for seed in range(SEEDS)]
    predicted = np.array([o.facts["predicted_relative"] ** 2 * F2 for o in outcomes])
    found = np.array([squared_error(o.factor, X, Y) for o in outcomes])
    assert within_four_standard_errors(found - predicted, 0.0)
    # better than drawing with replacement, which is why it exists
    assert predicted.mean() < (lengths(X, Y).sum() ** 2 - F2) / 5


@pytest.mark.parametrize("scheme", UNBIASED)
def test_random_schemes_are_unbiased(scheme):
    X, Y = pair()
    made = np.stack([cr(X, Y, 5, scheme, seed=seed, certify="none").factor.reconstruct() for seed in range(SEEDS)])
    directions = np.random.default_rng(0).standard_normal((6, *made.shape[1:]))
    for W in directions:
        assert within_four_standard_errors(np.tensordot(made, W, 2), np.sum(W * (X @ Y)))
    # the mean of N samples misses by one sample's error over N
    squares = np.sum((made - X @ Y) ** 2, axis=(1, 2))
    assert np.sum((made.mean(axis=0) - X @ Y) ** 2) <= 3 * squares.mean() / SEEDS


@pytest.mark.parametrize("scheme", ["optimal", "without-replacement", "uniform", "threshold"])
def test_each_pair_is_drawn_as_often_as_its_probability_says(scheme):
    X, Y = pair()
    l, r, f = X.shape[1], 5, lengths(*pair())
    counts = np.zeros(l)
    for seed in range(SEEDS):
        counts += np.bincount(cr(X, Y, r, scheme, seed=seed, certify="none").factor.index, minlength=l)
    if scheme == "uniform":
        expected = np.full(l, r / l)
    elif scheme == "optimal":
        expected = r * f / f.sum()
    else:
        expected = _inclusion(f, r)
    # a pair drawn at most once, or r times with a chance of expected / r
    most = r if scheme == "optimal" else 1
    spread = np.sqrt(np.maximum(expected * (1 - expected / most), 1e-12) * SEEDS)
    assert np.all(np.abs(counts - SEEDS * expected) <= 4.5 * spread + 1e-6)


def _inclusion(f, r):
    """min(1, f / tau) with sum r, by bisection."""
    low, high = 0.0, f.sum()
    for _ in range(200):
        tau = (low + high) / 2
        low, high = (tau, high) if np.minimum(1, f / tau).sum() > r else (low, tau)
    return np.minimum(1, f / high)


@pytest.mark.parametrize("r", [1, 5, 13])
def test_the_predicted_error_of_top_is_the_error(r):
    X, Y = pair()
    outcome = cr(X, Y, r, "top")
    left_out = np.ones(X.shape[1])
    left_out[outcome.factor.index] = 0
    expected = np.sqrt(left_out @ gram(X, Y) @ left_out) / np.linalg.norm(X @ Y)
    assert outcome.facts["predicted_relative"] == pytest.approx(expected, rel=1e-7)
    assert outcome.certificate.relative == pytest.approx(expected, rel=1e-7)
    largest = np.argsort(-lengths(X, Y), kind="stable")[:r]
    assert sorted(outcome.factor.index.tolist()) == sorted(largest.tolist())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_measured_error_is_the_quadratic_form_of_the_weights(scheme):
    X, Y = pair()
    outcome = cr(X, Y, 5, scheme)
    c = coefficients(outcome.factor, X.shape[1])
    expected = np.sqrt(c @ gram(X, Y) @ c)
    assert outcome.certificate.absolute == pytest.approx(expected, rel=1e-10)
    assert outcome.certificate.absolute == pytest.approx(measure.residual(X @ Y, outcome.factor), rel=1e-10)


# Exactness


@pytest.mark.parametrize("scheme", [*(name for name in SCHEMES if name != "optimal"), "auto"])
@pytest.mark.parametrize("dtype", gallery.DTYPES)
def test_all_pairs_make_the_product(scheme, dtype):
    X, Y = pair(dtype=dtype)
    outcome = cr(X, Y, X.shape[1], scheme)
    assert outcome.certificate.relative <= 100 * measure.eps(X)
    assert sorted(outcome.factor.index.tolist()) == list(range(X.shape[1]))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_columns_and_rows_are_those_of_the_matrices_times_the_scale(scheme):
    X, Y = pair()
    factor = cr(X, Y, 6, scheme).factor
    np.testing.assert_allclose(factor.C, X[:, factor.index] * factor.scale, rtol=1e-15)
    np.testing.assert_allclose(factor.R, Y[factor.index] * np.abs(factor.scale[:, None]), rtol=1e-15)
    if scheme == "top":
        assert factor.C.tobytes() == np.ascontiguousarray(X[:, factor.index]).tobytes()
        assert factor.R.tobytes() == np.ascontiguousarray(Y[factor.index]).tobytes()


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != "uniform"])
def test_d23_pairs_that_add_nothing_are_never_drawn(scheme):
    X, Y = pair()
    X[:, ::3] = 0
    Y[1::3] = 0
    useful = np.flatnonzero(lengths(X, Y))
    for seed, r in itertools.product(range(20), (2, len(useful) - 1, len(useful))):
        factor = cr(X, Y, r, scheme, seed=seed).factor
        assert set(factor.index.tolist()) <= set(useful.tolist())


@pytest.mark.parametrize("scheme", [*(name for name in SCHEMES if name not in ("optimal", "uniform")), "auto"])
def test_more_pairs_than_add_something_make_the_product(scheme):
    X, Y = pair()
    X[:, 4:] = 0
    outcome = cr(X, Y, 9, scheme)
    assert outcome.certificate.relative <= 100 * measure.eps(X)


@pytest.mark.parametrize("scheme", ["without-replacement", "uniform", "priority", *CHOSEN])
def test_sampling_without_replacement_draws_no_pair_twice(scheme):
    X, Y = pair()
    for seed in range(40):
        outcome = cr(X, Y, 9, scheme, seed=seed)
        assert len(set(outcome.factor.index.tolist())) == 9 == outcome.facts["distinct_pairs"]


def test_sampling_with_replacement_may_draw_a_pair_twice_and_counts_distinct_ones():
    X, Y = pair()
    outcomes = [cr(X, Y, 9, "optimal", seed=seed) for seed in range(10)]
    assert all(o.facts["distinct_pairs"] == len(set(o.factor.index.tolist())) for o in outcomes)
    assert min(o.facts["distinct_pairs"] for o in outcomes) < 9


@pytest.mark.parametrize("scheme", SCHEMES)
def test_d23_a_zero_product_is_approximated_without_error(scheme):
    outcome = cr(np.zeros((5, 7)), np.ones((7, 4)), 3, scheme)
    assert outcome.certificate.relative == 0.0 and outcome.facts["predicted_relative"] == 0.0


# Without Gram matrices


@pytest.mark.parametrize("scheme", ["top", "least-squares"])
@pytest.mark.parametrize("dtype", gallery.DTYPES)
def test_of_up_to_64_rows_and_columns_a_sketch_loses_nothing(scheme, dtype):
    X, Y = pair(64, 4200, 61, dtype=dtype)
    outcome = cr(X, Y, 40, scheme)
    assert outcome.facts["predicted_kind"] == "estimate"
    assert outcome.facts["predicted_relative"] == pytest.approx(outcome.certificate.relative, rel=1e4 * measure.eps(X))


def test_estimated_errors_spread_no_more_than_is_said():
    """The hardest product for a sketch: what is left out has rank one."""
    rng = np.random.default_rng(0)
    l, seeds = 4200, 60
    X, Y = 1e-9 * rng.standard_normal((200, l)), rng.standard_normal((l, 180))
    X[:, 7], X[:, 8] = rng.standard_normal(200), 0.1 * rng.standard_normal(200)
    estimates = []
    for seed in range(seeds):
        outcome = cr(X, Y, 1, "top", seed=seed)
        F2 = lengths(X, Y).sum() ** 2 / outcome.facts["Z2_over_F2"]
        estimates.append(outcome.facts["predicted_relative"] ** 2 * F2 / outcome.certificate.absolute**2)
    assert abs(np.mean(estimates) - 1) <= 4 * 0.26 / np.sqrt(seeds) and 0.1 < np.std(estimates) <= 0.26 * 1.4


@pytest.mark.parametrize("exponents", [(900, -900), (-900, 0), (0, 1000)])
def test_sketches_know_no_scale(exponents):
    X, Y = pair(70, 4200, 66)
    plain = cr(X, Y, 30)
    moved = cr(np.ldexp(X, exponents[0]), np.ldexp(Y, exponents[1]), 30)
    assert np.array_equal(plain.factor.index, moved.factor.index)
    assert moved.facts["predicted_relative"] == pytest.approx(plain.facts["predicted_relative"], rel=1e-12)


def test_sparse_matrices_have_the_sketches_of_dense_ones():
    X, Y = pair(70, 4200, 66)
    X[np.abs(X) < 0.1], Y[np.abs(Y) < 1] = 0, 0
    dense, sparse = cr(X, Y, 30), cr(csr_array(X), csr_array(Y), 30)
    assert np.array_equal(dense.factor.index, sparse.factor.index)
    assert sparse.facts["predicted_relative"] == pytest.approx(dense.facts["predicted_relative"], rel=1e-12)


# Permutation and scaling


def test_permuting_the_pairs_permutes_the_choice_and_keeps_the_predictions():
    X, Y = pair()
    p = np.random.default_rng(2).permutation(X.shape[1])
    for scheme in ("optimal", "uniform", "threshold", "priority", "wta", *CHOSEN):
        here, there = cr(X, Y, 5, scheme), cr(X[:, p], Y[p], 5, scheme)
        assert there.facts["predicted_relative"] == pytest.approx(here.facts["predicted_relative"], rel=1e-9)
    for scheme in CHOSEN:
        here, there = cr(X, Y, 5, scheme).factor, cr(X[:, p], Y[p], 5, scheme).factor
        assert sorted(p[there.index]) == sorted(here.index)
        np.testing.assert_allclose(there.reconstruct(), here.reconstruct(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("exponents", [(900, 0), (-900, 0), (-450, 900), (101, -101), (-500, -400), (500, 400)])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_powers_of_two_change_neither_the_pairs_nor_the_weights(scheme, exponents):
    X, Y = pair(40, 30, 20)
    one, other = cr(X, Y, 8, scheme), cr(np.ldexp(X, exponents[0]), np.ldexp(Y, exponents[1]), 8, scheme)
    assert np.array_equal(one.factor.index, other.factor.index)
    assert np.array_equal(one.factor.scale, other.factor.scale)
    assert np.array_equal(np.ldexp(one.factor.C, exponents[0]), other.factor.C)
    assert np.array_equal(np.ldexp(one.factor.R, exponents[1]), other.factor.R)
    assert one.certificate.relative == other.certificate.relative
    assert one.facts["predicted_relative"] == other.facts["predicted_relative"]
    assert np.ldexp(one.certificate.absolute, sum(exponents)) == other.certificate.absolute


@pytest.mark.parametrize("scheme", SCHEMES)
def test_scaling_pairs_against_each_other_changes_nothing(scheme):
    """Only |x_i| |y_i| matters, even where one factor alone spans 120 digits."""
    X, Y = pair()
    balance = np.ldexp(1.0, np.linspace(-200, 200, X.shape[1]).astype(int))
    one, other = cr(X, Y, 5, scheme), cr(X * balance, Y / balance[:, None], 5, scheme)
    assert np.array_equal(one.factor.index, other.factor.index)
    assert one.certificate.relative == pytest.approx(other.certificate.relative, rel=1e-9)
    assert one.facts["predicted_relative"] == pytest.approx(other.facts["predicted_relative"], rel=1e-9)


# Choosing and warning


@pytest.mark.parametrize("r", [1, 3, 7, 12, 14])
def test_auto_takes_the_scheme_of_smallest_predicted_error(r):
    for seed in range(6):
        X, Y = pair(seed=seed)
        predicted = {
            s: cr(X, Y, r, s, seed=seed, certify="none").facts["predicted_relative"] or 0.0
            for s in SCHEMES
            if s != "threshold"
        }
        auto = cr(X, Y, r, seed=seed, certify="none")
        assert predicted[auto.facts["scheme"]] == min(predicted.values()) == auto.facts["predicted_relative"]


def test_an_estimator_that_is_worse_than_returning_zero_says_so():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((30, 60)), rng.standard_normal((60, 30))
    outcome = cr(X, Y, 2, "optimal")
    assert outcome.facts["predicted_relative"] > 1
    assert any("worse than returning zero" in said for said in outcome.facts["warnings"])
    good = cr(np.ones((30, 60)), np.ones((60, 30)), 30, "uniform")
    assert not any("zero" in said for said in good.facts["warnings"])


def test_sampling_that_costs_more_than_the_product_says_so():
    X, Y = pair(9, 14, 8)
    assert any("costs more than the exact product" in said for said in cr(X, Y, 14).facts["warnings"])
    rng = np.random.default_rng(0)
    large = cr(rng.standard_normal((200, 300)), rng.standard_normal((300, 200)), 20)
    assert not any("costs more" in said for said in large.facts["warnings"])


# Prediction without Gram matrices


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name not in ("greedy", "priority")])
def test_for_a_long_inner_dimension_predictions_are_estimates_of_known_spread(scheme):
    X, Y = pair(12, 5000, 10)
    F2 = np.linalg.norm(X @ Y) ** 2
    # 120 pairs span all 12 x 10 products
    r = 40 if scheme == "least-squares" else 400
    outcomes = [cr(X, Y, r, scheme, seed=seed) for seed in range(12)]
    assert {o.facts["predicted_kind"] for o in outcomes} == {"estimate"}
    # |X Y|^2 by 32 probes: relative standard deviation at most sqrt(2 / 32) = 0.25
    estimates = np.array([lengths(X, Y).sum() ** 2 / o.facts["Z2_over_F2"] for o in outcomes]) / F2
    assert np.all(np.abs(estimates - 1) <= 4 * 0.25)
    assert abs(estimates.mean() - 1) <= 4 * 0.25 / np.sqrt(len(outcomes))
    # the numbers that are predicted and measured agree as far as the spread of both allows
    predicted = np.mean([o.facts["predicted_relative"] ** 2 for o in outcomes])
    measured = np.mean([o.certificate.relative**2 for o in outcomes])
    assert 0.5 <= predicted / measured <= 2


def test_predictions_are_exact_where_gram_matrices_are_cheap():
    X, Y = pair()
    assert cr(X, Y, 5).facts["predicted_kind"] == "exact"


# Bad requests


def test_shapes_that_do_not_chain_are_a_usage_error_naming_both():
    with pytest.raises(UsageError, match=r"9x14.*13x8") as refused:
        cr(np.ones((9, 14)), np.ones((13, 8)), 3)
    assert refused.value.exit_code == 2


def test_d23_shapes_that_do_not_chain_exit_2_naming_both(tmp_path):
    np.save(tmp_path / "X.npy", np.ones((9, 14)))
    np.save(tmp_path / "Y.npy", np.ones((13, 8)))
    argv = [sys.executable, "-m", "lowrank_cli", "product", "X.npy", "Y.npy", "--rank", "3", "-o", "F.npz"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == "" and not (tmp_path / "F.npz").exists()
    assert "9x14" in done.stderr and "13x8" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "asked",
    [
        {"rank": None},
        {"rank": 15},
        {"rank": 5, "norm": "spectral"},
        {"rtol": 0.1, "certify": "probes"},
        {"rtol": 1e-17},
    ],
    ids=str,
)
def test_d23_requests_that_sampling_cannot_meet_are_refused(asked):
    X, Y = pair()
    with pytest.raises(UsageError):
        cr(X, Y, **asked)


# Storage and real matrices


@pytest.mark.parametrize("scheme", SCHEMES)
def test_sparse_matrices_give_the_pairs_that_dense_ones_give(scheme):
    rng = np.random.default_rng(3)
    X = csr_array(random_array((40, 60), density=0.3, rng=rng))
    Y = csr_array(random_array((60, 30), density=0.3, rng=rng))
    dense = cr(X.toarray(), Y.toarray(), 20, scheme)
    for left, right in itertools.product((X, X.toarray()), (Y, Y.toarray())):
        found = cr(left, right, 20, scheme)
        assert np.array_equal(found.factor.index, dense.factor.index)
        assert found.certificate.relative == pytest.approx(dense.certificate.relative, rel=1e-9)
        np.testing.assert_allclose(measure.dense(found.factor.C), dense.factor.C, rtol=1e-14)


@pytest.mark.parametrize("scheme", (*SCHEMES, "auto"))
def test_a_product_of_flow_snapshots_is_sampled(data, scheme):
    X, Y = np.load(data("snapshots_vx.npy")), np.ascontiguousarray(np.load(data("snapshots_vy.npy")).T)
    outcome = cr(X, Y, 600, scheme)
    assert outcome.factor.shape == (59, 59)
    assert abs(outcome.factor.rank - 600) <= (4 * np.sqrt(600) if scheme == "threshold" else 0)
    assert outcome.certificate.relative == pytest.approx(measure.relative(X @ Y, outcome.factor), rel=1e-9)
    predicted = outcome.facts["predicted_relative"]
    assert outcome.facts["Z2_over_F2"] == pytest.approx((lengths(X, Y).sum() / np.linalg.norm(X @ Y)) ** 2, rel=1e-6)
    # terms of both signs cancel in this product, so random samples of it are poor, and the report says so
    worse = max(predicted, outcome.certificate.relative) >= 1
    assert worse == any("worse than returning zero" in said for said in outcome.facts["warnings"])
    # one draw lies within a small factor of its root mean square; without randomness it is the number itself
    assert outcome.certificate.relative <= (1 + 1e-6 if scheme in (*CHOSEN, "auto") else 3) * predicted
