"""Approximations with one factor given, against the theorems that say how near they can come."""

from __future__ import annotations

import gallery
import measure
import numpy as np
import pytest
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

import lowrank_cli
from lowrank_cli.algorithms.given import GivenOptions
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.errors import InputError, NumericalError, ResourceError, UsageError
from lowrank_cli.factors.given import Given, GivenReduced


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    with threadpool_limits(1, "blas"):
        yield


def gaussian(m, n, seed=0, dtype="float64"):
    return gallery.with_spectrum(m, n, np.linspace(2.0, 1.0, min(m, n)), seed, dtype)[0]


def specimen(dtype="float64"):
    """M (40 x 30) and a left factor of 8 columns that has much of it in its range, ill-conditioned."""
    M, _ = gallery.with_spectrum(40, 30, gallery.poly(30), 1, dtype)
    mixed = gaussian(30, 8, 2, dtype) * np.geomspace(1, 1e-4, 8)
    return M, (M @ mixed).astype(dtype)


def wanted(M, L, k):
    """The least error of L B over rank B <= k: |(I - Q Q^H) M|^2 + the tail of the singular values of Q^H M."""
    U, s, _ = np.linalg.svd(L, full_matrices=False)
    Q = U[:, s > 1e-10 * s[0]]
    C = Q.conj().T @ M
    tail = np.linalg.svd(C, compute_uv=False)[k:]
    return float(np.sqrt(measure.norm(M - Q @ C) ** 2 + np.sum(tail**2)))


def both_sides(M, L, **asked):
    """The outcome with L given on the left of M, and with its adjoint on the right of that of M."""
    adjoint = np.ascontiguousarray(L.conj().T)
    return lowrank_cli.approx(M, left=L, **asked), lowrank_cli.approx(M.conj().T, right=adjoint, **asked)


# The best other factor


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_the_other_factor_is_the_pseudo_inverse_times_the_matrix(dtype):
    M, L = specimen(dtype)
    R = np.linalg.pinv(L) @ M
    left, right = both_sides(M, L)
    assert isinstance(left.factor, Given) and left.status is Status.CONVERGED and left.factor.rank == 8
    assert measure.norm(left.factor.R - R) < 1e-9 * measure.norm(R)
    assert measure.norm(right.factor.L - R.conj().T) < 1e-9 * measure.norm(R)
    for done in (left, right):
        assert done.certificate.absolute == pytest.approx(wanted(M, L, 8), rel=1e-12)
        assert done.facts["least_relative"] == done.certificate.relative and done.facts["given_rank"] == 8


@pytest.mark.parametrize("stored", ["float64", "float32", "complex64", "int16", ">f8", "F", "float16"])
def test_the_given_factor_is_kept_bit_for_bit(stored):
    M, L = specimen()
    L = np.asfortranarray(L) if stored == "F" else np.round(100 * L).astype(stored)
    kept = L.copy()
    for rank in (None, 3):
        left, right = both_sides(M, L, rank=rank)
        assert np.array_equal(left.factor.L, L) and np.array_equal(right.factor.R, L.conj().T)
    assert np.array_equal(L, kept) and not np.shares_memory(left.factor.L, L)


def test_a_sparse_factor_stays_sparse():
    M = gaussian(40, 30, 1)
    L = np.where(gaussian(40, 8, 2) > 0.2, 1.0, 0.0)
    for rank in (None, 3):
        left = lowrank_cli.approx(csr_array(M), left=csr_array(L), rank=rank)
        right = lowrank_cli.approx(M.T, right=csr_array(L.T), rank=rank)
        assert (left.factor.L != csr_array(L)).nnz == 0 and (right.factor.R != csr_array(L.T)).nnz == 0
        assert left.certificate.absolute == pytest.approx(wanted(M, L, rank or 8), rel=1e-12)
        assert right.certificate.absolute == pytest.approx(wanted(M, L, rank or 8), rel=1e-12)


def test_a_matrix_in_the_range_of_its_factor_is_found_to_rounding():
    M, L = gaussian(40, 6, 3) @ gaussian(6, 25, 4), None
    L = M[:, :6].copy()
    assert lowrank_cli.approx(M, left=L).certificate.relative < 1e-14
    assert lowrank_cli.approx(M, left=L, rank=3).certificate.relative > 0.1


def test_of_a_factor_with_dependent_columns_the_solution_of_least_norm_is_taken():
    M, L = specimen()
    double = np.hstack([L, L])
    done = lowrank_cli.approx(M, left=double)
    assert done.facts["given_rank"] == 8 and done.factor.R.shape == (16, 30)
    assert done.certificate.absolute == pytest.approx(wanted(M, L, 8), rel=1e-12)
    R = np.linalg.pinv(double, rcond=1e-10) @ M
    assert measure.norm(done.factor.R) == pytest.approx(measure.norm(R), rel=1e-8)


def test_a_wide_factor_of_full_row_rank_gives_the_matrix_itself_with_least_norm():
    M, L = gaussian(12, 9, 1), gaussian(12, 20, 2)
    left, right = both_sides(M, L)
    R = np.linalg.pinv(L) @ M
    assert max(left.certificate.relative, right.certificate.relative) < 1e-14
    assert measure.norm(left.factor.R - R) < 1e-13 and measure.norm(right.factor.L - R.T) < 1e-13


def test_the_rounding_of_a_float32_factor_does_not_show_in_the_error_of_a_float64_matrix():
    L = gaussian(40, 6, 1, "float32")
    M = L.astype("float64") @ gaussian(6, 25, 2)
    assert lowrank_cli.approx(M, left=L).certificate.relative < 1e-14


@pytest.mark.parametrize("rank", [None, 3])
def test_a_real_factor_goes_with_a_complex_matrix_and_a_complex_one_with_a_real(rank):
    M, L = specimen()
    rows = np.hstack([L, L[:, :1]])
    for A, given in ((M * (1 + 1j), L), (M * 1j, rows), (M, L * (1 + 2j)), (M.astype("f4"), L * 1j)):
        done = lowrank_cli.approx(A, left=given, rank=rank)
        assert done.factor.dtype == "complex128"
        wide = A.astype("complex128")
        assert done.certificate.absolute == pytest.approx(wanted(wide, given, rank or 8), rel=1e-9)
        assert np.linalg.norm(wide - done.factor.reconstruct()) == pytest.approx(done.certificate.absolute, rel=1e-9)


def test_a_zero_factor_and_a_zero_matrix_have_answers():
    M, L = specimen()
    done = lowrank_cli.approx(M, left=np.zeros((40, 3)))
    assert done.certificate.relative == 1.0 and not done.factor.R.any() and done.facts["warnings"]
    for rank in (None, 2):
        assert lowrank_cli.approx(np.zeros((40, 30)), left=L, rank=rank).certificate.relative == 0.0


# A lower rank


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("k", [1, 3, 7, 8, 20])
def test_the_error_of_rank_k_is_the_distance_plus_the_tail(k, dtype):
    M, L = specimen(dtype)
    for done in both_sides(M, L, rank=k):
        assert done.factor.rank == min(k, 8)
        assert isinstance(done.factor, GivenReduced) == (k < 8)
        assert done.certificate.absolute == pytest.approx(wanted(M, L, k), rel=1e-11)
        assert np.linalg.matrix_rank(done.factor.reconstruct(), tol=1e-9) == min(k, 8)


def test_no_other_matrix_of_the_rank_is_nearer():
    """The best of 200 random ones near the optimum, and what alternating least squares finds from 20 starts."""
    M, L = specimen()
    rng = np.random.default_rng(5)
    done = lowrank_cli.approx(M, left=L, rank=2)
    W, R = done.factor.W, done.factor.R
    least = done.certificate.absolute
    for size in np.repeat([1e-1, 1e-3, 1e-5, 1e-6], 50):
        other = (W + size * rng.standard_normal(W.shape)) @ (R + size * rng.standard_normal(R.shape))
        assert np.linalg.norm(M - L @ other) >= least * (1 - 1e-12)
    Q = np.linalg.qr(L)[0]
    found = []
    for _ in range(20):
        X = rng.standard_normal((8, 2))
        for _ in range(100):
            Y = np.linalg.lstsq(Q @ X, M, rcond=None)[0]
            X = np.linalg.lstsq(Y.T, (Q.T @ M).T, rcond=None)[0].T
        found.append(np.linalg.norm(M - Q @ X @ Y))
    assert min(found) == pytest.approx(least, rel=1e-6) and min(found) >= least * (1 - 1e-12)


def test_given_the_whole_space_the_reduced_rank_is_that_of_the_svd():
    M, _ = gallery.with_spectrum(25, 20, gallery.poly(20), 3)
    s = gallery.poly(20)
    done = lowrank_cli.approx(M, left=gaussian(25, 25, 4), rank=5)
    assert done.certificate.absolute == pytest.approx(measure.best(s, 5), rel=1e-12)


def test_a_tolerance_takes_the_smallest_rank_that_meets_it():
    M, L = specimen()
    errors = [wanted(M, L, k) / measure.norm(M) for k in range(9)]
    for k in range(1, 8):
        for done in both_sides(M, L, rtol=0.5 * (errors[k - 1] + errors[k])):
            assert done.factor.rank == k and done.status is Status.CONVERGED
            assert done.certificate.relative == pytest.approx(errors[k], rel=1e-10)
            assert done.facts["least_relative"] == pytest.approx(errors[8], rel=1e-10)


@pytest.mark.parametrize("rank", [None, 8, 20])
def test_a_tolerance_that_the_factor_cannot_meet_gives_all_there_is_and_says_so(rank):
    M, L = specimen()
    for done in both_sides(M, L, rtol=0.5 * wanted(M, L, 8) / measure.norm(M), rank=rank):
        assert done.status is Status.GIVEN_EXHAUSTED and not done.bound_met and isinstance(done.factor, Given)
        assert done.certificate.absolute == pytest.approx(wanted(M, L, 8), rel=1e-12)


def test_a_rank_below_what_the_tolerance_needs_is_reached_and_says_so():
    M, L = specimen()
    done = lowrank_cli.approx(M, left=L, rank=2, rtol=1e-3)
    assert done.status is Status.RANK_REACHED and done.factor.rank == 2


def test_with_neither_rank_nor_tolerance_nothing_is_cut():
    M, L = specimen()
    assert isinstance(lowrank_cli.approx(M, left=L).factor, Given)


@pytest.mark.parametrize(("norm", "certify"), [("spectral", "exact"), ("fro", "probes"), ("fro", "none")])
def test_the_error_is_known_in_every_way(norm, certify):
    M, L = specimen()
    for rank in (None, 3):
        done = lowrank_cli.approx(M, left=L, norm=norm, certify=certify, rank=rank or 8)
        E = M - done.factor.reconstruct()
        true = np.linalg.norm(E, 2) if norm == "spectral" else np.linalg.norm(E)
        if certify == "none":
            assert done.certificate.absolute is None
        else:
            assert true * (1 - 1e-9) <= done.certificate.absolute
            assert certify == "probes" or done.certificate.absolute == pytest.approx(true, rel=1e-10)


# Ridge


def objective(M, L, R, ridge):
    return np.linalg.norm(M - L @ R) ** 2 + ridge * np.linalg.norm(R) ** 2


@pytest.mark.parametrize("ridge", [1e-3, 0.5, 20.0])
@pytest.mark.parametrize("k", [None, 1, 4])
def test_a_ridge_minimizes_its_objective_at_every_rank(ridge, k):
    M, L = specimen()
    n = L.shape[1]
    done = lowrank_cli.approx(M, left=L, rank=k, options=GivenOptions(ridge=ridge))
    R = done.factor.R if k is None else done.factor.W @ done.factor.R
    # in coordinates where the objective is a distance: augmented and orthonormalized
    Q, T = np.linalg.qr(np.vstack([L, np.sqrt(ridge) * np.eye(n)]))
    U, s, Vh = np.linalg.svd(Q.T @ np.vstack([M, np.zeros((n, 30))]), full_matrices=False)
    kept = k or n
    exact = np.linalg.solve(T, (U[:, :kept] * s[:kept]) @ Vh[:kept])
    assert measure.norm(R - exact) < 1e-9 * measure.norm(exact)
    if k is None:
        closed = np.linalg.solve(L.T @ L + ridge * np.eye(n), L.T @ M)
        assert measure.norm(R - closed) < 1e-9 * measure.norm(closed)
    assert done.certificate.absolute == pytest.approx(np.linalg.norm(M - L @ R), rel=1e-10)
    assert "least_relative" not in done.facts or done.facts["least_relative"] is None
    rng = np.random.default_rng(0)
    left, right = (np.eye(n), R) if k is None else (done.factor.W, done.factor.R)
    for _ in range(50):
        other = left @ (right + 1e-3 * rng.standard_normal(right.shape))
        assert objective(M, L, other, ridge) >= objective(M, L, R, ridge)


# Scale


@pytest.mark.parametrize(
    ("of_factor", "of_matrix"), [(600, 0), (-600, 0), (0, 700), (0, -700), (500, 500), (-400, 500)]
)
@pytest.mark.parametrize("rank", [None, 3])
def test_every_scale_gives_the_same_bits(of_factor, of_matrix, rank):
    M, L = specimen()
    base = lowrank_cli.approx(M, left=L, rank=rank)
    moved = lowrank_cli.approx(np.ldexp(M, of_matrix), left=np.ldexp(L, of_factor), rank=rank)
    assert moved.certificate.relative == pytest.approx(base.certificate.relative, rel=1e-12)
    assert np.array_equal(moved.factor.L, np.ldexp(L, of_factor))
    if rank is None:
        assert np.array_equal(moved.factor.R, np.ldexp(base.factor.R, of_matrix - of_factor))
    else:
        assert np.array_equal(moved.factor.W, np.ldexp(base.factor.W, -of_factor))
        assert np.array_equal(moved.factor.R, np.ldexp(base.factor.R, of_matrix))


def test_a_factor_beyond_the_range_of_floats_is_refused():
    with pytest.raises(NumericalError, match="overflows"):
        lowrank_cli.approx(1e200 * np.eye(3), left=1e-200 * np.eye(3))


# Refusals


def test_what_does_not_fit_is_refused_with_both_shapes():
    M, L = specimen()
    with pytest.raises(UsageError, match="the left factor is 8x40, the matrix 40x30; they must have as many rows"):
        lowrank_cli.approx(M, left=L.T)
    with pytest.raises(UsageError, match="the right factor is 40x8, the matrix 40x30; they must have as many columns"):
        lowrank_cli.approx(M, right=L)
    with pytest.raises(UsageError, match="at most 30"):
        lowrank_cli.approx(M, left=L, rank=31)
    with pytest.raises(UsageError, match="takes no tolerance"):
        lowrank_cli.approx(M, left=L, rtol=0.5, options=GivenOptions(ridge=1.0))
    with pytest.raises(UsageError, match="--left L or --right R"):
        lowrank_cli.approx(M, left=L, right=np.eye(30))
    with pytest.raises(UsageError, match="--left L or --right R"):
        lowrank_cli.approx(M, method="given")
    with pytest.raises(UsageError, match="--left goes with --method given, not svd"):
        lowrank_cli.approx(M, left=L, method="svd")
    with pytest.raises(UsageError, match="--ridge must be at least 0"):
        GivenOptions(ridge=-1.0)


def test_entries_that_are_not_finite_are_refused_wherever_they_are():
    M, L = specimen()
    spoilt = L.copy()
    spoilt[3, 5] = np.nan
    with pytest.raises(InputError, match="row 3, column 5"):
        lowrank_cli.approx(M, left=spoilt)
    M[2, 1] = np.inf
    with pytest.raises(InputError, match="row 2, column 1"):
        lowrank_cli.approx(M, left=L)


def test_a_sparse_factor_too_large_to_be_written_out_is_refused():
    L = csr_array((np.ones(3), ([0, 1, 2], [0, 1, 2])), shape=(9000, 9000))
    with pytest.raises(ResourceError, match=r"the left factor is sparse, 9000x9000.*fewer columns"):
        lowrank_cli.approx(np.ones((9000, 1)), left=L)
