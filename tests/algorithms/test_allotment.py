"""Ranks for many matrices from one budget: against every choice there is, and against the bound it prints."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowrank_cli.algorithms.allotment import Priced, allot
from lowrank_cli.errors import UsageError


def priced(values: list[float], price: int, exponent: int = 0) -> Priced:
    squares = np.append(np.cumsum(np.square(sorted(values)))[::-1], 0.0)
    norm = squares[0] ** 0.5
    errors = np.sqrt(squares) / (norm or 1.0)
    return Priced(errors, errors, norm, exponent, price)


def every_choice(matrices: list[Priced]):
    """(bytes, relative error of all) of every rank of every matrix, at least 1."""
    whole = sum(one.norm**2 for one in matrices) or 1.0
    for ranks in itertools.product(*(range(1, len(one.errors)) for one in matrices)):
        left = sum((one.norm * one.errors[k]) ** 2 for one, k in zip(matrices, ranks, strict=True))
        yield sum(one.price * k for one, k in zip(matrices, ranks, strict=True)), (left / whole) ** 0.5


VALUES = st.lists(st.floats(0.01, 10), min_size=2, max_size=4)


@settings(max_examples=60, deadline=None)
@given(spectra=st.lists(VALUES, min_size=1, max_size=4), steps=st.integers(0, 12))
def test_with_equal_prices_no_other_ranks_leave_less(spectra, steps):
    matrices = [priced(values, 10) for values in spectra]
    size = 10 * (len(matrices) + steps)
    found = allot(matrices, size=size)
    best = min(error for taken, error in every_choice(matrices) if taken <= size)
    assert found.size <= size and found.error == pytest.approx(best, rel=1e-9, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    spectra=st.lists(st.tuples(VALUES, st.integers(1, 20)), min_size=1, max_size=4),
    more=st.integers(0, 100),
)
def test_with_any_prices_the_best_lies_between_the_bound_and_what_was_found(spectra, more):
    matrices = [priced(*one) for one in spectra]
    size = sum(one.price for one in matrices) + more
    found = allot(matrices, size=size)
    best = min(error for taken, error in every_choice(matrices) if taken <= found.size)
    assert found.size <= size
    assert found.best - 1e-9 <= best <= found.error + 1e-9


@settings(max_examples=60, deadline=None)
@given(
    spectra=st.lists(st.tuples(VALUES, st.integers(1, 20)), min_size=1, max_size=4),
    rtol=st.floats(0.01, 0.9),
)
def test_a_tolerance_for_all_is_met_within_one_step_of_the_fewest_bytes(spectra, rtol):
    matrices = [priced(*one) for one in spectra]
    found = allot(matrices, rtol=rtol)
    fewest = min(taken for taken, error in every_choice(matrices) if error <= rtol)
    assert found.error <= rtol * (1 + 1e-9)
    dearest = max(one.price for one in matrices)
    # the rank of 1 that each must have may be more than a tolerance needs
    assert fewest <= found.size < fewest + dearest + 1e-9


def test_a_bound_of_nothing_is_not_rounded_up_to_something():
    matrices = [priced([1.0, 1.0], 1), priced([1.0, 3.0], 2), priced([1.0, 1.0, 1.0], 1)]
    assert allot(matrices, size=9).best == 0.0


def test_gains_are_weighed_by_bytes():
    """Twice the gain for ten times the bytes is the worse bargain."""
    dear, cheap = priced([8, 2.0], 100), priced([8, 2.0**0.5, 1.0], 10)
    assert allot([dear, cheap], size=205).ranks == [1, 3]


def test_what_is_left_over_goes_to_what_still_fits():
    dear, cheap = priced([10, 9.0], 100), priced([10, 0.5, 0.1], 10)
    assert allot([dear, cheap], size=199).ranks == [1, 3]


def test_a_tolerance_far_below_the_whole_keeps_its_digits():
    matrices = [priced([1.0, 1e-9, 1e-10, 1e-11], 1), priced([1.0, 1e-9, 1e-10, 1e-11], 1)]
    found = allot(matrices, rtol=2e-10)
    assert found.ranks == [2, 2] and found.error == pytest.approx(1.005e-10, rel=1e-2)


def test_scales_far_apart_are_compared():
    large, small = priced([1.0, 0.5], 1, exponent=900), priced([1.0, 0.5], 1, exponent=-900)
    assert allot([small, large], size=3).ranks == [1, 2]


def test_curves_that_end_too_early_are_named():
    short = Priced(np.array([1.0, 0.9, 0.8]), np.array([1.0, 0.9, 0.8, 0.0]), 1.0, 0, 1, True)
    assert allot([priced([1.0, 0.1], 1), short], size=10).short == [1]
    assert allot([priced([1.0, 0.1], 1)], size=10).short == []


def test_a_size_below_rank_1_of_each_is_refused_with_what_it_takes():
    with pytest.raises(UsageError, match="takes 30 bytes"):
        allot([priced([1.0, 0.5], 10), priced([1.0, 0.5], 20)], size=29)


def test_matrices_of_zeros_get_rank_1():
    zero = Priced(np.zeros(3), np.zeros(3), 0.0, 0, 5)
    found = allot([zero, zero], size=100)
    assert found.ranks == [1, 1] and found.error == 0.0
    assert allot([zero, priced([1.0, 0.5], 1)], rtol=0.1).ranks == [1, 2]
