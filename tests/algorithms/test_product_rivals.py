"""What sampling is held against: sketches whose mean-square errors are known, and the best product of its rank.

Seeds are fixed; four standard errors are what a correct sketch stays within in all but six of 100 000 such tests.
"""

from __future__ import annotations

import numpy as np
import pytest
from algorithms.cr_products import gram, lengths, pair, within_four_standard_errors
from scipy.sparse import csr_array

from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.algorithms.product_rivals import Rivals, best_product, gaussian_sketch, sparse_sketch
from lowrank_cli.api import tiled
from lowrank_cli.budget import Budget
from lowrank_cli.engines.threads import engine_for
from lowrank_cli.errors import UsageError
from lowrank_cli.formats.memory import from_array
from lowrank_cli.matrices.product import Product
from lowrank_cli.sketches.sparse import sparse_signs
from lowrank_cli.streams import Streams

SKETCHES = {"gaussian": gaussian_sketch, "sparse": sparse_sketch}


def rivals(X, Y, threads=1):
    engine = engine_for(threads)
    A, B = (tiled(from_array(one), engine) for one in (X, Y))
    norm = float(np.linalg.norm((X @ Y).toarray() if hasattr(X, "toarray") else X @ Y))
    return Rivals(Product(A, B, engine), norm, {})


def squares(sketch, X, Y, r, seeds=300):
    return [
        float(
            np.linalg.norm(X @ Y - SKETCHES[sketch](rivals(X, Y), Budget(rank=r), Streams(s)).factor.reconstruct()) ** 2
        )
        for s in range(seeds)
    ]


# Sketches


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("r", [5, 8, 11])
@pytest.mark.parametrize("sketch", SKETCHES)
def test_a_sketch_has_the_mean_square_error_of_its_formula(sketch, r, dtype):
    """Gaussian (a + F2) / r, sparse signs (a + F2 - 2 D) / r for stacks of one width; complex a / r and (a - D) / r."""
    X, Y = pair(dtype=dtype)
    a = np.linalg.norm(X) ** 2 * np.linalg.norm(Y) ** 2
    F2, D = gram(X, Y).sum(), np.sum(lengths(X, Y) ** 2)
    moment = {"gaussian": (a + F2, a), "sparse": (a + F2 - 2 * D, a - D)}[sketch][dtype == "complex128"]
    # at 11 columns five stacks of 1 and three of 2
    spread = (5 / 1 + 3 / 2) / 64 if sketch == "sparse" and r == 11 else 1 / r
    assert within_four_standard_errors(squares(sketch, X, Y, r), moment * spread)
    predicted = SKETCHES[sketch](rivals(X, Y), Budget(rank=r), Streams(0)).facts["predicted_relative"]
    assert predicted**2 * F2 == pytest.approx(moment * spread, rel=1e-10)


@pytest.mark.parametrize("sketch", SKETCHES)
def test_a_sketch_is_right_on_average(sketch):
    X, Y = pair()
    made = np.stack(
        [SKETCHES[sketch](rivals(X, Y), Budget(rank=6), Streams(s)).factor.reconstruct() for s in range(300)]
    )
    for W in np.random.default_rng(0).standard_normal((6, *made.shape[1:])):
        assert within_four_standard_errors(np.tensordot(made, W, 2), np.sum(W * (X @ Y)))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize(("n", "l"), [(9000, 40), (50, 3), (1, 1), (7, 8)])
def test_a_sparse_sign_matrix_has_one_entry_of_one_size_a_stack_and_row(n, l, dtype):
    S, spread = sparse_signs(Streams(3), "test", n, l, np.dtype(dtype))
    stacks = min(8, l)
    assert S.shape == (n, l) and S.dtype == dtype and S.nnz == n * stacks
    np.testing.assert_allclose(np.abs(S.data), 1 / np.sqrt(stacks), rtol=1e-6)
    marks = (np.arange(stacks + 1) * l) // stacks
    places = S.indices.reshape(n, stacks)
    assert np.all((places >= marks[:-1]) & (places < marks[1:]))
    assert spread == pytest.approx(np.sum(1 / np.diff(marks)) / stacks**2)
    # drawn by blocks of rows, so more rows leave the first blocks as they are
    longer = sparse_signs(Streams(3), "test", n + 5000, l, np.dtype(dtype))[0]
    whole = n // 4096 * 4096 * stacks
    assert np.array_equal(longer.data[:whole], S.data[:whole])


def test_places_and_signs_of_sparse_sign_matrices_are_uniform():
    S = sparse_signs(Streams(0), "test", 20000, 24, np.dtype("float64"))[0]
    counts = np.bincount(S.indices, minlength=24)
    assert np.all(np.abs(counts - 20000 / 3) <= 5 * np.sqrt(20000 * 2 / 9))
    assert abs(np.sign(S.data).sum()) <= 4 * np.sqrt(S.nnz)


@pytest.mark.parametrize("sketch", SKETCHES)
def test_the_measured_error_of_a_sketch_is_the_error_of_its_factors(sketch):
    for dtype in ("float64", "float32", "complex128"):
        X, Y = pair(30, 60, 20, dtype=dtype)
        outcome = SKETCHES[sketch](rivals(X, Y), Budget(rank=12), Streams(1))
        error = np.linalg.norm(X @ Y - outcome.factor.reconstruct()) / np.linalg.norm(X @ Y)
        assert outcome.certificate.relative == pytest.approx(error, rel=1e-5 if dtype == "float32" else 1e-10)


@pytest.mark.parametrize("sketch", SKETCHES)
def test_sparse_factors_are_sketched_as_dense_ones(sketch):
    X, Y = pair(30, 60, 20)
    X[np.abs(X) < 0.1], Y[np.abs(Y) < 1] = 0, 0
    dense = SKETCHES[sketch](rivals(X, Y), Budget(rank=12), Streams(1))
    found = SKETCHES[sketch](rivals(csr_array(X), csr_array(Y)), Budget(rank=12), Streams(1))
    np.testing.assert_allclose(found.factor.reconstruct(), dense.factor.reconstruct(), atol=1e-12)


@pytest.mark.parametrize("threads", [2, 4])
@pytest.mark.parametrize("sketch", SKETCHES)
def test_no_bit_of_a_sketch_depends_on_threads_or_order(sketch, threads):
    X, Y = pair(1100, 600, 20)
    one = SKETCHES[sketch](rivals(X, Y), Budget(rank=12), Streams(1))
    other = SKETCHES[sketch](rivals(np.asfortranarray(X), np.asfortranarray(Y), threads), Budget(rank=12), Streams(1))
    assert all(np.array_equal(a, b) for a, b in zip(one.factor.pair(), other.factor.pair(), strict=True))
    assert one.certificate == other.certificate


@pytest.mark.parametrize("sketch", SKETCHES)
def test_a_sketch_takes_as_many_columns_as_a_tolerance_asks_for_or_says_that_it_cannot(sketch):
    rng = np.random.default_rng(0)
    X, Y = 1 + 0.1 * rng.standard_normal((20, 300)), 1 + 0.1 * rng.standard_normal((300, 20))
    ranks = []
    for seed in range(10):
        outcome = SKETCHES[sketch](rivals(X, Y), Budget(rtol=0.2), Streams(seed))
        assert outcome.status is Status.CONVERGED and outcome.certificate.relative <= 0.2
        ranks.append(outcome.factor.rank)
    # (a + F2) / F2 / 0.2^2 is about 50, for a product of rank about 1
    assert 40 <= min(ranks) and np.median(ranks) < 150
    missed = SKETCHES[sketch](rivals(X, Y), Budget(rtol=1e-6), Streams(0))
    assert missed.status is Status.RANK_REACHED and missed.factor.rank == 300


# The best product


@pytest.mark.parametrize("shape", [(40, 9, 30), (9, 40, 30), (40, 30, 9), (9, 40, 8), (1, 5, 1), (5, 1, 4)])
@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
def test_the_best_product_is_that_of_eckart_and_young(shape, dtype):
    X, Y = pair(*shape, dtype=dtype)
    s = np.linalg.svd(X @ Y, compute_uv=False).astype(float)
    eps = 200 * float(np.finfo(X.real.dtype).eps)
    for r in {1, min(3, *shape), min(shape)}:
        outcome, values = best_product(rivals(X, Y), Budget(rank=r))
        assert outcome.factor.rank == r
        expected = np.sqrt(np.sum(s[r:] ** 2)) / np.linalg.norm(s)
        assert outcome.certificate.relative == pytest.approx(expected, rel=1e-4, abs=eps)
        assert outcome.facts["predicted_relative"] == pytest.approx(expected, rel=1e-4, abs=eps)
        assert values == pytest.approx(s[: len(values)] / np.linalg.norm(s), abs=eps)


@pytest.mark.parametrize("rtol", [0.5, 0.1, 0.01])
def test_the_best_product_takes_the_smallest_rank_that_meets_a_tolerance(rtol):
    X, Y = pair(40, 25, 30)
    s = np.linalg.svd(X @ Y, compute_uv=False)
    tails = np.sqrt(np.append(np.cumsum(s[::-1] ** 2)[::-1], 0)) / np.linalg.norm(s)
    outcome, _ = best_product(rivals(X, Y), Budget(rtol=rtol))
    assert outcome.factor.rank == int(np.argmax(tails <= rtol)) and outcome.certificate.relative <= rtol


@pytest.mark.parametrize("exponents", [(900, -300), (-900, 100), (500, 400)])
def test_rivals_work_at_every_scale(exponents):
    X, Y = pair(30, 60, 20)
    here = rivals(X, Y)
    engine = engine_for(1)
    A, B = (tiled(from_array(np.ldexp(one, e)), engine) for one, e in zip((X, Y), exponents, strict=True))
    norm = float(np.ldexp(np.linalg.norm(X @ Y), sum(exponents)))
    for make in (*SKETCHES.values(), lambda rivals, budget, _: best_product(rivals, budget)[0]):
        one = make(here, Budget(rank=7), Streams(0)).certificate
        there = make(Rivals(Product(A, B, engine), norm, {}), Budget(rank=7), Streams(0)).certificate
        assert there.relative == pytest.approx(one.relative, rel=1e-9)


def test_a_best_product_that_takes_too_large_a_decomposition_is_refused_with_its_size():
    X, Y = np.ones((1700, 1690)), np.ones((1690, 1650))
    engine = engine_for(1)
    work = Rivals(Product(*(tiled(from_array(one), engine) for one in (X, Y)), engine), 1.0, {})
    with pytest.raises(UsageError, match="1690x1650"):
        best_product(work, Budget(rank=3))
