"""The truncated SVD against Eckart-Young, LAPACK and closed forms. Up to 500 columns LAPACK does it, above a Krylov
basis."""

from __future__ import annotations

import functools
import itertools

import gallery
import measure
import numpy as np
import pytest

import lowrank_cli
from lowrank_cli.algorithms.svd import SVDOptions
from lowrank_cli.errors import UsageError

M, N = 600, 520  # beyond the size that goes to LAPACK

DECAYING = {
    "1/i": lambda n: gallery.poly(n),
    "1/i^2": lambda n: gallery.poly(n, 2.0),
    "i^-1/2": gallery.inverse_sqrt,
    "exp(-i/20)": lambda n: gallery.exponential(n, 0.05),
    "stairs": lambda n: gallery.stairs(n, 30),
}


@functools.cache
def large(name: str, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    return gallery.with_spectrum(M, N, DECAYING[name](N), seed=7, dtype=dtype)


def svd(A, **asked):
    return lowrank_cli.approx(A, method="svd", **asked)


def used_krylov(outcome) -> bool:
    return "block krylov" in outcome.facts["kernels"]


# Orthonormality


@pytest.mark.parametrize("name", sorted(gallery.GALLERY))
def test_lapack_test_ratios_of_a_full_decomposition_stay_below_the_alarm(name):
    A, _ = gallery.GALLERY[name]()
    factor = svd(A, rank=min(A.shape)).factor
    wide = measure.wide(A) - measure.product(factor)
    size = np.abs(A).sum(axis=0).max()
    backward = float(np.abs(wide).sum(axis=0).max()) / (max(float(size), 1e-300) * max(A.shape) * measure.eps(A))
    assert backward <= 10
    assert measure.from_orthonormal(factor.U) <= 10
    assert measure.from_orthonormal(factor.Vh.conj().T) <= 10


CASES = {
    "decaying": lambda dtype: large("1/i", dtype)[0],
    "graded over 50 digits": lambda dtype: large("exp(-i/20)", dtype)[0] * np.exp(-0.15 * np.arange(N)).astype(dtype),
    "rank 7 of 30": lambda dtype: gallery.exact_rank(M, N, 7, dtype=dtype)[0],
    "wide": lambda dtype: np.ascontiguousarray(large("1/i^2", dtype)[0].T),
    "zero": lambda dtype: np.zeros((M, N), dtype),
    "few columns": lambda dtype: gallery.duplicate_columns(M, N // 2)[0][:, ::-1].astype(dtype),
}


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_krylov_factors_are_orthonormal(case, dtype):
    outcome = svd(CASES[case](dtype), rank=30)
    assert used_krylov(outcome)
    factor = outcome.factor
    assert factor.U.dtype == factor.Vh.dtype == dtype and factor.s.dtype == factor.U.real.dtype
    k = min(M, N)
    for Q in (factor.U, factor.Vh.conj().T):
        G = Q.conj().T.astype("complex128") @ Q.astype("complex128") - np.eye(Q.shape[1])
        assert np.linalg.norm(G, 2) <= 30 * k * np.finfo(dtype).eps


@pytest.mark.parametrize("case", CASES)
def test_singular_values_are_non_negative_finite_and_do_not_increase(case):
    s = svd(CASES[case]("float64"), rank=30).factor.s
    assert np.all(np.isfinite(s)) and np.all(s >= 0) and np.all(np.diff(s) <= 0)


# Optimality


@pytest.mark.parametrize("k", [5, 20])
@pytest.mark.parametrize("name", DECAYING)
def test_the_error_is_never_below_the_best_and_at_most_half_a_percent_above(name, k):
    A, s = large(name)
    for seed in range(4):
        outcome = svd(A, rank=k, seed=seed)
        assert used_krylov(outcome)
        error = np.linalg.norm(A - outcome.factor.reconstruct())
        assert (1 - 100 * measure.eps(A)) * measure.best(s, k) <= error <= 1.005 * measure.best(s, k)


@pytest.mark.slow
@pytest.mark.parametrize("name", DECAYING)
def test_the_error_is_at_most_half_a_percent_above_the_best_for_many_seeds_and_ranks(name):
    A, s = large(name)
    for seed in range(40):
        k = 1 + 3 * (seed % 14)
        error = np.linalg.norm(A - svd(A, rank=k, seed=seed).factor.reconstruct())
        assert (1 - 100 * measure.eps(A)) * measure.best(s, k) <= error <= 1.005 * measure.best(s, k), (seed, k)


@pytest.mark.parametrize("name", DECAYING)
def test_ritz_values_stay_below_singular_values_and_within_the_error_of_them(name):
    A, s = large(name)
    for seed in range(3):
        factor = svd(A, rank=25, seed=seed).factor
        assert np.all(factor.s <= s[:25] * (1 + 100 * M * measure.eps(A)))
        spectral = np.linalg.norm(A - factor.reconstruct(), 2)
        assert np.all(np.abs(factor.s - s[:25]) <= spectral + 1e-13)


def test_left_and_right_vectors_are_each_others_image():
    A, _ = large("1/i")
    factor = svd(A, rank=20).factor
    np.testing.assert_allclose(A.T @ factor.U, factor.Vh.T * factor.s, rtol=0, atol=30 * N * measure.eps(A))


@pytest.mark.parametrize("name", ["lower_ones_30", "poly_2_40x30", "complex128_40x30", "stairs_40x30", "clement_21"])
def test_the_error_does_not_grow_with_the_rank_by_lapack(name):
    A, s = gallery.GALLERY[name]()
    errors = [svd(A, rank=k).certificate.absolute for k in range(1, min(A.shape) + 1)]
    for k, (before, after) in enumerate(itertools.pairwise(errors), start=1):
        # below rounding of A itself there is nothing left to fall
        assert after <= before * (1 + 100 * measure.eps(A)) + 30 * measure.eps(A) * s[0], k


@pytest.mark.parametrize("name", ["1/i", "exp(-i/20)"])
def test_the_error_does_not_grow_with_the_rank_in_one_krylov_basis(name):
    A, _ = large(name)
    fixed = SVDOptions(block=32, max_blocks=4)
    errors = [svd(A, rank=k, options=fixed).certificate.absolute for k in range(2, 44, 3)]
    assert np.all(np.diff(errors) <= 100 * measure.eps(A) * np.array(errors[:-1]))


@pytest.mark.parametrize("name", ["1/i", "i^-1/2"])
def test_more_blocks_never_find_smaller_singular_values(name):
    A, _ = large(name)
    found = [svd(A, rank=20, options=SVDOptions(block=32, max_blocks=q)).factor.s for q in (2, 3, 4)]
    for fewer, more in itertools.pairwise(found):
        assert np.all(more >= fewer * (1 - 100 * measure.eps(A)))


@pytest.mark.parametrize("name", sorted(gallery.GALLERY))
def test_the_enclosure_of_the_best_error_holds(name):
    A, s = gallery.GALLERY[name]()
    if s is None or not s.any():
        pytest.skip("no known spectrum")
    k = max(1, min(A.shape) // 3)
    found = svd(A, rank=k).certificate
    best = measure.best(s, k) / measure.best(s, 0)
    slack = 30 * measure.eps(A)
    assert found.optimal_lower - slack <= best <= found.optimal_upper + slack
    assert found.optimal_upper == found.relative


@pytest.mark.parametrize("name", DECAYING)
def test_the_enclosure_of_the_best_error_holds_in_a_krylov_basis(name):
    A, s = large(name)
    found = svd(A, rank=20).certificate
    best = measure.best(s, 20) / measure.best(s, 0)
    assert 0 < found.optimal_lower <= best * (1 + 1e-12) and best <= found.optimal_upper * (1 + 1e-12)


# Signs


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("float64", (M, N)), ("float32", (M, N)), ("complex128", (M, N)), ("complex64", (60, 40))],
    ids=["krylov", "float32", "complex", "lapack complex64"],
)
def test_the_first_entry_of_largest_modulus_of_each_left_vector_is_real_and_positive(dtype, shape):
    A = large("1/i", dtype)[0][: shape[0], : shape[1]]
    U = svd(A, rank=20).factor.U
    lead = U[np.argmax(np.abs(U), axis=0), np.arange(U.shape[1])]
    assert np.all(lead.real > 0)
    assert np.all(np.abs(lead.imag) <= 4 * measure.eps(A) * np.abs(lead))


def test_d14_of_entries_of_equal_modulus_the_first_is_positive():
    A = np.array([[-3.0, 0.0], [3.0, 0.0], [0.0, -1.0]])
    U = svd(A, rank=2).factor.U
    assert U[0, 0] > 0 > U[1, 0] and U[2, 1] > 0


# Scaling


@pytest.mark.parametrize("exponent", [-900, -333, -101, -100, -20, 17, 100, 101, 455, 900])
@pytest.mark.parametrize("shape", [(60, 40), (M, N)], ids=["lapack", "krylov"])
def test_d07_a_power_of_two_scales_s_exactly_and_leaves_the_vectors_bit_for_bit(shape, exponent):
    A = large("1/i")[0][: shape[0], : shape[1]]
    for asked in ({"rank": 9}, {"rtol": 0.2}):
        one, other = svd(A, **asked), svd(np.ldexp(A, exponent), **asked)
        assert one.factor.U.tobytes() == other.factor.U.tobytes()
        assert one.factor.Vh.tobytes() == other.factor.Vh.tobytes()
        assert np.array_equal(np.ldexp(one.factor.s, exponent), other.factor.s)
        assert one.certificate.relative == other.certificate.relative
        assert np.ldexp(one.certificate.absolute, exponent) == other.certificate.absolute


@pytest.mark.parametrize("exponent", [-100, -40, -16, 17, 60, 100])
def test_a_power_of_two_scales_float32_exactly(exponent):
    A = large("1/i", "float32")[0]
    A = np.where(np.abs(A) < 1e-6, np.float32(1e-6), A)
    one, other = svd(A, rank=9), svd(np.ldexp(A, exponent), rank=9)
    assert one.factor.U.tobytes() == other.factor.U.tobytes()
    assert np.array_equal(np.ldexp(one.factor.s, exponent), other.factor.s)
    assert one.certificate.relative == other.certificate.relative


@pytest.mark.parametrize("scale", [1e-200, 1e200, 1e-290, 1e290])
@pytest.mark.parametrize("shape", [(60, 40), (M, N)], ids=["lapack", "krylov"])
def test_d07_the_error_is_right_at_extreme_scales(shape, scale):
    A, s = gallery.with_spectrum(*shape, gallery.poly(min(shape)), seed=3)
    found = svd(A * scale, rank=8).certificate
    best = measure.best(s, 8)
    assert best * (1 - 1e-12) <= found.absolute / scale <= 1.005 * best
    assert found.relative == pytest.approx(found.absolute / scale / measure.best(s, 0), rel=1e-12)


# Shapes and ranks that are easy to get wrong


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (20, 10), (M, N)])
def test_d03_a_zero_matrix_has_error_zero(shape):
    outcome = svd(np.zeros(shape), rank=1)
    assert outcome.certificate.absolute == 0.0 and outcome.certificate.relative == 0.0
    assert np.all(outcome.factor.s == 0)
    assert measure.from_orthonormal(outcome.factor.U) <= 10


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1)])
def test_d06_a_single_row_or_column_is_its_own_approximation(shape):
    A = np.random.default_rng(4).standard_normal(shape)
    outcome = svd(A)
    assert outcome.factor.rank == 1
    assert outcome.certificate.relative <= 4 * measure.eps(A)
    assert outcome.factor.s[0] == pytest.approx(np.linalg.norm(A), rel=1e-15)


@pytest.mark.parametrize("n", [1, 2, 50, 510])
def test_every_approximation_of_the_identity_misses_the_rest_of_it(n):
    k = (n + 1) // 2
    outcome = svd(np.eye(n), rank=k)
    assert outcome.certificate.absolute == pytest.approx(np.sqrt(n - k), rel=1e-13, abs=1e-13)
    np.testing.assert_allclose(outcome.factor.s, 1.0, rtol=1e-13)


@pytest.mark.parametrize("m", [20, M])
def test_equal_columns_have_rank_one(m):
    A, s = gallery.all_equal(m, m + 3)
    outcome = svd(A, rtol=1e-12)
    assert outcome.factor.rank == 1
    assert outcome.factor.s[0] == pytest.approx(s[0], rel=1e-14)
    assert outcome.certificate.relative <= 100 * measure.eps(A)


@pytest.mark.parametrize("n", [15, 280])
def test_columns_that_come_twice_cost_no_rank(n):
    A, s = gallery.duplicate_columns(2 * n, n)
    outcome = svd(A, rtol=1e-10)
    assert outcome.factor.rank <= n
    np.testing.assert_allclose(outcome.factor.s, s[: outcome.factor.rank], rtol=0, atol=1e-13 * s[0])


@pytest.mark.parametrize("shape", [(50, 40), (M, N), (N, M)], ids=["lapack", "krylov", "krylov wide"])
@pytest.mark.parametrize("dtype", gallery.DTYPES)
def test_a_matrix_of_exact_rank_is_reproduced_to_rounding(shape, dtype):
    A, s = gallery.exact_rank(*shape, 6, dtype=dtype)
    for k in (6, 9, 30):
        outcome = svd(A, rank=k)
        assert outcome.certificate.relative <= 100 * measure.eps(A)
        np.testing.assert_allclose(outcome.factor.s[:6], s[:6], rtol=0, atol=100 * measure.eps(A))


def test_ranks_from_one_to_the_smaller_side_all_come_out_as_asked():
    A = np.random.default_rng(1).standard_normal((30, 23))
    assert [svd(A, rank=k).factor.rank for k in (1, 2, 22, 23)] == [1, 2, 22, 23]


def test_d16_a_rank_above_the_smaller_side_is_refused():
    with pytest.raises(UsageError, match="24"):
        svd(np.ones((30, 23)), rank=24)
