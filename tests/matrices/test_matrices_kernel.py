"""Kernel matrices of points: entries as the formula has them, the same bits by every way, and never stored."""

from __future__ import annotations

import functools
import math

import measure
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import lowrank_cli
from lowrank_cli.algorithms.nystrom import NystromOptions
from lowrank_cli.engines.threads import ThreadEngine
from lowrank_cli.errors import InputError, UsageError
from lowrank_cli.matrices.kernel import Kernel, KernelMatrix

KERNELS = [Kernel("gaussian", 1.7), Kernel("laplace", 0.8)]


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    with threadpool_limits(1, "blas"):
        yield


@functools.cache
def points(n: int, d: int = 3, dtype: str = "float64") -> np.ndarray:
    return np.random.default_rng([n, d]).standard_normal((n, d)).astype(dtype)


def direct(X, kernel) -> np.ndarray:
    """In extended precision, by the formula."""
    wide = X.astype(np.longdouble)
    apart = wide[:, None, :] - wide[None, :, :]
    if kernel.name == "gaussian":
        return np.exp(-np.square(apart).sum(axis=2) / (2 * np.longdouble(kernel.scale) ** 2))
    return np.exp(-np.abs(apart).sum(axis=2) / np.longdouble(kernel.scale))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_entries_are_those_of_the_formula(kernel, dtype):
    X = points(60, 4, dtype)
    K = KernelMatrix(X, kernel).block(slice(0, 60), slice(0, 60))
    exact = direct(X, kernel)
    assert K.dtype == dtype and np.all(np.diag(K) == 1) and np.array_equal(K, K.T)
    # the exponent carries d roundings, and the entry its own
    assert np.all(np.abs(K - exact) <= 20 * np.finfo(dtype).eps * exact * (1 - np.log(exact)))


def test_near_points_far_from_the_origin_lose_no_digits():
    X = np.array([[1e8], [1e8 + 1e-3 * 2**-7]])
    apart = X[1, 0] - X[0, 0]
    K = KernelMatrix(X, Kernel("gaussian", 1e-6)).block(slice(0, 2), slice(0, 2))
    assert K[0, 1] == pytest.approx(math.exp(-((apart / 1e-6) ** 2) / 2), rel=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_tiles_rows_columns_and_corners_have_the_same_bits_for_any_threads(kernel, dtype):
    n = 1100
    X = points(n, 3, dtype)
    one, other = KernelMatrix(X, kernel), KernelMatrix(np.asfortranarray(X), kernel, ThreadEngine(4))
    K = one.block(slice(0, n), slice(0, n))
    index = np.array([3, 1099, 512, 3])
    for matrix in (one, other):
        assert np.array_equal(matrix.cols(index), K[:, index]) and np.array_equal(matrix.rows(index), K[index])
        assert np.array_equal(matrix.corner(index), K[np.ix_(index, index)])
        tiles = matrix.tiles(lambda _, rows, cols, tile: (rows, cols, tile))
        assert all(np.array_equal(tile, K[rows, cols]) for rows, cols, tile in tiles) and len(tiles) == 4
    Y = np.random.default_rng(0).standard_normal((n, 5)).astype(dtype)
    assert np.array_equal(one.matmat(Y), other.matmat(Y)) and np.array_equal(one.matmat(Y), one.rmatmat(Y))
    np.testing.assert_allclose(one.matmat(Y), K @ Y, rtol=0, atol=200 * np.finfo(dtype).eps * n)
    assert np.array_equal(one.normal_matmat(Y)[1], one.matmat(one.matmat(Y)))


def test_scaling_is_exact_and_single_precision_is_rounding():
    matrix, K = KernelMatrix(points(40), KERNELS[0]), direct(points(40), KERNELS[0]).astype(float)
    every = slice(0, 40), slice(0, 40)
    assert np.array_equal(matrix.scaled(7).block(*every), np.ldexp(matrix.block(*every), 7))
    assert np.array_equal(matrix.single(0).block(*every), matrix.block(*every).astype(np.float32))
    assert matrix.sweep().norm == pytest.approx(np.linalg.norm(K), rel=1e-12)


def approximated(X, kernel, method="nystrom", pivots="columns", **asked):
    options = NystromOptions(pivots=pivots) if method == "nystrom" else None
    return lowrank_cli.approx(X, method=method, kernel=kernel, options=options, **asked)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("pivots", ["sketch", "columns"])
@pytest.mark.parametrize("n", [120, 600])
def test_what_is_reported_of_a_kernel_matrix_is_true_of_it(n, pivots, kernel):
    X = points(n)
    K = direct(X, kernel)
    outcome = approximated(X, kernel, pivots=pivots, rank=20)
    left = measure.dense(K - measure.product(outcome.factor)).astype(float)
    assert outcome.certificate.absolute == pytest.approx(np.linalg.norm(left), rel=1e-9)
    assert outcome.certificate.relative == pytest.approx(np.linalg.norm(left) / measure.norm(K), rel=1e-9)
    assert outcome.facts["trace_error_relative"] == pytest.approx(np.trace(left) / n, rel=1e-9)


@pytest.mark.parametrize("pivots", ["sketch", "columns"])
def test_a_kernel_matrix_gives_what_the_stored_matrix_gives(pivots):
    X = points(300)
    K = KernelMatrix(X, KERNELS[0]).block(slice(0, 300), slice(0, 300))
    for asked in ({"rank": 15}, {"rtol": 1e-3}):
        one = approximated(X, KERNELS[0], pivots=pivots, **asked)
        other = lowrank_cli.approx(K, method="nystrom", options=NystromOptions(pivots=pivots), **asked)
        assert np.array_equal(one.factor.F, other.factor.F)
        assert one.certificate.relative == pytest.approx(other.certificate.relative, rel=1e-12)


def test_other_methods_take_it_too():
    X = points(200)
    s = np.linalg.svd(direct(X, KERNELS[0]).astype(float), compute_uv=False)
    for method in ("svd", "qb", "id"):
        outcome = approximated(X, KERNELS[0], method, rank=12)
        assert measure.best(s, 12) * (1 - 1e-9) <= outcome.certificate.absolute <= 2 * measure.best(s, 12)


def test_columns_without_an_error_make_no_entry_but_their_own(monkeypatch):
    """A 30000 x 30000 matrix from 12 columns: what is made is its columns, corners and diagonal tiles."""
    made = []
    original = Kernel.__call__
    monkeypatch.setattr(
        Kernel, "__call__", lambda self, a, b: made.append(a.shape[1] * b.shape[1]) or original(self, a, b)
    )
    n = 30_000
    outcome = approximated(points(n), KERNELS[0], rank=12, certify="none")
    assert outcome.ledger.passes == 0 and outcome.factor.shape == (n, n) and outcome.factor.rank == 12
    assert sum(made) <= 12 * n + 2 * 512 * n + 32 * 32 * 20 and sum(made) < n * n / 20
    assert 0 < outcome.facts["trace_error_relative"] < 0.5 and outcome.certificate.kind == "none"


def test_bits_depend_on_neither_threads_nor_storage():
    X = points(700)
    found = {
        approximated(array, KERNELS[0], rank=30, threads=threads).factor.F.tobytes()
        for array, threads in ((X, 1), (X, 4), (np.asfortranarray(X), 2), (X.astype(">f8"), 1))
    }
    assert len(found) == 1


def test_what_is_no_kernel_or_no_points_is_refused():
    for name, scale, words in [("sinc", 1.0, "sinc"), ("gaussian", 0.0, "above 0"), ("laplace", math.inf, "finite")]:
        with pytest.raises(UsageError, match=words):
            Kernel(name, scale)
    bad = points(9).copy()
    bad[4, 1] = np.nan
    with pytest.raises(InputError, match="row 4, column 1"):
        approximated(bad, KERNELS[0], rank=2)
    with pytest.raises(InputError, match="real"):
        approximated(points(9) * 1j, KERNELS[0], rank=2)


def test_coincident_and_distant_points_are_no_trouble():
    X = np.repeat(np.array([[0.0], [1e300], [-1e300]]), 4, axis=0)
    outcome = approximated(X, KERNELS[0], rank=3)
    assert outcome.certificate.relative <= 1e-15 and sorted(outcome.factor.cols // 4) == [0, 1, 2]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_thousand_points_are_measured_exactly_without_the_matrix():
    """3.2 GB of entries, made tile by tile; the error against that of 500 rows taken at random, to a fifth."""
    X = points(20_000)
    outcome = approximated(X, KERNELS[0], rank=60)
    F, rows = outcome.factor.F, np.random.default_rng(0).choice(20_000, 500, replace=False)
    K = KernelMatrix(X, KERNELS[0]).rows(rows)
    sampled = math.sqrt(20_000 / 500 * float(np.square(K - F[rows] @ F.T).sum()))
    assert outcome.certificate.absolute == pytest.approx(sampled, rel=0.2)
    assert outcome.ledger.passes == 2
