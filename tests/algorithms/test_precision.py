"""Single precision where its rounding is lost in the error, double everywhere else; the result is double either way."""

from __future__ import annotations

import functools

import gallery
import measure
import numpy as np
import pytest
from scipy.sparse import csr_array

import lowrank_cli
from lowrank_cli.algorithms.interpolative import IDOptions

M, N = 640, 520


@functools.cache
def specimen(name: str) -> tuple[np.ndarray, np.ndarray]:
    spectra = {"1/i": gallery.poly(N), "i^-1/2": gallery.inverse_sqrt(N), "fast": gallery.exponential(N, 0.5)}
    return gallery.with_spectrum(M, N, spectra[name], seed=9)


def precision(outcome) -> str:
    return outcome.facts["basis_precision"]


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name", ["1/i", "i^-1/2"])
def test_a_large_error_is_computed_from_a_basis_in_single_precision_and_factors_are_double(name, dtype):
    A, s = specimen(name)
    A = A.astype(dtype) * (1 if dtype == "float64" else np.exp(0.3j))
    outcome = lowrank_cli.approx(A, rank=20)
    factor = outcome.factor
    assert precision(outcome) == "single"
    assert factor.U.dtype == factor.Vh.dtype == dtype and factor.s.dtype == np.float64
    for Q in (factor.U, factor.Vh.conj().T):
        assert measure.from_orthonormal(Q) <= 1
    # Ritz values of A itself, in double: u_i^H A v_i, never above the true ones
    ritz = np.einsum("ij,ij->j", factor.U.conj(), A @ factor.Vh.conj().T)
    np.testing.assert_allclose(ritz, factor.s, rtol=1e-13)
    assert np.all(factor.s <= s[:20] * (1 + 1e-13))
    assert outcome.certificate.absolute <= 1.005 * measure.best(s, 20)


@pytest.mark.parametrize("asked", [{"rank": 20}, {"rtol": 1e-5}, {"rtol": 1e-9, "rank": 60}])
def test_a_small_error_is_computed_in_double_throughout(asked):
    A, s = specimen("fast")
    outcome = lowrank_cli.approx(A, **asked)
    assert precision(outcome) == "float64"
    k = outcome.factor.rank
    assert outcome.certificate.absolute <= 1.001 * measure.best(s, k)
    np.testing.assert_allclose(outcome.factor.s, s[:k], rtol=0, atol=1e-13)


def test_a_tolerance_well_above_the_rounding_of_single_precision_is_met_from_it():
    A, s = specimen("1/i")
    outcome = lowrank_cli.approx(A, rtol=0.2)
    assert precision(outcome) == "single" and outcome.certificate.relative <= 0.2
    optimal = next(k for k in range(1, N) if measure.best(s, k) <= 0.2 * measure.best(s, 0))
    assert optimal <= outcome.factor.rank <= optimal + 5


def test_rounding_to_single_precision_adds_nothing_that_can_be_measured(monkeypatch):
    """The same matrix with and without the single precision it may use."""
    from lowrank_cli.algorithms import bases

    for name in ("1/i", "i^-1/2"):
        A, _ = specimen(name)
        mixed = lowrank_cli.approx(A, rank=20)
        with monkeypatch.context() as without:
            without.setattr(bases, "lowered", lambda scaled: None)
            double = lowrank_cli.approx(A, rank=20)
        assert precision(mixed) == "single" and precision(double) == "float64"
        assert mixed.certificate.absolute == pytest.approx(double.certificate.absolute, rel=1e-5)


def test_a_matrix_that_comes_in_single_precision_stays_in_it():
    A = specimen("1/i")[0].astype(np.float32)
    outcome = lowrank_cli.approx(A, rank=20)
    assert precision(outcome) == "float32" and outcome.factor.U.dtype == np.float32


@pytest.mark.parametrize("scale", [2.0**-300, 2.0**-40, 2.0**40, 2.0**300])
def test_entries_beyond_the_range_of_single_precision_are_scaled_first(scale):
    A, _ = specimen("1/i")
    one, other = lowrank_cli.approx(A, rank=20), lowrank_cli.approx(A * scale, rank=20)
    assert precision(other) == "single"
    assert one.factor.U.tobytes() == other.factor.U.tobytes()
    assert one.certificate.relative == other.certificate.relative


@pytest.mark.parametrize("method", ["svd", "id", "id rows"])
def test_sparse_matrices_take_the_same_way(method):
    A, _ = specimen("1/i")
    A = np.where(np.abs(A) > np.quantile(np.abs(A), 0.7), A, 0.0)
    options = IDOptions(axis="rows") if method == "id rows" else None
    sparse, dense = (
        lowrank_cli.approx(B, rank=20, method=method.split()[0], options=options) for B in (csr_array(A), A)
    )
    assert sparse.certificate.relative == pytest.approx(dense.certificate.relative, rel=1e-3)
