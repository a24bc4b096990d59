"""Sampling follows its probabilities exactly; zeros are never chosen and nothing is chosen twice."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowrank_cli.errors import UsageError
from lowrank_cli.kernels.sampling import (
    inclusion_probabilities,
    poisson,
    systematic,
    systematic_numpy,
    uniform_without_replacement,
    with_replacement,
)

BOTH = pytest.mark.parametrize("compiled", [False, True])
LAST = np.nextafter(1.0, 0.0)
weights = st.lists(
    st.one_of(st.just(0.0), st.floats(0, 1e308), st.floats(0, 1), st.integers(0, 5).map(float)), min_size=1, max_size=40
)


@BOTH
def test_each_uniform_gets_the_entry_whose_stretch_holds_it(compiled):
    p = np.array([0.25, 0.0, 0.5, 0.25])
    u = np.array([0.0, 0.2499, 0.25, 0.74, 0.75, LAST])
    assert with_replacement(p, u, compiled).tolist() == [0, 0, 2, 2, 3, 3]
    assert with_replacement(8 * p, u, compiled).tolist() == [0, 0, 2, 2, 3, 3]


@BOTH
@pytest.mark.parametrize("p", [[0, 0, 1, 0], [0, 1e-320, 0], [0, 1e308, 1e308, 1e308, 0], [0, 1, 1e-300, 0]])
def test_zeros_are_never_chosen_at_either_end(p, compiled):
    chosen = with_replacement(np.array(p, float), np.array([0.0, 0.5, LAST]), compiled)
    assert chosen.dtype == np.int64
    assert (np.array(p)[chosen] > 0).all()


@given(weights, st.lists(st.floats(0, LAST), max_size=30))
def test_draws_agree_bit_for_bit_and_avoid_zeros(p, u):
    p, u = np.array(p), np.array(u)
    if not p.any():
        return
    twin = with_replacement(p, u)
    assert np.array_equal(twin, with_replacement(p, u, compiled=True))
    assert (p[twin] > 0).all()


@BOTH
def test_many_draws_follow_the_probabilities(compiled):
    p = np.array([1.0, 2.0, 0.0, 5.0])
    u = (np.arange(8000) + 0.5) / 8000
    assert np.bincount(with_replacement(p, u, compiled), minlength=4).tolist() == [1000, 2000, 0, 5000]


@pytest.mark.parametrize("p", [[], [0.0, 0.0], [1.0, -1.0], [1.0, np.nan], [np.inf, 1.0]])
def test_weights_that_are_none_are_refused(p):
    with pytest.raises(UsageError):
        with_replacement(np.array(p), np.array([0.5]))


def threshold(f, pi):
    """The tau of pi, from its definition."""
    free = (pi > 0) & (pi < 1)
    return (f[free] / pi[free]).mean() if free.any() else None


@pytest.mark.parametrize("r", [1, 2, 5, 19, 30])
def test_inclusion_probabilities_are_proportional_until_certain(r):
    f = np.random.default_rng(r).pareto(0.7, 40)
    pi = inclusion_probabilities(f, r)
    tau = threshold(f, pi)
    assert pi.sum() == pytest.approx(r, rel=1e-13)
    assert pi == pytest.approx(np.minimum(1.0, f / tau), rel=1e-12)
    assert (pi > 0).all() and (pi <= 1).all()


def test_inclusion_probabilities_at_the_edges():
    assert inclusion_probabilities(np.ones(4), 2).tolist() == [0.5] * 4
    assert inclusion_probabilities(np.array([9.0, 1.0, 1.0]), 2) == pytest.approx([1.0, 0.5, 0.5])
    assert inclusion_probabilities(np.array([3.0, 0.0, 2.0]), 2).tolist() == [1.0, 0.0, 1.0]
    assert inclusion_probabilities(np.array([3.0, 0.0, 0.0]), 2).tolist() == [1.0, 0.5, 0.5]
    assert inclusion_probabilities(np.zeros(4), 1).tolist() == [0.25] * 4
    assert inclusion_probabilities(np.array([3.0, 1.0]), 0).tolist() == [0.0, 0.0]
    assert inclusion_probabilities(np.array([3.0, 1.0]), 2).tolist() == [1.0, 1.0]
    assert inclusion_probabilities(np.array([1e308, 1e308, 1e308, 1e308]), 2).tolist() == [0.5] * 4
    for wrong in (-1, 3):
        with pytest.raises(UsageError):
            inclusion_probabilities(np.ones(2), wrong)


@given(weights, st.integers(0, 40))
def test_inclusion_probabilities_always_sum_to_the_number(f, r):
    f = np.array(f)
    r = min(r, len(f))
    pi = inclusion_probabilities(f, r)
    assert abs(math.fsum(pi) - r) <= 1e-12 * max(1, r)
    assert (pi >= 0).all() and (pi <= 1).all()
    if np.count_nonzero(f) >= r:
        assert (pi[f == 0] == 0).all()


@BOTH
def test_systematic_takes_the_stretches_that_hold_the_marks(compiled):
    pi = np.array([0.5, 0.25, 0.25, 1.0, 0.0, 0.75, 0.25])
    order = np.array([6, 5, 4, 3, 2, 1, 0])
    # along the order without the certain one: 6: [0, .25), 5: [.25, 1), 2: [1, 1.25), 1: [1.25, 1.5), 0: [1.5, 2)
    assert systematic(pi, order, 0.1, compiled).tolist() == [2, 3, 6]
    assert systematic(pi, order, 0.3, compiled).tolist() == [1, 3, 5]
    assert systematic(pi, order, 0.5, compiled).tolist() == [0, 3, 5]
    assert systematic(pi, order, LAST, compiled).tolist() == [0, 3, 5]
    assert systematic(pi, order, 0.0, compiled).tolist() == [2, 3, 6]


@given(weights, st.integers(0, 40), st.floats(0, LAST), st.integers(0, 2**32 - 1))
def test_systematic_gives_exactly_r_distinct_ones_and_all_that_are_certain(f, r, u, seed):
    f = np.array(f)
    r = min(r, len(f))
    pi = inclusion_probabilities(f, r)
    order = np.random.default_rng(seed).permutation(len(f))
    chosen = systematic(pi, order, u)
    assert chosen.dtype == np.int64 and len(chosen) == len(set(chosen.tolist())) == r
    assert (np.diff(chosen) > 0).all()
    assert (pi[chosen] > 0).all() and set(np.flatnonzero(pi == 1)) <= set(chosen.tolist())
    assert np.array_equal(chosen, systematic(pi, order, u, compiled=True))


@BOTH
def test_systematic_chooses_each_with_its_probability(compiled):
    pi = inclusion_probabilities(np.arange(1.0, 12.0), 4)
    order = np.random.default_rng(2).permutation(11)
    starts = (np.arange(20000) + 0.5) / 20000
    counts = np.zeros(11)
    for u in starts:
        counts[systematic(pi, order, u, compiled)] += 1
    assert np.abs(counts / len(starts) - pi).max() <= 2e-4


@pytest.mark.parametrize("u", [0.0, 0.3, LAST])
def test_sums_of_many_tenths_still_give_the_whole_number(u):
    for n in (10, 100, 100_000):
        pi = np.full(n, 0.1)
        assert len(systematic(pi, np.arange(n), u)) == n // 10


def test_a_mark_lost_to_rounding_is_made_up_by_the_likeliest():
    # the cumulative sum of ten tenths ends just below 1, so a start at the last float falls off its end
    pi = np.array([0.1] * 9 + [1 - sum([0.1] * 9) - 2.0**-52, 0.0])
    walk = pi[:10]
    assert len(systematic_numpy(walk, LAST, 1)) == 0
    for compiled in (False, True):
        chosen = systematic(pi, np.arange(11), LAST, compiled)
        assert len(chosen) == 1 and pi[chosen[0]] == pi.max()


@pytest.mark.parametrize(("u", "count"), [(0.2, 2), (0.49, 2), (0.51, 1), (0.9, 1)])
def test_a_fractional_sum_gives_its_floor_or_the_next(u, count):
    assert len(systematic(np.full(3, 0.5), np.arange(3), u)) == count


def test_probabilities_outside_the_unit_interval_are_refused():
    for wrong in ([1.5], [-0.1], [np.nan]):
        with pytest.raises(UsageError):
            systematic(np.array(wrong), np.arange(1), 0.5)
        with pytest.raises(UsageError):
            poisson(np.array(wrong), np.array([0.5]))


def test_poisson_takes_each_whose_uniform_is_below_its_probability():
    pi = np.array([0.5, 0.0, 1.0, 0.25, 1.0])
    chosen = poisson(pi, np.array([0.5, 0.0, LAST, 0.2, 0.0]))
    assert chosen.tolist() == [2, 3, 4] and chosen.dtype == np.int64
    # over a grid of uniforms each comes as often as its probability says
    grid = (np.arange(1000) + 0.5) / 1000
    counts = sum(np.bincount(poisson(pi, np.full(5, u)), minlength=5) for u in grid)
    assert counts.tolist() == [500, 0, 1000, 250, 1000]


def test_uniform_draws_are_the_first_steps_of_a_shuffle():
    u = np.array([0.5, 0.0, LAST, 0.25])
    # 0 1 2 3 4 5 -> swap(0,3) -> swap(1,1) -> swap(2,5) -> swap(3,3)
    assert uniform_without_replacement(6, 4, u).tolist() == [3, 1, 5, 0]


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_uniform_draws_are_distinct_and_in_range(n, r, seed):
    r = min(r, n)
    out = uniform_without_replacement(n, r, np.random.default_rng(seed).random(r))
    assert out.dtype == np.int64 and len(set(out.tolist())) == r
    assert all(0 <= i < n for i in out)


def test_uniform_draws_need_no_memory_of_the_whole_range():
    assert len(set(uniform_without_replacement(10**15, 5, np.full(5, LAST)).tolist())) == 5


def test_every_ordered_pair_is_equally_likely():
    counts = {}
    for a in range(4):
        for b in range(3):
            out = uniform_without_replacement(4, 2, np.array([(a + 0.5) / 4, (b + 0.5) / 3]))
            counts[tuple(out.tolist())] = counts.get(tuple(out.tolist()), 0) + 1
    assert len(counts) == 12 and set(counts.values()) == {1}


def test_more_draws_than_entries_are_refused():
    with pytest.raises(UsageError):
        uniform_without_replacement(3, 4, np.zeros(4))
