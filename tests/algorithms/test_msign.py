"""The matrix sign: identities of the polar factor, whatever computes it, and a report that is measured."""

from __future__ import annotations

import functools
import math

import gallery
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import polar as scipy_polar
from scipy.sparse import csr_array

from lowrank_cli.algorithms import polar_coefficients as coefficients
from lowrank_cli.algorithms.polar import METHODS, SVD_SIDE, PolarOptions, polar
from lowrank_cli.algorithms.scaling import bring_to_scale
from lowrank_cli.analysis.msign import msign
from lowrank_cli.certificates import polar as certificate
from lowrank_cli.engines.blas import single_threaded
from lowrank_cli.engines.threads import SerialEngine, engine_for
from lowrank_cli.errors import InputError, ResourceError, UsageError
from lowrank_cli.formats.memory import from_array
from lowrank_cli.formats.opening import open_matrix
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.metered import Metered

EPS = float(np.finfo(float).eps)
CONVERGENT = [m for m in METHODS if m != "muon"]
#: Methods that tell the null space from the rest.
TRUNCATING = ["svd", "qdwh"]


@pytest.fixture(autouse=True)
def one_blas_thread():
    with single_threaded():
        yield


def sign(A, method="svd", threads=1, **asked):
    return msign(from_array(A), PolarOptions(method=method, **asked), threads=threads, digests=False)


@functools.cache
def made(m: int, n: int, least: float, dtype: str = "float64"):
    """(A, U V^H): singular values from 1 down to least, and the polar factor known from how A was made."""
    rng = np.random.default_rng(7)
    k = min(m, n)
    U = gallery.orthonormal(m, k, rng, complex_=np.dtype(dtype).kind == "c")
    V = gallery.orthonormal(n, k, rng, complex_=np.dtype(dtype).kind == "c")
    return np.array((U * np.geomspace(1, least, k)) @ V.conj().T, dtype=dtype), U @ V.conj().T


# Identities


@pytest.mark.parametrize("method", CONVERGENT)
@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", [(40, 40), (90, 40), (30, 70), (40, 35)])
def test_the_polar_factor_is_that_of_how_the_matrix_was_made(method, dtype, shape):
    A, truth = made(*shape, 1e-2, dtype)
    X, report = sign(A, method)
    eps = float(np.finfo(dtype).eps)
    assert X.dtype == A.dtype and X.shape == A.shape and report["status"] == "converged"
    # the factor moves by eps times the condition number, 100
    assert np.linalg.norm(X - truth) <= 40 * 100 * eps
    assert report["orthogonality"] <= 100 * eps and report["backward_error"] <= 40 * eps
    assert report["rank"] == report["numeric_rank"] == min(shape)


@pytest.mark.parametrize("method", CONVERGENT)
def test_x_is_an_isometry_that_attains_the_nuclear_norm_and_makes_a_definite(method):
    A, _ = made(60, 45, 1e-6)
    X, _ = sign(A, method)
    nuclear = float(np.linalg.svd(A, compute_uv=False).sum())
    H = X.T @ A
    assert np.linalg.norm(X.T @ X - np.eye(45)) <= 200 * EPS
    assert np.trace(H) == pytest.approx(nuclear, rel=1e-13)
    assert np.linalg.norm(H - H.T) <= 100 * EPS
    assert np.linalg.eigvalsh(0.5 * (H + H.T)).min() >= -100 * EPS


@pytest.mark.parametrize("method", CONVERGENT)
def test_the_sign_of_an_isometry_is_itself(method):
    rng = np.random.default_rng(2)
    for Q in (gallery.orthonormal(30, 30, rng), gallery.orthonormal(50, 20, rng), np.eye(5), gallery.dft(16)[0] / 4):
        X, report = sign(Q, method)
        assert np.linalg.norm(X - Q) <= 200 * EPS, Q.shape
        assert report["condition"] == pytest.approx(1.0)


@pytest.mark.parametrize("method", CONVERGENT)
def test_the_sign_of_a_diagonal_matrix_is_that_of_its_numbers(method):
    d = np.array([3.0, -2.0, 1e-3, -1e-5, 7.0])
    X, _ = sign(np.diag(d), method)
    assert np.abs(X - np.diag(np.sign(d))).max() <= 1e-10
    complex_d = np.array([3j, -2.0, 1 + 1j])
    X, _ = sign(np.diag(complex_d), method)
    assert np.abs(X - np.diag(complex_d / np.abs(complex_d))).max() <= 1e-14


@pytest.mark.parametrize("method", TRUNCATING)
def test_the_sign_of_a_semidefinite_matrix_is_the_projection_on_its_range(method):
    B = np.random.default_rng(4).standard_normal((30, 12))
    X, report = sign(B @ B.T, method)
    assert np.linalg.norm(X - B @ np.linalg.pinv(B)) <= 1e-12
    assert report["rank"] == report["numeric_rank"] == 12
    X, _ = sign(B.T @ B, method)
    assert np.linalg.norm(X - np.eye(12)) <= 1e-12


@pytest.mark.parametrize("method", METHODS)
def test_the_sign_is_covariant_under_isometries_and_blind_to_scale(method):
    A, _ = made(25, 25, 1e-2)
    rng = np.random.default_rng(5)
    Q, P = gallery.orthonormal(25, 25, rng), gallery.orthonormal(25, 25, rng)
    X, _ = sign(A, method)
    assert np.linalg.norm(sign(Q @ A @ P, method)[0] - Q @ X @ P) <= 1e-11
    assert np.linalg.norm(sign(A.T, method)[0] - X.T) <= 1e-11
    assert np.linalg.norm(sign(-3 * A, method)[0] + X) <= 1e-11
    # by powers of two to the bit, beyond the window of scaling too
    for exponent in (-7, 300, -900):
        assert np.linalg.norm(sign(np.ldexp(A, exponent), method)[0] - X) <= 1e-11


def test_the_sign_of_the_block_matrix_holds_the_polar_factor():
    """sign([[0, A], [A^H, 0]]) = [[0, U], [U^H, 0]]."""
    A, _ = made(20, 20, 1e-2)
    block = np.block([[np.zeros((20, 20)), A], [A.T, np.zeros((20, 20))]])
    X, U = sign(block)[0], sign(A)[0]
    assert np.linalg.norm(X[:20, 20:] - U) <= 1e-12 and np.linalg.norm(X[:20, :20]) <= 1e-12


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 12), st.integers(1, 12))
def test_no_other_isometry_is_nearer(seed, m, n):
    """Procrustes: |A - X| is least over all isometries of the shape of A."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((m, n))
    X, _ = sign(A)
    least = np.linalg.norm(A - X)
    k = min(m, n)
    for _ in range(5):
        U, V = gallery.orthonormal(m, k, rng), gallery.orthonormal(n, k, rng)
        assert np.linalg.norm(A - U @ V.T) >= least - 1e-12


@pytest.mark.parametrize("method", METHODS[2:])
@pytest.mark.parametrize("steps", [1, 3, 5])
def test_a_polynomial_does_to_singular_values_exactly_what_it_does_to_numbers(method, steps):
    d = np.array([1.0, 0.6, 0.05, 1e-3])
    X, report = sign(np.diag(d), method, steps=steps, lower=1e-3)
    x = d / report["method_facts"]["bound"]
    for triple in report["method_facts"]["coefficients"]:
        x = np.array([coefficients.value(triple, v) for v in x])
    assert np.diag(X) == pytest.approx(x, rel=1e-13) and report["iterations"] == steps


# Accuracy


def test_qdwh_at_condition_1e12_is_backward_stable_though_the_factor_itself_is_not_determined():
    A, _ = made(100, 100, 1e-12)
    _, report = sign(A, "qdwh")
    assert report["method_facts"]["kernels"][:-1] == ["qr", "qr", "cholesky", "cholesky", "cholesky"]
    assert report["orthogonality"] / math.sqrt(100) <= 3e-15
    assert report["backward_error"] <= 2e-15
    assert report["condition"] == pytest.approx(1e12, rel=1e-3)
    assert 1e-9 < report["distance"]["spectral"] < report["distance"]["rounding"] == pytest.approx(EPS * 1e12, rel=1e-3)


def test_the_distance_is_what_another_library_finds():
    A, _ = made(30, 20, 1e-1)
    U, _ = scipy_polar(A)
    X, report = sign(A, "muon")
    assert report["distance"]["fro"] == pytest.approx(np.linalg.norm(X - U), rel=1e-12)
    assert report["distance"]["spectral"] == pytest.approx(np.linalg.norm(X - U, 2), rel=1e-12)


@pytest.mark.parametrize("method", METHODS[1:])
@pytest.mark.parametrize("lower", [1e-1, 1e-3])
def test_resolved_values_come_as_near_to_one_as_the_report_says(method, lower):
    A, _ = made(50, 40, 1e-3)
    asked = {"lower": lower, "steps": 3}
    X, report = sign(A, method, **asked)
    U, s, Vh = np.linalg.svd(A)
    reached = np.diag(U[:, :40].T @ X @ Vh.T)[s >= report["resolved"]]
    assert reached.size and np.abs(1 - reached).max() <= report["deviation"] + 1e-12


def test_muon_ends_where_its_map_does_and_says_that_it_did_not_converge():
    A, _ = made(60, 60, 0.1)
    _, report = sign(A, "muon", steps=100)
    values = report["singular_values"]
    assert 0.6818 <= values["least"] and values["largest"] <= 1.1344
    assert report["status"] == "passes_spent" and report["deviation"] == pytest.approx(0.318, abs=1e-3)
    short = sign(A, "muon")[1]
    assert short["iterations"] == 5 and short["method_facts"]["lower"] == 1e-3


def test_polar_express_at_the_setting_of_deep_learning_keeps_what_its_paper_promises():
    """l = 1e-3 and five steps: 1 - l_6 = 0.12 (0.13 with our margin for rounding), in single precision."""
    A, _ = made(80, 80, 0.05, "float32")
    _, report = sign(A, "polar-express", lower=1e-3, steps=5)
    assert report["deviation"] < 0.14
    assert report["distance"]["spectral"] <= report["deviation"]


@pytest.mark.parametrize("method", METHODS)
def test_a_rank_deficient_matrix_keeps_its_rank(method):
    for A, _ in (gallery.exact_rank(50, 40, 5), gallery.all_equal(12, 17), gallery.duplicate_columns(25, 10)):
        X, report = sign(A, method)
        r = np.linalg.matrix_rank(A)
        assert report["numeric_rank"] == r == report["rank"], method
        if method in TRUNCATING:
            assert report["status"] == "converged" and report["singular_values"]["beyond"] <= 1e-13
            assert np.linalg.matrix_rank(X, tol=1e-8) == r
            assert report["distance"] is None or report["distance"]["fro"] <= 1e-12


@pytest.mark.parametrize("method", TRUNCATING)
@pytest.mark.parametrize("seed", range(4))
def test_a_graded_matrix_whose_values_run_through_the_rounding_still_gives_a_partial_isometry(method, seed):
    """Rows and columns of sizes from 1e-8 to 1e8: no gap where the numeric rank is cut."""
    rng = np.random.default_rng(seed)
    A = 10.0 ** rng.uniform(-8, 8, (60, 1)) * rng.standard_normal((60, 60)) * 10.0 ** rng.uniform(-8, 8, 60)
    X, report = sign(A, method)
    assert report["status"] == "converged" and report["rank"] == report["numeric_rank"] < 60
    assert report["singular_values"]["beyond"] <= 1e-14 and report["backward_error"] <= 60 * EPS
    s = np.linalg.svd(X, compute_uv=False)
    assert np.abs(s - (s > 0.5)).max() <= 1e-14


def test_products_alone_lift_the_rounding_of_a_rank_deficient_matrix_and_the_report_says_so():
    A, _ = gallery.exact_rank(60, 50, 5)
    _, report = sign(A, "newton-schulz")
    assert report["status"] == "stagnated" and report["singular_values"]["beyond"] > 1e-3
    assert report["orthogonality"] > 1e-4
    # a lower end above the rounding leaves it where it is
    _, report = sign(A, "polar-express", lower=1e-2)
    assert report["singular_values"]["beyond"] < 1e-10


@pytest.mark.parametrize("method", METHODS)
def test_the_gallery_is_answered_without_a_word_that_is_not_true(method):
    for name, maker in gallery.GALLERY.items():
        A, _ = maker()
        X, report = sign(A, method)
        s = np.linalg.svd(X.astype(complex), compute_uv=False)
        kept = s[: report["rank"]]
        eps = float(np.finfo(X.dtype).eps)
        assert X.shape == A.shape and np.all(np.isfinite(X)), name
        squares = np.sum(np.square(kept**2 - 1)) + np.sum(np.square(s[len(kept) :] ** 2))
        assert report["orthogonality"] == pytest.approx(math.sqrt(squares), rel=1e-3, abs=300 * eps), name
        if method in TRUNCATING:
            assert report["status"] == "converged" and report["backward_error"] <= 200 * eps, name
            assert report["rank"] == report["numeric_rank"], name


def test_a_zero_matrix_has_the_zero_sign_and_costs_nothing():
    for method in METHODS:
        X, report = sign(np.zeros((4, 3), np.float32), method)
        assert not X.any() and X.dtype == np.float32 and report["rank"] == 0 and report["iterations"] == 0
        assert report["orthogonality"] == report["backward_error"] == 0 and report["status"] == "converged"


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
@pytest.mark.parametrize("method", METHODS)
def test_no_scale_of_the_entries_matters(method, scale):
    A, _ = made(20, 15, 1e-1)
    X, report = sign(A * scale, method)
    assert np.linalg.norm(X - sign(A, method)[0]) <= 1e-12
    # 1.0 is the largest value of A, so the bound is at most sqrt(min(m, n)) scale
    assert scale * (1 - 1e-12) <= report["method_facts"]["bound"] <= 4 * scale


@pytest.mark.parametrize("method", METHODS)
def test_a_real_least_squares_matrix_and_real_embeddings_have_their_signs(method, data):
    """well1033, sparse, with its published condition number; the item embeddings of a recommender, in float32."""
    loaded = open_matrix(str(data("well1033.mtx")))
    options = PolarOptions(method=method, lower=None if method == "svd" else 1e-3)
    X, report = msign(loaded, options, digests=False)
    assert report["condition"] == pytest.approx(166.13, abs=0.01)
    if method != "muon":
        assert report["status"] == "converged" and report["backward_error"] < 1e-14
        truth = scipy_polar(loaded.array.toarray())[0]
        assert np.linalg.norm(X - truth) <= 166 * 1000 * EPS
    name = "/item_embedding/item_embedding_W"
    X, report = msign(open_matrix(str(data("NCF_GMF_8.h5")), name), options, digests=False)
    assert X.dtype == np.float32 and X.shape == (3706, 8) and report["rank"] == 8
    assert (
        report["distance"]["spectral"] <= report["deviation"] + 1e-4 if method != "svd" else report["distance"] is None
    )


# Choices


def test_the_default_is_lapack_for_small_matrices_and_qdwh_for_large_ones():
    assert sign(np.eye(3), None)[1]["method"] == "svd"
    A = gallery.with_spectrum(SVD_SIDE + 8, SVD_SIDE + 1, gallery.exponential(SVD_SIDE + 1, 0.01))[0]
    report = sign(A, None)[1]
    assert report["method"] == "qdwh" and report["status"] == "converged" and report["backward_error"] < 1e-14


def test_a_better_conditioned_matrix_takes_fewer_qdwh_steps():
    steps = [sign(made(40, 40, least)[0], "qdwh")[1]["iterations"] for least in (0.9, 1e-2, 1e-10)]
    assert steps == sorted(steps) and steps[0] < steps[-1] <= 6


def test_sparse_matrices_and_integers_give_what_their_dense_floats_give():
    A = np.random.default_rng(0).integers(-3, 4, (30, 20)) * (np.random.default_rng(1).random((30, 20)) < 0.3)
    X, _ = sign(A.astype(float), "qdwh")
    assert np.array_equal(sign(A, "qdwh")[0], X)
    assert np.linalg.norm(sign(csr_array(A.astype(float)), "qdwh")[0] - X) <= 1e-13
    assert sign(csr_array(A.astype(float)), "qdwh")[1]["input"]["nnz"] == np.count_nonzero(A)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1100, 70), (60, 1300)])
def test_no_bit_depends_on_threads_or_storage(method, shape):
    A, _ = gallery.with_spectrum(*shape, gallery.poly(min(shape)))
    wanted, report = sign(A, method)
    misaligned = np.ndarray(A.shape, A.dtype, buffer=np.empty(A.nbytes + 1, np.uint8).data, offset=1)
    misaligned[...] = A
    for threads, other in ((3, np.asfortranarray(A)), (2, A.astype(">f8")), (1, misaligned)):
        X, again = sign(other, method, threads=threads)
        assert X.tobytes() == wanted.tobytes()
        assert {k: v for k, v in again.items() if k != "input"} == {k: v for k, v in report.items() if k != "input"}


@pytest.mark.parametrize("method", ["polar-express", "qdwh"])
def test_no_bit_of_products_summed_in_several_pieces_depends_on_threads_or_order(method):
    A, _ = gallery.with_spectrum(1100, 740, gallery.poly(740))

    def found(array, threads):
        matrix = Metered(TiledMatrix(array, engine_for(threads)))
        return polar(bring_to_scale(matrix), PolarOptions(method=method, lower=0.3, steps=1)).X.tobytes()

    assert found(np.asfortranarray(A), 3) == found(A, 1)


def test_the_cost_of_a_step_is_counted():
    n = 30
    A, _ = made(n, n, 1e-1)
    reports = [sign(A, "polar-express", steps=steps)[1]["ledger"] for steps in (2, 3)]
    assert reports[1]["flops"] - reports[0]["flops"] == 6 * n**3
    assert reports[1]["products"] - reports[0]["products"] == 3
    cubic = [sign(A, "newton-schulz-cubic", steps=steps)[1]["ledger"] for steps in (2, 3)]
    assert cubic[1]["flops"] - cubic[0]["flops"] == 4 * n**3
    assert reports[0]["passes"] == 2


# Refusals


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"method": "newton"}, "polar-express"),
        ({"lower": 0.0}, "--lower"),
        ({"lower": 1.0}, "below 1"),
        ({"lower": -1e-3}, "--lower"),
        ({"steps": 0}, "--steps"),
        ({"steps": 201}, "--steps"),
        ({"method": "svd", "steps": 3}, "--steps"),
        ({"method": "svd", "lower": 0.1}, "--lower"),
    ],
)
def test_an_option_out_of_its_range_is_refused_by_name(asked, word):
    with pytest.raises(UsageError, match=word):
        PolarOptions(**asked)


def test_options_of_an_iteration_are_not_ignored_when_the_default_is_lapack():
    with pytest.raises(UsageError, match="--steps"):
        sign(np.eye(3), None, steps=3)


def test_a_sign_that_memory_cannot_hold_is_refused_before_any_work():
    with pytest.raises(ResourceError, match="polar factor of a 1000000x1000000"):
        sign(csr_array((10**6, 10**6)), "qdwh")


def test_nan_is_refused_with_its_place():
    with pytest.raises(InputError, match="row 1, column 2"):
        sign(np.where(np.arange(12).reshape(3, 4) == 6, np.nan, 1.0))


# The certificate


def test_the_check_sees_a_wrong_factor():
    A, truth = made(30, 30, 1e-1)
    good = certificate.check(A, truth, SerialEngine())
    assert good.orthogonality < 1e-13 and good.backward < 1e-14 and good.rank == 30
    turned = truth @ gallery.orthonormal(30, 30, np.random.default_rng(1))
    bad = certificate.check(A, turned, SerialEngine())
    assert bad.orthogonality < 1e-13 and bad.backward > 0.1
    assert certificate.check(A, 1.1 * truth, SerialEngine()).orthogonality == pytest.approx(0.21 * math.sqrt(30))
