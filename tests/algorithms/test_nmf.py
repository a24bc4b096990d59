"""Non-negative factors: no iteration raises the error, separable matrices are solved, and nothing turns negative."""

from __future__ import annotations

import itertools

import gallery
import measure
import numpy as np
import pytest
from scipy.sparse import csr_array

import lowrank_cli
from lowrank_cli.algorithms.nmf import NMFOptions
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.analysis.verify import structure
from lowrank_cli.errors import InputError, UsageError
from lowrank_cli.factors.nmf import NMF


def nmf(A, k=None, init="nndsvd", most=200, **asked):
    return lowrank_cli.approx(A, method="nmf", rank=k, options=NMFOptions(init=init, max_iterations=most), **asked)


def separable(m=40, n=30, k=4, seed=0):
    """(A, W): every column a mixture of the k columns of W, which are among them."""
    rng = np.random.default_rng(seed)
    W = rng.random((m, k))
    H = np.hstack([np.eye(k), rng.dirichlet(np.ones(k), n - k).T])[:, rng.permutation(n)]
    return W @ H, W


# The course of the error


@pytest.mark.parametrize("init", ["nndsvd", "spa"])
def test_no_iteration_raises_the_error_and_none_goes_below_the_svd(init):
    A = np.random.default_rng(1).random((60, 50))
    for k in (1, 3, 10):
        errors = [nmf(A, k, init, most).certificate.absolute for most in (1, 2, 3, 5, 9, 20, 60, 200)]
        assert all(b <= a * (1 + 1e-12) for a, b in itertools.pairwise(errors))
        best = measure.best(np.linalg.svd(A, compute_uv=False), k)
        assert errors[-1] >= best * (1 - 1e-12) and (k == 1 or errors[-1] < errors[0])


def test_where_it_settles_no_single_column_can_be_improved():
    """Stationary: of min(F, gradient) nothing is left (Karush, Kuhn and Tucker) on the scale of the first gradient."""
    A = np.random.default_rng(2).random((30, 20))
    outcome = nmf(A, 4, most=5000)
    W, H = outcome.factor.W, outcome.factor.H
    assert outcome.facts["settled"]
    gradients = (W @ H - A) @ H.T, W.T @ (W @ H - A)
    start = np.linalg.norm(A @ H.T), np.linalg.norm(W.T @ A)
    for F, G, size in zip((W, H), gradients, start, strict=True):
        assert np.linalg.norm(np.minimum(F, G)) <= 2e-3 * size


def test_stopping_early_is_said():
    A = np.random.default_rng(3).random((30, 20))
    assert nmf(A, 4, most=1).facts["warnings"] and "warnings" not in nmf(A, 4, most=5000).facts


# Recovery


@pytest.mark.parametrize("seed", range(4))
def test_a_separable_matrix_is_solved_from_its_own_columns(seed):
    A, W = separable(seed=seed)
    outcome = nmf(A, 4, "spa")
    assert outcome.certificate.relative <= 1e-9
    found = outcome.factor.W
    truth = W / W.sum(axis=0)
    # the same columns, in another order
    distances = np.linalg.norm(found[:, :, None] - truth[:, None], axis=0)
    assert np.all(distances.min(axis=0) <= 1e-8) and len(set(distances.argmin(axis=0))) == 4


def test_the_best_rank_one_is_the_svd_which_is_non_negative():
    """Perron and Frobenius: the leading singular vectors of a non-negative matrix have no negative entries."""
    A = np.random.default_rng(4).random((40, 25))
    best = measure.best(np.linalg.svd(A, compute_uv=False), 1)
    assert nmf(A, 1).certificate.absolute == pytest.approx(best, rel=1e-9)


def test_a_tolerance_finds_the_rank_of_a_separable_matrix():
    A, _ = separable(k=6)
    outcome = nmf(A, init="spa", rtol=1e-6)
    assert outcome.status is Status.CONVERGED and outcome.factor.rank == 6
    assert nmf(A, 3, "spa", rtol=1e-6).status is Status.RANK_REACHED
    assert nmf(np.random.default_rng(5).random((40, 30)), rtol=1e-6, most=3).status is Status.PASSES_SPENT


# What comes out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("init", ["nndsvd", "spa"])
def test_factors_are_non_negative_normalized_and_ordered(init, dtype):
    A = np.abs(gallery.with_spectrum(50, 40, gallery.poly(40))[0]).astype(dtype)
    factor = nmf(A, 6, init).factor
    assert factor.dtype == dtype and structure(factor) == []
    assert min(factor.W.min(), factor.H.min()) >= 0
    assert np.allclose(factor.W.sum(axis=0), 1, rtol=1e-5)
    weights = np.linalg.norm(factor.W, axis=0) * np.linalg.norm(factor.H, axis=1)
    assert np.all(weights[1:] <= weights[:-1] * (1 + 1e-5))
    broken = NMF(factor.W, factor.H - factor.H.max())
    assert structure(broken) == ["H has negative entries"]


def test_parts_that_come_out_zero_are_left_out():
    A = np.outer(np.arange(1.0, 9), np.arange(1.0, 7))
    for init in ("nndsvd", "spa"):
        outcome = nmf(A, 4, init)
        assert outcome.factor.rank <= 4 and outcome.certificate.relative <= 1e-7
        assert np.all(outcome.factor.W.sum(axis=0) > 0)
    zero = nmf(np.zeros((5, 4)), 3)
    assert zero.factor.rank == 1 and zero.certificate.absolute == 0


@pytest.mark.parametrize("scale", [1e-280, 1e280])
@pytest.mark.parametrize("init", ["nndsvd", "spa"])
def test_scale_does_not_matter(init, scale):
    A = np.random.default_rng(6).random((30, 20))
    scaled = nmf(A * scale, 3, init).certificate.relative
    assert scaled == pytest.approx(nmf(A, 3, init).certificate.relative, rel=1e-6)


def test_sparse_and_dense_agree():
    A = np.where(np.random.default_rng(7).random((60, 40)) < 0.2, 1.5, 0.0)
    dense, sparse = nmf(A, 4, most=10), nmf(csr_array(A), 4, most=10)
    assert sparse.certificate.relative == pytest.approx(dense.certificate.relative, rel=1e-6)


def test_passes_are_two_an_iteration_and_those_of_the_svd():
    A = np.random.default_rng(8).random((30, 20))
    short, long = nmf(A, 3, most=2), nmf(A, 3, most=7)
    assert long.ledger.passes - short.ledger.passes == 2 * 5
    # sweep, look for negative entries, sweep and read of the SVD, error
    assert short.ledger.passes == 5 + 2 * 2


# Refusals


def test_negative_and_complex_entries_are_refused():
    A = np.ones((6, 5))
    # so small that bringing the matrix to scale below loses it
    A[2, 3] = -1e-300
    with pytest.raises(InputError, match="1 entry is negative, the first at row 2, column 3"):
        nmf(A, 2)
    A[0, 0] = 1e300
    with pytest.raises(InputError, match="row 2, column 3"):
        nmf(A, 2)
    with pytest.raises(InputError, match="complex"):
        nmf(A + 0j, 2)
    with pytest.raises(UsageError, match="too large"):
        nmf(np.ones((6, 5)), 6)
