"""Rows of an orthonormal basis: each rule draws by the law it claims, and growth is what it costs to interpolate."""

from __future__ import annotations

import itertools
import math

import gallery
import numpy as np
import pytest

from lowrank_cli.kernels import basis_rows


def basis(n, k, seed=0, complex_=False):
    return gallery.orthonormal(n, k, np.random.default_rng(seed), complex_=complex_)


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (7, 1), (9, 9), (40, 6)])
def test_every_rule_gives_distinct_rows_that_determine_the_basis(n, k, complex_):
    V, rng = basis(n, k, complex_=complex_), np.random.default_rng(1)
    rules = {
        "deim": basis_rows.deim(V),
        "adaptive": basis_rows.adaptive(V, rng.random(k)),
        "leverage": basis_rows.leverage_order(V, rng.standard_exponential(n))[:k],
    }
    for name, chosen in rules.items():
        assert chosen.dtype == np.int64 and len(set(chosen.tolist())) == k, name
        assert basis_rows.growth(V, chosen) < 1e6, name


@pytest.mark.parametrize("k", [2, 5, 12])
def test_q_deim_keeps_the_bound_of_drmac_and_gugercin(k):
    for seed in range(5):
        V = basis(50, k, seed)
        bound = math.sqrt(50 - k + 1) * math.sqrt(4.0**k + 6 * k - 1) / 3
        assert 1 <= basis_rows.growth(V, basis_rows.deim(V)) <= bound


def test_growth_is_the_norm_of_the_interpolation():
    V = basis(30, 4, complex_=True)
    chosen = np.array([3, 8, 9, 20, 21])
    assert basis_rows.growth(V, chosen) == pytest.approx(np.linalg.norm(np.linalg.pinv(V[chosen]), 2), rel=1e-12)
    assert basis_rows.growth(V, chosen[:3]) == math.inf
    assert basis_rows.growth(np.eye(6)[:, :2], np.array([4, 5])) == math.inf


def test_zero_rows_come_last_in_the_order_of_leverage_scores():
    V = np.zeros((9, 2))
    V[[2, 7]] = np.eye(2)
    order = basis_rows.leverage_order(V, np.random.default_rng(0).standard_exponential(9))
    assert set(order[:2].tolist()) == {2, 7} and sorted(order.tolist()) == list(range(9))


def test_a_basis_with_fewer_dimensions_than_columns_ends_early():
    V = np.zeros((6, 3))
    V[[1, 4], [0, 1]] = 1.0
    assert set(basis_rows.adaptive(V, np.full(3, 0.5)).tolist()) == {1, 4}
    assert set(basis_rows.deim(V).tolist()) == {1, 4}


@pytest.fixture(scope="module")
def drawn():
    """4000 draws of 2 of 5 rows by adaptive randomized pivoting, with their basis."""
    V, rng = basis(5, 2, seed=3), np.random.default_rng(7)
    return V, [tuple(sorted(basis_rows.adaptive(V, rng.random(2)).tolist())) for _ in range(4000)]


def test_adaptive_pivoting_draws_subsets_in_proportion_to_their_squared_volume(drawn):
    """P(J) = |det V_J|^2, which sums to 1 by Cauchy and Binet. Chi-square of 9 degrees: above 45 with chance 1e-6."""
    V, draws = drawn
    chance = {J: float(np.linalg.det(V[list(J)]) ** 2) for J in itertools.combinations(range(5), 2)}
    assert sum(chance.values()) == pytest.approx(1, rel=1e-12)
    counts = {J: draws.count(J) for J in chance}
    assert sum((counts[J] - 4000 * p) ** 2 / (4000 * p) for J, p in chance.items()) <= 45


def test_the_expected_error_of_adaptive_pivoting_is_k_plus_one_times_the_tail(drawn):
    """Cortinovis and Kressner 2024: exactly, by all subsets; and the draws, off by five standard errors with 1e-6."""
    V, draws = drawn
    A = np.random.default_rng(1).standard_normal((6, 5))
    tail = np.linalg.norm(A - A @ V @ V.T) ** 2

    def error(J):
        return np.linalg.norm(A - A[:, J] @ np.linalg.inv(V[list(J)]).T @ V.T) ** 2

    errors = {J: error(J) for J in itertools.combinations(range(5), 2)}
    exact = sum(float(np.linalg.det(V[list(J)]) ** 2) * e for J, e in errors.items())
    assert exact == pytest.approx(3 * tail, rel=1e-12)
    found = np.array([errors[J] for J in draws])
    assert abs(found.mean() - 3 * tail) <= 5 * found.std() / math.sqrt(len(found))


def test_leverage_scores_are_the_chances_of_the_first_draw_and_of_the_next_among_the_rest():
    """Counts of 20000 orders, each within five standard deviations: 1e-5 for all together."""
    V, rng = basis(6, 3, seed=5), np.random.default_rng(11)
    p = np.sum(V**2, axis=1) / 3
    orders = np.array([basis_rows.leverage_order(V, rng.standard_exponential(6)) for _ in range(20000)])
    pairs = {(i, j): p[i] * p[j] / (1 - p[i]) for i, j in itertools.permutations(range(6), 2)}
    for (i, j), chance in pairs.items():
        count = int(np.sum((orders[:, 0] == i) & (orders[:, 1] == j)))
        assert abs(count - 20000 * chance) <= 5 * math.sqrt(20000 * chance), (i, j)
