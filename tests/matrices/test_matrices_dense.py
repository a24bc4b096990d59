"""Dense matrices: products right to rounding, and the same bits for every storage and any number of threads."""

from __future__ import annotations

import gallery
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import storage

from lowrank_cli.errors import InputError
from lowrank_cli.matrices import dense
from lowrank_cli.matrices.adjoint import Adjoint
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.digest import digest
from lowrank_cli.matrices.grid import cuts, ranges
from lowrank_cli.matrices.metered import Metered
from lowrank_cli.matrices.product import Product

#: one tile, a grid of two by two, tall and flat ones; 1 and 40 columns take different ways through BLAS
SHAPES = [(1, 1), (7, 5), (780, 790), (1100, 37), (37, 1100)]
SETTINGS = [*((name, "4 threads") for name in storage.STORAGES), ("F", "serial"), ("C", "2 threads")]


def norm(A) -> float:
    return float(np.linalg.norm(A.astype("complex128")))


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("width", [1, 3, 40])
def test_products_are_right_to_rounding(shape, width, dtype):
    A = storage.values(shape, dtype)
    X, Y = storage.values((shape[1], width), dtype, 1), storage.values((shape[0], width), dtype, 2)
    matrix = TiledMatrix(A)
    eps = np.finfo(dtype).eps * max(shape)
    wide = A.astype("complex128")
    for made, exact in ((matrix.matmat(X), wide @ X), (matrix.rmatmat(Y), wide.conj().T @ Y)):
        assert made.dtype == dtype and made.flags.c_contiguous
        assert np.abs(made - exact).max() <= eps * np.abs(exact).max() * 4
    forth, back = matrix.normal_matmat(X)
    assert np.array_equal(forth, matrix.matmat(X)) and np.array_equal(back, matrix.rmatmat(forth))


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", [*SHAPES, (4700, 21), (21, 4700)])
def test_fused_products_are_the_bits_of_the_two_after_one_another(shape, dtype):
    """4700 rows are more strips than one wave holds."""
    A = storage.values(shape, dtype)
    for width in (1, 40):
        X, Y = storage.values((shape[1], width), dtype, 1), storage.values((shape[0], width), dtype, 2)
        for make in storage.STORAGES.values():
            for engine in storage.ENGINES.values():
                matrix = TiledMatrix(make(A), engine)
                forth, back = matrix.normal_matmat(X)
                assert np.array_equal(forth, matrix.matmat(X)) and np.array_equal(back, matrix.rmatmat(forth))
                back, forth = matrix.adjoint_normal_matmat(Y)
                assert np.array_equal(back, matrix.rmatmat(Y)) and np.array_equal(forth, matrix.matmat(back))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("exponent", [0, -3, 900])
def test_single_precision_is_every_entry_rounded_whether_a_copy_is_kept_or_not(dtype, exponent, monkeypatch):
    A = storage.values((780, 790), dtype) * 2.0**-exponent
    low = (A * 2.0**exponent).astype(dense.SINGLE[dtype])
    X = storage.values((790, 40), low.dtype, 1)
    expected = TiledMatrix(low).matmat(X).tobytes()
    for limit in (dense.SINGLE_COPY, 0):
        monkeypatch.setattr(dense, "SINGLE_COPY", limit)
        for make in storage.STORAGES.values():
            matrix = TiledMatrix(make(A), storage.ENGINES["4 threads"]).single(exponent)
            assert matrix.dtype == low.dtype
            assert matrix.block(slice(3, 700), slice(0, 700)).tobytes() == low[3:700, :700].tobytes()
            assert matrix.cols(np.array([5, 2])).tobytes() == low[:, [5, 2]].tobytes()
            assert matrix.matmat(X).tobytes() == expected


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_two_products_are_each_others_adjoint(shape, dtype):
    A = TiledMatrix(storage.values(shape, dtype))
    X, Y = storage.values((shape[1], 4), dtype, 1), storage.values((shape[0], 4), dtype, 2)
    left, right = np.vdot(Y, A.matmat(X)), np.vdot(A.rmatmat(Y), X)
    size = norm(A.source.array) * norm(X) * norm(Y)
    assert abs(left - right) <= 4 * np.finfo(dtype).eps * max(shape) * size


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_bit_depends_on_storage_or_threads(shape, dtype):
    A = storage.values(shape, dtype)
    blocks = [(storage.values((shape[1], w), dtype, 1), storage.values((shape[0], w), dtype, 2)) for w in (1, 5, 64)]

    def everything(array, engine) -> list:
        matrix = TiledMatrix(array, engine)
        facts = matrix.sweep()
        lines = matrix.sweep(transposed=True)
        seen = matrix.tiles(lambda i, rows, cols, tile: (i, rows, cols, np.ascontiguousarray(tile).tobytes()))
        products = [p for X, Y in blocks for p in (matrix.matmat(X), matrix.rmatmat(Y))]
        picked = [matrix.rows(np.array([0, shape[0] - 1])), matrix.cols(np.array([shape[1] - 1, 0]))]
        numbers = (facts.max_abs, facts.exponent, facts.norm, lines.max_abs, lines.norm)
        return [
            *(p.tobytes() for p in products),
            facts.column_squares.tobytes(),
            lines.column_squares.tobytes(),
            repr(numbers).encode(),
            digest(matrix, str(dtype)).encode(),
            *(np.ascontiguousarray(p).tobytes() for p in picked),
            seen,
        ]

    wanted = everything(np.ascontiguousarray(A), storage.ENGINES["serial"])
    for name, engine in SETTINGS:
        assert everything(storage.STORAGES[name](A), storage.ENGINES[engine]) == wanted, (name, engine)


@settings(max_examples=30)
@given(
    st.tuples(st.integers(1, 700), st.integers(1, 700)),
    st.integers(1, 70),
    st.sampled_from(gallery.DTYPES),
    st.sampled_from(sorted(storage.STORAGES)),
    st.sampled_from(sorted(storage.ENGINES)),
)
def test_no_bit_of_any_product_depends_on_storage_or_threads(shape, width, dtype, name, engine):
    A = storage.values(shape, dtype)
    X, Y = storage.values((shape[1], width), dtype, 1), storage.values((shape[0], width), dtype, 2)
    one, other = TiledMatrix(A), TiledMatrix(storage.STORAGES[name](A), storage.ENGINES[engine])
    assert one.matmat(X).tobytes() == other.matmat(np.asfortranarray(X)).tobytes()
    assert one.rmatmat(Y).tobytes() == other.rmatmat(storage.padded(Y)).tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", gallery.DTYPES)
def test_no_bit_of_a_large_product_depends_on_storage_or_threads(dtype):
    A = storage.values((2600, 1700), dtype)
    for width in (32, 64, 96, 110):
        X, Y = storage.values((1700, width), dtype, 1), storage.values((2600, width), dtype, 2)
        one = TiledMatrix(A)
        for name, engine in SETTINGS:
            other = TiledMatrix(storage.STORAGES[name](A), storage.ENGINES[engine])
            assert one.matmat(X).tobytes() == other.matmat(X).tobytes(), (name, engine, width)
            assert one.rmatmat(Y).tobytes() == other.rmatmat(Y).tobytes(), (name, engine, width)


# The grid


@given(st.integers(1, 200_000))
def test_cuts_cover_a_length_with_blocks_of_multiples_of_16_near_512(length):
    marks = cuts(length)
    assert marks[0] == 0 and marks[-1] == length and list(marks) == sorted(set(marks))
    sizes = np.diff(marks)
    assert np.all(sizes[:-1] % 16 == 0) and sizes.max() <= 768
    assert np.all(sizes[:-1] == sizes[0]) and 0 < sizes[-1] <= sizes[0]


def test_the_grid_follows_from_the_shape_alone():
    shape = (1400, 700)
    grids = {
        tuple(map(tuple, TiledMatrix(make(storage.values(shape, dtype)), engine).grid))
        for make in storage.STORAGES.values()
        for engine in storage.ENGINES.values()
        for dtype in ("float32", "complex128")
    }
    assert grids == {(cuts(1400), cuts(700))}


@pytest.mark.parametrize("engine", sorted(storage.ENGINES))
def test_tiles_come_in_row_major_order_and_cover_the_matrix_once(engine):
    A = storage.values((1300, 1100))
    seen = TiledMatrix(np.asfortranarray(A), storage.ENGINES[engine]).tiles(
        lambda i, rows, cols, tile: (i, rows, cols, tile.flags.c_contiguous, np.array_equal(tile, A[rows, cols]))
    )
    rows, cols = ranges(cuts(1300)), ranges(cuts(1100))
    assert [(i, r, c) for i, r, c, *_ in seen] == [(i, r, c) for i, r in enumerate(rows) for c in cols]
    assert all(same for *_, same in seen)


@pytest.mark.parametrize("kind", ["dense", "adjoint"])
def test_every_tile_has_contiguous_rows(kind):
    A = np.asfortranarray(storage.values((600, 530)))
    metered = Metered(TiledMatrix(A))
    matrix = metered if kind == "dense" else Adjoint(metered)
    assert all(matrix.tiles(lambda i, rows, cols, tile: tile.strides[1] == tile.itemsize))


# The first look


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "places", [[(0, 0)], [(1029, 1099)], [(700, 3), (600, 1000)], [(600, 1000), (600, 3)], [(5, 600), (4, 800), (9, 0)]]
)
@pytest.mark.parametrize("make", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize("transposed", [False, True])
def test_d01_the_first_bad_entry_in_row_major_order_is_named_with_the_count(places, bad, make, transposed):
    A = storage.values((1030, 1100))
    for place in places:
        A[place] = bad
    row, col = min(places)
    with pytest.raises(InputError, match=rf"row {row}, column {col} ") as refused:
        TiledMatrix(make(A), storage.ENGINES["2 threads"]).sweep(transposed)
    assert f"{len(places)} entr" in refused.value.line()


def test_bad_parts_of_complex_entries_are_found():
    A = storage.values((20, 30), "complex64")
    A[3, 4] = complex(0.0, np.nan)
    A[3, 5] = complex(np.inf, 0.0)
    with pytest.raises(InputError, match="2 entries are NaN or infinite, the first at row 3, column 4"):
        TiledMatrix(A).sweep()


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("exponent", [0, -120, 100])
def test_the_norm_and_the_largest_entry_are_right_at_every_scale(dtype, exponent):
    A = storage.values((530, 40), dtype)
    facts = TiledMatrix(np.ldexp(A.view(A.real.dtype), exponent).view(dtype)).sweep()
    assert facts.norm == pytest.approx(np.ldexp(norm(A), exponent), rel=1e-6 if A.real.dtype == "float32" else 1e-13)
    parts = np.abs(A.view(A.real.dtype))
    assert facts.max_abs == np.ldexp(float(parts.max()), exponent)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_norms_neither_overflow_nor_vanish(scale):
    A = storage.values((100, 50))
    matrix = TiledMatrix(A * scale)
    assert matrix.sweep().norm / scale == pytest.approx(norm(A), rel=1e-12)
    assert matrix.sweep(transposed=True).norm / scale == pytest.approx(norm(A), rel=1e-12)


def test_column_squares_are_those_of_the_columns_and_transposed_of_the_rows():
    A = storage.values((600, 530))
    matrix = TiledMatrix(A)
    np.testing.assert_allclose(matrix.sweep().column_squares, np.sum(A**2, axis=0), rtol=1e-13)
    np.testing.assert_allclose(matrix.sweep(True).column_squares, np.sum(A**2, axis=1), rtol=1e-13)


# Scaling and parts


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("exponent", [-100, -1, 0, 1, 100])
def test_a_scaled_matrix_is_the_matrix_times_a_power_of_two_exactly(dtype, exponent):
    A = storage.values((530, 60), dtype)
    A[0, 0] = -0.0
    parts = A.view(A.real.dtype)
    wanted = np.ldexp(parts, exponent).view(dtype)
    scaled = TiledMatrix(np.asfortranarray(A)).scaled(exponent)
    assert scaled.block(slice(0, 530), slice(0, 60)).tobytes() == wanted.tobytes()
    X = storage.values((60, 9), dtype, 1)
    product = TiledMatrix(A).matmat(X)
    assert np.array_equal(scaled.matmat(X).view(A.real.dtype), np.ldexp(product.view(A.real.dtype), exponent))
    assert np.array_equal(scaled.cols(np.array([3, 0])), wanted[:, [3, 0]])
    assert np.array_equal(scaled.rows(np.array([529, 1])), wanted[[529, 1]])
    assert scaled.scaled(-exponent).block(slice(0, 3), slice(0, 3)).tobytes() == A[:3, :3].copy().tobytes()


def test_scaling_reaches_where_the_power_itself_overflows():
    tiny = TiledMatrix(np.array([[2.0**-1070, -(2.0**-1060)]])).scaled(2000)
    assert tiny.block(slice(0, 1), slice(0, 2)).tolist() == [[2.0**930, -(2.0**940)]]


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("make", [np.ascontiguousarray, np.asfortranarray, storage.sliced])
def test_rows_and_columns_are_copies_and_scaled_when_asked(make, dtype):
    A = storage.values((200, 90), dtype)
    matrix = TiledMatrix(make(A))
    index = np.array([5, 0, 77, 5])
    scale = np.array([2.0, -1.0, 0.5, 3.0])
    assert np.array_equal(matrix.rows(index), A[index])
    assert np.array_equal(matrix.cols(index), A[:, index])
    np.testing.assert_allclose(matrix.rows(index, scale), A[index] * scale[:, None], rtol=1e-6)
    np.testing.assert_allclose(matrix.cols(index, scale), A[:, index] * scale, rtol=1e-6)


@pytest.mark.parametrize("dtype", gallery.DTYPES)
def test_d12_the_adjoint_trades_the_products_and_conjugates_the_parts(dtype):
    A = storage.values((540, 90), dtype)
    metered = Metered(TiledMatrix(A))
    adjoint = Adjoint(metered)
    X, Y = storage.values((540, 3), dtype, 1), storage.values((90, 3), dtype, 2)
    assert adjoint.shape == (90, 540)
    assert np.array_equal(adjoint.matmat(X), metered.rmatmat(X))
    assert np.array_equal(adjoint.rmatmat(Y), metered.matmat(Y))
    assert np.array_equal(adjoint.block(slice(2, 9), slice(1, 400)), A[1:400, 2:9].conj().T)
    index = np.array([4, 1])
    assert np.array_equal(adjoint.rows(index), A[:, index].conj().T)
    assert np.array_equal(adjoint.cols(index), A[index].conj().T)
    for _, rows, cols, tile in adjoint.tiles(lambda *seen: seen):
        assert np.array_equal(tile, A.conj().T[rows, cols])


# A product as a matrix


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("engine", sorted(storage.ENGINES))
def test_a_product_is_the_product(dtype, engine):
    X, Y = storage.values((530, 600), dtype), storage.values((600, 70), dtype, 1)
    matrix = Product(TiledMatrix(np.asfortranarray(X)), TiledMatrix(Y), storage.ENGINES[engine])
    exact = X.astype("complex128") @ Y
    slack = np.finfo(dtype).eps * 600 * np.abs(exact).max()
    assert matrix.shape == (530, 70) and matrix.dtype == dtype and matrix.nnz is None
    assert np.abs(matrix.block(slice(7, 500), slice(3, 70)) - exact[7:500, 3:70]).max() <= slack
    index = np.array([3, 0])
    assert np.abs(matrix.rows(index) - exact[index]).max() <= slack
    assert np.abs(matrix.cols(index) - exact[:, index]).max() <= slack
    B = storage.values((70, 4), dtype, 2)
    assert np.abs(matrix.matmat(B) - exact @ B).max() <= slack * 70
    assert matrix.sweep().norm == pytest.approx(np.linalg.norm(exact), rel=1e-5 if X.real.dtype == "float32" else 1e-12)
    scaled = matrix.scaled(-90).block(slice(0, 4), slice(0, 4))
    same = matrix.block(slice(0, 4), slice(0, 4))
    assert np.array_equal(np.ldexp(scaled.view(X.real.dtype), 90), same.view(X.real.dtype))


def test_blocks_of_a_product_are_the_same_bits_for_every_storage_and_any_threads():
    X, Y = storage.values((530, 600)), storage.values((600, 540), seed=1)

    def tiles(left, right, engine) -> list[bytes]:
        return Product(TiledMatrix(left, engine), TiledMatrix(right, engine), engine).tiles(
            lambda i, rows, cols, tile: np.ascontiguousarray(tile).tobytes()
        )

    wanted = tiles(X, Y, storage.ENGINES["serial"])
    for name, make in storage.STORAGES.items():
        for engine in storage.ENGINES.values():
            assert tiles(make(X), make(Y), engine) == wanted, name
