"""The yardstick of the statistical tests itself."""

from __future__ import annotations

import numpy as np
import pytest
from certificates import coverage


@pytest.mark.parametrize(
    ("trials", "probability", "count"), [(2000, 1e-2, 44), (5000, 1e-2, 87), (20000, 1e-3, 45), (20000, 1e-6, 3)]
)
def test_the_largest_allowed_counts_are_those_of_the_binomial_distribution(trials, probability, count):
    assert coverage.most(trials, probability) == count


@pytest.mark.parametrize(("trials", "probability", "caught"), [(2000, 1e-2, 0.031), (20000, 1e-3, 0.0032)])
def test_a_bound_that_fails_three_times_too_often_is_caught(trials, probability, caught):
    found = np.random.default_rng(0).binomial(trials, caught * 1.05, 4000) > coverage.most(trials, probability)
    assert found.mean() > 0.98


@pytest.mark.parametrize("kind", coverage.RESIDUALS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
def test_the_residuals_have_the_singular_values_they_are_said_to_have(kind, dtype):
    s = coverage.RESIDUALS[kind]
    A, F = coverage.with_residual(s, dtype)
    found = np.linalg.svd(A - F.reconstruct(), compute_uv=False)[: len(s)]
    np.testing.assert_allclose(found, s, atol=30 * np.finfo(dtype).eps)
