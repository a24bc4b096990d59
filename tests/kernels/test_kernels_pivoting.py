"""Pivoted QR that stops early: as good as LAPACK's, and honest about where it stops."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from lowrank_cli.errors import NumericalError, UsageError
from lowrank_cli.kernels.pivoting import pivoted_qr

REAL = [(np.float32, False), (np.float32, True), (np.float64, False), (np.float64, True)]
ALL = [*REAL, (np.complex64, False), (np.complex128, False)]


def graded(l, n, decay, dtype=np.float64, seed=0):
    """A matrix with singular values decay^i."""
    rng = np.random.default_rng(seed)
    m = min(l, n)
    U, V = (np.linalg.qr(rng.standard_normal((size, m)) + _imag(rng, (size, m), dtype))[0] for size in (l, n))
    return ((U * decay ** np.arange(m)) @ V.conj().T).astype(dtype)


def _imag(rng, shape, dtype):
    return 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else 0.0


def eps(A):
    return float(np.finfo(A.dtype).eps)


def assert_promises(Y, found):
    """Every promise of PivotedQR."""
    r = len(found.pivots)
    Y = np.asarray(Y)
    size = np.linalg.norm(Y.astype(complex))
    wide = np.complex128
    Q, R = found.Q.astype(wide), found.R.astype(wide)
    assert found.pivots.dtype == np.int64 and len(set(found.pivots.tolist())) == r == found.Q.shape[1]
    assert found.Q.dtype == found.R.dtype == Y.dtype
    assert np.linalg.norm(Q.conj().T @ Q - np.eye(r)) <= 10 * (r + 1) * eps(Y)
    T = found.R[:, found.pivots]
    assert (np.tril(T, -1) == 0).all()
    assert (T.diagonal().imag == 0).all() and (T.diagonal().real > 0).all()
    E = Y - Q @ R
    bound = 10 * (Y.shape[0] + r) * eps(Y) * size
    assert np.linalg.norm(E[:, found.pivots]) <= bound
    assert (found.residual_squares[found.pivots] == 0).all() and (found.residual_squares >= 0).all()
    assert abs(found.trail[-1] - np.linalg.norm(E)) <= bound / 10 + 0.2 * found.trail[-1]
    assert len(found.trail) == r + 1 and found.trail[0] == pytest.approx(size, rel=1e-12)
    assert (np.diff(found.trail) <= bound).all()
    norms = np.linalg.norm(E, axis=0)
    assert (np.abs(np.sqrt(found.residual_squares) - norms) <= bound / 10 + 0.2 * norms).all()


@pytest.mark.parametrize(("dtype", "compiled"), ALL)
@pytest.mark.parametrize(("l", "n"), [(1, 1), (1, 9), (9, 1), (30, 30), (20, 80), (50, 13), (6, 5000)])
def test_the_factors_keep_their_promises(l, n, dtype, compiled):
    Y = graded(l, n, 0.8, dtype)
    for k in (1, min(l, n) // 2, min(l, n)):
        found = pivoted_qr(Y, k, compiled=compiled)
        assert len(found.pivots) == k
        assert_promises(Y, found)


@pytest.mark.parametrize(("dtype", "compiled"), ALL)
def test_pivots_and_errors_are_those_of_lapack(dtype, compiled):
    Y = graded(40, 100, 0.7 if np.finfo(dtype).eps < 1e-10 else 0.9, dtype)
    found = pivoted_qr(Y, 25, compiled=compiled)
    _, T, perm = scipy.linalg.qr(Y, mode="economic", pivoting=True)
    assert found.pivots.tolist() == perm[:25].tolist()
    for r in range(26):
        expected = np.linalg.norm(T[r:, r:])
        assert found.trail[r] == pytest.approx(expected, rel=1e-2 if np.finfo(dtype).eps > 1e-10 else 1e-6)


@pytest.mark.parametrize(("dtype", "compiled"), REAL)
def test_kernel_and_twin_agree_to_rounding(dtype, compiled):
    Y = graded(60, 300, 0.9, dtype, seed=3)
    twin, found = pivoted_qr(Y, 40), pivoted_qr(Y, 40, compiled=compiled)
    assert twin.pivots.tolist() == found.pivots.tolist()
    assert np.linalg.norm(twin.R - found.R) <= 1000 * eps(Y) * twin.trail[0]
    assert np.allclose(twin.trail, found.trail, rtol=1000 * eps(Y) * twin.trail[0] / twin.trail[-1])


@pytest.mark.parametrize("compiled", [False, True])
def test_the_same_input_in_any_order_gives_the_same_bits(compiled):
    Y = graded(30, 70, 0.8)
    first = pivoted_qr(Y, 20, compiled=compiled)
    frozen = Y.copy()
    frozen.flags.writeable = False
    for stored in (np.asfortranarray(Y), np.repeat(Y, 2, axis=1)[:, ::2], frozen):
        again = pivoted_qr(stored, 20, compiled=compiled)
        assert again.R.tobytes() == first.R.tobytes() and again.pivots.tobytes() == first.pivots.tobytes()
    assert np.array_equal(frozen, Y)


@pytest.mark.parametrize(("dtype", "compiled"), REAL)
@pytest.mark.parametrize("rank", [1, 5, 17])
def test_a_matrix_of_exact_rank_stops_there(rank, dtype, compiled):
    rng = np.random.default_rng(rank)
    Y = (rng.integers(-3, 4, (40, rank)) @ rng.integers(-3, 4, (rank, 90))).astype(dtype)
    assert np.linalg.matrix_rank(Y) == rank
    found = pivoted_qr(Y, 40, compiled=compiled)
    assert len(found.pivots) == rank
    assert_promises(Y, found)


@pytest.mark.parametrize(("dtype", "compiled"), ALL)
def test_zero_empty_and_rank_zero_have_no_pivots(dtype, compiled):
    for Y, k in [(np.zeros((5, 8), dtype), 5), (np.zeros((5, 0), dtype), 5), (np.zeros((0, 5), dtype), 3)]:
        found = pivoted_qr(Y, k, compiled=compiled)
        assert found.Q.shape == (Y.shape[0], 0) and found.R.shape == (0, Y.shape[1])
        assert found.trail.tolist() == [0.0]
    found = pivoted_qr(np.eye(3, dtype=dtype), 0, compiled=compiled)
    assert len(found.pivots) == 0 and found.trail == pytest.approx([3**0.5])


@pytest.mark.parametrize(("dtype", "compiled"), REAL)
def test_duplicates_are_chosen_once_and_ties_go_to_the_lowest_index(dtype, compiled):
    rng = np.random.default_rng(5)
    base = rng.standard_normal((20, 6)).astype(dtype)
    Y = np.concatenate([base[:, ::-1], base, -base, np.zeros((20, 2), dtype)], axis=1)
    found = pivoted_qr(Y, 20, compiled=compiled)
    assert len(found.pivots) == 6 and set(found.pivots.tolist()) == set(range(6))
    equal = pivoted_qr(np.eye(7, 12, dtype=dtype), 7, compiled=compiled)
    assert equal.pivots.tolist() == list(range(7))
    same = pivoted_qr(np.ones((4, 9), dtype), 4, compiled=compiled)
    assert same.pivots.tolist() == [0]


@pytest.mark.parametrize("compiled", [False, True])
def test_kahan_s_matrix_is_taken_in_order_with_the_exact_residual(compiled):
    n, theta = 60, 1.2
    s, c = np.sin(theta), np.cos(theta)
    K = np.diag(s ** np.arange(n)) @ (np.triu(np.full((n, n), -c), 1) + np.eye(n))
    K *= 1 - 1e-10 * np.arange(n)
    found = pivoted_qr(K, n, compiled=compiled)
    assert found.pivots.tolist() == list(range(n))
    assert_promises(K, found)
    assert found.R.diagonal() == pytest.approx(K.diagonal(), rel=1e-9)
    for r in (10, 40, 59):
        assert found.trail[r] == pytest.approx(np.linalg.norm(K[r:, r:]), rel=1e-9)


@pytest.mark.parametrize("compiled", [False, True])
def test_norms_survive_cancellation(compiled):
    """Each step leaves a millionth of a column: downdated squares alone would be noise."""
    rng = np.random.default_rng(1)
    l = 12
    Q = np.linalg.qr(rng.standard_normal((l, l)))[0]
    Y = Q[:, :3] @ np.diag([1.0, 1e-6, 1e-12]) @ rng.uniform(0.5, 1.0, (3, 40))
    found = pivoted_qr(Y, 3, compiled=compiled)
    _, T, perm = scipy.linalg.qr(Y, mode="economic", pivoting=True)
    assert len(found.pivots) == 3 and found.pivots[:2].tolist() == perm[:2].tolist()
    for r in (1, 2):
        assert found.trail[r] == pytest.approx(np.linalg.norm(T[r:, r:]), rel=1e-2)
    assert np.linalg.norm(found.Q.T @ found.Q - np.eye(3)) < 1e-14


@pytest.mark.parametrize(("dtype", "compiled"), ALL)
def test_it_stops_at_the_first_step_that_meets_the_tolerance(dtype, compiled):
    Y = graded(40, 90, 0.8, dtype)
    whole = pivoted_qr(Y, 40, compiled=compiled)
    for rtol in (0.5, 0.1, 1e-2):
        found = pivoted_qr(Y, 40, rtol=rtol, compiled=compiled)
        r = len(found.pivots)
        assert found.trail[r] <= rtol * found.trail[0] < found.trail[r - 1]
        assert np.array_equal(found.pivots, whole.pivots[:r])
        # later pivots get corrected coefficients; every other column is the same
        others = np.setdiff1d(np.arange(90), whole.pivots[r:])
        assert np.array_equal(found.R[:, others], whole.R[:r, others])
    assert len(pivoted_qr(Y, 40, rtol=1.0, compiled=compiled).pivots) == 0


@pytest.mark.parametrize(("dtype", "compiled"), ALL)
@pytest.mark.parametrize("power", [-900, -100, 100, 900])
def test_a_power_of_two_changes_neither_pivots_nor_q(power, dtype, compiled):
    if np.finfo(dtype).eps > 1e-10:
        power //= 10
    Y = graded(15, 40, 0.8, dtype)
    here = pivoted_qr(Y, 10, compiled=compiled)
    there = pivoted_qr((Y * Y.real.dtype.type(2.0**power)), 10, compiled=compiled)
    assert here.pivots.tolist() == there.pivots.tolist()
    tolerance = 1e3 * eps(Y)
    assert np.allclose(here.Q, there.Q, atol=tolerance)
    assert np.allclose(np.ldexp(there.trail, -power), here.trail, rtol=tolerance)
    assert np.abs(there.R * Y.real.dtype.type(2.0**-power) - here.R).max() <= tolerance


@pytest.mark.parametrize("compiled", [False, True])
def test_what_is_not_finite_or_not_floating_is_refused(compiled):
    Y = np.ones((3, 4))
    Y[1, 2] = np.nan
    with pytest.raises(NumericalError, match=r"1 entries.*\(1, 2\)"):
        pivoted_qr(Y, 2, compiled=compiled)
    for wrong in (np.ones((3, 4), int), np.ones(3), np.ones((2, 2), np.float16)):
        with pytest.raises(UsageError):
            pivoted_qr(wrong, 1, compiled=compiled)


@given(st.integers(1, 12), st.integers(1, 20), st.integers(0, 2**32 - 1), st.floats(0.05, 1.0), st.booleans())
def test_any_shape_and_decay_keeps_the_promises(l, n, seed, decay, compiled):
    Y = graded(l, n, decay, seed=seed)
    assert_promises(Y, pivoted_qr(Y, min(l, n), compiled=compiled))
