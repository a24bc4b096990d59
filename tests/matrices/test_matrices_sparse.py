"""Sparse matrices: the numbers of the dense ones to rounding, the same bits for any number of threads."""

from __future__ import annotations

import gallery
import numpy as np
import pytest
from matrices import storage
from scipy.sparse import csr_array, random_array

from lowrank_cli.errors import InputError
from lowrank_cli.matrices.adjoint import Adjoint
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.digest import digest
from lowrank_cli.matrices.grid import BLOCK_ENTRIES, BLOCK_ROWS, sparse_row_cuts
from lowrank_cli.matrices.metered import Metered
from lowrank_cli.matrices.product import Product
from lowrank_cli.matrices.sparse import SparseMatrix


def sparse(shape, dtype="float64", density=0.05, seed=0) -> csr_array:
    rng = np.random.default_rng(seed)
    made = csr_array(random_array(shape, density=density, rng=rng, data_sampler=lambda size: rng.standard_normal(size)))
    if np.dtype(dtype).kind == "c":
        made = csr_array((made.data * (1 + 0.5j), made.indices, made.indptr), shape=shape)
    return made.astype(dtype)


SHAPES = [(1, 1), (40, 30), (900, 700), (3, 5000), (9000, 20)]


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_products_and_facts_are_those_of_the_dense_matrix_to_rounding(shape, dtype):
    A = sparse(shape, dtype, density=0.5 if shape == (1, 1) else 0.05)
    dense, matrix = A.toarray(), SparseMatrix(A)
    eps = np.finfo(dtype).eps
    X, Y = storage.values((shape[1], 7), dtype, 1), storage.values((shape[0], 7), dtype, 2)
    for made, exact in ((matrix.matmat(X), dense @ X), (matrix.rmatmat(Y), dense.conj().T @ Y)):
        assert made.dtype == dtype
        assert np.abs(made - exact).max(initial=0) <= 4 * eps * max(shape) * max(np.abs(exact).max(initial=0), 1)
    assert matrix.nnz == A.nnz
    for transposed in (False, True):
        here, there = matrix.sweep(transposed), TiledMatrix(dense).sweep(transposed)
        assert here.max_abs == there.max_abs
        np.testing.assert_allclose(here.column_squares, there.column_squares, rtol=1e-12)


@pytest.mark.parametrize("dtype", gallery.DTYPES)
def test_no_bit_depends_on_threads(dtype):
    A = sparse((9000, 900), dtype, density=0.05)
    assert A.nnz > 2 * BLOCK_ENTRIES
    X, Y = storage.values((900, 33), dtype, 1), storage.values((9000, 33), dtype, 2)

    def everything(engine) -> list[bytes]:
        matrix = SparseMatrix(A, engine)
        tiles = matrix.tiles(lambda i, rows, cols, tile: (i, rows, cols, hash(tile.tobytes())))
        facts = matrix.sweep()
        return [
            matrix.matmat(X).tobytes(),
            matrix.rmatmat(Y).tobytes(),
            facts.column_squares.tobytes(),
            repr((facts.max_abs, facts.exponent, tiles)).encode(),
            digest(matrix, dtype).encode(),
        ]

    results = [everything(engine) for engine in storage.ENGINES.values()]
    assert results[0] == results[1] == results[2]


def test_tiles_cover_the_matrix_and_are_dense():
    A = sparse((5000, 700))
    matrix = SparseMatrix(A, storage.ENGINES["2 threads"])
    whole = np.full(A.shape, np.nan)
    for _, rows, cols, tile in matrix.tiles(lambda *seen: seen):
        assert np.all(np.isnan(whole[rows, cols]))
        whole[rows, cols] = tile
    assert np.array_equal(whole, A.toarray())


def test_row_cuts_follow_from_the_row_pointer_alone():
    """Blocks of about equal numbers of entries, no longer than a bound; an empty matrix has them too."""
    counts = np.zeros(30_000, int)
    counts[:100] = 20_000
    indptr = np.concatenate([[0], np.cumsum(counts)])
    marks = sparse_row_cuts(indptr)
    assert marks[0] == 0 and marks[-1] == 30_000 and list(marks) == sorted(set(marks))
    assert np.diff(marks).max() <= BLOCK_ROWS
    assert np.diff(indptr[list(marks)]).max() <= BLOCK_ENTRIES + 20_000
    assert sparse_row_cuts(np.zeros(11, int)) == (0, 10)
    assert sparse_row_cuts(indptr.astype(np.int32)) == marks


def test_the_grid_does_not_depend_on_values_or_threads():
    A = sparse((9000, 900))
    grids = {
        tuple(map(tuple, SparseMatrix((A * factor).astype(dtype), engine).grid))
        for engine in storage.ENGINES.values()
        for factor in (1, 1e-30)
        for dtype in ("float32", "complex128")
    }
    assert len(grids) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_first_bad_entry_in_row_major_order_is_named_with_the_count(bad):
    A = sparse((300, 200))
    rows = np.repeat(np.arange(300), np.diff(A.indptr))
    for place in (900, 2000, 2001):
        A.data[place] = bad
    with pytest.raises(InputError, match=rf"3 entries .* row {rows[900]}, column {A.indices[900]} "):
        SparseMatrix(A).sweep()


@pytest.mark.parametrize("dtype", gallery.DTYPES)
def test_rows_and_columns_stay_sparse_and_are_copies(dtype):
    A = sparse((400, 300), dtype)
    matrix, dense = SparseMatrix(A), A.toarray()
    index = np.array([7, 0, 299])
    for made, wanted in ((matrix.rows(index), dense[index]), (matrix.cols(index), dense[:, index])):
        assert made.format == "csr" and made.dtype == dtype and made.has_sorted_indices
        assert np.array_equal(made.toarray(), wanted)
    scale = np.array([2.0, -0.5, 4.0])
    assert np.array_equal(matrix.cols(index, scale).toarray(), (dense[:, index] * scale).astype(dtype))
    assert np.array_equal(matrix.rows(index, scale).toarray(), (dense[index] * scale[:, None]).astype(dtype))


def test_scaling_is_exact_and_leaves_the_matrix_alone():
    A = sparse((400, 300))
    before = A.data.copy()
    scaled = SparseMatrix(A).scaled(-300)
    assert np.array_equal(scaled.array.data, np.ldexp(before, -300)) and np.array_equal(A.data, before)
    assert scaled.sweep().norm == pytest.approx(np.ldexp(np.linalg.norm(before), -300), rel=1e-13)


def test_a_matrix_without_entries_is_zero():
    matrix = SparseMatrix(csr_array((40, 30)))
    assert matrix.sweep().norm == 0.0 and not matrix.matmat(np.ones((30, 2))).any()
    assert not matrix.rmatmat(np.ones((40, 2))).any()


def test_the_adjoint_of_a_complex_sparse_matrix_is_conjugated():
    A = sparse((400, 300), "complex128")
    adjoint = Adjoint(Metered(SparseMatrix(A)))
    X = storage.values((400, 3), "complex128")
    np.testing.assert_allclose(adjoint.matmat(X), A.toarray().conj().T @ X, atol=1e-12)
    index = np.array([5, 2])
    assert np.array_equal(adjoint.cols(index).toarray(), A.toarray()[index].conj().T)


@pytest.mark.parametrize("left", ["sparse", "dense"])
@pytest.mark.parametrize("right", ["sparse", "dense"])
def test_products_of_sparse_and_dense_matrices_are_products(left, right):
    X, Y = sparse((600, 500)), sparse((500, 530), seed=1)
    made = Product(
        SparseMatrix(X) if left == "sparse" else TiledMatrix(X.toarray()),
        SparseMatrix(Y) if right == "sparse" else TiledMatrix(Y.toarray()),
    )
    exact = X.toarray() @ Y.toarray()
    np.testing.assert_allclose(made.block(slice(0, 600), slice(0, 530)), exact, atol=1e-12)
    np.testing.assert_allclose(made.rows(np.array([3, 1])), exact[[3, 1]], atol=1e-12)
    np.testing.assert_allclose(made.cols(np.array([3, 1])), exact[:, [3, 1]], atol=1e-12)
