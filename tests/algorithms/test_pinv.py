"""The pseudo-inverse and least squares, against the equations that define them, closed forms and published digits."""

from __future__ import annotations

from pathlib import Path

import gallery
import measure
import numpy as np
import pytest
import scipy.io
from hypothesis import given
from scipy.sparse import csr_array, eye_array
from threadpoolctl import threadpool_limits

from lowrank_cli.algorithms.pseudoinverse import PseudoinverseOptions, penrose
from lowrank_cli.algorithms.scaling import bring_to_scale
from lowrank_cli.analysis.pinv import pinv
from lowrank_cli.errors import InputError, NumericalError, ResourceError, UsageError
from lowrank_cli.factors.svd import SVD
from lowrank_cli.formats.memory import from_array
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.metered import Metered

DATA = Path(__file__).resolve().parent.parent / "data"
#: NIST's certified coefficients, fifteen digits.
LONGLEY = (
    -3482258.63459582,
    15.0618722713733,
    -0.0358191792925910,
    -2.02022980381683,
    -1.03322686717359,
    -0.0511041056535807,
    1829.15146461355,
)


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    with threadpool_limits(1, "blas"):
        yield


def inverse(A, **options):
    """(A^+ dense, factor, report)."""
    factor, _, report = pinv(from_array(A), PseudoinverseOptions(**options), digests=False)
    return np.asarray(measure.product(factor)), factor, report


def solution(A, B, threads=1, **options):
    _, X, report = pinv(
        from_array(A), PseudoinverseOptions(**options), apply=from_array(B), threads=threads, digests=False
    )
    return X, report


def equations(A, X):
    """The four Penrose residuals in extended precision."""
    A, X = measure.wide(A), measure.wide(X)
    AX, XA = A @ X, X @ A
    pairs = {"AXA": (AX @ A, A), "XAX": (XA @ X, X), "AX": (AX.conj().T, AX), "XA": (XA.conj().T, XA)}
    return {name: measure.norm(got - wanted) / measure.norm(wanted) for name, (got, wanted) in pairs.items()}


def gaussian(m, n, seed=0, dtype="float64"):
    return gallery.with_spectrum(m, n, np.linspace(2.0, 1.0, min(m, n)), seed, dtype)[0]


# The equations


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("rank", [None, 5])
@pytest.mark.parametrize("shape", [(30, 12), (12, 30), (20, 20)], ids=str)
def test_the_four_penrose_equations_hold_to_rounding(shape, rank, dtype):
    s = np.geomspace(1.0, 1e-2, rank or min(shape))
    A, _ = gallery.with_spectrum(*shape, s, 3, dtype)
    X, factor, report = inverse(A)
    assert report["rank"] == len(s) == factor.rank and factor.shape == shape[::-1]
    assert factor.dtype == dtype and X.shape == shape[::-1]
    limit = 2000 * measure.eps(A)
    assert max(equations(A, X).values()) < limit and max(report["penrose"].values()) < limit


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("shape", [(30, 12), (12, 30), (9, 9)], ids=str)
def test_the_penrose_residuals_of_any_matrix_are_those_of_the_dense_formulas(shape, dtype):
    """What is no pseudo-inverse at all: nothing may cancel or be taken for granted."""
    A = gaussian(*shape, seed=1, dtype=dtype)
    other, s = gallery.with_spectrum(*shape[::-1], np.array([3.0, 1.0, 0.5, 0.1]), 2, dtype)
    U, s, Vh = np.linalg.svd(other, full_matrices=False)
    X = SVD(U[:, :4], s[:4], Vh[:4])
    for e in (0, 300, -300):
        scaled = bring_to_scale(Metered(TiledMatrix(np.ldexp(A.view("f8"), e).view(dtype))))
        made = SVD(X.U, np.ldexp(X.s, -e), X.Vh)
        found, wanted = penrose(scaled, made), equations(A, measure.product(X))
        for name, value in wanted.items():
            assert getattr(found, name) == pytest.approx(value, rel=1e-9), (name, e)


@pytest.mark.parametrize("options", [{"ridge": 0.3}, {"rank": 4}, {"rank": 4, "ridge": 1e-3}], ids=str)
def test_the_penrose_residuals_of_truncated_and_damped_inverses_are_measured(options):
    A, _ = gallery.with_spectrum(25, 11, gallery.poly(11), 3)
    X, _, report = inverse(A, **options)
    wanted = equations(A, X)
    for name in ("AXA", "XAX"):
        assert report["penrose"][name] == pytest.approx(wanted[name], rel=1e-9, abs=1e-13)
    assert report["penrose"]["AXA"] > 1e-4
    assert max(report["penrose"]["AX"], report["penrose"]["XA"]) < 1e-13


@given(gallery.matrices(max_side=20))
def test_the_equations_hold_for_whatever_is_drawn(specimen):
    A, _ = specimen
    _, report = solution(A, np.ones((A.shape[0], 1)))
    held, rounding = report["penrose"], 30 * max(A.shape) * measure.eps(A)
    # A A^+ A lacks what was cut off, each value up to max(m, n) eps of the largest
    assert held["AXA"] <= rounding
    worst = max(*held.values(), report["solution"]["gradient_relative"])
    assert worst <= rounding * (report["condition"] or 1)


# Identities


@pytest.mark.parametrize("shape", [(30, 12), (12, 30)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_the_pseudo_inverse_of_the_pseudo_inverse_is_the_matrix(shape, dtype):
    A, _ = gallery.with_spectrum(*shape, np.geomspace(1, 1e-3, 7), 5, dtype)
    X, _, _ = inverse(A)
    again, _, report = inverse(X.astype(dtype), rcond=1e-10)
    assert report["rank"] == 7
    assert measure.norm(again - A) < 1e-11 * measure.norm(A)


def test_the_pseudo_inverse_of_the_adjoint_is_the_adjoint_of_the_pseudo_inverse():
    A = gallery.with_spectrum(17, 9, np.geomspace(1, 1e-2, 6), 5, "complex128")[0]
    assert measure.norm(inverse(A)[0].conj().T - inverse(A.conj().T)[0]) < 1e-12 * measure.norm(inverse(A)[0])


def test_a_projector_is_its_own_pseudo_inverse_and_that_of_an_isometry_its_adjoint():
    Q = gallery.orthonormal(20, 6, np.random.default_rng(1), complex_=True)
    P = Q @ Q.conj().T
    X, _, report = inverse(P)
    assert report["rank"] == 6 and report["condition"] == pytest.approx(1.0)
    assert measure.norm(X - P) < 1e-13
    assert measure.norm(inverse(Q)[0] - Q.conj().T) < 1e-13


def test_of_full_ranks_the_pseudo_inverse_of_a_product_is_the_product_in_reverse():
    L, R = gaussian(30, 6, 1), gaussian(6, 20, 2)
    wanted = inverse(R)[0] @ inverse(L)[0]
    assert measure.norm(inverse(L @ R)[0] - wanted) < 1e-12 * measure.norm(wanted)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1)], ids=str)
def test_that_of_a_vector_is_its_adjoint_over_its_squared_length(shape):
    v = np.arange(1.0, 1 + max(shape)).reshape(shape) * (1 + 2j)
    assert measure.norm(inverse(v)[0] - v.conj().T / measure.norm(v) ** 2) < 1e-15


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (1, 1)], ids=str)
def test_that_of_zero_is_zero(shape):
    X, factor, report = inverse(np.zeros(shape))
    assert X.shape == shape[::-1] and not X.any() and factor.rank == 1
    assert report["rank"] == 0 and report["condition"] is None and set(report["penrose"].values()) == {0.0}
    found, _ = solution(np.zeros(shape), np.ones((shape[0], 2)))
    assert found.shape == (shape[1], 2) and not found.any()


def test_that_of_an_invertible_matrix_is_its_inverse_of_known_entries():
    A = np.array([[2, 1, 0], [1, 2, 1], [0, 1, 2]])
    exact = np.array([[3, -2, 1], [-2, 4, -2], [1, -2, 3]]) / 4
    for stored in ("int8", "uint16", "float32", "float64", "complex64"):
        assert measure.norm(inverse(A.astype(stored))[0] - exact) < 1e-6
    assert measure.norm(inverse(A)[0] - exact) < 1e-15
    assert measure.norm(inverse(np.eye(3, dtype=bool))[0] - np.eye(3)) < 1e-15


def test_the_hilbert_matrix_of_order_5_has_its_integer_inverse():
    exact = np.array(
        [
            [25, -300, 1050, -1400, 630],
            [-300, 4800, -18900, 26880, -12600],
            [1050, -18900, 79380, -117600, 56700],
            [-1400, 26880, -117600, 179200, -88200],
            [630, -12600, 56700, -88200, 44100],
        ]
    )
    X, _, report = inverse(gallery.hilbert(5)[0])
    assert np.abs(X - exact).max() < 1e-5 and report["condition"] == pytest.approx(476607.25024, rel=1e-8)


# The rule of the rank


def test_values_above_max_m_n_eps_times_the_largest_count_and_the_gap_is_told():
    threshold = 30 * np.finfo("float64").eps
    A = np.zeros((30, 4))
    A[:4] = np.diag([8.0, 1.0, 8 * threshold * 1.01, 8 * threshold * 0.99])
    _, _, report = inverse(A)
    rule = report["rule"]
    assert report["rank"] == 3 and rule["rcond"] == threshold and rule["threshold"] == 8 * threshold
    assert rule["above"] == pytest.approx(8 * threshold * 1.01) and rule["below"] == pytest.approx(8 * threshold * 0.99)
    assert rule["ratio"] == pytest.approx(1.01 / 0.99) and report["condition"] == pytest.approx(8 / rule["above"])


@pytest.mark.parametrize(("rcond", "rank"), [(1e-9, 4), (1e-7, 3), (0.05, 2), (0.5, 1)])
def test_rcond_decides_the_rank(rcond, rank):
    A = gallery.with_spectrum(9, 7, np.array([1.0, 0.1, 1e-2, 1e-8]), 4)[0]
    _, factor, report = inverse(A, rcond=rcond)
    assert report["rank"] == factor.rank == rank
    assert report["norms"]["spectral"] == pytest.approx(1 / [1.0, 0.1, 1e-2, 1e-8][rank - 1], rel=1e-6)


def test_the_values_of_float32_are_judged_by_its_own_eps():
    A, _ = gallery.with_spectrum(9, 7, np.array([1.0, 0.1, 1e-8]), 4)
    assert inverse(A)[2]["rank"] == 3 and inverse(A.astype("float32"))[2]["rank"] == 2


@pytest.mark.parametrize("shape", [(30, 12), (1100, 510), (510, 1100)], ids=str)
def test_a_truncated_one_is_that_of_the_best_approximation(shape):
    s = gallery.exponential(min(shape), 0.5)
    A, _ = gallery.with_spectrum(*shape, s, 3)
    U, _, Vh = np.linalg.svd(A, full_matrices=False)
    X, factor, report = inverse(A, rank=6)
    wanted = (Vh[:6].conj().T / s[:6]) @ U[:, :6].conj().T
    assert factor.rank == report["rank"] == 6 and report["method"] == ("lapack" if shape[0] < 100 else "svd")
    # a large matrix has its vectors from a basis in single precision, and what that costs is measured
    limit, shown = (1e-8, 1e-12) if shape[0] < 100 else (1e-6, 1e-5)
    assert measure.norm(X - wanted) < limit * measure.norm(wanted)
    assert max(report["penrose"][name] for name in ("XAX", "AX", "XA")) < shown
    assert report["rule"]["above"] == pytest.approx(s[5], rel=1e-10)
    B = gaussian(shape[0], 2, 8)
    found, told = solution(A, B, rank=6)
    assert measure.norm(found - wanted @ B) < limit * measure.norm(wanted) * measure.norm(B)
    assert told["solution"]["residual"] == pytest.approx(np.linalg.norm(B - A @ found), rel=1e-9)
    assert report["penrose"]["AXA"] == pytest.approx(measure.best(s, 6) / measure.norm(s), rel=1e-8)


def test_a_rank_above_the_numerical_one_inverts_no_rounding():
    A, _ = gallery.exact_rank(20, 15, 4)
    X, factor, report = inverse(A, rank=9)
    assert factor.rank == report["rank"] == 4 and measure.norm(X) < 5


# Least squares


def longley():
    table = np.loadtxt(DATA / "longley.txt")
    return np.column_stack([np.ones(len(table)), table[:, 1:]]), table[:, :1]


def test_longleys_regression_has_ten_digits_of_nists_certified_values():
    A, y = longley()
    X, report = solution(A, y)
    off = np.abs(X[:, 0] / np.array(LONGLEY) - 1)
    assert off.max() < 1e-10
    # certified too: the residual standard deviation 304.854073561965 on 9 degrees of freedom
    assert report["solution"]["residual"] == pytest.approx(304.854073561965 * 3, rel=1e-11)
    assert report["condition"] == pytest.approx(4.859257e9, rel=1e-6)
    # what normal equations leave of it
    spoilt = np.linalg.solve(A.T @ A, A.T @ y)[:, 0]
    assert 1e-9 < np.abs(spoilt / np.array(LONGLEY) - 1).max() < 1e-7
    # A A^+ A = A holds to rounding, A^+ A is Hermitian to rounding times the condition number
    held = report["penrose"]
    assert held["AXA"] < 1e-14 and 1e-9 < held["XA"] < 4.9e9 * np.finfo("float64").eps


def test_the_table_is_that_of_other_collections(data):
    other = np.loadtxt(data("longley.csv"), delimiter=",", skiprows=1)[:, [7, 1, 2, 3, 4, 5, 6]]
    assert np.allclose(np.loadtxt(DATA / "longley.txt"), other * [1e3, 1, 1e3, 10, 10, 1e3, 1], rtol=1e-15)


@pytest.mark.parametrize("name", ["ash219.mtx", "well1033.mtx"])
def test_sparse_surveying_problems_give_back_the_solution_they_were_made_from(data, name):
    A = csr_array(scipy.io.mmread(data(name)))
    exact = np.arange(1.0, A.shape[1] + 1)[:, None] / A.shape[1]
    X, report = solution(A, A @ exact)
    assert report["rank"] == A.shape[1]
    assert measure.norm(X - exact) < report["condition"] * 1e-15 * measure.norm(exact)
    assert report["solution"]["residual_relative"] < 1e-14


@pytest.mark.parametrize(("name", "rank"), [("baart_200.mat", 11), ("shaw_200.mat", 20)])
def test_discrete_inverse_problems_have_their_numerical_rank(data, name, rank):
    A = scipy.io.loadmat(data(name))["Problem"]["A"][0, 0]
    _, factor, report = inverse(np.asarray(A.todense() if hasattr(A, "todense") else A))
    assert report["rank"] == factor.rank == rank
    assert report["penrose"]["AXA"] < 1e-13


def test_the_passes_and_products_are_those_announced():
    A, B = gaussian(40, 12, 1), gaussian(40, 3, 2)
    assert inverse(A)[2]["ledger"]["passes"] == 2 + 3
    ledger = solution(A, B)[1]["ledger"]
    assert ledger["passes"] == 2 + 3 + 5 and ledger["products"] == 2 + 3


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize(("shape", "rank"), [((30, 12), 12), ((30, 12), 5), ((12, 30), 12), ((12, 30), 5)], ids=str)
def test_the_solution_has_least_residual_and_of_all_such_least_norm(shape, rank, dtype):
    A, _ = gallery.with_spectrum(*shape, np.geomspace(1, 0.1, rank), 3, dtype)
    B = gaussian(shape[0], 3, 8, dtype)
    X, report = solution(A, B)
    U, _, Vh = np.linalg.svd(A)
    range_, null = U[:, :rank], Vh[rank:].conj().T
    # the residual is what is orthogonal to the range, and the solution is orthogonal to the null space
    left = B - range_ @ (range_.conj().T @ B)
    assert measure.norm(B - A @ X) == pytest.approx(measure.norm(left), rel=1e-12, abs=1e-12)
    assert measure.norm(null.conj().T @ X) < 1e-13 * measure.norm(X)
    other = X + null @ np.ones((null.shape[1], 3))
    if null.size:
        assert measure.norm(other) > measure.norm(X)
    found = report["solution"]
    assert found["residual"] == pytest.approx(measure.norm(B - A @ X), rel=1e-10, abs=1e-13)
    assert found["residual_relative"] == pytest.approx(found["residual"] / measure.norm(B), rel=1e-12)
    assert found["norm"] == pytest.approx(measure.norm(X), rel=1e-12) and found["gradient_relative"] < 1e-14
    assert measure.norm(inverse(A)[0] @ B - X) < 1e-12 * measure.norm(X)


def test_columns_of_other_scale_cost_no_digit():
    """QR is blind to powers of two in the columns; the singular values are not."""
    A, B = gaussian(40, 6, 2), gaussian(40, 2, 3)
    D = 2.0 ** np.array([0, -30, 12, 3, -18, 9])
    assert np.array_equal(solution(A * D, B)[0] * D[:, None], solution(A, B)[0])


@pytest.mark.parametrize("shape", [(25, 11), (11, 25)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("ridge", [1e-3, 0.3, 50.0])
def test_a_ridge_gives_the_closed_form(shape, dtype, ridge):
    A, B = gaussian(*shape, 3, dtype), gaussian(shape[0], 2, 4, dtype)
    exact = np.linalg.solve(A.conj().T @ A + ridge * np.eye(shape[1]), A.conj().T)
    X, factor, report = inverse(A, ridge=ridge)
    assert measure.norm(X - exact) < 1e-12 * measure.norm(exact)
    assert np.all(np.diff(factor.s) <= 0)
    found, report = solution(A, B, ridge=ridge)
    assert measure.norm(found - exact @ B) < 1e-12 * measure.norm(exact @ B)
    assert report["solution"]["gradient_relative"] < 1e-14


def test_a_ridge_is_least_squares_with_more_rows():
    A, B = gaussian(12, 20, 3), gaussian(12, 2, 4)
    more = np.vstack([A, 0.5 * np.eye(20)])
    wanted = solution(more, np.vstack([B, np.zeros((20, 2))]))[0]
    assert measure.norm(solution(A, B, ridge=0.25)[0] - wanted) < 1e-13


@pytest.mark.parametrize("exponent", [700, -700, 990, -990])
def test_ridges_follow_the_scale_of_the_matrix(exponent):
    A, B = gaussian(12, 8, 3), gaussian(12, 2, 4)
    e = exponent // 2
    wanted = solution(A, B, ridge=0.25)[0]
    found = solution(np.ldexp(A, e), B, ridge=2.0 ** (2 * e) / 4)[0]
    assert np.array_equal(np.ldexp(found, e), wanted)


# Scale, storage, bits


@pytest.mark.parametrize(("dtype", "exponents"), [("float64", (664, -664, 1000, -1000)), ("float32", (100, -100))])
def test_every_scale_gives_the_same_bits(dtype, exponents):
    A, B = gaussian(20, 9, 1, dtype), gaussian(20, 3, 2, dtype)
    _, factor, report = inverse(A)
    X, _ = solution(A, B)
    for e in exponents:
        _, moved, told = inverse(np.ldexp(A, e))
        assert np.array_equal(np.ldexp(moved.s, e), factor.s) and np.array_equal(moved.U, factor.U)
        assert told["penrose"] == report["penrose"]
        assert np.array_equal(solution(np.ldexp(A, e), np.ldexp(B, e))[0], X)
        assert np.array_equal(np.ldexp(solution(A, np.ldexp(B, e))[0], -e), X)


def test_a_pseudo_inverse_out_of_range_is_refused_and_its_solution_found():
    A = np.diag([1e-310, 2e-310])
    with pytest.raises(NumericalError, match="overflows float64; scale the matrix up"):
        inverse(A)
    with pytest.raises(NumericalError, match="the solution overflows"):
        solution(1e-200 * np.eye(2), 1e200 * np.eye(2))


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
@pytest.mark.parametrize("shape", [(1100, 90), (90, 1100)], ids=str)
def test_no_bit_depends_on_threads_or_storage(shape, dtype):
    A, B = gaussian(*shape, 3, dtype), gaussian(shape[0], 5, 4, dtype)

    def bits(A, B, threads):
        factor, X, report = pinv(from_array(A), apply=from_array(B), threads=threads)
        return [a.tobytes() for a in factor.arrays().values()], X.tobytes(), {**report, "input": None, "apply": None}

    wanted = bits(A, B, 1)
    assert bits(np.asfortranarray(A), np.asfortranarray(B), 4) == wanted
    assert bits(np.ascontiguousarray(A)[:, :], np.repeat(B, 2, axis=1)[:, ::2], 2) == wanted


def test_sparse_matrices_are_solved_like_dense_ones():
    A = gaussian(40, 25, 2)
    A[np.abs(A) < np.quantile(np.abs(A), 0.7)] = 0
    B = np.where(gaussian(40, 4, 3) > 0.1, 1.0, 0.0)
    X, report = solution(csr_array(A), csr_array(B))
    assert report["input"]["nnz"] == np.count_nonzero(A)
    assert measure.norm(X - solution(A, B)[0]) < 1e-12 * measure.norm(X)
    assert measure.norm(inverse(csr_array(A))[0] - inverse(A)[0]) < 1e-12 * measure.norm(inverse(A)[0])


def test_a_large_sparse_matrix_has_a_truncated_one_only():
    A = csr_array(eye_array(9000)) * np.arange(9000, 0, -1.0) ** 2
    with pytest.raises(ResourceError, match=r"9000x9000.*more than 64000000; ask for a truncated one with -k"):
        inverse(A)
    with pytest.raises(ResourceError, match="-k"):
        solution(A, np.ones((9000, 1)))


def test_a_sparse_matrix_has_a_truncated_one_whatever_its_size():
    values = gallery.exponential(1200, 0.5)
    _, factor, report = inverse(csr_array(eye_array(1200)) * values, rank=4)
    assert report["method"] == "svd" and factor.rank == 4 and report["input"]["nnz"] == 1200
    assert factor.s == pytest.approx(1 / values[3::-1], rel=1e-9)
    assert np.abs(factor.U[[3, 2, 1, 0], [0, 1, 2, 3]]) == pytest.approx(np.ones(4), abs=1e-9)


@pytest.mark.parametrize(("shape", "rank"), [((12, 5), 5), ((12, 5), 3), ((5, 12), 5)], ids=str)
def test_a_real_b_goes_with_a_complex_matrix_and_a_complex_one_with_a_real(shape, rank):
    A, _ = gallery.with_spectrum(*shape, np.linspace(2, 1, rank), 1, "complex128")
    real, _ = gallery.with_spectrum(*shape, np.linspace(2, 1, rank), 1)
    B = gaussian(shape[0], 2, 2)
    for left, right in ((A, B), (real, B * (1 + 2j)), (real.astype("float32"), B)):
        X, _ = solution(left, right)
        assert X.dtype == np.result_type(left, right)
        assert measure.norm(X - np.linalg.lstsq(left, right, rcond=1e-5)[0]) < 1e-5


# Refusals


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_entries_that_are_not_finite_are_refused_with_their_place(bad):
    A, B = np.eye(3), np.ones((3, 1))
    A[1, 2] = B[2, 0] = bad
    with pytest.raises(InputError, match="row 1, column 2"):
        inverse(A)
    with pytest.raises(InputError, match="row 2, column 0"):
        solution(np.eye(3), B)


def test_a_b_of_other_height_and_ranks_out_of_reach_are_refused():
    with pytest.raises(UsageError, match="A is 3x3, B 2x1; B must have as many rows as A"):
        solution(np.eye(3), np.ones((2, 1)))
    with pytest.raises(UsageError, match="at most 3"):
        inverse(np.eye(3), rank=4)
    for options in ({"rank": 0}, {"rcond": 0.0}, {"rcond": 0.6}, {"ridge": -1.0}, {"ridge": float("inf")}):
        with pytest.raises(UsageError):
            PseudoinverseOptions(**options)
