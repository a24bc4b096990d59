"""Priority samples: parts in any order and grouping give what the whole gives, and the weights follow their rule."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowrank_cli.errors import UsageError
from lowrank_cli.kernels.priority import estimate, merge, priorities

LAST = np.nextafter(1.0, 0.0)
weights = st.lists(
    st.one_of(st.just(0.0), st.floats(0, 1e280), st.floats(0, 1), st.integers(0, 3).map(float)), max_size=30
)


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("index", "f", "priority"))


@given(weights, st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_merging_parts_gives_the_state_of_the_whole_bit_for_bit(f, r, seed):
    f = np.array(f)
    rng = np.random.default_rng(seed)
    # few values, so that equal priorities come up too
    u = rng.choice([0.0, 0.25, 0.5, LAST], len(f)) if seed % 2 else rng.random(len(f))
    whole = priorities(np.arange(len(f)), f, u, r)
    parts = np.array_split(rng.permutation(len(f)), 4)
    states = [priorities(part, f[part], u[part], r) for part in parts]
    for order in itertools.permutations(range(4)):
        a, b, c, d = (states[i] for i in order)
        assert same(merge(merge(merge(a, b, r), c, r), d, r), whole)
        assert same(merge(merge(a, b, r), merge(c, d, r), r), whole)


@given(weights, st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_the_sample_is_the_highest_priorities_by_definition(f, r, seed):
    f = np.array(f)
    u = np.random.default_rng(seed).random(len(f))
    index, w = estimate(priorities(np.arange(len(f)), f, u, r), r)
    ranked = sorted(((f[i] / (1 - u[i]), -i) for i in range(len(f)) if f[i] > 0), reverse=True)
    assert index.tolist() == sorted(-i for _, i in ranked[:r])
    tau = ranked[r][0] if len(ranked) > r else 0.0
    assert w.tolist() == [max(1.0, tau / f[i]) for i in index]


def test_weights_are_one_on_average_by_enumeration():
    """Three entries, two taken: uniforms on the midpoints of a grid, the mean weight of each is 1 to its spacing."""
    f, r, n = np.array([3.0, 2.0, 1.0]), 2, 16
    grid = (np.arange(n) + 0.5) / n
    total = np.zeros(3)
    for u in itertools.product(grid, repeat=3):
        index, w = estimate(priorities(np.arange(3), f, np.array(u), r), r)
        total[index] += w
    assert total / n**3 == pytest.approx(np.ones(3), abs=0.06)


def test_no_more_entries_than_asked_for_are_taken_as_they_are():
    index, w = estimate(priorities(np.array([7, 3, 5]), np.array([1.0, 0.0, 2.0]), np.zeros(3), 2), 2)
    assert index.tolist() == [5, 7] and w.tolist() == [1, 1]


@pytest.mark.parametrize("f", [[-1.0], [np.nan], [np.inf], [1e300]])
def test_weights_that_are_none_or_would_overflow_are_refused(f):
    with pytest.raises(UsageError):
        priorities(np.arange(1), np.array(f), np.zeros(1), 1)
