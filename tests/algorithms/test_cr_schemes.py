"""Schemes of column-row sampling: what their formulas say, by enumeration of small cases and by Monte Carlo.

Seeds are fixed, so a test here passes or fails for good; four standard errors are what a correct sampler stays within
in all but six of 100 000 such tests.
"""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
from algorithms.cr_products import (
    BEST,
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
from scipy.sparse import csr_array

from lowrank_cli.errors import UsageError
from lowrank_cli.kernels.sampling import inclusion_probabilities


def form(G, index, w=1.0):
    """The squared error of a selection with these weights."""
    c = -np.ones(len(G))
    c[list(index)] += w
    return float(c @ G @ c)


def best_weights_error(G, index):
    """The least squared error of a selection, by least squares on G's own root."""
    values, vectors = np.linalg.eigh(G)
    A = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    w = np.linalg.lstsq(A[:, index], A.sum(axis=1), rcond=None)[0]
    return float(np.sum((A[:, index] @ w - A.sum(axis=1)) ** 2))


@functools.cache
def runs(scheme, r=5, shrink=False, dtype="float64", seeds=SEEDS):
    """(squared errors, outcomes) over the seeds."""
    X, Y = pair(dtype=dtype)
    outcomes = [cr(X, Y, r, scheme, shrink, seed=seed, certify="none") for seed in range(seeds)]
    return np.array([squared_error(o.factor, X, Y) for o in outcomes]), outcomes


# Expected errors


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_threshold_sampling_has_the_mean_square_error_of_its_formula(dtype):
    X, Y = pair(dtype=dtype)
    f, F2 = lengths(X, Y), np.linalg.norm(X @ Y) ** 2
    pi = inclusion_probabilities(f, 5)
    tau = (f / pi)[pi < 1].mean()
    expected = np.sum((f * (tau - f))[f < tau])
    errors, outcomes = runs("threshold", dtype=dtype)
    assert within_four_standard_errors(errors, expected)
    assert outcomes[0].facts["predicted_relative"] ** 2 * F2 == pytest.approx(expected, rel=1e-10)


def test_threshold_sampling_draws_its_number_of_pairs_on_average_and_says_that_it_varies():
    _, outcomes = runs("threshold")
    sizes = np.array([len(o.factor.index) for o in outcomes])
    assert within_four_standard_errors(sizes, 5) and sizes.max() > 5 > sizes.min()
    for outcome, size in zip(outcomes, sizes, strict=True):
        assert outcome.facts["expected_pairs"] == 5
        assert any("random number of pairs" in said for said in outcome.facts["warnings"]) == (size != 5)


def test_a_threshold_draw_of_no_pair_is_the_zero_matrix():
    X, Y = pair()
    outcomes = [cr(X, Y, 1, "threshold", seed=seed) for seed in range(20)]
    empty = [o for o in outcomes if not o.factor.scale.any()]
    assert empty and all(o.certificate.relative == 1 and o.factor.rank == 1 for o in empty)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_winner_take_all_has_the_mean_square_error_of_its_formula(dtype):
    X, Y = pair(dtype=dtype)
    G, f = gram(X, Y), lengths(X, Y)
    errors, outcomes = runs("wta", dtype=dtype)
    c = outcomes[0].facts["kept"]
    rest = np.argsort(-f, kind="stable")[c:]
    expected = (f[rest].sum() ** 2 - G[np.ix_(rest, rest)].sum()) / (5 - c)
    assert within_four_standard_errors(errors, expected)
    assert outcomes[0].facts["predicted_relative"] ** 2 * G.sum() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("r", [1, 2, 5, 9, 13])
def test_winner_take_all_keeps_as_many_as_is_best_over_all_numbers(r):
    for seed in range(8):
        X, Y = pair(seed=seed)
        G, f = gram(X, Y), lengths(X, Y)
        order = np.argsort(-f, kind="stable")
        worth = [(f[order[c:]].sum() ** 2 - G[np.ix_(order[c:], order[c:])].sum()) / (r - c) for c in range(r)]
        outcome = cr(X, Y, r, "wta", seed=seed, certify="none")
        predicted = outcome.facts["predicted_relative"] ** 2 * G.sum()
        assert predicted == pytest.approx(min(worth), rel=1e-10)
        assert outcome.facts["kept"] == int(np.argmin(worth))
        # keeping none is drawing from all
        assert predicted <= (f.sum() ** 2 - G.sum()) / r * (1 + 1e-12)


def test_winner_take_all_keeps_the_largest_as_they_are():
    X, Y = pair()
    outcome = cr(X, Y, 9, "wta")
    kept = outcome.facts["kept"]
    largest = np.argsort(-lengths(X, Y), kind="stable")[:kept]
    assert kept > 0 and outcome.factor.index[:kept].tolist() == largest.tolist()
    assert np.all(outcome.factor.scale[:kept] == 1)
    assert not set(outcome.factor.index[kept:].tolist()) & set(largest.tolist())


def test_for_a_long_inner_dimension_winner_take_all_keeps_what_its_authors_say():
    X, Y = pair(6, 5000, 5)
    f, r = lengths(X, Y), 60
    order = np.argsort(-f, kind="stable")
    left = 1 - np.cumsum(np.concatenate([[0.0], f[order]]))[:r] / f.sum()
    assert cr(X, Y, r, "wta").facts["kept"] == int(np.argmin(left / (r - np.arange(r))))


def test_perturbed_probabilities_increase_the_expected_error():
    """(1/r)(sum f^2 / p - F2) is least for p = f / Z."""
    X, Y = pair()
    f, F2, r = lengths(X, Y), gram(X, Y).sum(), 5
    least = cr(X, Y, r, "optimal").facts["predicted_relative"] ** 2 * F2
    assert least == pytest.approx((np.sum(f**2 / (f / f.sum())) - F2) / r, rel=1e-10)
    rng = np.random.default_rng(0)
    for size in (1e-3, 0.1, 1.0):
        for _ in range(50):
            p = f * np.exp(size * rng.standard_normal(len(f)))
            assert (np.sum(f**2 / (p / p.sum())) - F2) / r > least


@pytest.mark.parametrize("r", [2, 5, 40])
def test_with_replacement_the_bounds_of_drineas_kannan_and_mahoney_hold(r):
    """With a = |X| |Y| / sqrt(r): E |err|^2 <= a^2, and |err| <= (1 + sqrt(8 log(1 / delta))) a but with chance delta.

    delta = 0.1: were the bound as tight as it says, more than 70 of 400 draws would fail with probability 1e-6.
    """
    X, Y = pair(30, 60, 20)
    size = np.linalg.norm(X) * np.linalg.norm(Y)
    outcomes = [cr(X, Y, r, "optimal", seed=seed, certify="none") for seed in range(SEEDS)]
    errors = np.sqrt([squared_error(o.factor, X, Y) for o in outcomes])
    predicted = outcomes[0].facts["predicted_relative"] * np.linalg.norm(X @ Y)
    assert predicted <= size / np.sqrt(r)
    assert np.sum(errors > (1 + np.sqrt(8 * np.log(10))) * size / np.sqrt(r)) <= 70


# Priority sampling


def priority_mean(f, r):
    """E sum Var(w_i) f_i^2 = sum_i f_i int_{f_i}^inf P(at least r of the others have priority > t) dt."""
    t = np.exp(np.linspace(np.log(f.min()), np.log(f.max() * 1e7), 6001))
    total = 0.0
    for i in range(len(f)):
        others = np.delete(f, i)
        counts = np.zeros((len(t), r + 1))
        counts[:, 0] = 1
        for g in others:
            p = np.minimum(1, g / t)
            more = counts[:, :-1] * p[:, None]
            counts *= 1 - p[:, None]
            counts[:, 1:] += more
        atleast = 1 - counts[:, :r].sum(axis=1)
        total += f[i] * np.trapezoid(np.where(t >= f[i], atleast, 0), t)
    return total


@pytest.mark.parametrize("r", [3, 5, 9])
def test_priority_sampling_errs_no_more_than_threshold_sampling_of_one_pair_fewer(r):
    X, Y = pair()
    f, F2 = lengths(X, Y), gram(X, Y).sum()
    mean = priority_mean(f, r)
    errors, outcomes = runs("priority", r)
    assert within_four_standard_errors(errors, mean)
    bound = outcomes[0].facts["predicted_relative"] ** 2 * F2
    pi = inclusion_probabilities(f, r - 1)
    assert bound == pytest.approx(np.sum((1 - pi) / pi * f**2), rel=1e-10)
    assert mean <= bound and outcomes[0].facts["predicted_kind"] == "bound"


def test_priority_weights_are_uncorrelated_and_one_on_average():
    l = pair()[0].shape[1]
    W = np.array([coefficients(o.factor, l) for o in runs("priority")[1]])
    for i in range(W.shape[1]):
        assert within_four_standard_errors(W[:, i], 0)
    for i, j in itertools.combinations(range(W.shape[1]), 2):
        # 91 pairs at four standard errors each
        assert within_four_standard_errors(W[:, i] * W[:, j], 0)


def test_one_pair_by_priority_has_no_finite_mean_square_error_and_says_so():
    facts = cr(*pair(), 1, "priority").facts
    assert facts["predicted_relative"] == math.inf
    assert any("worse than returning zero" in said for said in facts["warnings"])


# Chosen pairs


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
def test_the_error_of_the_selection_is_known_before_the_product_is_formed(scheme, dtype):
    """(w - 1)^T G (w - 1), to 1e-12 of the product's square in double precision."""
    X, Y = pair(40, 30, 20, dtype=dtype)
    wide = X.astype("complex128" if X.dtype.kind == "c" else "float64"), Y.astype("complex128")
    F2 = np.linalg.norm(wide[0] @ wide[1]) ** 2
    for seed, r in itertools.product(range(4), (1, 7, 29, 30)):
        outcome = cr(X, Y, r, scheme, seed=seed, certify="none")
        c = coefficients(outcome.factor, 30)
        error = np.linalg.norm((wide[0] * c) @ wide[1]) ** 2
        found = outcome.facts["selection_relative"] ** 2
        assert abs(found - error / F2) <= (1e-12 if dtype != "float32" else 1e-5) * max(1, error / F2)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("scheme", BEST)
def test_weights_of_least_squares_are_the_best_there_are(scheme, dtype):
    X, Y = pair(dtype=dtype)
    G = gram(X, Y)
    for r in (1, 3, 6, 10, 13):
        factor = cr(X, Y, r, scheme).factor
        error = squared_error(factor, X, Y)
        assert error == pytest.approx(best_weights_error(G, factor.index), rel=1e-9, abs=1e-13 * G.sum())
        # any other real weights are worse
        w = factor.scale * np.abs(factor.scale)
        rng = np.random.default_rng(r)
        for _ in range(20):
            assert form(G, factor.index, w + 0.1 * rng.standard_normal(len(w))) > error


@pytest.mark.parametrize("r", [1, 2, 4, 8, 12, 13])
def test_least_squares_weights_are_never_worse_than_those_of_top(r):
    for seed in range(10):
        X, Y = pair(seed=seed)
        top, best = cr(X, Y, r, "top"), cr(X, Y, r, "least-squares")
        assert sorted(best.factor.index.tolist()) == sorted(top.factor.index.tolist())
        assert best.certificate.relative <= top.certificate.relative * (1 + 1e-12)


def test_greedy_begins_with_the_best_single_pair_and_never_gets_worse():
    for seed in range(10):
        X, Y = pair(seed=seed)
        G = gram(X, Y)
        errors = [cr(X, Y, r, "greedy").certificate.relative ** 2 * G.sum() for r in range(1, 15)]
        assert errors[0] == pytest.approx(min(best_weights_error(G, [i]) for i in range(14)), rel=1e-9)
        assert all(b <= a * (1 + 1e-12) for a, b in itertools.pairwise(errors))
        # every step takes the pair that lowers the error most
        chosen = cr(X, Y, 4, "greedy").factor.index.tolist()
        least = min(best_weights_error(G, [*chosen[:3], i]) for i in range(14) if i not in chosen[:3])
        assert errors[3] == pytest.approx(least, rel=1e-8)


def test_no_selection_beats_the_best_of_all_subsets():
    X, Y = pair(5, 7, 4)
    G = gram(X, Y)
    for r in (1, 2, 3, 4):
        least = min(best_weights_error(G, list(S)) for S in itertools.combinations(range(7), r))
        plain = min(form(G, S) for S in itertools.combinations(range(7), r))
        errors = {s: squared_error(cr(X, Y, r, s).factor, X, Y) for s in CHOSEN}
        assert min(errors.values()) >= least * (1 - 1e-9) and errors["top"] >= plain * (1 - 1e-9)
        # the greedy choice is the best at one pair
        assert r > 1 or errors["greedy"] == pytest.approx(least, rel=1e-9)


def test_for_orthogonal_pairs_the_largest_are_the_best_choice():
    """x_i orthogonal: the error of a subset is the sum of f^2 of the rest."""
    rng = np.random.default_rng(2)
    X = np.linalg.qr(rng.standard_normal((12, 8)))[0] * rng.pareto(1, 8)
    Y = rng.standard_normal((8, 6))
    f = lengths(X, Y)
    for r in (1, 3, 7):
        expected = np.sqrt(np.sum(np.sort(f)[: 8 - r] ** 2))
        for scheme in CHOSEN:
            outcome = cr(X, Y, r, scheme)
            assert outcome.certificate.absolute == pytest.approx(expected, rel=1e-9)
            assert np.abs(outcome.factor.scale) == pytest.approx(np.ones(r), rel=1e-7)


@pytest.mark.parametrize("scheme", BEST)
def test_pairs_that_repeat_share_their_weight(scheme):
    """Ten copies of two pairs: two pairs of weight five, or any that add up, make the product."""
    X, Y = pair(6, 2, 5)
    X, Y = np.tile(X, 5), np.tile(Y, (5, 1))
    for r in (2, 4, 9):
        outcome = cr(X, Y, r, scheme)
        if scheme == "greedy" or r > 5:
            assert outcome.certificate.relative <= 1e-7
        assert np.all(np.isfinite(outcome.factor.scale)) and np.abs(outcome.factor.scale).max() < 10


def test_weights_below_zero_are_stored_with_their_sign():
    # the sum of the pairs is -0.8 times the first
    X, Y = np.array([[1.0, -0.9, -0.9], [0.0, 1e-3, -1e-3]]), np.ones((3, 2))
    G = gram(X, Y)
    for scheme in BEST:
        factor = cr(X, Y, 1, scheme).factor
        assert scheme == "greedy" or factor.scale[0] == pytest.approx(-math.sqrt(0.8))
        np.testing.assert_allclose(factor.R, Y[factor.index] * np.abs(factor.scale[:, None]), rtol=1e-15)
        assert squared_error(factor, X, Y) == pytest.approx(best_weights_error(G, factor.index), abs=1e-14)


def test_least_squares_needs_no_gram_matrix_and_greedy_says_that_it_does():
    X, Y = pair(12, 5000, 10)
    outcome = cr(X, Y, 40, "least-squares")
    A = (X[:, outcome.factor.index, None] * Y[None, outcome.factor.index].transpose(0, 1, 2)).transpose(0, 2, 1)
    A = A.reshape(120, 40)
    w, residual = np.linalg.lstsq(A, (X @ Y).ravel(), rcond=None)[:2]
    assert outcome.certificate.absolute == pytest.approx(np.sqrt(residual[0]), rel=1e-9)
    np.testing.assert_allclose(outcome.factor.scale * np.abs(outcome.factor.scale), w, rtol=1e-8)
    with pytest.raises(UsageError, match="inner dimension of 5000"):
        cr(X, Y, 40, "greedy")
    assert cr(X, Y, 40).facts["scheme"] in SCHEMES


def test_least_squares_in_single_precision_without_gram_matrices_comes_near_that_in_double():
    """Pairs of a smooth product all but depend on one another, to below what single precision sees."""
    t = np.linspace(0, 1, 5000)
    X, Y = np.array([t**k for k in range(8)]), np.array([np.cos(k * t) for k in range(6)]).T
    low, high = cr(X.astype("float32"), Y.astype("float32"), 30, "least-squares"), cr(X, Y, 30, "least-squares")
    assert low.facts["predicted_kind"] == "estimate"
    assert high.certificate.relative <= low.certificate.relative <= 0.9 * cr(X, Y, 30, "top").certificate.relative
    assert np.abs(low.factor.scale).max() < 1e3


# Shrinking


@pytest.mark.parametrize("scheme", UNBIASED)
def test_a_shrunk_approximation_is_better_than_zero_on_average(scheme):
    """E |s C R - X Y|^2 = s^2 Var + (1 - s)^2 F2 = F2 Var / (F2 + Var) for s = F2 / (F2 + Var)."""
    X, Y = pair()
    F2 = np.linalg.norm(X @ Y) ** 2
    errors, outcomes = runs(scheme, 2, True, seeds=150)
    plain = np.array([o.facts["predicted_relative"] ** 2 * F2 for o in runs(scheme, 2, seeds=5)[1]])
    predicted = np.array([o.facts["predicted_relative"] ** 2 * F2 for o in outcomes])
    assert predicted[:5] == pytest.approx(F2 * plain / (F2 + plain), rel=1e-10)
    assert np.all(predicted[:5] < np.minimum(F2, plain)) and plain.mean() > F2
    spread = 4 * errors.std(ddof=1) / np.sqrt(len(errors))
    assert errors.mean() < F2
    assert errors.mean() <= predicted.mean() + spread
    if scheme != "priority":
        assert errors.mean() >= predicted.mean() - spread
    assert outcomes[0].facts["shrink_factor"] == pytest.approx(F2 / (F2 + plain[0]), rel=1e-10)


@pytest.mark.parametrize("scheme", UNBIASED)
def test_shrinking_multiplies_the_approximation_and_nothing_else(scheme):
    X, Y = pair()
    plain, shrunk = cr(X, Y, 5, scheme), cr(X, Y, 5, scheme, shrink=True)
    assert np.array_equal(plain.factor.index, shrunk.factor.index)
    s = shrunk.facts["shrink_factor"]
    np.testing.assert_allclose(shrunk.factor.reconstruct(), s * plain.factor.reconstruct(), rtol=1e-12)
    assert "shrink_factor" not in plain.facts


@pytest.mark.parametrize("scheme", CHOSEN)
def test_what_is_not_right_on_average_is_not_shrunk(scheme):
    with pytest.raises(UsageError, match="right on average"):
        cr(*pair(), 5, scheme, shrink=True)


def test_auto_shrinks_the_random_scheme_of_smallest_error():
    X, Y = pair()
    for r in (2, 5, 9):
        predicted = {s: cr(X, Y, r, s, True).facts["predicted_relative"] for s in UNBIASED if s != "threshold"}
        auto = cr(X, Y, r, shrink=True)
        assert auto.facts["predicted_relative"] == min(predicted.values()) == predicted[auto.facts["scheme"]]


def test_one_pair_by_priority_shrinks_to_nothing():
    outcome = cr(*pair(), 1, "priority", shrink=True)
    assert outcome.certificate.relative == 1 == outcome.facts["predicted_relative"]


# Sparse


@pytest.mark.parametrize("scheme", SCHEMES)
def test_sparse_factors_stay_sparse(scheme):
    X, Y = pair(30, 40, 20)
    X[np.abs(X) < 0.1], Y[np.abs(Y) < 1] = 0, 0
    factor = cr(csr_array(X), csr_array(Y), 12, scheme).factor
    assert factor.C.nnz == np.count_nonzero(X[:, factor.index]) and factor.R.nnz == np.count_nonzero(Y[factor.index])
