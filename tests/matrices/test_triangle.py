"""The triangle of a tall matrix: its singular values, and bits that depend on nothing but the matrix."""

from __future__ import annotations

import numpy as np
import pytest

from lowrank_cli.engines.threads import SerialEngine, ThreadEngine
from lowrank_cli.formats import npy
from lowrank_cli.matrices import triangle
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.metered import Metered


@pytest.fixture
def short_strips(monkeypatch):
    """Strips of one tile where columns are few."""
    monkeypatch.setattr(triangle, "_STRIP", 1)


def matrix(m, n, dtype="float64"):
    rng = np.random.default_rng(m)
    A = rng.standard_normal((m, n)) * 0.5 ** np.arange(n)
    return (A + 1j * rng.standard_normal((m, n)) if np.dtype(dtype).kind == "c" else A).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("m", [40, 512, 1030, 2048, 2051])
def test_the_singular_values_of_the_triangle_are_those_of_the_matrix(m, dtype, short_strips):
    A = matrix(m, 12, dtype)
    R = Metered(TiledMatrix(A)).triangle()
    assert R.shape == (12, 12) and R.dtype == np.result_type(dtype, np.float64)
    wanted = np.linalg.svd(A.astype(R.dtype), compute_uv=False)
    np.testing.assert_allclose(np.linalg.svd(R, compute_uv=False), wanted, rtol=1e-14, atol=1e-15 * wanted[0])


def test_a_wide_matrix_has_the_triangle_of_its_adjoint(short_strips):
    A = matrix(1500, 12, "complex128")
    wide = Metered(TiledMatrix(np.ascontiguousarray(A.conj().T)))
    assert np.array_equal(wide.triangle(transposed=True), Metered(TiledMatrix(A)).triangle())
    assert wide.ledger.passes == 1


def test_neither_threads_nor_memory_nor_where_the_matrix_is_change_a_bit(short_strips, tmp_path, monkeypatch):
    A = matrix(5000, 30)
    wanted = Metered(TiledMatrix(A, SerialEngine())).triangle()
    np.save(tmp_path / "A.npy", A)
    filed = npy.filed(str(tmp_path / "A.npy"), None, 500_000).array
    for room in (1 << 10, 1 << 19, 1 << 40):
        monkeypatch.setattr(triangle, "available_memory", lambda room=room: room)
        for made in (A, np.asfortranarray(A), filed):
            assert np.array_equal(Metered(TiledMatrix(made, ThreadEngine(3))).triangle(), wanted)


def test_it_pays_for_matrices_that_are_large_and_twice_as_long_as_wide():
    assert triangle.pays(40_000, 800) and triangle.pays(800, 40_000) and triangle.pays(2000, 1000)
    assert not triangle.pays(1999, 1000) and not triangle.pays(10_000, 100)
