"""One read of a matrix tells what a sweep tells, and sums of its lines with random signs."""

from __future__ import annotations

import numpy as np
import pytest
from matrices.storage import misaligned, sliced
from scipy.sparse import csr_array

from lowrank_cli.engines.threads import ThreadEngine
from lowrank_cli.errors import InputError
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.metered import Metered
from lowrank_cli.matrices.sparse import SparseMatrix
from lowrank_cli.sketches.counting import SUMS, count_sketch
from lowrank_cli.streams import Streams

SHAPES = [(1, 1), (3, 70), (600, 130), (1100, 900), (90, 1300)]


def matrix(shape, dtype="float64"):
    rng = np.random.default_rng(0)
    made = 100 * rng.standard_normal(shape)
    return (made + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else made).astype(dtype)


def sketch(A, transposed):
    return count_sketch(Streams(1), "s", A.shape[1 if transposed else 0])


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_survey_is_a_sweep_and_the_product_with_the_sketch(shape, dtype, transposed):
    A = matrix(shape, dtype)
    tiled, S = TiledMatrix(A), sketch(A, transposed)
    facts, sums = tiled.survey(S, transposed)
    swept = tiled.sweep(transposed)
    assert facts.column_squares.tobytes() == swept.column_squares.tobytes()
    assert (facts.max_abs, facts.exponent) == (swept.max_abs, swept.exponent)
    wide = (A.T if transposed else A).astype(np.result_type(A, np.float64))
    assert sums.dtype == wide.dtype
    np.testing.assert_allclose(sums, S.dense(wide.dtype).T @ wide, rtol=1e-13, atol=1e-13 * np.abs(wide).max())


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_no_bit_depends_on_storage_or_threads(dtype, transposed):
    A = matrix((1100, 900), dtype)
    S = sketch(A, transposed)
    expected = TiledMatrix(A).survey(S, transposed)[1].tobytes()
    for stored in (A, np.asfortranarray(A), sliced(A), misaligned(A)):
        assert TiledMatrix(stored, ThreadEngine(3)).survey(S, transposed)[1].tobytes() == expected


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_with_its_place(value, transposed):
    A = matrix((700, 800))
    A[[650, 600], [3, 790]] = value
    for made in (TiledMatrix(A), SparseMatrix(csr_array(A))):
        with pytest.raises(InputError, match="2 entries are NaN or infinite, the first at row 600, column 790"):
            Metered(made).survey(sketch(A, transposed), transposed)


def test_a_sketch_has_one_sign_a_column_and_spreads_64_in_a_row_over_all_sums():
    S = count_sketch(Streams(3), "s", 5000)
    dense = S.dense(np.dtype(float))
    assert dense.shape == (5000, SUMS) and np.array_equal(np.abs(dense).sum(axis=1), np.ones(5000))
    for start in range(0, 4900, 64):
        assert len(set(S.places[start : start + 64].tolist())) == 64
    assert abs(int(S.signs.astype(int).sum())) < 4 * np.sqrt(5000)


def test_others_share_a_sum_once_in_64():
    places = [count_sketch(Streams(seed), "s", 200).places for seed in range(2000)]
    shared = np.mean([one[10] == one[150] for one in places])
    assert abs(shared - 1 / 64) < 4 * np.sqrt(1 / 64 / 2000)


def test_a_longer_sketch_extends_a_shorter_one():
    short, long = (count_sketch(Streams(0), "s", n) for n in (4100, 9000))
    assert np.array_equal(short.signs, long.signs[:4100]) and np.array_equal(short.places, long.places[:4100])
