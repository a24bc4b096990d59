"""Verification without the matrix, and from a sample: structure, orthogonality, and how often an interval misses."""

from __future__ import annotations

import math

import gallery
import measure
import numpy as np
import pytest
from certificates import coverage
from certificates.verifying import KINDS, LARGE, changed, claiming, held, made, matrix, shifted
from scipy.sparse import csr_array, random_array

import lowrank_cli
from lowrank_cli.analysis.verify import THRESHOLD, orthogonality_ratios, structure
from lowrank_cli.errors import UsageError

# Without the matrix


@pytest.mark.parametrize("name", sorted(gallery.GALLERY))
def test_factors_of_the_gallery_have_the_structure_of_their_kind(name):
    A, _ = gallery.GALLERY[name]()
    for kind in KINDS.values():
        factor, report = made(A, **kind, rank=max(1, min(A.shape) // 3))
        assert structure(factor) == [] and held(factor, report, orthogonality=True)["holds"]


def test_structure_is_judged_without_the_matrix():
    svd, report = made(matrix(), rank=9)
    wrong = {
        "not finite": changed(svd, U=shifted(svd.U, (3, 3), np.nan)),
        "non-increasing": changed(svd, s=svd.s[::-1].copy()),
        "non-negative": changed(svd, s=svd.s * np.append(np.ones(8), -1)),
    }
    for word, factor in wrong.items():
        said = held(factor, report)
        assert not said["holds"] and word in said["reason"] and said["measured"] is None
    column, report = made(matrix(), "id", rank=9)
    Z = shifted(column.Z, (0, int(column.cols[1])), 1e-15)
    assert "identity" in held(changed(column, Z=Z), report)["reason"]
    cols = column.cols[[0, 0, *range(2, 9)]]
    assert "distinct" in held(changed(column, cols=cols), report)["reason"]


def test_infinite_entries_of_a_sparse_factor_are_found():
    S = csr_array(random_array((60, 50), density=0.2, rng=np.random.default_rng(2)))
    column, report = made(S, "id", rank=9)
    assert held(column, report, S)["holds"]
    C = column.C.copy()
    C.data[3] = np.inf
    assert "C has entries that are not finite" in held(changed(column, C=C), report)["reason"]


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("side", ["U", "Vh"])
def test_a_loss_of_orthogonality_is_caught_on_either_side(side, dtype):
    A = matrix(dtype=dtype)
    factor, report = made(A, rank=9)
    assert max(orthogonality_ratios(factor).values()) <= 10
    array = factor.arrays()[side]
    length = max(array.shape)
    # a first vector longer by x / 2 moves Q^H Q by x
    longer = np.ones(9)
    longer[0] += 0.6 * THRESHOLD * length * float(np.finfo(dtype).eps)
    array = array * (longer if side == "U" else longer[:, None]).astype(array.real.dtype)
    said = held(changed(factor, **{side: array}), report, orthogonality=True)
    assert (
        not said["holds"] and said["orthogonality"][side] > THRESHOLD and f"{side} is not orthonormal" in said["reason"]
    )
    assert held(factor, report, orthogonality=True)["holds"]


# Samples


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_contains_the_error_and_its_claim_holds(kind):
    A = matrix(LARGE)
    factor, report = made(A, **KINDS[kind], rank=12)
    said = held(factor, report, A, sample=True)
    true = measure.relative(A, factor)
    assert said["holds"] and said["measured_lower"] <= true <= said["measured"]
    assert said["failure_probability"] == 1e-6
    assert said["measured"] / said["measured_lower"] < 6


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("kind", ["rank one", "flat"])
@pytest.mark.parametrize("delta", [0.1, 1e-2])
def test_sampled_intervals_miss_as_often_as_stated(kind, dtype, delta):
    """Rank one is where they miss exactly that often, half on either side."""
    A, F = coverage.with_residual(coverage.RESIDUALS[kind], dtype)
    true = float(np.linalg.norm(coverage.RESIDUALS[kind]) / np.linalg.norm(A))
    report, trials = {"error": {"norm": "fro", "kind": "bound", "relative": 1.0}}, 800
    low = high = 0
    for seed in range(trials):
        said = held(F, report, A, sample=True, failure_probability=delta, seed=seed)
        low += said["measured"] < true
        high += said["measured_lower"] > true
    assert low + high <= coverage.most(trials, delta)
    assert max(low, high) <= coverage.most(trials, delta / 2)
    if kind == "rank one" and delta == 0.1:
        assert min(low, high) >= coverage.least(trials, delta / 2) > 0


def test_a_true_claim_is_refused_by_a_sample_at_most_as_often_as_stated():
    A, F = coverage.with_residual(coverage.RESIDUALS["rank one"])
    true = float(1 / np.linalg.norm(A))
    trials = 600
    for kind in ("exact", "bound"):
        report = {"error": {"norm": "fro", "kind": kind, "relative": true}}
        refused = sum(
            not held(F, report, A, sample=True, failure_probability=0.1, seed=seed)["holds"] for seed in range(trials)
        )
        assert refused <= coverage.most(trials, 0.1)


def test_a_sample_refuses_claims_that_are_far_off():
    A = matrix(LARGE)
    factor, report = made(A, rank=12)
    relative = report["error"]["relative"]
    assert not held(factor, claiming(report, relative / 6), A, sample=True)["holds"]
    assert not held(factor, claiming(report, relative * 6), A, sample=True)["holds"]
    assert not held(factor, report, matrix(LARGE, seed=9), sample=True)["holds"]


def test_a_sample_of_a_spectral_claim_is_refused_with_a_hint():
    A = matrix()
    factor, report = made(A, rank=5, norm="spectral")
    with pytest.raises(UsageError, match="--sample"):
        held(factor, report, A, sample=True)


def test_a_sample_of_a_zero_matrix_is_exact():
    A = np.zeros((30, 20))
    factor, report = made(A, rank=1)
    said = held(factor, report, A, sample=True)
    assert said["holds"] and said["measured"] == said["measured_lower"] == 0.0
    ones, of_ones = made(np.ones((30, 20)), rank=1)
    said = held(ones, of_ones, A, sample=True)
    assert not said["holds"] and math.isinf(said["measured"])


def test_threads_change_nothing():
    A = matrix(LARGE)
    factor, report = made(A, rank=12)
    for how in ({}, {"sample": True}):
        assert held(factor, report, A, threads=1, **how) == held(factor, report, A, threads=3, **how)


def test_the_public_front_makes_factors_that_verify():
    A = matrix()
    done = lowrank_cli.approx(A, rank=9)
    report = {"error": {"norm": "fro", "kind": "exact", "relative": done.certificate.relative}}
    assert held(done.factor, report, A)["holds"]
