"""What columns add to a basis: orthonormal, orthogonal to it, all that stands out of rounding and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from matrices import storage

from lowrank_cli.matrices.blocks import Columns
from lowrank_cli.matrices.orthonormal import news

M, HAVE, MORE = 900, 20, 12
ENGINE = storage.ENGINES["serial"]


def basis(dtype: str) -> np.ndarray:
    rng = np.random.default_rng(3)
    G = rng.standard_normal((M, HAVE)) + (1j * rng.standard_normal((M, HAVE)) if dtype[0] == "c" else 0)
    return np.ascontiguousarray(np.linalg.qr(G)[0].astype(dtype))


def columns(case: str, V: np.ndarray) -> tuple[np.ndarray, int]:
    """Columns, and how many directions outside of V they have."""
    rng = np.random.default_rng(5)
    Z = rng.standard_normal((M, MORE)) + (1j * rng.standard_normal((M, MORE)) if V.dtype.kind == "c" else 0)
    if case == "graded":
        return Z * np.logspace(0, -12, MORE), MORE
    if case == "mostly in the basis":
        return 1e-3 * Z + V @ rng.standard_normal((HAVE, MORE)), MORE
    if case == "dependent":
        return Z[:, :5] @ rng.standard_normal((5, MORE)), 5
    if case == "in the basis":
        return V @ rng.standard_normal((HAVE, MORE)), 0
    return (np.zeros_like(Z), 0) if case == "zero" else (Z, MORE)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("case", ["apart", "graded", "mostly in the basis", "dependent", "in the basis", "zero"])
def test_what_columns_add_to_a_basis_is_orthonormal_and_all_there_is(case, dtype):
    V = basis(dtype)
    Z, rank = columns(case, V)
    Z = np.ascontiguousarray(Z.astype(dtype))
    eps = float(np.finfo(dtype).eps)
    floor = 100 * eps * np.linalg.norm(Z.astype("complex128"), axis=0)
    Q = news(Columns(M, V.dtype, (V[:, :8].copy(), V[:, 8:].copy())), Z, floor, ENGINE)
    assert Q.shape == (M, rank) and Q.dtype == V.dtype
    both = np.hstack([V, Q]).astype("complex128")
    assert np.abs(both.conj().T @ both - np.eye(HAVE + rank)).max() <= 40 * eps
    left = np.linalg.norm(Z - both @ (both.conj().T @ Z), axis=0)
    assert np.all(left <= 10 * floor)


@pytest.mark.parametrize("case", ["apart", "dependent"])
def test_what_columns_add_has_the_same_bits_for_any_threads(case):
    V = basis("float32")
    Z = np.ascontiguousarray(columns(case, V)[0].astype("float32"))
    floor = np.full(MORE, 1e-4)
    found = {news(V, Z, floor, engine).tobytes() for engine in storage.ENGINES.values()}
    assert len(found) == 1
