"""Columns with a proven error: never more than sqrt(k + 1) times the best, and no worse than LAPACK's pivoting."""

from __future__ import annotations

import functools
import itertools
import math

import gallery
import measure
import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

import lowrank_cli
from lowrank_cli.algorithms import id_bound, id_exchange
from lowrank_cli.algorithms.id_selection import least_squares
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.matrices.adjoint import Adjoint
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.metered import Metered

SPECTRA = {
    "1/i": gallery.poly,
    "i^-1/2": gallery.inverse_sqrt,
    "exp(-i/20)": lambda n: gallery.exponential(n, 0.05),
}


@functools.cache
def specimen(spectrum: str, m: int, n: int, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    return gallery.with_spectrum(m, n, SPECTRA[spectrum](min(m, n)), seed=11, dtype=dtype)


def bound(A, axis="cols", **asked):
    return lowrank_cli.approx(A, method="id", options=IDOptions(axis=axis, quality="bound"), **asked)


def chosen_error(A, J) -> float:
    """The least squares error of the columns J."""
    Q = np.linalg.qr(A[:, J])[0]
    return float(np.linalg.norm(A - Q @ (Q.conj().T @ A)))


def osinsky(A, k):
    """The columns of Osinsky's rule, the oblique error of their interpolation along V, and the tail."""
    V = np.ascontiguousarray(np.linalg.svd(A, full_matrices=False)[2][:k].conj().T)
    J, tail = id_bound._osinsky(Metered(TiledMatrix(A)), V, 0.0)
    Z = np.linalg.solve(V[J].conj().T, V.conj().T)
    return J, float(np.linalg.norm(A - A[:, J] @ Z)), math.sqrt(tail)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_the_oblique_error_of_osinskys_rule_meets_its_bound_for_two_hundred_matrices(dtype):
    """A theorem, so it holds for all of them: flat, decaying, badly scaled and sparse ones."""
    for seed in range(200):
        rng = np.random.default_rng(seed)
        m, n = rng.integers(5, 16, 2)
        k = int(rng.integers(1, min(m, n)))
        A = rng.standard_normal((m, n)) * 10.0 ** rng.uniform(-3, 3, n) ** (seed % 2)
        if dtype == "complex128":
            A = A + 1j * rng.standard_normal((m, n))
        if seed % 3 == 0:
            A = A * (rng.random((m, n)) < 0.5)
        s = np.linalg.svd(A, compute_uv=False)
        if s[k - 1] < 1e-10 * s[0]:
            continue
        J, oblique, tail = osinsky(A, k)
        slack = 1e-12 * s[0]
        assert tail == pytest.approx(measure.best(s, k), abs=slack)
        assert len(set(J.tolist())) == k and oblique <= math.sqrt(k + 1) * tail * (1 + 1e-9) + slack
        assert chosen_error(A, J) <= oblique * (1 + 1e-9) + slack


def test_columns_are_taken_in_blocks_and_the_bound_holds_for_large_ranks_too():
    A, s = specimen("i^-1/2", 150, 140)
    for k in (1, 70, 139):
        _, oblique, tail = osinsky(A, k)
        assert tail == pytest.approx(measure.best(s, k), rel=1e-9)
        assert oblique <= math.sqrt(k + 1) * tail


def test_among_all_subsets_of_small_matrices_the_choice_lies_between_the_best_and_the_bound():
    """All 56 subsets of three columns out of eight are tried; the choice is no worse than their mean, too."""
    for seed in range(20):
        A = np.random.default_rng(seed).standard_normal((8, 8)) @ np.diag(0.6 ** np.arange(8))
        errors = [chosen_error(A, list(J)) for J in itertools.combinations(range(8), 3)]
        outcome = bound(A, rank=3)
        found = outcome.certificate.absolute
        tail = measure.best(np.linalg.svd(A, compute_uv=False), 3)
        assert tail <= min(errors) * (1 + 1e-12) and min(errors) * (1 - 1e-12) <= found <= 2 * tail
        assert found <= np.mean(errors)


@pytest.mark.parametrize("shape", [(400, 300), (300, 400), (620, 540)])
@pytest.mark.parametrize("axis", ["cols", "rows", "both"])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_error_is_at_most_that_of_lapacks_pivoted_qr(spectrum, axis, shape):
    A, s = specimen(spectrum, *shape)
    outcome = bound(A, axis, rank=30)
    by_lapack = measure.geqp3_errors(A.T if axis == "rows" else A)[30]
    best = measure.best(s, 30)
    assert best * (1 - 1e-12) <= outcome.certificate.absolute <= by_lapack
    assert outcome.facts["bound_ratio"] == math.sqrt(31)
    # over the projection on leading vectors: LAPACK's are the best, those of a basis within a percent
    ratio = outcome.certificate.absolute / best
    assert ratio / 1.01 <= outcome.facts["measured_ratio"] <= ratio * (1 + 1e-9)
    assert outcome.facts["measured_ratio"] <= outcome.facts["bound_ratio"]


@pytest.mark.parametrize("shape", [(400, 300), (620, 540)])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_best_possible_error_is_enclosed_to_two_percent(spectrum, shape):
    A, s = specimen(spectrum, *shape)
    found = bound(A, rank=30).certificate
    best = measure.best(s, 30) / measure.norm(A)
    assert found.optimal_lower * (1 - 1e-12) <= best <= found.optimal_upper * (1 + 1e-12)
    assert found.optimal_upper <= 1.02 * best and found.optimal_upper < found.relative


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_exchanges_only_lower_the_error(spectrum):
    for dtype in ("float64", "complex128", "float32"):
        A, _ = specimen(spectrum, 120, 90, dtype)
        start = least_squares(Metered(TiledMatrix(A)), np.arange(12), False)
        better, exchanges = id_exchange.lower_error(Metered(TiledMatrix(A)), [start])
        assert exchanges > 0 and len(set(better.pivots.tolist())) == 12
        assert chosen_error(A, better.pivots) < 0.999 * chosen_error(A, start.pivots)


def test_where_no_single_exchange_lowers_the_error_none_is_made():
    """All 5 x 7 exchanges of the result are tried."""
    A = np.random.default_rng(5).standard_normal((20, 12)) * 0.8 ** np.arange(12)
    J = bound(A, rank=5).factor.cols.tolist()
    here = chosen_error(A, J) ** 2
    others = [j for j in range(12) if j not in J]
    for i, j in itertools.product(range(5), others):
        assert chosen_error(A, [*J[:i], j, *J[i + 1 :]]) ** 2 >= here * (1 - 1e-3 / 5 - 1e-9)


@pytest.mark.parametrize("k", [19, 29, 39])
def test_d24_kahans_matrix_is_no_trap(k):
    A, _ = gallery.kahan(k + 1)
    s = np.linalg.svd(A, compute_uv=False)
    assert bound(A, rank=k).certificate.absolute <= 1.5 * s[-1]


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", [(50, 40), (520, 510), (510, 520)])
@pytest.mark.parametrize("axis", ["cols", "rows", "both"])
def test_a_matrix_of_exact_rank_is_reproduced_to_rounding(axis, shape, dtype):
    A, _ = gallery.exact_rank(*shape, 6, dtype=dtype)
    outcome = bound(A, axis, rank=15)
    assert outcome.factor.rank == 6 and outcome.facts["measured_ratio"] is None
    assert outcome.certificate.relative <= 100 * max(shape) * measure.eps(A)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e200])
def test_the_bound_holds_at_every_scale(scale):
    A, s = specimen("1/i", 60, 45)
    outcome = bound(A * scale, rank=9)
    assert np.array_equal(outcome.factor.cols, bound(A, rank=9).factor.cols)
    assert outcome.certificate.absolute / scale <= math.sqrt(10) * measure.best(s, 9)


@pytest.mark.parametrize(("shape", "rtol"), [((60, 45), 0.3), ((60, 45), 0.1), ((620, 540), 0.3)])
def test_a_tolerance_is_met_and_one_column_less_would_not_meet_it(shape, rtol):
    A, _ = specimen("1/i", *shape)
    outcome = bound(A, rtol=rtol)
    k = outcome.factor.rank
    assert outcome.status is Status.CONVERGED and measure.relative(A, outcome.factor) <= rtol
    if shape == (60, 45):
        assert bound(A, rank=k - 1).certificate.relative > rtol
    assert bound(A, rtol=rtol, rank=k - 1).status is Status.RANK_REACHED


@pytest.mark.parametrize("norm", ["fro", "spectral"])
@pytest.mark.parametrize("certify", ["probes", "none"])
def test_other_ways_to_know_the_error_leave_the_choice_and_the_proven_ratio(certify, norm):
    A, _ = specimen("1/i", 60, 45)
    outcome = bound(A, rank=9, certify=certify, norm=norm)
    assert np.array_equal(outcome.factor.cols, bound(A, rank=9).factor.cols)
    assert outcome.facts["bound_ratio"] == math.sqrt(10) and outcome.facts["measured_ratio"] is None


def test_a_sparse_matrix_is_never_made_dense_and_squares_by_products_agree(monkeypatch):
    S = csr_array(random_array((300, 200), density=0.05, rng=np.random.default_rng(2)))
    outcome = bound(S, rank=12)
    assert outcome.factor.C.format == "csr" and outcome.facts["measured_ratio"] <= math.sqrt(13)
    monkeypatch.setattr(id_exchange, "EXPANDED", 0)
    by_products = bound(S, rank=12)
    assert np.array_equal(by_products.factor.cols, outcome.factor.cols)
    assert by_products.facts["measured_ratio"] == pytest.approx(outcome.facts["measured_ratio"], rel=1e-9)


@pytest.mark.parametrize("across", [False, True])
def test_residual_squares_are_the_same_by_tiles_and_by_products(across, monkeypatch):
    from lowrank_cli.matrices.sparse import SparseMatrix

    S = csr_array(random_array((90, 70), density=0.1, rng=np.random.default_rng(3)))
    matrix = Metered(SparseMatrix(S))
    image = Adjoint(matrix) if across else matrix
    A = S.toarray().T if across else S.toarray()
    rng = np.random.default_rng(4)
    L, R = rng.standard_normal((A.shape[0], 5)), rng.standard_normal((5, A.shape[1]))
    wanted = np.sum((A - L @ R) ** 2, axis=0)
    assert id_exchange.residual_squares(image, L, R) == pytest.approx(wanted, rel=1e-12)
    monkeypatch.setattr(id_exchange, "EXPANDED", 0)
    assert id_exchange.residual_squares(image, L, R) == pytest.approx(wanted, rel=1e-11)


@pytest.mark.parametrize("name", ["dwt_992.mtx", "lp_e226.mtx", "heat_90.npy", "young1c.mtx", "well1033.mtx"])
def test_real_matrices_stay_within_the_bound_and_within_lapacks_pivoting(data, name):
    outcome = bound(str(data(name)), rank=20)
    from lowrank_cli.formats.opening import open_matrix

    A = measure.dense(open_matrix(str(data(name))).array)
    assert outcome.facts["measured_ratio"] <= outcome.facts["bound_ratio"] == math.sqrt(21)
    assert outcome.certificate.absolute <= 1.001 * measure.geqp3_errors(A)[20]
