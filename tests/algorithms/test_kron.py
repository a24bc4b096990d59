"""Sums of Kronecker products: the identity of Van Loan and Pitsianis, inheritance, exact recovery, the search."""

from __future__ import annotations

import gallery
import measure
import numpy as np
import pytest
from scipy.sparse import csr_array

import lowrank_cli
from lowrank_cli.algorithms.kron import KronOptions
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.algorithms.rearrangement import Cut, cuts, rearranged
from lowrank_cli.errors import NumericalError, UsageError
from lowrank_cli.factors.kron import KroneckerSum

RNG = np.random.default_rng(11)


def kron(A, shape=None, **asked):
    return lowrank_cli.approx(A, method="kron", options=KronOptions(shape=shape), **asked)


def planted(dtype="float64", noise=0.0, terms=1):
    """A (48, 35), the sum of Kronecker products of 6x5 and 8x7 matrices, of falling size, and noise."""
    made = np.zeros((48, 35), dtype)
    for i in range(terms):
        B, C = (gallery.with_spectrum(*d, np.ones(min(d)), seed=i, dtype=dtype)[0] for d in ((6, 5), (8, 7)))
        made += np.kron(B, C) * 0.5**i
    return made + (noise * RNG.standard_normal(made.shape)).astype(made.real.dtype)


def by_definition(A, m1, n1):
    """R(A), block by block."""
    m2, n2 = A.shape[0] // m1, A.shape[1] // n1
    rows = [A[i * m2 : (i + 1) * m2, j * n2 : (j + 1) * n2].ravel() for i in range(m1) for j in range(n1)]
    return np.array(rows)


# The identity


@pytest.mark.parametrize("m1,n1", [(1, 5), (6, 5), (6, 1), (48, 5), (3, 7)])
def test_the_rearrangement_makes_outer_products_of_kronecker_products(m1, n1):
    m2, n2 = 48 // m1, 35 // n1
    B, C = RNG.standard_normal((m1, n1)), RNG.standard_normal((m2, n2))
    A = np.kron(B, C)
    R = rearranged(A, Cut(m1, n1, m2, n2))
    assert np.array_equal(R, by_definition(A, m1, n1))
    assert np.array_equal(R, np.outer(B, C))


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", ["6x5", "12x1", "3x35"])
@pytest.mark.parametrize("r", [1, 3, 8])
def test_the_squared_error_is_the_tail_of_the_rearranged_matrix(r, shape, dtype):
    A = gallery.with_spectrum(48, 35, gallery.poly(35), seed=2, dtype=dtype)[0]
    m1, n1 = map(int, shape.split("x"))
    s = np.linalg.svd(by_definition(A, m1, n1).astype("complex128"), compute_uv=False)
    outcome = kron(A, shape, rank=r)
    slack = 30 * measure.eps(A) * measure.norm(A)
    assert outcome.certificate.absolute == pytest.approx(measure.best(s, r), rel=1e-9, abs=slack)
    assert np.allclose(outcome.factor.s, s[:r], rtol=30 * measure.eps(A), atol=0)
    assert measure.residual(A, outcome.factor) == pytest.approx(outcome.certificate.absolute, rel=1e-9, abs=slack)


def test_the_identity_holds_where_the_rearranged_matrix_is_too_large_for_lapack():
    A = gallery.with_spectrum(1100, 1000, gallery.exponential(1000, 0.02), seed=3)[0]
    s = np.linalg.svd(by_definition(A, 50, 20), compute_uv=False)
    outcome = kron(A, "50x20", rank=10)
    assert outcome.facts["kernels"][0] == "block krylov"
    assert 1 <= outcome.certificate.absolute / measure.best(s, 10) <= 1.004


def test_any_number_of_terms_meets_a_tolerance_and_fewer_would_not():
    A = gallery.with_spectrum(48, 35, gallery.poly(35), seed=2)[0]
    s = np.linalg.svd(by_definition(A, 6, 5), compute_uv=False)
    for rtol in (0.5, 0.1, 1e-3, 1e-9):
        outcome = kron(A, "6x5", rtol=rtol)
        assert outcome.status is Status.CONVERGED and outcome.certificate.relative <= rtol
        assert outcome.factor.rank == measure.smallest_rank(s, rtol)
    capped = kron(A, "6x5", rtol=1e-3, rank=4)
    assert capped.status is Status.RANK_REACHED and capped.factor.rank == 4


@pytest.mark.parametrize("certify", ["exact", "probes"])
@pytest.mark.parametrize("norm", ["fro", "spectral"])
def test_tolerances_are_met_in_either_norm_and_by_bounds(norm, certify):
    A = gallery.with_spectrum(48, 35, gallery.poly(35), seed=2)[0]
    outcome = kron(A, "6x5", rtol=0.2, norm=norm, certify=certify)
    E, order = A - outcome.factor.reconstruct(), 2 if norm == "spectral" else "fro"
    assert outcome.status is Status.CONVERGED
    assert np.linalg.norm(E, order) <= outcome.certificate.absolute * (1 + 1e-9) <= 0.2 * np.linalg.norm(A, order) * 3
    assert np.linalg.norm(E, order) <= 0.2 * np.linalg.norm(A, order)


# What one term inherits


def spd(n, seed):
    Q = gallery.orthonormal(n, n, np.random.default_rng(seed))
    return (Q * gallery.poly(n)) @ Q.T


def test_the_best_single_term_of_a_positive_semidefinite_matrix_is_positive_semidefinite():
    """Van Loan and Pitsianis 1993; signs by rule make both factors so, not their negatives."""
    for seed in range(5):
        A = spd(24, seed)
        factor = kron(A, "4x4", rank=1).factor
        for X in (factor.B, factor.C):
            assert np.abs(X - X.T).max() <= 1e-13 and np.linalg.eigvalsh(X).min() >= -1e-13


def test_the_best_single_term_of_a_non_negative_matrix_is_non_negative():
    A = RNG.random((24, 30))
    factor = kron(A, "4x6", rank=1).factor
    assert factor.B.min() >= -1e-14 and factor.C.min() >= -1e-14


def test_of_an_asymmetric_matrix_the_factors_are_not_symmetric():
    factor = kron(RNG.standard_normal((24, 24)), "4x4", rank=1).factor
    assert np.abs(factor.B - factor.B.T).max() > 1e-3


# Recovery and search


@pytest.mark.parametrize("scale", [1e-250, 1.0, 1e250])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_a_kronecker_product_is_recovered_exactly_at_every_scale(dtype, scale):
    A = planted(dtype) * scale
    outcome = kron(A, rtol=1e-12)
    assert outcome.factor.rank == 1 and outcome.facts["factor_shapes"] == {"B": [6, 5], "C": [8, 7]}
    assert measure.relative(A / scale, KroneckerSum(outcome.factor.s / scale, *_sides(outcome.factor))) <= 1e-13
    assert outcome.factor.nbytes == (30 + 56) * A.itemsize + 8


def _sides(factor):
    return factor.B, factor.C


@pytest.mark.parametrize("noise", [1e-6, 1e-3, 0.05])
def test_the_search_finds_the_planted_shape_under_noise(noise):
    """To miss it, a sketch with a power step would have to misjudge a gap of many standard deviations."""
    found = kron(planted(noise=noise), rank=1).facts
    assert found["factor_shapes"] == {"B": [6, 5], "C": [8, 7]}
    search = found["search"]
    assert search["chosen"]["score"] < search["runner_up"]["score"]
    assert search["tried"] == search["possible"] == len(cuts((48, 35), 1))


def test_the_search_counts_terms():
    A = planted(noise=1e-5, terms=3)
    assert kron(A, rank=3).facts["factor_shapes"]["B"] == [6, 5]
    found = kron(A, rtol=1e-3)
    assert found.factor.rank == 3 and found.facts["factor_shapes"]["B"] == [6, 5]


def test_the_chosen_shape_has_the_least_criterion_of_all_shapes():
    A = gallery.with_spectrum(12, 10, gallery.poly(10), seed=5)[0]
    scores = {}
    for cut in cuts(A.shape, 2):
        error = kron(A, f"{cut.m1}x{cut.n1}", rank=2).certificate.relative
        scores[cut.m1, cut.n1] = 120 * np.log(error**2) + np.log(120) * 2 * cut.entries
    best = min(scores, key=scores.get)
    found = kron(A, rank=2).facts["search"]
    assert tuple(found["chosen"]["B"]) == best
    assert found["chosen"]["score"] == pytest.approx(scores[best], rel=1e-9)


def test_shapes_that_say_nothing_new_are_not_tried():
    for cut in cuts((48, 35), 1):
        assert min(cut.m1 * cut.n1, cut.m2 * cut.n2) > 1
        assert not (cut.m2 == cut.n1 == 1) and not (cut.m1 == cut.n2 == 1)
    with pytest.raises(UsageError, match="no Kronecker shape"):
        kron(np.ones((7, 5)), rank=1)


# The operator


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("shape", ["6x5", "2x35", "48x5", "1x7"])
def test_products_and_blocks_are_those_of_the_matrix_it_stands_for(shape, dtype):
    A = gallery.with_spectrum(48, 35, gallery.poly(35), seed=2, dtype=dtype)[0]
    factor = kron(A, shape, rank=5).factor
    F = measure.product(factor, lambda X: np.asarray(X).astype(dtype))
    X, Y = RNG.standard_normal((35, 3)), RNG.standard_normal((48, 2))
    assert np.allclose(factor.matmat(X), F @ X, atol=1e-13)
    assert np.allclose(factor.rmatmat(Y), F.conj().T @ Y, atol=1e-13)
    block = factor.blocks()
    for rows, cols in ((slice(0, 48), slice(0, 35)), (slice(5, 31), slice(3, 29)), (slice(47, 48), slice(2, 3))):
        assert np.allclose(block(rows, cols), F[rows, cols], atol=1e-14)


def test_a_product_with_a_vector_costs_what_the_vec_trick_costs():
    factor = KroneckerSum(np.ones(2), np.ones((2 * 3, 4)), np.ones((2 * 5, 7)))
    assert factor.shape == (15, 28)
    assert factor.apply_flops == 2 * 2 * min(3 * 7 * (4 + 5), 5 * 4 * (7 + 3))


def test_a_sparse_matrix_is_rearranged_sparsely_and_gives_the_same_terms():
    S = csr_array(np.kron(np.eye(6), np.diag(np.arange(1.0, 9), 0)[:, :7]))
    dense, sparse = kron(S.toarray(), "6x6", rank=2), kron(S, "6x6", rank=2)
    assert sparse.certificate.relative == pytest.approx(dense.certificate.relative, abs=1e-13)
    assert np.allclose(sparse.factor.reconstruct(), dense.factor.reconstruct(), atol=1e-12)


# Refusals


@pytest.mark.parametrize("method", ["kron", "diag-lowrank", "rank1-nonneg", "nmf", "vq"])
def test_an_absolute_tolerance_far_above_the_matrix_is_met_and_an_overflow_is_said(method):
    A = RNG.random((12, 12))
    assert lowrank_cli.approx(A * 1e-300, method=method, atol=1e-3).status is Status.CONVERGED
    if method != "vq":
        with pytest.raises(NumericalError, match="overflow"):
            lowrank_cli.approx(np.full((4, 4), 1.7e308), method=method, atol=1e305)


@pytest.mark.parametrize(
    ("shape", "rank", "said"),
    [
        ("6", 1, "no shape"),
        ("0x5", 1, "no shape"),
        ("-6x5", 1, "no shape"),
        ("7x5", 1, "do not divide"),
        ("6x5", 31, "at most 30 independent terms"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shape, rank, said):
    with pytest.raises(UsageError, match=said):
        kron(planted(), shape, rank=rank)
