"""The exact residual against one recomputed in extended precision: every dtype, storage, scale and kind of factor."""

from __future__ import annotations

import math

import gallery
import measure
import numpy as np
import pytest
from certificates import coverage
from scipy.sparse import csr_array, random_array

import lowrank_cli
from lowrank_cli.api import tiled
from lowrank_cli.certificates import residual
from lowrank_cli.engines.threads import engine_for
from lowrank_cli.errors import NumericalError
from lowrank_cli.factors.cr import CR
from lowrank_cli.factors.interpolative import ColumnID
from lowrank_cli.factors.svd import SVD
from lowrank_cli.formats.memory import from_array
from lowrank_cli.matrices.metered import Metered
from lowrank_cli.matrices.product import Product


def random_svd(m: int, n: int, k: int, dtype: str = "float64", seed: int = 0) -> SVD:
    rng = np.random.default_rng(seed)
    complex_ = np.dtype(dtype).kind == "c"
    U = gallery.orthonormal(m, k, rng, complex_=complex_).astype(dtype)
    V = gallery.orthonormal(n, k, rng, complex_=complex_).astype(dtype)
    s = np.linspace(2, 1, k).astype(np.dtype(dtype).type(0).real.dtype)
    return SVD(U, s, np.ascontiguousarray(V.conj().T))


def measured(A, factor, threads: int = 1) -> tuple[float, float]:
    """(absolute, relative) as the library finds them."""
    matrix = coverage.metered(A, threads)
    error = residual.residual(matrix, factor)
    return error.norm, residual.relative(error, matrix.sweep())


# Against extended precision


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (37, 53), (520, 515), (1100, 600)])
def test_the_error_is_that_of_extended_precision_in_every_dtype(shape, dtype):
    A, _ = gallery.with_spectrum(*shape, gallery.poly(min(shape)), seed=1, dtype=dtype)
    F = random_svd(*shape, min(3, *shape), dtype)
    absolute, relative = measured(A, F)
    # each entry of A - F is off by a few eps of the dtype, the sum of their squares by far less
    assert absolute == pytest.approx(measure.residual(A, F), rel=4 * measure.eps(A), abs=0)
    assert relative == pytest.approx(measure.relative(A, F), rel=4 * measure.eps(A), abs=0)


@pytest.mark.parametrize("exponent", [-300, -250, -160, -100, -20, 0, 20, 100, 153, 160, 250, 300])
def test_the_error_is_right_from_1e_minus_300_to_1e300(exponent):
    scale = 10.0**exponent
    A, _ = gallery.with_spectrum(60, 50, gallery.poly(50), seed=2)
    F = random_svd(60, 50, 4)
    A, F = A * scale, SVD(F.U, F.s * scale, F.Vh)
    absolute, relative = measured(A, F)
    # at 1e-300 the entries have lost digits to underflow, the same ones on both sides but for the product
    assert absolute == pytest.approx(measure.residual(A, F), rel=1e-12 if exponent > -300 else 1e-7, abs=0)
    assert relative == pytest.approx(measure.relative(A, F), rel=1e-12 if exponent > -300 else 1e-7, abs=0)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("exponent", [-35, -25, -10, 10, 19, 30, 36])
def test_the_error_is_right_at_every_scale_of_single_precision(exponent, dtype):
    A, _ = gallery.with_spectrum(60, 50, gallery.poly(50), seed=2, dtype=dtype)
    F = random_svd(60, 50, 4, dtype)
    scale = np.float32(10.0**exponent)
    A, F = A * scale, SVD(F.U, F.s * scale, F.Vh)
    absolute, relative = measured(A, F)
    assert absolute == pytest.approx(measure.residual(A, F), rel=1e-5, abs=0)
    assert relative == pytest.approx(measure.relative(A, F), rel=1e-5, abs=0)


@pytest.mark.parametrize("method", ["svd", "id"])
@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_reported_errors_are_right_at_extreme_scales(scale, method):
    A, _ = gallery.with_spectrum(60, 50, gallery.poly(50), seed=2)
    done = lowrank_cli.approx(A * scale, rank=6, method=method)
    assert done.certificate.relative == pytest.approx(measure.relative(A * scale, done.factor), rel=1e-7, abs=0)
    assert done.certificate.absolute / scale == pytest.approx(
        lowrank_cli.approx(A, rank=6, method=method).certificate.absolute, rel=1e-7
    )


# Never a difference of squares


@pytest.mark.parametrize("size", [1e-7, 1e-10, 1e-12, 1e-14])
def test_an_error_of_1e_minus_14_of_the_matrix_is_seen(size):
    """|A|^2 - |F|^2 would see nothing below 1e-8."""
    F = ColumnID(
        cols=np.arange(3),
        C=np.random.default_rng(1).integers(-50, 50, (60, 3)).astype(float),
        Z=np.hstack([np.eye(3), np.random.default_rng(2).integers(-3, 4, (3, 47)).astype(float)]),
    )
    exactly = F.reconstruct()
    # products of small integers have no rounding: what differs is what we add, as far as the sum can hold it
    A = exactly + size * np.linalg.norm(exactly) * np.random.default_rng(3).standard_normal((60, 50)) / math.sqrt(3000)
    absolute, relative = measured(A, F)
    added = float(np.linalg.norm(A - exactly))
    assert absolute == pytest.approx(added, rel=1e-13, abs=0)
    assert relative == pytest.approx(added / np.linalg.norm(A), rel=1e-13, abs=0) and 0.8 * size < relative < 1.2 * size


def test_a_single_changed_entry_is_the_error():
    rng = np.random.default_rng(4)
    C, Z = rng.integers(-9, 9, (700, 4)).astype(float), rng.integers(-2, 3, (4, 560)).astype(float)
    A = C @ Z
    A[611, 547] += 2.0**-20
    assert measured(A, CR(np.arange(4), np.ones(4), C, Z))[0] == 2.0**-20


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("k", [1, 20, 50])
def test_an_error_at_rounding_is_noise_of_that_size_and_not_zero(k, dtype):
    A, _ = gallery.exact_rank(60, 50, k, dtype=dtype)
    found = lowrank_cli.approx(A, rank=k).certificate.relative
    assert 0 < found <= 20 * measure.eps(A)


# Storage


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("method", ["svd", "id"])
def test_the_error_of_sparse_storage_is_that_of_extended_precision(method, dtype):
    S = csr_array(random_array((640, 530), density=0.02, rng=np.random.default_rng(5))).astype(dtype)
    if np.dtype(dtype).kind == "c":
        S = S * (0.6 + 0.8j)
    done = lowrank_cli.approx(S, rank=20, method=method)
    assert done.certificate.relative == pytest.approx(measure.relative(S, done.factor), rel=20 * measure.eps(S), abs=0)


@pytest.mark.parametrize("where", ["nowhere", "in a row and a column of zeros", "everywhere"])
def test_rows_and_columns_of_zeros_count_where_the_factors_are_not_zero(where):
    rng = np.random.default_rng(8)
    S = random_array((700, 640), density=0.02, rng=rng).toarray()
    S[rng.permutation(700)[:400]] = 0
    S[:, rng.permutation(640)[:300]] = 0
    rows, cols = np.flatnonzero(~S.any(axis=1)), np.flatnonzero(~S.any(axis=0))
    F = random_svd(700, 640, 3)
    U, Vh = F.U.copy(), F.Vh.copy()
    if where != "everywhere":
        U[rows] = Vh[:, cols] = 0
    if where == "in a row and a column of zeros":
        U[rows[7]], Vh[:, cols[5]] = 0.5, 0.25
    F = SVD(U, F.s, Vh)
    assert measured(csr_array(S), F) == pytest.approx(
        (measure.residual(S, F), measure.relative(S, F)), rel=1e-13, abs=0
    )
    assert measured(csr_array(S.shape), F)[0] == pytest.approx(measure.residual(0 * S, F), rel=1e-13, abs=0)


def test_storage_order_and_threads_change_no_bit_of_the_error():
    A, _ = gallery.with_spectrum(1100, 600, gallery.poly(600), seed=1)
    F = random_svd(1100, 600, 5)
    found = {measured(np.asarray(A, order=order), F, threads) for order in "CF" for threads in (1, 2, 3)}
    assert len(found) == 1


@pytest.mark.parametrize("scales", [(1.0, 1.0), (1e-160, 1e-140), (1e160, 1e140), (1e-250, 1e250)])
def test_the_error_and_norm_of_a_product_are_those_of_extended_precision(scales):
    rng = np.random.default_rng(6)
    X, Y = rng.standard_normal((90, 70)) * scales[0], rng.standard_normal((70, 80)) * scales[1]
    index, scale = np.array([3, 3, 60, 11]), np.array([2.0, 2.0, 1.0, 3.0])
    F = CR(index, scale, X[:, index] * scale, Y[index] * scale[:, None])
    engine = engine_for(1)
    matrix = Metered(Product(tiled(from_array(X), engine), tiled(from_array(Y), engine), engine))
    error, norm = residual.residual_and_norm(matrix, F)
    exact = measure.wide(X) @ measure.wide(Y)
    assert error.norm == pytest.approx(measure.norm(exact - measure.product(F)), rel=1e-13, abs=0)
    assert norm.norm == pytest.approx(measure.norm(exact), rel=1e-13, abs=0)
    assert residual.relative(error, norm) == pytest.approx(error.norm / norm.norm, rel=1e-14, abs=0)
    assert matrix.ledger.passes == 1


# Edges


def test_the_relative_error_of_zero_by_zero_is_zero_and_of_zero_by_something_infinite():
    zero, F = np.zeros((5, 4)), random_svd(5, 4, 2)
    assert measured(zero, SVD(F.U, np.zeros(2), F.Vh)) == (0.0, 0.0)
    assert measured(zero, F)[1] == math.inf


def test_the_zero_factor_has_relative_error_one():
    A, _ = gallery.with_spectrum(60, 50, gallery.poly(50))
    F = random_svd(60, 50, 2)
    assert measured(A, SVD(F.U, np.zeros(2), F.Vh))[1] == 1.0


def test_factors_whose_product_overflows_are_an_error_with_a_hint():
    F = random_svd(5, 4, 2)
    with pytest.raises(NumericalError, match="overflows; "):
        measured(np.ones((5, 4)), SVD(F.U * 1e200, F.s * 1e200, F.Vh))


def test_the_optimal_interval_never_crosses_the_measured_error():
    A, F = coverage.with_residual(coverage.RESIDUALS["flat"])
    matrix = coverage.metered(A)
    error = residual.residual(matrix, F)
    found = residual.exact(error, matrix.sweep(), optimal_lower=2.0)
    assert found.optimal_lower == found.optimal_upper == found.relative


# Sparse matrices too large to be visited entry by entry


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("shape", [(70, 50), (50, 70)])
def test_the_error_of_a_huge_sparse_matrix_follows_from_one_product(shape, dtype, monkeypatch):
    A = csr_array(random_array(shape, density=0.1, rng=np.random.default_rng(1)).astype(dtype))
    factor = lowrank_cli.approx(A, rank=5).factor
    whole = residual.residual(coverage.metered(A), factor)
    monkeypatch.setattr(residual, "EXPANDED", 0)
    matrix = coverage.metered(A)
    short = residual.residual(matrix, factor)
    assert short.norm == pytest.approx(whole.norm, rel=1e-10)
    np.testing.assert_allclose(short.column_squares, whole.column_squares, rtol=0, atol=1e-12 * whole.squares)
    assert matrix.ledger.products == 1


def test_a_small_error_of_a_huge_sparse_matrix_is_still_measured_entry_by_entry(monkeypatch):
    """At an error of 1e-8 a difference of squares would be nothing but rounding."""
    monkeypatch.setattr(residual, "EXPANDED", 0)
    A, s = gallery.with_spectrum(60, 40, 10.0 ** -np.arange(40.0), seed=3)
    A = csr_array(A)
    error = residual.residual(coverage.metered(A), lowrank_cli.approx(A, rank=8).factor)
    assert error.norm == pytest.approx(np.linalg.norm(s[8:]), rel=1e-6)
