"""Row and column sums: marginals are kept, the divergence is the least, negative entries are refused by place."""

from __future__ import annotations

import gallery
import measure
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

import lowrank_cli
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.analysis.compare import compare
from lowrank_cli.budget import Budget
from lowrank_cli.errors import InputError, UsageError
from lowrank_cli.formats.memory import from_array


def sums(A, **asked):
    return lowrank_cli.approx(A, method="rank1-nonneg", **asked)


def divergence(A, F):
    """sum a log(a / f) - a + f, with 0 log 0 = 0."""
    on = A > 0
    return float(np.sum(A[on] * np.log(A[on] / F[on])) - A.sum() + F.sum())


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**16), st.integers(-900, 900))
def test_rows_and_columns_add_up_to_what_those_of_the_matrix_do(m, n, seed, exponent):
    rng = np.random.default_rng(seed)
    A = rng.random((m, n)) * (rng.random((m, n)) < 0.7)
    F = np.ldexp(sums(np.ldexp(A, exponent)).factor.reconstruct(), -exponent)
    for axis in (0, 1):
        assert np.allclose(F.sum(axis), A.sum(axis), rtol=1e-13, atol=1e-14)


def test_sums_of_single_precision_are_added_in_double():
    A = np.random.default_rng(1).random((3000, 40)).astype("float32")
    factor = sums(A).factor
    assert factor.dtype == "float32"
    assert np.array_equal(factor.r, A.astype(float).sum(1).astype("float32"))
    assert np.allclose(factor.c, A.astype(float).sum(0) / A.astype(float).sum(), rtol=1e-7, atol=0)


@pytest.mark.parametrize("seed", range(4))
def test_no_other_non_negative_matrix_of_rank_one_has_a_smaller_divergence(seed):
    """The divergence is convex in log r and log c, so that a least one near is the least of all."""
    rng = np.random.default_rng(seed)
    A = rng.poisson(2.0, (15, 11)).astype(float)
    F = sums(A).factor.reconstruct()
    least = divergence(A, F)
    for _ in range(50):
        other = F * np.outer(np.exp(0.1 * rng.standard_normal(15)), np.exp(0.1 * rng.standard_normal(11)))
        assert divergence(A, other) > least


def test_an_outer_product_is_recovered_and_in_the_frobenius_norm_the_svd_is_nearer():
    rng = np.random.default_rng(2)
    A = np.outer(rng.random(30), rng.random(20))
    assert sums(A, rtol=1e-14).status is Status.CONVERGED
    B = A + 0.1 * rng.random((30, 20))
    assert sums(B).certificate.absolute >= lowrank_cli.approx(B, rank=1).certificate.absolute


def test_nothing_asked_for_is_done_and_a_missed_tolerance_is_said():
    A = np.random.default_rng(3).random((20, 10))
    assert sums(A).status is Status.CONVERGED and sums(A).certificate.relative > 0.01
    assert sums(A, rtol=0.01).status is Status.RANK_REACHED
    assert sums(A, rank=1).ledger.passes == 5
    with pytest.raises(UsageError, match="has rank 1, not 2"):
        sums(A, rank=2)


def test_sparse_and_dense_agree_and_a_zero_matrix_is_zero():
    A = np.where(np.random.default_rng(4).random((40, 30)) < 0.1, 2.5, 0.0)
    dense, sparse = sums(A), sums(csr_array(A))
    assert np.allclose(dense.factor.r, sparse.factor.r) and np.allclose(dense.factor.c, sparse.factor.c)
    assert sums(np.zeros((4, 3))).certificate.absolute == 0


@pytest.mark.parametrize("form", [np.array, csr_array])
def test_the_first_negative_entry_is_named(form):
    A = np.ones((1200, 700))
    A[[1100, 700, 700], [3, 650, 640]] = -1
    with pytest.raises(
        InputError, match=r"3 entries are negative, the first at row 700, column 640 \(counted from 0\)"
    ):
        sums(form(A))


def test_complex_matrices_are_refused():
    with pytest.raises(InputError, match="this one is complex"):
        sums(np.ones((2, 2), complex))


def test_a_comparison_takes_it_at_its_own_rank():
    A = np.random.default_rng(5).random((30, 20))
    rows = {row["structure"]: row for row in compare(from_array(A), Budget(rank=5))["rows"]}
    assert rows["rank1-nonneg"]["rank"] == 1 and rows["svd"]["rank"] == 5
    best = measure.best(np.linalg.svd(A, compute_uv=False), 1) / np.linalg.norm(A)
    assert rows["rank1-nonneg"]["optimal"]["relative_lower"] == pytest.approx(best, rel=1e-9)
    skipped = compare(from_array(gallery.kahan(10)[0]), Budget(rank=2))["skipped"]
    assert "negative" in next(one["reason"] for one in skipped if one["structure"] == "rank1-nonneg")
