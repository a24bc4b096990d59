"""What may be missing from the leading singular values: algebra against eigenvalues, probabilities by counting."""

from __future__ import annotations

import gallery
import numpy as np
import pytest
from certificates import coverage
from hypothesis import given
from hypothesis import strategies as st

import lowrank_cli
from lowrank_cli.certificates import optimum

SEEDS = 3000


def polynomial(x: np.ndarray, degree: int) -> np.ndarray:
    return np.polynomial.chebyshev.Chebyshev.basis(degree)(x)


@given(st.integers(0, 2**32), st.integers(1, 6), st.sampled_from(["float64", "complex128"]))
def test_the_bound_of_what_is_missing_holds_for_any_orthonormal_columns(seed, k, dtype):
    rng = np.random.default_rng(seed)
    m, n, l = 12, 9, 7
    A, s = gallery.with_spectrum(m, n, rng.uniform(0.1, 2.0, n) ** 3, seed=seed % 1000, dtype=dtype)
    U = np.linalg.qr(A @ rng.standard_normal((n, l)) + 1e-3 * rng.standard_normal((m, l)))[0]
    P, found, Vh = np.linalg.svd(U.conj().T @ A, full_matrices=False)
    U = U @ P
    E = A - U @ (U.conj().T @ A)
    D = E @ Vh.conj().T
    cap = np.linalg.norm(E, 2) ** 2
    bound = optimum.missing(k, found**2, D.conj().T @ D, cap)
    true = np.sum(np.sort(s)[::-1][:k] ** 2) - np.sum(found[:k] ** 2)
    assert true <= bound + 1e-12 * s.max() ** 2
    # and more coupling, or a larger cap, never says less
    assert optimum.missing(k, found**2, 2 * D.conj().T @ D, cap) >= bound - 1e-12
    assert optimum.missing(k, found**2, D.conj().T @ D, 1.5 * cap) >= bound - 1e-12


def test_nothing_is_missing_from_singular_vectors():
    s = gallery.poly(20)
    E = np.zeros((20, 20))
    assert optimum.missing(5, s**2, E, 0.0) == pytest.approx(0.0, abs=1e-15)
    # a cap between s_4^2 and s_5^2 lifts the fifth value to it
    cap = 0.5 * (s[3] ** 2 + s[4] ** 2)
    assert optimum.missing(5, s**2, E, cap) == pytest.approx(cap - s[4] ** 2, rel=1e-12)


@given(st.integers(0, 2**32), st.integers(1, 4))
def test_joined_parts_bound_the_square_of_their_sum(seed, count):
    rng = np.random.default_rng(seed)
    parts = [rng.standard_normal((8, 5)) * 10.0 ** rng.integers(-6, 6) for _ in range(count)]
    total = sum(parts)
    bound = optimum.joint([part.T @ part for part in parts])
    least = np.linalg.eigvalsh(bound - total.T @ total)[0]
    assert least >= -1e-12 * np.trace(bound)


def test_a_part_that_is_zero_costs_nothing():
    part = np.diag([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(optimum.joint([part, np.zeros((3, 3))]), part)


@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("spike", [1.02, 1.5, 4.0])
def test_the_cap_fails_at_most_as_often_as_stated(spike, degree, complex_):
    """A spike and nothing else is the worst case: then the count of failures is that of the theory itself."""
    rng = np.random.default_rng([degree, int(100 * spike)])
    delta, bulk = 1e-2, 1.0
    g = np.square(rng.standard_normal((SEEDS, optimum.COUNT)))
    if complex_:
        g = 0.5 * (g + np.square(rng.standard_normal((SEEDS, optimum.COUNT))))
    lifted = spike * optimum.chebyshev(degree, 2 * spike / bulk - 1) ** 2
    caps = np.array([optimum.cap(lifted * x, bulk, degree, delta, complex_) for x in g.sum(axis=1)])
    failures = int(np.sum(caps < spike))
    assert failures <= coverage.most(SEEDS, delta)
    assert failures >= coverage.least(SEEDS, delta)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_the_cap_is_never_below_the_norm_of_flat_and_decaying_residuals_at_one_in_a_million(degree):
    rng = np.random.default_rng(degree)
    for squares in (np.ones(300), 1.0 / np.arange(1, 301), np.append(2.0, np.full(299, 0.9))):
        bulk = 1.0
        lifted = np.sqrt(squares) * polynomial(2 * squares / bulk - 1, degree)
        for _ in range(20):
            Y = lifted[:, None] * rng.standard_normal((300, optimum.COUNT))
            assert optimum.cap(np.linalg.norm(Y, 2) ** 2, bulk, degree, 1e-6) >= squares.max()


def test_higher_degrees_come_nearer():
    squares = 1.0 / np.arange(1, 2001)
    rng = np.random.default_rng(0)
    G = rng.standard_normal((2000, optimum.COUNT))
    caps = []
    for degree in (0, 1, 2, 3):
        lifted = np.sqrt(squares) * polynomial(2 * squares - 1, degree)
        caps.append(optimum.cap(np.linalg.norm(lifted[:, None] * G, 2) ** 2, 1.0, degree, 1e-6))
    assert caps == sorted(caps, reverse=True) and caps[3] < 1.2 * squares.max()


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_the_lower_end_from_probes_is_below_the_optimum_and_says_how_often_it_may_not_be(dtype):
    A, s = gallery.with_spectrum(700, 600, gallery.poly(600), seed=2, dtype=dtype)
    best = float(np.linalg.norm(s[20:]) / np.linalg.norm(s))
    for seed in range(3):
        found = lowrank_cli.approx(A, rank=20, seed=seed, failure_probability=1e-4).certificate
        assert found.optimal_failure_probability == 1e-4
        assert found.optimal_lower <= best * (1 + 1e-5) and best <= found.optimal_upper * (1 + 1e-5)
        assert found.optimal_upper <= 1.01 * found.optimal_lower


def test_where_the_basis_says_enough_nothing_is_left_to_chance():
    A, _ = gallery.with_spectrum(700, 600, gallery.exponential(600, 0.05), seed=2)
    assert lowrank_cli.approx(A, rank=20).certificate.optimal_failure_probability is None
    assert lowrank_cli.approx(A[:90, :70], rank=20).certificate.optimal_failure_probability is None
