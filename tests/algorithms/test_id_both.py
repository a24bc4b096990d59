"""Both sides: A ~ W S Z with S a submatrix of A, at the error of the columns alone; and the quick way, by a sketch."""

from __future__ import annotations

import gallery
import measure
import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

import lowrank_cli
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.factors.interpolative import TwoSidedID

SPECTRA = {
    "1/i": gallery.poly,
    "i^-1/2": gallery.inverse_sqrt,
    "exp(-i/20)": lambda n: gallery.exponential(n, 0.05),
}
SHAPES = [(60, 45), (45, 60), (540, 510), (510, 540)]


def by(A, axis="both", quality="balanced", **asked):
    return lowrank_cli.approx(A, method="id", options=IDOptions(axis=axis, quality=quality), **asked)


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_middle_is_a_submatrix_bit_for_bit_and_either_side_holds_an_identity(shape, dtype):
    A, _ = gallery.with_spectrum(*shape, gallery.poly(min(shape)), seed=11, dtype=dtype)
    for order in gallery.ORDERS:
        factor = by(np.asarray(A, order=order), rank=17).factor
        assert isinstance(factor, TwoSidedID) and factor.rank == 17 and factor.shape == shape
        assert factor.S.tobytes() == A[np.ix_(factor.rows, factor.cols)].tobytes()
        assert np.array_equal(factor.W[factor.rows], np.eye(17, dtype=dtype))
        assert np.array_equal(factor.Z[:, factor.cols], np.eye(17, dtype=dtype))
        assert len(set(factor.rows.tolist())) == len(set(factor.cols.tolist())) == 17


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_error_is_that_of_the_columns_alone(spectrum, shape):
    """W S = C: rows of a matrix of k independent columns interpolate it exactly."""
    A, s = gallery.with_spectrum(*shape, SPECTRA[spectrum](min(shape)), seed=11)
    both, cols = by(A, rank=20), by(A, "cols", rank=20)
    assert np.array_equal(both.factor.cols, cols.factor.cols)
    assert both.certificate.absolute == pytest.approx(cols.certificate.absolute, rel=1e-9)
    assert both.certificate.absolute >= measure.best(s, 20)
    assert np.allclose(both.factor.W @ both.factor.S, cols.factor.C, atol=1e-13)


def test_products_and_costs_are_those_of_the_three_factors():
    A, _ = gallery.with_spectrum(30, 20, gallery.poly(20))
    factor = by(A, rank=7).factor
    dense = factor.W @ factor.S @ factor.Z
    X, Y = np.ones((20, 3)), np.ones((30, 2))
    assert np.allclose(factor.matmat(X), dense @ X) and np.allclose(factor.rmatmat(Y), dense.T @ Y)
    assert np.allclose(factor.reconstruct(), dense)
    assert factor.apply_flops == 2 * (30 * 7 + 49 + 7 * 20)
    assert factor.nbytes == 8 * (30 * 7 + 49 + 7 * 20 + 14)


def test_of_a_sparse_matrix_the_middle_is_sparse():
    S = csr_array(random_array((300, 200), density=0.05, rng=np.random.default_rng(2)))
    factor = by(S, rank=12).factor
    assert factor.S.format == "csr"
    assert np.array_equal(factor.S.toarray(), S.toarray()[np.ix_(factor.rows, factor.cols)])
    assert factor.apply_flops == 2 * (300 * 12 + factor.S.nnz + 12 * 200)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (20, 10), (520, 510)])
def test_a_zero_matrix_has_error_zero(shape):
    outcome = by(np.zeros(shape), rank=1)
    assert outcome.certificate.relative == 0.0 and outcome.factor.rank == 1
    assert not np.any(outcome.factor.reconstruct())


@pytest.mark.parametrize("exponent", [-900, 17, 900])
@pytest.mark.parametrize("quality", ["fast", "balanced", "bound"])
def test_a_power_of_two_changes_neither_the_choice_nor_the_coefficients(quality, exponent):
    A, _ = gallery.with_spectrum(540, 510, gallery.poly(510), seed=11)
    one, other = (by(M, quality=quality, rank=9).factor for M in (A, np.ldexp(A, exponent)))
    for name in ("rows", "cols", "W", "Z"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert np.array_equal(np.ldexp(one.S, exponent), other.S)


@pytest.mark.parametrize("rtol", [0.3, 0.1])
@pytest.mark.parametrize("shape", [(60, 45), (540, 510)])
def test_a_tolerance_takes_as_many_as_columns_alone(shape, rtol):
    A, _ = gallery.with_spectrum(*shape, gallery.poly(min(shape)), seed=11)
    outcome = by(A, rtol=rtol)
    assert outcome.status is Status.CONVERGED and measure.relative(A, outcome.factor) <= rtol
    assert outcome.factor.rank == by(A, "cols", rtol=rtol).factor.rank


# Quick


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("axis", ["cols", "rows"])
def test_a_sketch_gives_columns_and_coefficients_in_three_passes(axis, dtype):
    A, s = gallery.with_spectrum(540, 610, gallery.poly(540), seed=11, dtype=dtype)
    outcome = by(A, axis, "fast", rank=17)
    factor = outcome.factor
    assert outcome.ledger.passes == 3 and outcome.ledger.products == 1
    Z, index = (factor.Z, factor.cols) if axis == "cols" else (factor.W.T, factor.rows)
    assert np.array_equal(Z[:, index], np.eye(17, dtype=dtype))
    kept, own = (factor.C, A[:, index]) if axis == "cols" else (factor.R, A[index])
    assert kept.tobytes() == np.ascontiguousarray(own).tobytes()
    best = measure.best(s, 17)
    assert best <= outcome.certificate.absolute <= 3 * best


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_a_sketch_costs_at_most_twice_the_error_of_least_squares_on_average(spectrum):
    """Of a sketch with l rows the coefficients have 1 + k / (l - k - 1) times the squared error; l = 64, k = 25."""
    A, _ = gallery.with_spectrum(540, 510, SPECTRA[spectrum](510), seed=11)
    quick = [by(A, "cols", "fast", rank=25, seed=seed).certificate.absolute for seed in range(5)]
    assert np.mean(quick) <= 2 * by(A, "cols", rank=25).certificate.absolute


@pytest.mark.parametrize("rtol", [0.5, 0.2, 0.1])
def test_a_tolerance_is_met_the_quick_way(rtol):
    A, _ = gallery.with_spectrum(620, 540, gallery.poly(540), seed=5)
    outcome = by(A, "cols", "fast", rtol=rtol)
    assert outcome.status is Status.CONVERGED and measure.relative(A, outcome.factor) <= rtol


def test_small_matrices_are_pivoted_themselves_however_quick_it_should_be():
    A, _ = gallery.with_spectrum(60, 45, gallery.poly(45))
    assert by(A, "cols", "fast", rank=9).factor.Z.tobytes() == by(A, "cols", rank=9).factor.Z.tobytes()


def test_columns_below_the_rounding_of_a_sketch_are_found_in_the_matrix():
    A, _ = gallery.with_spectrum(540, 510, gallery.exponential(510, 0.16), seed=11)
    outcome = by(A, "cols", "fast", rank=205)
    assert outcome.factor.rank == 205 and outcome.certificate.relative <= 1e-13
