"""Interpolation coefficients: exact identity at the pivots, small residual, finite to the last rank."""

from __future__ import annotations

import numpy as np
import pytest

from lowrank_cli.errors import NumericalError
from lowrank_cli.kernels.interpolation import coefficients
from lowrank_cli.kernels.pivoting import pivoted_qr

FORMS = [(np.float32, False), (np.float32, True), (np.float64, False), (np.float64, True)]
COMPLEX = [(np.complex64, False), (np.complex128, False)]


def sketch(l, n, decay, dtype, seed=0):
    rng = np.random.default_rng(seed)
    G = rng.standard_normal((l, n))
    if np.dtype(dtype).kind == "c":
        G = G + 1j * rng.standard_normal((l, n))
    return ((decay ** np.arange(l))[:, None] * np.linalg.qr(G.conj().T)[0].conj().T).astype(dtype)


@pytest.mark.parametrize(("dtype", "compiled"), FORMS + COMPLEX)
@pytest.mark.parametrize(("l", "n", "r"), [(1, 5, 1), (40, 40, 40), (70, 500, 33), (70, 4500, 64), (8, 130, 5)])
def test_coefficients_solve_the_triangle_and_are_the_identity_at_the_pivots(l, n, r, dtype, compiled):
    found = pivoted_qr(sketch(l, n, 0.97, dtype), r)
    Z = coefficients(found.R, found.pivots, compiled)
    assert Z.shape == (r, n) and Z.dtype == dtype and Z.flags.c_contiguous
    assert Z[:, found.pivots].tobytes() == np.eye(r, dtype=dtype).tobytes()
    T = np.triu(found.R[:, found.pivots])
    # componentwise backward error of substitution: Higham, Accuracy and Stability, theorem 8.5
    bound = 4 * (r + 2) * np.finfo(dtype).eps * (np.abs(T) @ np.abs(Z))
    assert (np.abs(T.astype(complex) @ Z - found.R) <= bound + np.finfo(dtype).tiny).all()


@pytest.mark.parametrize(("dtype", "compiled"), FORMS)
def test_kernel_and_twin_agree_within_the_condition_of_the_triangle(dtype, compiled):
    found = pivoted_qr(sketch(50, 700, 0.9, dtype), 30)
    twin, other = coefficients(found.R, found.pivots), coefficients(found.R, found.pivots, compiled)
    T = found.R[:, found.pivots].astype(float)
    spread = np.abs(np.linalg.inv(T)) @ np.abs(T) @ np.abs(twin)
    assert (np.abs(twin - other) <= 8 * 32 * np.finfo(dtype).eps * spread).all()


@pytest.mark.parametrize(("dtype", "compiled"), FORMS + COMPLEX)
def test_coefficients_stay_finite_and_bounded_when_the_last_pivots_are_tiny(dtype, compiled):
    found = pivoted_qr(sketch(30, 200, 0.3, dtype), 30, compiled=compiled)
    assert 5 <= len(found.pivots)
    Z = coefficients(found.R, found.pivots, compiled)
    assert np.isfinite(Z).all() and np.abs(Z).max() < 1e3


@pytest.mark.parametrize("compiled", [False, True])
def test_the_input_is_left_alone_and_read_only_input_serves(compiled):
    found = pivoted_qr(sketch(10, 50, 0.9, np.float64), 6)
    R = found.R.copy()
    found.R.flags.writeable = False
    coefficients(found.R, found.pivots, compiled)
    assert np.array_equal(R, found.R)


@pytest.mark.parametrize("compiled", [False, True])
def test_no_pivots_give_no_rows_and_a_zero_pivot_is_refused(compiled):
    assert coefficients(np.zeros((0, 4)), np.zeros(0, np.int64), compiled).shape == (0, 4)
    with pytest.raises(NumericalError, match="pivot 1 of 2 is zero"):
        coefficients(np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]]), np.array([0, 1]), compiled)


@pytest.mark.parametrize("compiled", [False, True])
def test_integers_are_solved_exactly(compiled):
    T = np.triu(np.full((9, 9), -1.0), 1) + np.eye(9)
    W = np.arange(9 * 300).reshape(9, 300) % 5 - 2.0
    R = np.concatenate([T, T @ W], axis=1)
    assert np.array_equal(coefficients(R, np.arange(9), compiled), np.concatenate([np.eye(9), W], axis=1))
