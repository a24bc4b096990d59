"""The interpolative decomposition: exact copies, an exact identity, and errors no worse than LAPACK's pivoting."""

from __future__ import annotations

import functools
import math

import gallery
import measure
import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

import lowrank_cli
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.errors import UsageError

SPECTRA = {
    "1/i": gallery.poly,
    "i^-1/2": gallery.inverse_sqrt,
    "exp(-i/20)": lambda n: gallery.exponential(n, 0.05),
}


@functools.cache
def specimen(spectrum: str, m: int, n: int, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    return gallery.with_spectrum(m, n, SPECTRA[spectrum](min(m, n)), seed=11, dtype=dtype)


def columns(A, **asked):
    return lowrank_cli.approx(A, method="id", **asked)


def rows(A, **asked):
    return lowrank_cli.approx(A, method="id", options=IDOptions(axis="rows"), **asked)


def bits(array) -> bytes:
    return measure.dense(array).tobytes()


#: small: LAPACK-sized, pivoted itself; large: pivoted through a sketch
SHAPES = [(60, 45), (45, 60), (540, 510), (510, 540)]


# Identities that hold exactly


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_chosen_columns_and_rows_are_copies_and_their_coefficients_the_identity(shape, dtype):
    A, _ = specimen("1/i", *shape, dtype)
    for order in gallery.ORDERS:
        B = np.asarray(A, order=order)
        by_columns, by_rows = columns(B, rank=17).factor, rows(B, rank=17).factor
        assert bits(by_columns.C) == A[:, by_columns.cols].tobytes()
        assert np.array_equal(by_columns.Z[:, by_columns.cols], np.eye(17, dtype=dtype))
        assert bits(by_rows.R) == A[by_rows.rows].tobytes()
        assert np.array_equal(by_rows.W[by_rows.rows], np.eye(17, dtype=dtype))
        for index, length in ((by_columns.cols, shape[1]), (by_rows.rows, shape[0])):
            assert index.dtype == np.int64 and len(set(index.tolist())) == 17
            assert 0 <= index.min() and index.max() < length


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", [(50, 70), (700, 900)])
def test_chosen_columns_of_a_sparse_matrix_are_sparse_copies(shape, dtype):
    A = csr_array(random_array(shape, density=0.05, rng=np.random.default_rng(2)).astype(dtype))
    by_columns, by_rows = columns(A, rank=12).factor, rows(A, rank=12).factor
    assert by_columns.C.format == "csr" and by_rows.R.format == "csr"
    assert bits(by_columns.C) == measure.dense(A)[:, by_columns.cols].tobytes()
    assert bits(by_rows.R) == measure.dense(A)[by_rows.rows].tobytes()
    assert np.array_equal(by_columns.Z[:, by_columns.cols], np.eye(12, dtype=dtype))
    assert np.array_equal(by_rows.W[by_rows.rows], np.eye(12, dtype=dtype))


def test_copies_keep_zeros_signs_and_numbers_too_small_to_scale():
    A = np.random.default_rng(0).standard_normal((30, 20)) * 1e200
    A[A < -1e200] = -0.0
    A[0] = 5e-324
    factor = columns(A, rank=20).factor
    assert bits(factor.C) == A[:, factor.cols].tobytes()


@pytest.mark.parametrize("shape", SHAPES)
def test_max_abs_z_is_the_largest_coefficient(shape):
    A, _ = specimen("1/i", *shape)
    by_columns, by_rows = columns(A, rank=20), rows(A, rank=20)
    assert by_columns.facts["max_abs_Z"] == np.abs(by_columns.factor.Z).max()
    assert by_rows.facts["max_abs_Z"] == np.abs(by_rows.factor.W).max()


@pytest.mark.parametrize("shape", SHAPES)
def test_selecting_rows_is_selecting_columns_of_the_transpose(shape):
    A, _ = specimen("1/i", *shape)
    by_rows, of_transpose = rows(A, rank=20), columns(np.ascontiguousarray(A.T), rank=20)
    assert np.array_equal(by_rows.factor.rows, of_transpose.factor.cols)
    assert by_rows.certificate.relative == pytest.approx(of_transpose.certificate.relative, rel=1e-9)


# How good


@pytest.mark.parametrize("shape", [(800, 600), (600, 800)])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_error_is_close_to_that_of_lapacks_pivoted_qr(spectrum, shape):
    """Greedy choices part ways after a near tie: 2 % on the mean over sketches, 5 % for each."""
    A, s = specimen(spectrum, *shape)
    by_lapack = measure.geqp3_errors(A)[40]
    errors = [columns(A, rank=40, seed=seed).certificate.absolute for seed in range(4)]
    assert min(errors) >= (1 - 100 * measure.eps(A)) * measure.best(s, 40)
    assert np.mean(errors) <= 1.02 * by_lapack and max(errors) <= 1.05 * by_lapack


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_at_full_size_the_error_is_at_most_two_percent_above_that_of_lapacks_pivoted_qr(spectrum):
    A, s = gallery.with_spectrum(4000, 3000, SPECTRA[spectrum](3000), seed=1)
    by_lapack = measure.geqp3_errors(A)[100]
    error = columns(A, rank=100).certificate.absolute
    assert (1 - 100 * measure.eps(A)) * measure.best(s, 100) <= error <= 1.02 * by_lapack


@pytest.mark.parametrize("axis", ["cols", "rows"])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_coefficients_are_the_least_squares_ones(spectrum, axis):
    A, _ = specimen(spectrum, 540, 510)
    outcome = lowrank_cli.approx(A, method="id", rank=30, options=IDOptions(axis=axis))
    C, rest = (outcome.factor.C, A) if axis == "cols" else (outcome.factor.R.T, A.T)
    Q = np.linalg.qr(C)[0]
    best = np.linalg.norm(rest - Q @ (Q.T @ rest))
    assert outcome.certificate.absolute == pytest.approx(best, rel=1e-10)


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", [(50, 40), (520, 510), (510, 520)])
@pytest.mark.parametrize("choose", [columns, rows])
def test_a_matrix_of_exact_rank_is_reproduced_to_rounding(choose, shape, dtype):
    A, _ = gallery.exact_rank(*shape, 6, dtype=dtype)
    for asked in ({"rank": 6}, {"rank": 15}, {"rtol": 1e-4}):
        outcome = choose(A, **asked)
        assert outcome.certificate.relative <= 100 * max(shape) * measure.eps(A)
        assert 6 <= outcome.factor.rank <= asked.get("rank", 6)


@pytest.mark.parametrize(
    ("dtype", "k"), [("float64", 250), ("float32", 250), pytest.param("complex64", 250, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("choose", [columns, rows])
def test_deep_in_a_decaying_spectrum_the_rank_is_as_asked_and_the_error_as_pivoting_gives(choose, dtype, k):
    """exp(-k/20) at k = 250 is 4e-6: independent to any dtype, though its square is lost in single precision."""
    A, _ = specimen("exp(-i/20)", 540, 510, dtype)
    outcome = choose(A, rank=k)
    assert outcome.factor.rank == k
    wanted = A if choose is columns else A.conj().T
    by_lapack = measure.geqp3_errors(wanted)[k]
    assert outcome.certificate.absolute <= 1.5 * by_lapack


@pytest.mark.parametrize("shape", [(50, 40), (520, 510)])
def test_rank_up_to_the_smaller_side_is_delivered_when_columns_are_independent(shape):
    A = np.random.default_rng(6).standard_normal(shape)
    for k in (min(shape) - 1, min(shape)):
        outcome = columns(A, rank=k)
        assert outcome.factor.rank == k
    assert outcome.certificate.relative <= 1e-11


@pytest.mark.parametrize("n", [20, 30, 40])
def test_kahans_matrix_defeats_pivoting_exactly_as_published(n):
    """Columns stay in place, the error is |r_nn| and the coefficients grow like c (1 + c)^(n-2)."""
    A, _ = gallery.kahan(n)
    outcome = columns(A, rank=n - 1)
    c, s = math.cos(1.2), math.sin(1.2)
    assert outcome.factor.cols.tolist() == list(range(n - 1))
    assert outcome.certificate.absolute == pytest.approx(s ** (n - 1), rel=1e-9)
    assert outcome.facts["max_abs_Z"] == pytest.approx(c * (1 + c) ** (n - 2), rel=1e-9)


@pytest.mark.parametrize("choose", [columns, rows])
def test_the_error_does_not_grow_with_the_rank(choose):
    A, _ = specimen("1/i", 60, 45)
    errors = [choose(A, rank=k).certificate.absolute for k in range(1, 46)]
    assert np.all(np.diff(errors) <= 1e-13)


@pytest.mark.parametrize("choose", [columns, rows])
def test_the_columns_of_a_rank_are_the_first_of_any_higher_one(choose):
    A, _ = specimen("1/i", 60, 45)
    index = [choose(A, rank=k).factor.arrays()["cols" if choose is columns else "rows"].tolist() for k in (3, 17, 45)]
    assert index[0] == index[1][:3] and index[1] == index[2][:17]


# Scaling


@pytest.mark.parametrize("exponent", [-900, -333, -100, 17, 101, 455, 900])
@pytest.mark.parametrize("choose", [columns, rows])
@pytest.mark.parametrize("shape", [(60, 45), (540, 510)])
def test_a_power_of_two_changes_neither_the_choice_nor_the_coefficients(shape, choose, exponent):
    A, _ = specimen("1/i", *shape)
    for asked in ({"rank": 9}, {"rtol": 0.3}):
        one, other = choose(A, **asked), choose(np.ldexp(A, exponent), **asked)
        here, there = one.factor.arrays(), other.factor.arrays()
        for name in here:
            scaled = np.ldexp(here[name], exponent) if name in "CR" else here[name]
            assert np.array_equal(scaled, there[name]), name
        assert one.certificate.relative == other.certificate.relative


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_the_error_is_right_at_extreme_scales(scale):
    for shape in ((60, 45), (540, 510)):
        A, _ = specimen("1/i", *shape)
        one, other = columns(A, rank=9).certificate, columns(A * scale, rank=9).certificate
        assert other.relative == pytest.approx(one.relative, rel=1e-9)
        assert other.absolute / scale == pytest.approx(one.absolute, rel=1e-9)


# Shapes and ties that are easy to get wrong


@pytest.mark.parametrize("choose", [columns, rows])
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (20, 10), (520, 510)])
def test_a_zero_matrix_has_error_zero(shape, choose):
    outcome = choose(np.zeros(shape), rank=1)
    assert outcome.certificate.absolute == 0.0 and outcome.certificate.relative == 0.0
    assert outcome.factor.rank == 1 and np.all(np.isfinite(measure.product(outcome.factor)))


@pytest.mark.parametrize("choose", [columns, rows])
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1)])
def test_a_single_row_or_column_is_its_own_approximation(shape, choose):
    A = np.random.default_rng(4).standard_normal(shape)
    outcome = choose(A)
    assert outcome.factor.rank == 1 and outcome.certificate.relative <= 4 * measure.eps(A)


@pytest.mark.parametrize("choose", [columns, rows])
@pytest.mark.parametrize("n", [17, 520])
def test_equal_columns_need_one(n, choose):
    A, _ = gallery.all_equal(n, n + 5)
    outcome = choose(A, rank=4)
    assert outcome.factor.rank == 1 and outcome.certificate.relative <= 100 * measure.eps(A)


@pytest.mark.parametrize("n", [15, 260])
def test_d24_of_columns_that_come_twice_one_is_taken(n):
    A, _ = gallery.duplicate_columns(2 * n, n)
    outcome = columns(A, rtol=1e-9)
    assert len(set((outcome.factor.cols // 2).tolist())) == outcome.factor.rank <= n


@pytest.mark.parametrize("n", [40, 510])
def test_every_choice_of_columns_of_the_identity_misses_the_rest(n):
    outcome = columns(np.eye(n), rank=n // 2)
    assert outcome.certificate.absolute == pytest.approx(math.sqrt(n - n // 2), rel=1e-12)


def test_a_rank_above_the_smaller_side_is_refused():
    for choose in (columns, rows):
        with pytest.raises(UsageError, match="24"):
            choose(np.ones((30, 23)), rank=24)


# Real matrices


@pytest.mark.parametrize("name", ["dwt_992.mtx", "lp_e226.mtx", "heat_90.npy", "young1c.mtx"])
def test_real_matrices_keep_their_columns_and_come_close_to_lapacks_pivoting(data, name):
    from lowrank_cli.formats.opening import open_matrix

    A = measure.dense(open_matrix(str(data(name))).array)
    outcome = columns(str(data(name)), rank=40)
    factor = outcome.factor
    assert bits(factor.C) == A[:, factor.cols].tobytes()
    assert outcome.certificate.absolute <= 1.02 * measure.geqp3_errors(A)[40]
