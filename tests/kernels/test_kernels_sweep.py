"""One sweep: the same bits for any storage, exact under powers of two, and it finds what is not finite."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowrank_cli.kernels.sweep import signed_rows, tile_sweep

SHAPES = [(1, 1), (1, 7), (7, 1), (200, 1), (200, 2), (63, 5), (64, 5), (65, 5), (200, 33), (130, 512)]
DTYPES = [np.float32, np.float64, np.complex64, np.complex128]


def tile(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def assert_same(a, b):
    assert a.column_squares.tobytes() == b.column_squares.tobytes()
    assert (a.exponent, a.bad, a.first_bad) == (b.exponent, b.bad, b.first_bad)
    assert a.max_abs == b.max_abs or (math.isnan(a.max_abs) and math.isnan(b.max_abs))


def storages(A):
    wide = np.zeros((A.shape[0] * 2, A.shape[1] * 3 + 1), A.dtype)
    wide[::2, 1::3] = A
    yield np.asfortranarray(A)
    yield wide[::2, 1::3]
    yield A[::-1].copy()[::-1]
    yield A.astype(A.dtype.newbyteorder())
    raw = np.zeros(A.nbytes + 1, np.uint8)
    raw[1:] = np.frombuffer(A.tobytes(), np.uint8)
    yield raw[1:].view(A.dtype).reshape(A.shape)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_any_storage_of_the_same_values_gives_the_same_bits(shape, dtype, compiled):
    A = tile(shape, dtype)
    expected = tile_sweep(A)
    for stored in storages(A):
        assert np.array_equal(stored, A)
        assert_same(tile_sweep(stored, compiled), expected)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_sums_with_signs_are_taken_on_the_way_and_change_no_fact(shape, dtype, compiled):
    A, rng = tile(shape, dtype), np.random.default_rng(1)
    signs, places = rng.choice([-1, 1], shape[0]), (np.arange(shape[0]) + 3) % 7
    for stored in (A, *storages(A)):
        total = np.ones((7, shape[1]), np.result_type(dtype, np.float64))
        assert_same(tile_sweep(stored, compiled, (signed_rows(signs, places), total)), tile_sweep(A))
        expected = np.ones_like(total)
        for i in range(shape[0]):
            expected[places[i]] += signs[i] * A[i].astype(total.dtype)
        assert total.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1.0, 2.0**-450, 2.0**450, 2.0**-1000])
def test_the_kernel_equals_its_twin_bit_for_bit(dtype, scale):
    real = np.dtype(dtype).type(0).real.dtype
    if real == np.float32 and scale != 1.0:
        scale = 2.0**-100
    for shape in SHAPES:
        A = (tile(shape, dtype) * scale).astype(dtype)
        assert_same(tile_sweep(A, compiled=True), tile_sweep(A))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compiled", [False, True])
def test_squares_and_largest_agree_with_exact_sums(dtype, compiled):
    A = tile((300, 9), dtype)
    facts = tile_sweep(A, compiled)
    parts = np.concatenate([A.real, A.imag]).astype(float)
    for j in range(9):
        exact = math.fsum((parts[:, j] ** 2).tolist())
        assert abs(facts.column_squares[j] - exact) <= 70 * np.finfo(float).eps * exact
    assert facts.max_abs == np.abs(parts).max()
    assert facts.exponent == 0 and facts.bad == 0 and facts.first_bad is None


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("power", [-1000, -700, -401, -300, -3, 5, 300, 420, 1000])
def test_a_power_of_two_passes_through_exactly(power, compiled):
    A = tile((100, 20), np.float64)
    A = np.sign(A) * np.clip(np.abs(A), 1e-3, 2.0**3)
    here, there = tile_sweep(A, compiled), tile_sweep(np.ldexp(A, power), compiled)
    assert there.max_abs == math.ldexp(here.max_abs, power)
    expected = np.ldexp(here.column_squares, 2 * (power - there.exponent))
    assert there.column_squares.tobytes() == expected.tobytes()
    inside = 2.0**-400 <= there.max_abs <= 2.0**400
    assert there.exponent == (0 if inside else math.floor(math.log2(there.max_abs)))


@pytest.mark.parametrize("compiled", [False, True])
def test_the_window_is_closed_and_the_extremes_of_float64_do_not_break_it(compiled):
    for value, exponent in [
        (2.0**400, 0),
        (2.0**-400, 0),
        (np.nextafter(2.0**400, np.inf), 400),
        (np.nextafter(2.0**-400, 0), -401),
        (np.finfo(float).max, 1023),
        (5e-324, -1074),
        (0.0, 0),
    ]:
        facts = tile_sweep(np.full((3, 2), -value), compiled)
        assert facts.exponent == exponent and facts.max_abs == value
        assert np.allclose(facts.column_squares, 3 * math.ldexp(value, -exponent) ** 2, rtol=1e-15)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_counted_and_the_first_in_row_order_named(value, dtype, compiled):
    A = tile((150, 40), dtype)
    A[140, 3] = A[70, 30] = A[70, 31] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for stored in (A, np.asfortranarray(A)):
            facts = tile_sweep(stored, compiled)
            assert (facts.bad, facts.first_bad) == (3, (70, 30))
            assert math.isnan(facts.max_abs) and np.isnan(facts.column_squares).all()


@pytest.mark.parametrize("compiled", [False, True])
def test_a_complex_entry_with_two_bad_parts_counts_once(compiled):
    A = np.zeros((2, 2), complex)
    A[1, 0] = complex(np.nan, np.inf)
    A[1, 1] = complex(0, np.inf)
    facts = tile_sweep(A, compiled)
    assert (facts.bad, facts.first_bad) == (2, (1, 0))


@pytest.mark.parametrize("compiled", [False, True])
def test_large_finite_values_are_not_mistaken_for_infinities(compiled):
    A = np.full((500, 3), np.finfo(float).max)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        facts = tile_sweep(A, compiled)
    assert facts.bad == 0 and np.isfinite(facts.column_squares).all()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_an_empty_tile_has_zero_facts(shape):
    facts = tile_sweep(np.zeros(shape))
    assert facts.max_abs == 0 and facts.bad == 0 and facts.column_squares.tolist() == [0.0] * shape[1]


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_, np.float16])
@pytest.mark.parametrize("compiled", [False, True])
def test_other_real_types_are_summed_as_float64(dtype, compiled):
    A = (np.arange(60).reshape(12, 5) % 7).astype(dtype)
    assert_same(tile_sweep(A, compiled), tile_sweep(A.astype(float)))


def test_a_read_only_tile_is_accepted():
    A = tile((10, 4), np.float64)
    A.flags.writeable = False
    assert_same(tile_sweep(A, True), tile_sweep(A))


@given(st.integers(1, 140), st.integers(1, 6), st.integers(0, 2**32 - 1), st.integers(-1000, 1000))
def test_twin_and_kernel_agree_on_any_shape_and_scale(rows, cols, seed, power):
    A = np.ldexp(tile((rows, cols), np.float64, seed), power)
    assert_same(tile_sweep(A, True), tile_sweep(A))
