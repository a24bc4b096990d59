"""Exchanging a chosen column: what is foretold happens, and what is kept up to date is what a fresh start gives."""

from __future__ import annotations

import numpy as np
import pytest

from lowrank_cli.kernels import exchange as kernel
from lowrank_cli.kernels import selection


def random(shape, complex_, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal(shape)
    return A + 1j * rng.standard_normal(shape) if complex_ else A


def fresh(A, J):
    """Z, R, squares and E^H E of the interpolation by the columns J."""
    R = np.linalg.qr(A[:, J], mode="r")
    Z = np.linalg.pinv(A[:, J]) @ A
    E = A - A[:, J] @ Z
    return Z, R, np.sum(np.abs(E) ** 2, axis=0), E.conj().T @ E


def volume(A, J):
    return np.linalg.det(A[:, J].conj().T @ A[:, J]).real


@pytest.mark.parametrize("complex_", [False, True])
def test_volume_ratios_and_error_changes_are_those_of_every_exchange(complex_):
    A = random((9, 8), complex_)
    J, of = [6, 1, 3], np.array([0, 2, 5, 7])
    Z, R, squares, G = fresh(A, J)
    ratios = kernel.volume_ratios(Z, R, squares)
    changes = kernel.error_changes(Z, R, squares, G[:, of], of)
    for i in range(3):
        for c, j in enumerate(of):
            other = [*J[:i], int(j), *J[i + 1 :]]
            assert ratios[i, j] == pytest.approx(volume(A, other) / volume(A, J), rel=1e-11)
            assert changes[i, c] == pytest.approx(fresh(A, other)[2].sum() - squares.sum(), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("complex_", [False, True])
def test_a_chain_of_exchanges_keeps_what_a_fresh_start_gives(complex_):
    A = random((12, 10), complex_, 1)
    J, of = [0, 3, 5, 7], np.array([1, 2, 6, 9])
    Z, R, squares, G = fresh(A, J)
    block = G[:, of].copy()
    for i, c in ((2, 3), (0, 1), (3, 0), (2, 2)):
        R = kernel.exchange(Z, R, squares, block, of, i, c)
        J[i] = int(of[c])
        wanted = fresh(A, J)
        assert np.allclose(R.conj().T @ R, A[:, J].conj().T @ A[:, J], atol=1e-12)
        for have, want in zip((Z, squares, block), (wanted[0], wanted[2], wanted[3][:, of]), strict=True):
            assert np.allclose(have, want, rtol=1e-10, atol=1e-11 * np.abs(want).max())
        assert np.array_equal(Z[:, of[c]], np.eye(4)[i])


def test_exchanges_among_nearly_dependent_columns_stay_right():
    """Condition 1e8: an inverse Gram matrix that is updated instead of R is off by 1 after three of these exchanges."""
    rng = np.random.default_rng(3)
    U, V = (np.linalg.qr(rng.standard_normal((n, 12)))[0] for n in (30, 25))
    A = (U * 10.0 ** -np.arange(12.0)) @ V.T
    J, of = list(range(8)), np.array([9, 12, 15, 20])
    Z, R, squares, G = fresh(A, J)
    block = G[:, of].copy()
    for i, c in ((2, 3), (0, 1), (5, 0), (3, 2)):
        R = kernel.exchange(Z, R, squares, block, of, i, c)
        J[i] = int(of[c])
        Q = np.linalg.qr(A[:, J])[0]
        left = np.sum((A - Q @ (Q.T @ A)) ** 2)
        assert squares.sum() == pytest.approx(left, rel=1e-3)


@pytest.mark.parametrize("complex_", [False, True])
def test_the_price_of_a_column_is_what_it_adds_to_the_error_and_all_of_them_make_the_oblique_one(complex_):
    """E is updated here in full: |E|^2 grows by the price each time, and ends at |A - A_J V_J^-H V^H|^2."""
    A = random((11, 9), complex_, 2)
    V = np.ascontiguousarray(np.linalg.svd(A)[2][:4].conj().T)
    E, rest, J = A - A @ V @ V.conj().T, V, []
    of = np.arange(9)
    squares, block = np.sum(np.abs(E) ** 2, axis=0), E.conj().T @ E
    for c in (5, 0, 8, 3):
        price = selection.prices(squares, rest, 0.0)
        before = squares.sum()
        w, rest = selection.take(squares, rest, block, of, c)
        E = E - np.outer(E[:, c], w)
        J.append(c)
        assert squares.sum() == pytest.approx(before + price[c], rel=1e-11)
        assert np.allclose(squares, np.sum(np.abs(E) ** 2, axis=0), atol=1e-10)
        assert np.allclose(block, E.conj().T @ E, atol=1e-9)
        assert np.allclose(E @ rest, 0, atol=1e-10)
    Z = np.linalg.solve(V[J].conj().T, V.conj().T)
    assert np.allclose(E, A - A[:, J] @ Z, atol=1e-10)


def test_a_column_with_no_part_in_the_basis_has_no_price():
    V = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    assert selection.prices(np.array([2.0, 3.0, 0.0]), V, 0.0).tolist() == [2.0, 3.0, np.inf]
    assert selection.prices(np.array([0.0, 3.0, 0.0]), V, 0.5).tolist() == [0.5, 3.0, np.inf]
