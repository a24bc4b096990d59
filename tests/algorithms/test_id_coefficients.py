"""Bounded coefficients: what --max-coefficient promises of the stored Z and W, and what is proven of its end."""

from __future__ import annotations

import itertools
import math

import gallery
import measure
import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

import lowrank_cli
from lowrank_cli.algorithms import id_exchange
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.errors import NumericalError, UsageError
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.metered import Metered


def limited(A, f, axis="cols", quality="balanced", **asked):
    return lowrank_cli.approx(A, method="id", options=IDOptions(axis=axis, quality=quality, max_coefficient=f), **asked)


def largest(factor) -> float:
    return max(float(np.abs(a).max()) for name, a in factor.arrays().items() if name in ("W", "Z"))


def steep(m, n, seed=0, dtype="float64"):
    """Columns that grow and nearly repeat: pivoting leaves coefficients above 1 here."""
    A = gallery.with_spectrum(m, n, gallery.exponential(min(m, n), 0.4), seed=seed, dtype=dtype)[0]
    return np.ascontiguousarray(A * np.linspace(1, 3, n).astype(A.real.dtype))


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("quality", ["fast", "balanced", "bound"])
@pytest.mark.parametrize("axis", ["cols", "rows", "both"])
@pytest.mark.parametrize(("shape", "k"), [((40, 60), 14), ((540, 620), 20)])
def test_no_stored_coefficient_is_above_the_limit(axis, quality, dtype, shape, k):
    A = steep(*shape, dtype=dtype)
    for f in (1, 1.2) if shape[0] < 100 else (1,):
        outcome = limited(A, f, axis, quality, rank=k)
        assert outcome.factor.rank == k
        assert largest(outcome.factor) <= f * (1 + 64 * k * measure.eps(A))
        assert outcome.facts["max_abs_Z"] == largest(outcome.factor)


@pytest.mark.parametrize("k", [8, 14])
@pytest.mark.parametrize("quality", ["balanced", "bound"])
def test_the_limit_is_worth_asking_for(quality, k):
    """Neighbouring columns of the Hilbert matrix are nearly the same: without a limit coefficients are 1.3 and more."""
    A = gallery.hilbert(40)[0]
    free = lowrank_cli.approx(A, method="id", options=IDOptions(quality=quality), rank=k)
    outcome = limited(A, 1.0, quality=quality, rank=k)
    assert free.facts["max_abs_Z"] > 1.25 and outcome.facts["exchanges"] > 0
    assert largest(outcome.factor) <= 1 + 1e-10


@pytest.mark.parametrize("f", [1.0, 1.5, 2.0])
def test_the_singular_values_keep_the_bounds_of_strong_rank_revealing_qr(f):
    """s_i(A) / q <= s_i(A_J) and s_j(E) <= s_{k+j}(A) q with q^2 = 1 + f^2 k (n - k), a theorem: for all of them."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        m, n = rng.integers(6, 20, 2)
        k = int(rng.integers(1, min(m, n)))
        A = rng.standard_normal((m, n)) * 10.0 ** rng.uniform(-2, 0, n)
        s = np.linalg.svd(A, compute_uv=False)
        factor = limited(A, f, rank=k).factor
        q = math.sqrt(1 + f**2 * k * (n - k))
        chosen = np.linalg.svd(factor.C, compute_uv=False)
        left = np.linalg.svd(A - factor.C @ factor.Z, compute_uv=False)
        assert np.all(chosen >= s[:k] / q * (1 - 1e-9))
        assert np.all(left[: len(s) - k] <= s[k:] * q * (1 + 1e-9) + 1e-12)


def test_at_the_end_no_exchange_of_two_columns_grows_the_volume_by_more_than_f():
    """Every one of the 5 x 7 exchanges is tried."""
    A = np.random.default_rng(7).standard_normal((9, 12))
    for f in (1.0, 1.3):
        J = limited(A, f, rank=5).factor.cols.tolist()
        volume = np.sqrt(np.linalg.det(A[:, J].T @ A[:, J]))
        for i, j in itertools.product(range(5), (j for j in range(12) if j not in J)):
            other = [*J[:i], j, *J[i + 1 :]]
            assert np.sqrt(np.linalg.det(A[:, other].T @ A[:, other])) <= f * volume * (1 + 1e-10)


@pytest.mark.parametrize(("n", "by_pivots"), [(20, 2.6257e-1), (30, 1.2989e-1), (40, 6.4259e-2)])
def test_one_exchange_solves_kahans_matrix(n, by_pivots):
    """Pivoting misses the smallest singular value by a factor that grows with n; for n = 30 the exchange leaves 4.54e-5
    and coefficients of 0.73."""
    A, _ = gallery.kahan(n)
    s = np.linalg.svd(A, compute_uv=False)
    before = lowrank_cli.approx(A, method="id", rank=n - 1)
    outcome = limited(A, 2.0, rank=n - 1)
    assert before.certificate.absolute == pytest.approx(by_pivots, rel=1e-4)
    assert outcome.facts["exchanges"] == 1
    assert outcome.certificate.absolute <= math.sqrt(1 + 4 * (n - 1)) * s[-1]
    free = np.setdiff1d(np.arange(n), outcome.factor.cols)
    if n == 30:
        assert outcome.certificate.absolute == pytest.approx(4.54e-5, rel=1e-3)
        assert np.abs(outcome.factor.Z[:, free]).max() == pytest.approx(0.73, abs=5e-3)


def test_coefficients_remain_those_of_least_squares():
    A = steep(60, 45)
    factor = limited(A, 1.0, rank=12).factor
    assert np.allclose(factor.Z, np.linalg.lstsq(factor.C, A)[0], atol=1e-9)


@pytest.mark.parametrize("axis", ["cols", "rows", "both"])
def test_a_tolerance_is_met_with_bounded_coefficients(axis):
    A, _ = gallery.with_spectrum(80, 60, gallery.poly(60), seed=3)
    outcome = limited(A, 1.0, axis, rtol=0.1)
    assert outcome.status is Status.CONVERGED and largest(outcome.factor) <= 1 + 1e-10
    assert measure.relative(A, outcome.factor) <= 0.1
    assert limited(A, 1.0, axis, rank=outcome.factor.rank - 1).certificate.relative > 0.1


def test_after_exchanges_the_proven_ratio_is_that_of_the_exchanges():
    outcome = limited(gallery.hilbert(40)[0], 1.0, quality="bound", rank=14)
    assert outcome.facts["bound_ratio"] == math.sqrt(1 + 14 * 26)
    assert outcome.facts["measured_ratio"] <= outcome.facts["bound_ratio"]


@pytest.mark.parametrize("make", [gallery.zero, gallery.all_equal], ids=["zero", "equal"])
@pytest.mark.parametrize("axis", ["cols", "rows", "both"])
def test_ties_and_zeros_end(make, axis):
    outcome = limited(make(20, 10)[0], 1.0, axis, rank=3)
    assert outcome.factor.rank == 1 and largest(outcome.factor) == pytest.approx(1.0)
    assert outcome.certificate.relative <= 1e-14


def test_repeated_columns_of_either_sign_end_at_a_limit_of_one():
    A = np.random.default_rng(1).standard_normal((25, 9))
    outcome = limited(np.hstack([A, -A, A]), 1.0, rank=7)
    assert largest(outcome.factor) <= 1 + 1e-12


def test_a_sparse_matrix_keeps_sparse_copies():
    S = csr_array(random_array((200, 150), density=0.05, rng=np.random.default_rng(2)))
    outcome = limited(S, 1.0, "both", rank=12)
    factor = outcome.factor
    assert factor.S.format == "csr" and largest(factor) <= 1 + 1e-10
    assert np.array_equal(factor.S.toarray(), S.toarray()[np.ix_(factor.rows, factor.cols)])


def test_running_out_of_exchanges_is_said(monkeypatch):
    monkeypatch.setattr(id_exchange, "_enlarge", lambda image, state, limit, most: 0)
    A = gallery.kahan(30)[0]
    with pytest.raises(NumericalError, match="at most 2 were not found") as refusal:
        id_exchange.limit_coefficients(Metered(TiledMatrix(A)), np.arange(29), 2.0)
    assert "--max-coefficient" in refusal.value.hint


def test_a_limit_below_one_is_refused():
    with pytest.raises(UsageError, match="--max-coefficient must be at least 1"):
        IDOptions(max_coefficient=0.99)


@pytest.mark.parametrize("name", ["dwt_992.mtx", "lp_e226.mtx", "heat_90.npy", "young1c.mtx"])
def test_real_matrices_get_bounded_coefficients(data, name):
    outcome = limited(str(data(name)), 1.5, "both", rank=20)
    assert largest(outcome.factor) <= 1.5 * (1 + 1e-10)
