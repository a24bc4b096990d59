"""Gathering copies bit for bit, scales when asked, and never reads outside."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from lowrank_cli.errors import UsageError
from lowrank_cli.kernels.gather import gather_columns, gather_rows

BOTH = pytest.mark.parametrize("compiled", [False, True])
DTYPES = [np.float32, np.float64, np.complex64, np.complex128]


def matrix(dtype, shape=(37, 23)):
    rng = np.random.default_rng(0)
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else values).astype(dtype)


@BOTH
@pytest.mark.parametrize("dtype", [*DTYPES, np.int32, np.bool_, np.float16])
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_without_a_scale_columns_are_copied_bit_for_bit(dtype, order, compiled):
    X = matrix(np.float64).astype(dtype)
    if np.dtype(dtype).kind == "f":
        X[0, 3] = -0.0
        X.view(f"u{X.itemsize}")[1, 3] = np.array([np.nan], dtype).view(f"u{X.itemsize}")[0] + 5
    stored = {"C": X, "F": np.asfortranarray(X), "strided": np.repeat(X, 2, axis=1)[:, ::2]}[order]
    out = gather_columns(stored, np.array([3, 0, 22, 3]), None, compiled)
    assert out.flags.c_contiguous and out.dtype == X.dtype
    assert out.tobytes() == np.ascontiguousarray(X[:, [3, 0, 22, 3]]).tobytes()


@BOTH
@pytest.mark.parametrize("dtype", DTYPES)
def test_scaled_columns_are_the_products_in_the_dtype_of_the_matrix(dtype, compiled):
    X, index = matrix(dtype), np.array([5, 5, 1])
    scale = np.array([2.0, 1 / 3, -1e-3])
    out = gather_columns(X, index, scale, compiled)
    assert out.dtype == dtype
    assert out.tobytes() == np.ascontiguousarray(X[:, index] * scale.astype(dtype)).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_are_copied_and_scaled_alike(dtype, order):
    Y = np.asarray(matrix(dtype), order=order)
    index, scale = np.array([36, 0, 36]), np.array([0.1, 1.0, 7.0])
    plain, scaled = gather_rows(Y, index), gather_rows(Y, index, scale)
    assert plain.flags.c_contiguous and plain.tobytes() == np.ascontiguousarray(Y[index]).tobytes()
    assert scaled.tobytes() == np.ascontiguousarray(Y[index] * scale.astype(dtype)[:, None]).tobytes()


@BOTH
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_what_is_gathered_lies_where_it_is_wanted(dtype, order, compiled):
    X, index, scale = matrix(dtype), np.array([5, 5, 1]), np.array([2.0, 1 / 3, -1e-3])
    stored = {"C": X, "F": np.asfortranarray(X), "strided": np.repeat(X, 2, axis=1)[:, ::2]}[order]
    for how in (None, scale):
        whole = np.zeros((40, 3), dtype), np.zeros((7, 23), dtype)
        gather_columns(stored, index, how, compiled, whole[0][2:39])
        gather_rows(stored, index, how, whole[1][1:4])
        assert whole[0][2:39].tobytes() == gather_columns(X, index, how, compiled).tobytes()
        assert whole[1][1:4].tobytes() == gather_rows(X, index, how).tobytes()
        assert not whole[0][[0, 1, 39]].any() and not whole[1][[0, 4, 5, 6]].any()


@BOTH
def test_nothing_to_gather_gives_an_empty_block(compiled):
    assert gather_columns(matrix(float), np.zeros(0, int), None, compiled).shape == (37, 0)
    assert gather_columns(np.zeros((0, 3)), np.array([1]), np.ones(1), compiled).shape == (0, 1)


@BOTH
@pytest.mark.parametrize("index", [[-1], [23], [0, 2**40]])
def test_an_index_outside_is_refused(index, compiled):
    with pytest.raises(UsageError, match=r"index outside 0\.\.22"):
        gather_columns(matrix(float), np.array(index), None, compiled)
    with pytest.raises(UsageError):
        gather_rows(matrix(float).T, np.array(index))


@BOTH
def test_a_scale_that_does_not_fit_is_refused(compiled):
    for X, scale in [(matrix(float), np.ones(3)), (np.ones((3, 23), int), np.ones(2))]:
        with pytest.raises(UsageError):
            gather_columns(X, np.array([0, 1]), scale, compiled)


def test_the_gathered_block_is_a_copy_even_of_the_whole():
    X = matrix(float)
    out = gather_columns(X, np.arange(23))
    out[:] = 0
    assert X.any() and not np.shares_memory(gather_rows(X, np.arange(37)), X)


@pytest.mark.parametrize("gather", [gather_columns, gather_rows])
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_gathering_few_vectors_copies_no_whole_matrix(gather, order):
    X = np.zeros((1000, 2000))
    stored = {"C": X, "F": np.asfortranarray(X), "strided": X[::2, ::2]}[order]
    tracemalloc.start()
    try:
        gather(stored, np.array([3, 1]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < stored.nbytes / 20
