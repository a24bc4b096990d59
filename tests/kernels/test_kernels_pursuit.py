"""Pursuits on a Gram matrix: each square is a least-squares distance, each step the best one there is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lowrank_cli.kernels.pursuit import pursue


def vectors(d=20, l=12, seed=0):
    return np.random.default_rng(seed).standard_normal((d, l)) * np.arange(1, l + 1) ** -0.5


def distance(A, index):
    """The squared distance of the sum of all columns from the span of these."""
    b = A.sum(axis=1)
    return float(np.sum((A[:, index] @ np.linalg.lstsq(A[:, index], b, rcond=None)[0] - b) ** 2))


def test_squares_are_least_squares_distances():
    for seed in range(5):
        A = vectors(seed=seed)
        index, squares = pursue(A.T @ A, 11, -math.inf)
        assert len(index) == len(set(index.tolist())) == 11
        for k in range(1, 12):
            assert squares[k - 1] == pytest.approx(distance(A, index[:k]), rel=1e-9)


def test_every_step_is_the_one_that_lowers_the_distance_most():
    A = vectors()
    index, squares = pursue(A.T @ A, 6, -math.inf)
    for k in range(6):
        free = [i for i in range(12) if i not in index[:k]]
        assert squares[k] == pytest.approx(min(distance(A, [*index[:k], i]) for i in free), rel=1e-9)


def test_vectors_in_the_span_of_the_chosen_are_passed_over():
    A = np.tile(vectors(20, 3), 4)
    index, squares = pursue(A.T @ A, 12, -math.inf)
    assert len(index) == 3 and sorted(i % 3 for i in index) == [0, 1, 2]
    assert squares[-1] <= 1e-12 * float(np.sum(A.sum(axis=1) ** 2))


def test_it_stops_at_the_goal():
    A = vectors()
    squares = pursue(A.T @ A, 12, -math.inf)[1]
    index, until = pursue(A.T @ A, 12, float(squares[4]))
    assert len(index) == 5 and np.array_equal(until, squares[:5])


@pytest.mark.parametrize("exponent", [-480, 480])
def test_powers_of_two_change_no_choice(exponent):
    A = vectors()
    one, other = pursue(A.T @ A, 8, -math.inf), pursue(np.ldexp(A.T @ A, 2 * exponent), 8, -math.inf)
    assert np.array_equal(one[0], other[0]) and np.array_equal(np.ldexp(one[1], 2 * exponent), other[1])


def test_equal_vectors_are_chosen_lowest_index_first_and_zeros_never():
    A = np.array([[0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.5]])
    assert pursue(A.T @ A, 4, -math.inf)[0].tolist() == [1, 3]
    assert len(pursue(np.zeros((3, 3)), 3, -math.inf)[0]) == 0
