"""Very tall matrices: the basis comes from the Gram matrix in two passes, unless its rounding would show."""

from __future__ import annotations

import functools

import gallery
import measure
import numpy as np
import pytest

import lowrank_cli
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.algorithms.svd import SVDOptions

M, N = 4500, 510


@functools.cache
def specimen(name: str, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    spectra = {
        "1/i": gallery.poly(N),
        "i^-1/2": gallery.inverse_sqrt(N),
        "flat": gallery.flat(N),
        "fast": gallery.exponential(N, 0.5),
        "rank 7": np.append(np.ones(7), np.zeros(N - 7)),
    }
    return gallery.with_spectrum(M, N, spectra[name], seed=4, dtype=dtype)


def used_gram(outcome) -> bool:
    return "gram eigh" in outcome.facts["kernels"]


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("name", ["1/i", "i^-1/2", "flat"])
def test_the_error_is_the_best_possible_in_four_passes_whatever_the_spectrum(name, dtype):
    A, s = specimen(name, dtype)
    outcome = lowrank_cli.approx(A, rank=12, certify="none")
    assert used_gram(outcome) and outcome.ledger.passes == 4 and outcome.ledger.products == 3
    factor = outcome.factor
    assert factor.U.dtype == dtype and measure.from_orthonormal(factor.U) <= 10
    assert measure.from_orthonormal(factor.Vh.conj().T) <= 10
    error = np.linalg.norm(A - factor.reconstruct())
    assert (1 - 100 * measure.eps(A)) * measure.best(s, 12) <= error <= 1.0001 * measure.best(s, 12)


@pytest.mark.parametrize("name", ["fast", "rank 7"])
def test_where_squares_in_single_precision_would_show_a_krylov_basis_serves(name):
    A, s = specimen(name)
    outcome = lowrank_cli.approx(A, rank=20)
    assert not used_gram(outcome)
    assert outcome.certificate.absolute <= 1.001 * measure.best(s, 20) + 1e-12


@pytest.mark.parametrize("axis", ["cols", "rows"])
def test_an_interpolative_decomposition_pivots_the_same_basis(axis):
    A, _ = specimen("1/i")
    outcome = lowrank_cli.approx(A, method="id", rank=12, options=IDOptions(axis=axis))
    assert outcome.ledger.passes == 5
    by_lapack = measure.geqp3_errors(A if axis == "cols" else A.T)[12]
    assert outcome.certificate.absolute <= 1.1 * by_lapack


@pytest.mark.parametrize("asked", [{"block": 32}, {"max_blocks": 5}])
def test_options_of_the_krylov_basis_are_not_ignored(asked):
    A, _ = specimen("1/i")
    assert not used_gram(lowrank_cli.approx(A, rank=12, options=SVDOptions(**asked)))


def test_a_wide_matrix_is_the_transpose_of_a_tall_one():
    A, s = specimen("1/i")
    wide = lowrank_cli.approx(np.ascontiguousarray(A.T), rank=12)
    assert used_gram(wide)
    assert wide.certificate.absolute <= 1.0001 * measure.best(s, 12)


def test_no_bit_depends_on_storage_or_threads():
    A, _ = specimen("1/i")
    one = lowrank_cli.approx(A, rank=12, threads=1).factor
    for B, threads in ((np.asfortranarray(A), 1), (A, 2), (A, 4), (np.asfortranarray(A), 3)):
        other = lowrank_cli.approx(B, rank=12, threads=threads).factor
        assert one.U.tobytes() == other.U.tobytes() and one.Vh.tobytes() == other.Vh.tobytes()


@pytest.mark.parametrize("exponent", [-300, -20, 300])
def test_a_power_of_two_leaves_the_vectors_bit_for_bit(exponent):
    A, _ = specimen("1/i")
    one, other = lowrank_cli.approx(A, rank=12), lowrank_cli.approx(np.ldexp(A, exponent), rank=12)
    assert used_gram(other) and one.factor.U.tobytes() == other.factor.U.tobytes()


def test_the_best_error_is_enclosed():
    A, s = specimen("i^-1/2")
    found = lowrank_cli.approx(A, rank=12).certificate
    best = measure.best(s, 12) / measure.best(s, 0)
    assert found.optimal_lower <= best * (1 + 1e-12) and best <= found.optimal_upper <= 1.01 * found.optimal_lower
