"""Vector quantization: published optima, identities, the course of the error, parts and levels, rotations."""

from __future__ import annotations

import itertools
import statistics

import gallery
import measure
import numpy as np
import pytest

import lowrank_cli
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.algorithms.vq import VQOptions, rotation_angles
from lowrank_cli.errors import InputError, UsageError
from lowrank_cli.factors.vq import Codes, ProductCodes

RNG = np.random.default_rng(8)
#: five clouds of 60 points in 12 dimensions, and one point apart
CLOUDS = np.vstack([3 * RNG.standard_normal(12) + 0.7 * RNG.standard_normal((60, 12)) for _ in range(5)])


def vq(A, K=None, code="plain", restarts=1, most=200, **asked):
    options = VQOptions(code=code, restarts=restarts, max_iterations=most)
    return lowrank_cli.approx(A, method="vq", rank=K, options=options, **asked)


def square(outcome):
    return outcome.certificate.absolute**2


# Published optima

#: Mean squared error of the best K levels for N(0, 1): Max 1960, to more digits from the same equations.
LLOYD_MAX = {2: 0.36338, 3: 0.190174, 4: 0.117482, 5: 0.079941, 6: 0.057978, 7: 0.044000, 8: 0.034548}
_NORMAL = statistics.NormalDist()


def quantiles(N):
    return np.array([_NORMAL.inv_cdf((i + 0.5) / N) for i in range(N)])


def distance_of_quantiles(N):
    """Wasserstein-2 distance of N equal masses at the quantiles from N(0, 1), where each mass goes to its own cell:
    1 - 2 sum_i q_i (phi(a_i) - phi(a_i+1)) + sum_i q_i^2 / N."""
    edges = np.array([0.0, *(_NORMAL.pdf(_NORMAL.inv_cdf(i / N)) for i in range(1, N)), 0.0])
    q = quantiles(N)
    return float(np.sqrt(1 - 2 * np.sum(q * (edges[:-1] - edges[1:])) + np.sum(q**2) / N))


@pytest.mark.parametrize("K", LLOYD_MAX)
def test_levels_for_normal_numbers_are_those_of_lloyd_and_max(K):
    """The root of the error of the best K levels moves by no more than the Wasserstein-2 distance of the two laws."""
    N = 2000
    outcome = vq(quantiles(N)[:, None], K, restarts=3, most=5000)
    assert outcome.facts["settled"] and distance_of_quantiles(N) < 0.011
    assert abs(np.sqrt(square(outcome) / N) - np.sqrt(LLOYD_MAX[K])) <= distance_of_quantiles(N)
    if K == 4:
        assert np.allclose(np.sort(outcome.factor.codebook[:, 0]), [-1.5104, -0.4528, 0.4528, 1.5104], atol=0.02)


@pytest.mark.parametrize(("K", "sse"), [(2, 152.348), (3, 78.8514), (4, 57.2285), (5, 46.4462)])
def test_the_iris_flowers_fall_into_the_groups_that_are_known(K, sse, data):
    X = np.loadtxt(data("sklearn_iris.csv"), delimiter=",", skiprows=1, usecols=range(4))
    assert square(vq(X, K, restarts=30)) == pytest.approx(sse, rel=1e-5)


# Identities and bounds


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("K", [1, 4, 17])
def test_the_squared_error_is_that_of_the_matrix_less_that_of_the_codewords(K, dtype):
    A = gallery.with_spectrum(200, 30, gallery.poly(30), dtype=dtype)[0]
    outcome = vq(A, K)
    factor = outcome.factor
    sizes = np.bincount(factor.codes[:, 0], minlength=K)
    assert sizes.min() >= 1 and factor.rank == K
    moments = np.sum(sizes * np.sum(np.abs(measure.wide(factor.codebook)) ** 2, axis=1))
    slack = 50 * measure.eps(A) * measure.norm(A) ** 2
    assert square(outcome) == pytest.approx(measure.norm(A) ** 2 - float(moments), abs=slack)


def test_no_code_of_k_words_is_better_than_the_best_matrix_of_rank_k():
    A = gallery.with_spectrum(90, 30, gallery.poly(30))[0]
    for K in (1, 3, 10, 29):
        assert vq(A, K, restarts=3).certificate.absolute >= measure.best(np.linalg.svd(A, compute_uv=False), K)


def test_every_row_has_its_nearest_codeword_and_every_codeword_is_the_mean_of_its_rows():
    factor = vq(CLOUDS, 7).factor
    codes, book = factor.codes[:, 0], factor.codebook
    distances = np.linalg.norm(CLOUDS[:, None] - book, axis=2)
    assert np.array_equal(codes, np.argmin(distances, axis=1))
    for k in range(7):
        assert np.allclose(book[k], CLOUDS[codes == k].mean(axis=0), atol=1e-13)


def test_the_least_error_of_few_points_is_found_by_all_partitions():
    A = np.random.default_rng(3).standard_normal((7, 2))
    best = min(
        sum(np.sum((A[list(part)] - A[list(part)].mean(axis=0)) ** 2) for part in parts if part)
        for labels in itertools.product(range(3), repeat=7)
        for parts in [[[i for i in range(7) if labels[i] == k] for k in range(3)]]
    )
    assert square(vq(A, 3, restarts=50)) == pytest.approx(best, rel=1e-12)


# The course of the error


def test_no_iteration_raises_the_error_and_no_restart_does():
    A = np.random.default_rng(1).standard_normal((400, 5))
    errors = [square(vq(A, 20, most=most)) for most in (1, 2, 3, 4, 6, 9, 14, 30)]
    assert all(b <= a for a, b in itertools.pairwise(errors)) and errors[-1] < errors[0]
    several = [square(vq(A, 20, restarts=r)) for r in (1, 2, 4, 8)]
    assert all(b <= a for a, b in itertools.pairwise(several)) and several[-1] < several[0]
    assert vq(A, 20, most=1).facts["warnings"] and "warnings" not in vq(A, 20).facts


def test_of_repeated_rows_each_has_one_codeword_and_nothing_is_left():
    A = np.repeat(np.random.default_rng(2).standard_normal((6, 4)), 30, axis=0)
    outcome = vq(A, 10)
    assert outcome.factor.rank == 6 and outcome.certificate.relative <= 1e-15
    assert vq(np.zeros((5, 3)), 4).factor.rank == 1


def test_a_tolerance_finds_the_number_of_clouds():
    A = CLOUDS
    rtol = vq(A, 5, restarts=4).certificate.relative * (1 + 1e-9)
    outcome = vq(A, restarts=4, rtol=rtol)
    assert outcome.status is Status.CONVERGED and outcome.factor.rank == 5
    missed = vq(A, rtol=1e-3)
    assert missed.status is Status.PASSES_SPENT and missed.factor.rank == 32
    assert vq(A, 3, rtol=1e-3).status is Status.RANK_REACHED


@pytest.mark.parametrize("scale", [1e-280, 1e280])
def test_scale_does_not_matter(scale):
    scaled = vq(CLOUDS * scale, 5)
    assert scaled.certificate.relative == pytest.approx(vq(CLOUDS, 5).certificate.relative, rel=1e-12)


# Codes by parts and by levels


def test_the_error_of_a_product_code_is_the_sum_of_those_of_its_parts():
    A = np.random.default_rng(4).standard_normal((150, 11))
    outcome = vq(A, 8, "product:3")
    factor = outcome.factor
    assert isinstance(factor, ProductCodes) and factor.starts.tolist() == [0, 4, 8] and factor.rank == 8
    F = factor.reconstruct()
    parts = [np.sum((A[:, part] - F[:, part]) ** 2) for part in factor.parts]
    assert square(outcome) == pytest.approx(sum(parts), rel=1e-12)
    for part in factor.parts:
        distances = np.linalg.norm(A[:, None, part] - factor.codebook[:, part], axis=2)
        assert np.array_equal(factor.codes[:, factor.parts.index(part)], np.argmin(distances, axis=1))
    assert square(outcome) < square(vq(A, 8))


def test_each_level_of_a_residual_code_lowers_the_error():
    A = np.random.default_rng(5).standard_normal((150, 11))
    outcomes = [vq(A, 8, f"residual:{levels}") for levels in (1, 2, 3, 5)]
    errors = [square(one) for one in outcomes]
    assert all(b < a for a, b in itertools.pairwise(errors))
    assert outcomes[2].factor.codes.shape == (150, 3) and outcomes[2].factor.codebook.shape == (24, 11)
    # the first level is the plain code, bit for bit
    assert np.array_equal(outcomes[2].factor.codebook[:8], vq(A, 8).factor.codebook)
    assert [one.factor.bounded for one in outcomes] == [True, False, False, False]


@pytest.mark.parametrize(("K", "dtype"), [(2, "uint8"), (256, "uint8"), (257, "uint16")])
def test_codes_are_as_narrow_as_the_number_of_codewords_allows_and_counted_so(K, dtype):
    A = np.random.default_rng(6).standard_normal((300, 2))
    factor = vq(A, K, most=1).factor
    assert factor.codes.dtype == dtype
    assert factor.nbytes == 300 * np.dtype(dtype).itemsize + factor.rank * 2 * 8


@pytest.mark.parametrize("code", ["plain", "product:3", "residual:2"])
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_products_and_blocks_are_those_of_the_matrix_it_stands_for(code, dtype):
    A = gallery.with_spectrum(60, 20, gallery.poly(20), dtype=dtype)[0]
    factor = vq(A, 7, code).factor
    F = np.asarray(measure.product(factor)).astype(dtype)
    X, Y = (RNG.standard_normal((rows, 3)).astype(factor.codebook.real.dtype) for rows in (20, 60))
    tolerance = 100 * measure.eps(A)
    assert np.allclose(factor.matmat(X), F @ X, atol=tolerance)
    assert np.allclose(factor.rmatmat(Y), F.conj().T @ Y, atol=tolerance)
    for rows, cols in ((slice(0, 60), slice(0, 20)), (slice(3, 17), slice(5, 9)), (slice(59, 60), slice(6, 7))):
        assert np.allclose(factor.blocks()(rows, cols), F[rows, cols], atol=tolerance)


def test_codes_that_name_no_codeword_are_refused():
    book = np.ones((2, 3))
    for codes in (np.array([[0], [2]], np.uint8), np.array([[0.0]]), np.array([[-1]])):
        with pytest.raises(InputError):
            Codes.from_arrays({"codes": codes, "codebook": book})
    good = np.zeros((4, 2), np.uint8)
    for starts in ([0, 3], [1, 2], [0, 0], [0]):
        with pytest.raises(InputError):
            ProductCodes.from_arrays({"codes": good, "codebook": book, "starts": np.array(starts)})


# Rotations


def test_the_angle_is_that_of_the_rotation_that_carries_a_row_to_its_code():
    """R = I - 2 w w^T + 2 q^ e^T is orthogonal, of determinant 1, carries e^ to q^, and turns by an angle of cosine
    (tr R - n + 2) / 2 (Fifty et al. 2024)."""
    A = np.random.default_rng(7).standard_normal((40, 6))
    outcome = vq(A, 5)
    Q = outcome.factor.reconstruct()
    angles = rotation_angles(A, Q)
    for e, q, angle in zip(A, Q, angles, strict=True):
        e, q = e / np.linalg.norm(e), q / np.linalg.norm(q)
        w = (e + q) / np.linalg.norm(e + q)
        R = np.eye(6) - 2 * np.outer(w, w) + 2 * np.outer(q, e)
        assert np.allclose(R @ e, q) and np.allclose(R @ R.T, np.eye(6)) and np.linalg.det(R) == pytest.approx(1)
        assert np.cos(angle) == pytest.approx((np.trace(R) - 4) / 2, abs=1e-12)
    assert outcome.facts["rotation_mean_angle"] == pytest.approx(angles.mean(), rel=1e-12)
    assert outcome.facts["rotation_max_angle"] == pytest.approx(angles.max(), rel=1e-12)


def test_angles_keep_their_digits_where_they_are_small_and_have_none_where_a_row_is_zero():
    e, q = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 1e-9], [-1.0, 0.0], [1.0, 0.0]])
    angles = rotation_angles(e, q)
    assert angles[0] == pytest.approx(1e-9, rel=1e-12) and angles[1] == pytest.approx(np.pi) and np.isnan(angles[2])


# Refusals


@pytest.mark.parametrize("code", ["", "product", "product:0", "residual:-1", "levels:3", "plain:2", "product:x"])
def test_codes_of_no_known_form_are_refused(code):
    with pytest.raises(UsageError, match="--code"):
        VQOptions(code=code)


def test_more_codewords_than_rows_and_more_parts_than_columns_are_refused():
    with pytest.raises(UsageError, match="--rank 6 is too large"):
        vq(np.eye(5), 6)
    with pytest.raises(UsageError, match="5 columns have at most 5 parts"):
        vq(np.eye(5), 2, "product:6")
