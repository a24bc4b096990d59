"""Sparse products by row blocks, and the transposed copy that serves the adjoint."""

from __future__ import annotations

import platform
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array, random_array

from lowrank_cli.kernels.csr import csr_matmat, csr_tree_sums, transpose_csr
from lowrank_cli.matrices.grid import TreeSum

BOTH = pytest.mark.parametrize("compiled", [False, True])
DTYPES = [np.float32, np.float64, np.complex64, np.complex128]
INDEX = [np.int32, np.int64]
#: elsewhere the compiler of SciPy may fuse a multiplication with an addition, which rounds once less
SAME_ROUNDING = platform.machine().lower() in ("x86_64", "amd64")


def sparse(m, n, dtype, index, seed=0, density=0.1):
    rng = np.random.default_rng(seed)
    A = random_array((m, n), density=density, rng=rng, format="csr")
    data = rng.standard_normal(A.nnz) + (1j * rng.standard_normal(A.nnz) if np.dtype(dtype).kind == "c" else 0)
    return A.indptr.astype(index), A.indices.astype(index), data.astype(dtype)


def dense(indptr, indices, data, shape):
    """By definition: duplicates add."""
    D = np.zeros(shape, complex)
    rows = np.repeat(np.arange(shape[0]), np.diff(indptr))
    np.add.at(D, (rows, indices), data)
    return D


def product(A, X, shape, compiled, start=0, stop=None, stretch=0):
    stop = shape[0] if stop is None else stop
    out = np.full((stop - start, X.shape[1]), np.nan, X.dtype)
    csr_matmat(*A, X, out, start, stop, compiled, stretch)
    return out


def by_stretches(A, X, shape, stretch):
    """What a stretch is: the product of those columns alone, and these products added in the tree."""
    whole = csr_array((A[2], A[1], A[0]), shape=shape)
    tree = TreeSum()
    for first in range(0, shape[1], stretch):
        some = csr_array(whole[:, first : first + stretch])
        parts = some.indptr, some.indices, some.data
        tree.add(product(parts, np.ascontiguousarray(X[first : first + stretch]), some.shape, False))
    return tree.total()


@BOTH
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "stretch"), [(1000, 1), (1000, 3), (700, 10), (700, 100), (64, 8), (65, 8), (40, 50)])
@pytest.mark.parametrize("density", [0.004, 0.05, 0.6])
def test_stretches_of_columns_are_added_in_the_tree(dtype, n, stretch, density, compiled):
    shape = (30, n)
    A = sparse(*shape, dtype, np.int32, seed=n, density=density)
    X = np.random.default_rng(4).standard_normal((n, 5)).astype(dtype)
    expected = by_stretches(A, X, shape, stretch)
    found = product(A, X, shape, compiled, stretch=stretch)
    if SAME_ROUNDING:
        assert found.tobytes() == expected.tobytes()
    assert np.abs(found - expected).max() <= 100 * np.finfo(dtype).eps * np.abs(expected).max()
    if np.dtype(dtype).kind == "f":
        weights = np.square(A[2].astype(np.float64))
        sums = by_stretches((A[0], A[1], weights), np.ones((n, 1)), shape, stretch)[:, 0]
        assert csr_tree_sums(A[0], A[1], weights, stretch).tobytes() == sums.tobytes()


@BOTH
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("index", INDEX)
@pytest.mark.parametrize("width", [0, 1, 3, 64])
def test_the_product_is_right_within_the_bound_of_a_sum(dtype, index, width, compiled):
    shape = (60, 45)
    A = sparse(*shape, dtype, index)
    X = np.random.default_rng(1).standard_normal((45, width)).astype(dtype)
    D = dense(*A, shape)
    out = product(A, X, shape, compiled)
    terms = np.diff(A[0]).max() + 2
    assert out.dtype == dtype
    assert (np.abs(out - D @ X) <= 2 * terms * np.finfo(dtype).eps * (np.abs(D) @ np.abs(X))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("index", INDEX)
def test_kernel_and_twin_add_in_the_same_order(dtype, index):
    shape = (80, 50)
    A = sparse(*shape, dtype, index, seed=3, density=0.4)
    X = np.random.default_rng(2).standard_normal((50, 17)).astype(dtype)
    twin, kernel = product(A, X, shape, False), product(A, X, shape, True)
    if SAME_ROUNDING:
        assert twin.tobytes() == kernel.tobytes()
    assert np.abs(twin - kernel).max() <= 100 * np.finfo(dtype).eps * np.abs(twin).max()


@BOTH
def test_blocks_of_rows_in_threads_give_the_bits_of_the_whole(compiled):
    shape = (300, 90)
    A = sparse(*shape, np.float64, np.int32)
    X = np.random.default_rng(2).standard_normal((90, 8))
    whole = product(A, X, shape, compiled)
    for cuts in ([0, 300], [0, 1, 7, 7, 150, 300]):
        out = np.empty_like(whole)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda a, b, out=out: csr_matmat(*A, X, out[a:b], a, b, compiled), cuts[:-1], cuts[1:]))
        assert out.tobytes() == whole.tobytes()


@BOTH
def test_empty_rows_give_zeros_and_duplicates_add(compiled):
    A = np.array([0, 0, 3, 3]), np.array([1, 1, 0]), np.array([1.0, 2.0, 4.0])
    X = np.array([[1.0, 10.0], [2.0, 20.0]])
    assert product(A, X, (3, 2), compiled).tolist() == [[0, 0], [10, 100], [0, 0]]


@BOTH
def test_mixed_index_types_strided_blocks_and_read_only_arrays_serve(compiled):
    shape = (40, 30)
    indptr, indices, data = sparse(*shape, np.float64, np.int32)
    X = np.random.default_rng(2).standard_normal((30, 6))
    expected = product((indptr, indices, data), X, shape, compiled)
    for array in (indptr, indices, data):
        array.flags.writeable = False
    for stored in (np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2]):
        out = product((indptr.astype(np.int64), indices, data), stored, shape, compiled)
        assert out.tobytes() == expected.tobytes()


@BOTH
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("index", INDEX)
def test_the_transposed_copy_is_the_stable_sort_by_column(dtype, index, compiled):
    shape = (50, 70)
    indptr, indices, data = sparse(*shape, dtype, index)
    order = np.argsort(indices, kind="stable")
    rows = np.repeat(np.arange(50), np.diff(indptr))
    for conjugate in (False, True):
        new_indptr, new_indices, new_data = transpose_csr(indptr, indices, data, shape, conjugate, compiled)
        assert new_indptr.dtype == np.int64 and new_indices.dtype == index and new_data.dtype == dtype
        assert np.array_equal(new_indptr, np.concatenate([[0], np.cumsum(np.bincount(indices, minlength=70))]))
        assert np.array_equal(new_indices, rows[order])
        expected = data[order].conj() if conjugate else data[order]
        assert new_data.tobytes() == expected.tobytes()


@BOTH
def test_duplicates_stay_apart_and_in_order(compiled):
    A = np.array([0, 2, 4]), np.array([1, 1, 1, 0]), np.array([1.0, 2.0, 3.0, 4.0])
    indptr, indices, data = transpose_csr(*A, (2, 3), compiled=compiled)
    assert (indptr.tolist(), indices.tolist(), data.tolist()) == ([0, 1, 4, 4], [1, 0, 0, 1], [4.0, 1.0, 2.0, 3.0])


@BOTH
def test_a_matrix_without_entries_transposes_to_one_without(compiled):
    indptr, indices, data = transpose_csr(np.zeros(4, int), np.zeros(0, int), np.zeros(0), (3, 5), compiled=compiled)
    assert indptr.tolist() == [0] * 6 and len(indices) == len(data) == 0
    assert product((indptr, indices, data), np.ones((3, 2)), (5, 3), compiled).tolist() == [[0, 0]] * 5


@BOTH
def test_the_input_is_left_alone(compiled):
    A = sparse(20, 30, np.float64, np.int32)
    before = [array.copy() for array in A]
    csr_out = transpose_csr(*A, (20, 30), compiled=compiled)
    product(A, np.ones((30, 2)), (20, 30), compiled)
    assert all(np.array_equal(a, b) for a, b in zip(A, before, strict=True))
    assert not any(np.shares_memory(a, b) for a in csr_out for b in A)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1), st.booleans())
def test_transposing_twice_sorts_the_rows_and_adjoint_products_pair(m, n, seed, compiled):
    A = sparse(m, n, np.float64, np.int32, seed, density=0.3)
    T = transpose_csr(*A, (m, n), compiled=compiled)
    back = transpose_csr(*T, (n, m), compiled=compiled)
    expected = csr_array((A[2], A[1], A[0]), shape=(m, n)).sorted_indices()
    assert np.array_equal(back[1], expected.indices) and np.array_equal(back[2], expected.data)
    rng = np.random.default_rng(seed)
    X, Y = rng.integers(-4, 5, (n, 2)).astype(float), rng.integers(-4, 5, (m, 2)).astype(float)
    left, right = Y.T @ product(A, X, (m, n), compiled), product(T, Y, (n, m), compiled).T @ X
    assert np.allclose(left, right, rtol=1e-12, atol=1e-12 * np.abs(A[2]).sum() * 16)
