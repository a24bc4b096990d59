"""Approximations that are nearest on given data, against the theorem, SVD-LLM's formula and brute force."""

from __future__ import annotations

import gallery
import measure
import numpy as np
import pytest
import scipy.linalg
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

import lowrank_cli
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.errors import InputError, UsageError


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    with threadpool_limits(1, "blas"):
        yield


def gaussian(m, n, seed=0, dtype="float64"):
    return gallery.with_spectrum(m, n, np.linspace(2.0, 1.0, min(m, n)), seed, dtype)[0]


def anisotropic(N, n, smallest=1e-3, seed=5, dtype="float64"):
    """N activations in n dimensions whose spread falls from 1 to ``smallest`` over directions of no preference."""
    return gallery.with_spectrum(N, n, np.geomspace(1, smallest, min(N, n)), seed, dtype)[0]


def error(A, F, X):
    return measure.norm((measure.wide(A) - measure.product(F)) @ measure.wide(X).T)


def values(A, X):
    return np.linalg.svd(A @ X.T, compute_uv=False)


# The theorem


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("N", [200, 30, 11, 1])
@pytest.mark.parametrize("k", [1, 4, 10])
def test_the_weighted_error_is_the_tail_of_the_singular_values_of_a_times_the_data(N, k, dtype):
    """With fewer activations than dimensions too, where the Gram matrix is singular."""
    A, X = gaussian(25, 30, 1, dtype), anisotropic(N, 30, dtype=dtype)
    s = values(A, X)
    by_data = lowrank_cli.approx(A, weight=X, rank=k)
    by_gram = lowrank_cli.approx(A, gram=X.T @ X.conj(), rank=k)
    for done, digits in ((by_data, 1e-10), (by_gram, 1e-6)):
        F = done.factor
        assert F.kind == "qb" and F.rank == min(k, N)
        assert measure.from_orthonormal(F.Q) < 30
        assert error(A, F, X) == pytest.approx(measure.best(s, k), rel=digits, abs=1e-7 * s[0])
        told = done.facts["weighted"]
        assert told["absolute"] == pytest.approx(error(A, F, X), rel=digits, abs=1e-7 * s[0])
        assert told["relative"] == pytest.approx(told["absolute"] / measure.norm(s), rel=1e-9, abs=1e-14)
        assert told["optimal_lower"] <= told["optimal_upper"] == told["relative"]
        assert done.certificate.absolute == pytest.approx(measure.residual(A, F), rel=1e-10)
    assert measure.norm(measure.product(by_data.factor) - measure.product(by_gram.factor)) < 1e-6


@pytest.mark.parametrize("k", [1, 5, 20])
def test_the_result_is_that_of_svd_llm_with_its_cholesky_factor_and_inverse(k):
    A, X = gaussian(25, 30, 1), anisotropic(300, 30, 1e-2)
    S = np.linalg.cholesky(X.T @ X)
    U, s, Vh = np.linalg.svd(A @ S, full_matrices=False)
    theirs = scipy.linalg.solve_triangular(S, ((U[:, :k] * s[:k]) @ Vh[:k]).T, lower=True, trans="T").T
    for second in ({"weight": X}, {"gram": X.T @ X}):
        ours = measure.product(lowrank_cli.approx(A, rank=k, **second).factor)
        assert measure.norm(ours - theirs) < 1e-9 * measure.norm(theirs)


def test_no_other_matrix_of_the_rank_is_nearer_on_the_data():
    A, X = gaussian(12, 10, 1), anisotropic(40, 10, 1e-2)
    done = lowrank_cli.approx(A, weight=X, rank=3)
    rng, least = np.random.default_rng(0), error(A, done.factor, X)
    Q, B = done.factor.Q, done.factor.B
    for size in np.repeat([1e-1, 1e-3, 1e-5], 60):
        other = (Q + size * rng.standard_normal(Q.shape)) @ (B + size * rng.standard_normal(B.shape))
        assert np.linalg.norm((A - other) @ X.T) >= least * (1 - 1e-12)


def test_on_anisotropic_data_the_svd_and_diagonal_scaling_are_worse():
    A, X = gaussian(64, 48, 1), anisotropic(500, 48, 1e-4)
    weighted = lowrank_cli.approx(A, weight=X, rank=8)
    plain = lowrank_cli.approx(A, rank=8)
    D = np.sqrt(np.linalg.norm(X, axis=0))
    U, s, Vh = np.linalg.svd(A * D, full_matrices=False)
    diagonal = np.linalg.norm((A - ((U[:, :8] * s[:8]) @ Vh[:8]) / D) @ X.T)
    best = error(A, weighted.factor, X)
    assert 2 * best < diagonal and 2 * best < error(A, plain.factor, X)
    # and the other way round: nothing is as near in every direction alike
    assert weighted.certificate.absolute > plain.certificate.absolute


@pytest.mark.parametrize("second", ["weight", "gram"])
def test_data_of_no_preference_give_the_svd(second):
    A, _ = gallery.with_spectrum(25, 20, gallery.poly(20), 1)
    done = lowrank_cli.approx(A, rank=5, **{second: np.eye(20)})
    assert done.certificate.absolute == pytest.approx(measure.best(gallery.poly(20), 5), rel=1e-12)
    assert done.facts["weighted"]["relative"] == pytest.approx(done.certificate.relative, rel=1e-12)


def test_columns_that_no_data_reach_do_not_count():
    A, X = gaussian(12, 10, 1), anisotropic(40, 10, 1e-1)
    X[:, [2, 7]] = 0
    other = A.copy()
    other[:, [2, 7]] += 100
    one, two = (lowrank_cli.approx(M, weight=X, rank=3) for M in (A, other))
    assert one.facts["weighted"]["absolute"] == pytest.approx(two.facts["weighted"]["absolute"], rel=1e-12)
    assert measure.norm(one.factor.Q @ one.factor.Q.T - two.factor.Q @ two.factor.Q.T) < 1e-10


def test_the_rank_is_no_more_than_the_data_span():
    A, X = gaussian(25, 30, 1), gaussian(100, 6, 2) @ gaussian(6, 30, 3)
    for second in ({"weight": X}, {"gram": X.T @ X}):
        done = lowrank_cli.approx(A, rank=20, **second)
        assert done.factor.rank == 6 and done.status is Status.CONVERGED
        assert done.facts["weighted"]["relative"] < 1e-7 and done.certificate.relative > 0.1


def test_the_data_keep_the_digits_that_their_gram_matrix_loses():
    """Directions of spread below 1e-8 are lost to squares, and seen by the QR of the data."""
    A, X = gaussian(20, 20, 1), anisotropic(400, 20, 1e-12)
    best = measure.best(values(A, X), 18)
    by_data, by_gram = lowrank_cli.approx(A, weight=X, rank=18), lowrank_cli.approx(A, gram=X.T @ X, rank=18)
    assert error(A, by_data.factor, X) < 2 * best
    assert error(A, by_gram.factor, X) > 100 * best


def test_many_rows_go_through_the_qr_in_blocks_and_give_the_same():
    A, X = gaussian(12, 10, 1), anisotropic(5000, 10, 1e-2)
    done = lowrank_cli.approx(A, weight=X, rank=4)
    assert done.facts["weighted"]["absolute"] == pytest.approx(measure.best(values(A, X), 4), rel=1e-11)
    shuffled = lowrank_cli.approx(A, weight=X[::-1], rank=4)
    assert measure.norm(measure.product(done.factor) - measure.product(shuffled.factor)) < 1e-11


# What is asked for


def test_a_tolerance_speaks_of_the_weighted_error():
    A, X = gaussian(25, 20, 1), anisotropic(100, 20, 1e-2)
    s = values(A, X)
    errors = np.array([measure.best(s, k) for k in range(21)]) / measure.norm(s)
    for k in (1, 4, 11):
        rtol = 0.5 * (errors[k - 1] + errors[k])
        for asked in ({"rtol": rtol}, {"atol": rtol * measure.norm(s)}):
            done = lowrank_cli.approx(A, weight=X, **asked)
            assert done.factor.rank == k and done.status is Status.CONVERGED
            assert done.facts["weighted"]["relative"] <= rtol < done.certificate.relative
    assert lowrank_cli.approx(A, weight=X).factor.rank == int(np.argmax(errors <= 0.01))


def test_a_rank_that_misses_the_tolerance_says_so():
    A, X = gaussian(25, 20, 1), anisotropic(100, 20, 1e-2)
    done = lowrank_cli.approx(A, weight=X, rank=2, rtol=1e-3)
    assert done.status is Status.RANK_REACHED and done.factor.rank == 2


def test_errors_are_left_out_when_asked_to():
    A, X = gaussian(25, 20, 1), anisotropic(100, 20, 1e-2)
    done, full = (lowrank_cli.approx(A, weight=X, rank=3, certify=how) for how in ("none", "exact"))
    assert done.certificate.absolute is None and done.facts["weighted"]["relative"] is None
    assert np.array_equal(done.factor.B, full.factor.B)


# Storage, scale


def test_a_large_matrix_goes_through_the_krylov_space():
    A, X = gallery.with_spectrum(1100, 510, gallery.poly(510), 1)[0], anisotropic(900, 510, 1e-3)
    done = lowrank_cli.approx(A, weight=X, rank=10)
    s = values(A, X)
    assert "lapack gesdd" not in done.facts["kernels"]
    told = done.facts["weighted"]
    best = measure.best(s, 10) / measure.norm(s)
    assert told["optimal_lower"] <= best * (1 + 1e-9) and best <= told["relative"] <= 1.002 * best
    true = np.linalg.norm((A - done.factor.Q @ done.factor.B) @ X.T) / measure.norm(s)
    assert told["relative"] == pytest.approx(true, rel=1e-9)


@pytest.mark.parametrize("dtypes", [("float32", "float32"), ("float32", "float64"), ("float64", "float32")], ids=str)
def test_data_of_other_precision_are_used_in_double(dtypes):
    A, X = gaussian(25, 20, 1, dtypes[0]), anisotropic(100, 20, 1e-2, dtype=dtypes[1])
    best = measure.best(values(A.astype("f8"), X.astype("f8")), 6)
    for second in ({"weight": X}, {"gram": X.astype("f8").T @ X}):
        done = lowrank_cli.approx(A, rank=6, **second)
        assert done.factor.dtype == dtypes[0]
        assert error(A, done.factor, X) == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_complex_data_ask_for_complex_factors_of_a_real_matrix(dtype):
    A, X = gaussian(25, 20, 1, dtype), anisotropic(100, 20, 1e-2, dtype="complex128")
    best = measure.best(np.linalg.svd(A.astype("f8") @ X.T, compute_uv=False), 6)
    for second in ({"weight": X}, {"gram": X.T @ X.conj()}):
        done = lowrank_cli.approx(A, rank=6, **second)
        assert done.factor.dtype == np.result_type(dtype, "complex64")
        assert error(A, done.factor, X) == pytest.approx(best, rel=1e-5 if dtype == "float32" else 1e-9)
        assert done.certificate.absolute == pytest.approx(measure.residual(A, done.factor), rel=1e-5)


def test_sparse_matrices_and_sparse_data_are_taken():
    A, X = gaussian(25, 20, 1), np.where(gaussian(100, 20, 2) > 0.1, 1.0, 0.0)
    dense = lowrank_cli.approx(A, weight=X, rank=6)
    for done in (
        lowrank_cli.approx(csr_array(A), weight=csr_array(X), rank=6),
        lowrank_cli.approx(A, gram=csr_array(X.T @ X), rank=6),
    ):
        assert done.facts["weighted"]["absolute"] == pytest.approx(dense.facts["weighted"]["absolute"], rel=1e-9)


@pytest.mark.parametrize(("of_matrix", "of_data"), [(600, 0), (-600, 0), (0, 500), (0, -500), (400, 400), (-500, 400)])
def test_every_scale_gives_the_same_bits(of_matrix, of_data):
    A, X = gaussian(25, 20, 1), anisotropic(100, 20, 1e-2)
    H = X.T @ X
    for base, moved in (
        ({"weight": X}, {"weight": np.ldexp(X, of_data)}),
        ({"gram": H}, {"gram": np.ldexp(H, 2 * of_data)}),
        ({"gram": np.ldexp(H, 1)}, {"gram": np.ldexp(H, of_data + 1)}),
    ):
        if not np.all(np.isfinite(next(iter(moved.values())))):
            continue
        one, two = lowrank_cli.approx(A, rank=4, **base), lowrank_cli.approx(np.ldexp(A, of_matrix), rank=4, **moved)
        assert np.array_equal(one.factor.Q, two.factor.Q)
        assert np.array_equal(np.ldexp(one.factor.B, of_matrix), two.factor.B)
        assert two.facts["weighted"]["relative"] == one.facts["weighted"]["relative"]


def test_an_absolute_tolerance_follows_the_scale():
    A, X = gaussian(25, 20, 1), anisotropic(100, 20, 1e-2)
    ranks = [
        lowrank_cli.approx(np.ldexp(A, e), weight=np.ldexp(X, f), atol=np.ldexp(0.3, e + f)).factor.rank
        for e, f in ((0, 0), (300, 200), (-300, 0))
    ]
    assert len(set(ranks)) == 1 and 1 < ranks[0] < 20


@pytest.mark.parametrize("second", ["weight", "gram"])
def test_no_data_at_all_and_a_zero_matrix_have_answers(second):
    done = lowrank_cli.approx(gaussian(12, 10), rank=3, **{second: np.zeros((10, 10))})
    assert done.factor.rank == 1 and done.facts["weighted"]["relative"] == 0.0
    done = lowrank_cli.approx(np.zeros((12, 10)), rank=3, **{second: np.eye(10)})
    assert done.certificate.relative == 0.0 and not done.factor.B.any()


# Refusals


def test_gram_matrices_that_are_none_are_refused_with_numbers():
    A, X = gaussian(12, 10), anisotropic(40, 10)
    H = X.T @ X
    skew = H.copy()
    skew[2, 7] += 0.1 * np.abs(H).max()
    with pytest.raises(UsageError, match=r"--gram is not symmetric: entries \(2, 7\) and \(7, 2\).* differ by 0.1 of"):
        lowrank_cli.approx(A, gram=skew)
    with pytest.raises(
        UsageError, match=r"not positive semidefinite: its smallest eigenvalue is -0\.\d+ of its largest"
    ):
        lowrank_cli.approx(A, gram=H - 0.1 * np.trace(H) * np.eye(10) / 10)
    with pytest.raises(UsageError, match="smallest eigenvalue is -1 of"):
        lowrank_cli.approx(A, gram=-np.eye(10))


def test_the_rounding_of_a_gram_matrix_is_forgiven():
    A, X = gaussian(12, 30), anisotropic(20, 30)
    H = (X.T.astype("f4") @ X.astype("f4")).astype("f4")
    rng = np.random.default_rng(0)
    H += np.finfo("f4").eps * np.abs(H).max() * rng.standard_normal(H.shape).astype("f4")
    assert np.linalg.eigvalsh(H.astype("f8"))[0] < 0
    assert lowrank_cli.approx(A, gram=H, rank=3).factor.rank == 3


def test_what_does_not_fit_is_refused():
    A, X = gaussian(12, 10), anisotropic(40, 10)
    with pytest.raises(UsageError, match="--weight is 10x40, the matrix 12x10; it must have 10 columns"):
        lowrank_cli.approx(A, weight=X.T)
    with pytest.raises(UsageError, match="--gram is 40x10, the matrix 12x10; it must have 10x10 entries"):
        lowrank_cli.approx(A, gram=X)
    with pytest.raises(UsageError, match="--weight X or --gram H"):
        lowrank_cli.approx(A, weight=X, gram=np.eye(10))
    with pytest.raises(UsageError, match="at most 10"):
        lowrank_cli.approx(A, weight=X, rank=11)
    for asked in ({"norm": "spectral"}, {"certify": "probes"}):
        with pytest.raises(UsageError, match="measures its errors exactly"):
            lowrank_cli.approx(A, weight=X, rank=3, **asked)
    X[4, 3] = np.nan
    with pytest.raises(InputError, match="row 4, column 3"):
        lowrank_cli.approx(A, weight=X)
