"""A diagonal plus a low rank: no sweep raises the error, identifiable sums are recovered, Hermitian stays Hermitian."""

from __future__ import annotations

import itertools

import gallery
import measure
import numpy as np
import pytest
from scipy.sparse import csr_array

import lowrank_cli
from lowrank_cli.algorithms.diag_lowrank import DiagLowRankOptions
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.errors import UsageError


def split(A, sweeps=200, **asked):
    return lowrank_cli.approx(A, method="diag-lowrank", options=DiagLowRankOptions(max_iterations=sweeps), **asked)


def planted(n=80, k=3, dtype="float64", seed=0, hermitian=False, spread=30.0):
    """(A, d): a diagonal far larger than the incoherent matrix of rank k that it hides."""
    rng = np.random.default_rng(seed)
    complex_ = np.dtype(dtype).kind == "c"
    L = gallery.orthonormal(n, k, rng, complex_=complex_)
    R = L if hermitian else gallery.orthonormal(n, k, rng, complex_=complex_)
    d = rng.uniform(-spread, spread, n) * (1 if hermitian or not complex_ else np.exp(1j * rng.uniform(0, 6, n)))
    A = (L * np.linspace(9, 4, k)) @ R.conj().T
    A = (A + A.conj().T) / 2 if hermitian else A
    return (A + np.diag(d)).astype(dtype), d


# Recovery


@pytest.mark.parametrize("hermitian", [True, False])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_an_identifiable_sum_is_recovered(dtype, hermitian):
    for seed in range(3):
        A, d = planted(dtype=dtype, seed=seed, hermitian=hermitian)
        outcome = split(A, rank=3)
        assert outcome.certificate.relative <= 1e-10 and outcome.facts["settled"]
        assert np.abs(outcome.factor.d - d).max() <= 1e-7
        assert np.allclose(outcome.factor.s, [9, 6.5, 4], atol=1e-7)


def test_a_huge_diagonal_entry_is_not_taken_for_a_direction():
    A, _ = planted(hermitian=True)
    A[7, 7] = 1e6
    assert split(A, rank=3).certificate.absolute <= 1e-6
    # the truncated SVD spends one of its three directions on it
    assert lowrank_cli.approx(A, rank=3).certificate.absolute > 10


@pytest.mark.parametrize("scale", [1e-280, 1e280])
def test_scale_does_not_matter(scale):
    A, _ = planted()
    assert split(A * scale, rank=3).certificate.relative <= 1e-10


def test_of_a_diagonal_matrix_nothing_is_left():
    outcome = split(np.diag(np.arange(1.0, 31.0)), rank=2)
    assert outcome.certificate.relative == 0 and outcome.facts["diagonal_relative"] == 0


def test_the_tolerance_finds_the_planted_rank():
    A, _ = planted(k=5)
    outcome = split(A, rtol=1e-9)
    assert outcome.status is Status.CONVERGED and outcome.factor.rank == 5
    short = split(A, rtol=1e-9, rank=4)
    assert short.status is Status.RANK_REACHED and short.factor.rank == 4 and short.certificate.relative > 1e-9


# The course of the error


@pytest.mark.parametrize("hermitian", [True, False])
def test_no_sweep_raises_the_error_and_the_diagonal_alone_is_never_better(hermitian):
    rng = np.random.default_rng(4)
    A = rng.standard_normal((60, 60)) + np.diag(rng.standard_normal(60) * 5)
    A = A + A.T if hermitian else A
    outcomes = [split(A, sweeps, rank=4) for sweeps in (1, 2, 3, 5, 8, 13, 21, 34, 55)]
    errors = [one.certificate.relative for one in outcomes]
    assert all(b <= a * (1 + 1e-3 * hermitian + 1e-12) for a, b in itertools.pairwise(errors))
    assert errors[-1] < errors[0] < outcomes[0].facts["diagonal_relative"]
    assert outcomes[0].facts["warnings"] and not outcomes[0].facts["settled"]


def test_the_error_it_settles_at_is_that_of_alternating_exact_decompositions():
    rng = np.random.default_rng(5)
    A = gallery.with_spectrum(40, 40, gallery.poly(40), seed=5)[0] + np.diag(rng.standard_normal(40))
    d = np.diag(A)
    for _ in range(600):
        U, s, Vh = np.linalg.svd(A - np.diag(d))
        L = (U[:, :6] * s[:6]) @ Vh[:6]
        d = np.diag(A - L)
    best = np.linalg.norm(A - L - np.diag(d))
    assert split(A, rank=6).certificate.absolute == pytest.approx(best, rel=2e-3)


def test_the_diagonal_relative_error_is_that_of_the_diagonal_alone():
    A = gallery.with_spectrum(40, 40, gallery.poly(40))[0]
    alone = np.linalg.norm(A - np.diag(np.diag(A))) / np.linalg.norm(A)
    assert split(A, rank=2).facts["diagonal_relative"] == pytest.approx(alone, rel=1e-12)


# What comes out


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("n", [50, 530])
def test_of_a_hermitian_matrix_both_parts_are_hermitian(n, dtype):
    A = gallery.with_spectrum(n, n, gallery.poly(n), dtype=dtype)[0]
    A = (A + A.conj().T) / 2
    outcome = split(A, rank=5)
    factor = outcome.factor
    assert outcome.facts["hermitian"] and np.all(factor.d.imag == 0)
    F = factor.reconstruct()
    assert np.abs(F - F.conj().T).max() <= 10 * measure.eps(A)
    assert measure.from_orthonormal(factor.U) <= 10 and measure.from_orthonormal(factor.Vh.conj().T) <= 10
    signs = np.sum(factor.Vh * factor.U.T, axis=1) if factor.U.dtype.kind == "f" else None
    assert signs is None or np.allclose(np.abs(signs), 1, atol=1e-5)
    A[3, 4] += 1
    assert not split(A, rank=5).facts["hermitian"]


def test_passes_are_a_sweep_a_look_for_symmetry_two_a_round_and_one_for_the_error():
    for A in (planted()[0], csr_array(planted()[0])):
        outcome = split(A, rank=3)
        assert outcome.ledger.passes == 3 + 2 * outcome.facts["iterations"]
        assert outcome.ledger.products == 2 * outcome.facts["iterations"]


def test_products_and_blocks_are_those_of_the_matrix_it_stands_for():
    rng = np.random.default_rng(1)
    factor = split(planted(dtype="complex128")[0], rank=3).factor
    F = np.asarray(measure.product(factor)).astype(complex)
    X = rng.standard_normal((80, 3))
    assert np.allclose(factor.matmat(X), F @ X) and np.allclose(factor.rmatmat(X), F.conj().T @ X)
    for rows, cols in ((slice(0, 20), slice(10, 60)), (slice(30, 40), slice(50, 60)), (slice(7, 9), slice(8, 9))):
        assert np.allclose(factor.blocks()(rows, cols), F[rows, cols])
    assert factor.apply_flops == 2 * (80 * 3 * 2 + 80)


def test_only_square_matrices_are_taken():
    with pytest.raises(UsageError, match="takes a square matrix, not 4x5"):
        split(np.ones((4, 5)), rank=1)
