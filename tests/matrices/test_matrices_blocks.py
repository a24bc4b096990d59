"""Arithmetic of tall blocks: right to rounding, orthonormal whatever the input, the same bits for any threads."""

from __future__ import annotations

import gallery
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import storage

from lowrank_cli.matrices import blocks, orthonormal


def graded(m, l, digits, dtype="float64"):
    """Columns falling over so many digits, none parallel to another."""
    return (storage.values((m, l), dtype) * np.logspace(0, -digits, l)).astype(dtype)


BLOCKS = {
    "random": lambda dtype: storage.values((2100, 40), dtype),
    "square": lambda dtype: storage.values((40, 40), dtype),
    "one column": lambda dtype: storage.values((1500, 1), dtype),
    "graded by scale": lambda dtype: graded(1500, 30, 30 if np.dtype(dtype).itemsize % 8 == 0 else 20, dtype),
    "ill-conditioned": lambda dtype: gallery.with_spectrum(
        1500, 30, np.logspace(0, -12, 30) if np.finfo(dtype).eps < 1e-10 else np.logspace(0, -5, 30), dtype=dtype
    )[0],
    "nearly dependent": lambda dtype: (
        storage.values((1200, 1), dtype) + np.finfo(dtype).eps * storage.values((1200, 20), dtype, 1)
    ).astype(dtype),
    "dependent": lambda dtype: np.repeat(storage.values((1200, 10), dtype), 2, axis=1),
    "rank one": lambda dtype: np.ones((1200, 15), dtype),
    "a zero column": lambda dtype: storage.values((1200, 15), dtype) * (np.arange(15) != 7),
    "zero": lambda dtype: np.zeros((1200, 15), dtype),
    "huge": lambda dtype: storage.values((1200, 15), dtype) * np.dtype(dtype).type(2.0**60),
    "tiny": lambda dtype: storage.values((1200, 15), dtype) * np.dtype(dtype).type(2.0**-60),
}


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("case", BLOCKS)
def test_orthonormalize_gives_an_orthonormal_q_whose_product_with_r_is_the_block(case, dtype):
    W = np.ascontiguousarray(BLOCKS[case](dtype), dtype)
    before = W.copy()
    Q, R = orthonormal.orthonormalize(W, storage.ENGINES["serial"])
    l, eps = W.shape[1], np.finfo(dtype).eps
    assert Q.shape == W.shape and R.shape == (l, l) and Q.dtype == R.dtype == dtype
    assert np.array_equal(W, before)
    wide = Q.astype("complex128")
    assert np.linalg.norm(wide.conj().T @ wide - np.eye(l), 2) <= 10 * l * eps
    # column by column, since columns may differ by many digits
    lengths = np.linalg.norm(W.astype("complex128"), axis=0)
    miss = np.linalg.norm(wide @ R - W, axis=0)
    assert np.all(miss <= 100 * l * eps * lengths)


@settings(max_examples=40)
@given(
    st.integers(1, 60),
    st.integers(0, 300),
    st.integers(0, 16),
    st.sampled_from(gallery.DTYPES),
    st.integers(0, 2**16),
)
def test_orthonormalize_keeps_its_promise_for_any_conditioning(l, taller, digits, dtype, seed):
    rng = np.random.default_rng(seed)
    W, _ = gallery.with_spectrum(l + taller, l, np.logspace(0, -digits, l), seed, dtype)
    W = np.ascontiguousarray(W * np.ldexp(1.0, rng.integers(-20, 20, l)), dtype)
    Q, R = orthonormal.orthonormalize(W, storage.ENGINES["serial"])
    wide = Q.astype("complex128")
    eps = np.finfo(dtype).eps
    assert np.linalg.norm(wide.conj().T @ wide - np.eye(l), 2) <= 20 * max(l, 10) * eps
    assert np.linalg.norm(wide @ R - W) <= 200 * max(l, 10) * eps * np.linalg.norm(W)


@pytest.mark.parametrize("dtype", gallery.DTYPES)
def test_no_bit_depends_on_threads_or_storage(dtype):
    for case in ("random", "ill-conditioned", "dependent"):
        W = np.ascontiguousarray(BLOCKS[case](dtype), dtype)
        Z = storage.values((W.shape[0], 9), dtype, 5)
        T = storage.values((W.shape[1], 6), dtype, 6)

        def everything(W, Z, engine, T=T) -> list[bytes]:
            rest = np.ascontiguousarray(Z)
            rest = rest.copy()
            blocks.subtract_product(rest, W, blocks.cross(W, Z, engine), engine)
            return [
                np.ascontiguousarray(made).tobytes()
                for made in (
                    *orthonormal.orthonormalize(W, engine),
                    blocks.gram(W, engine),
                    blocks.cross(W, Z, engine),
                    blocks.times(W, T, engine),
                    rest,
                )
            ]

        wanted = everything(W, Z, storage.ENGINES["serial"])
        for engine in storage.ENGINES.values():
            for make in (np.ascontiguousarray, np.asfortranarray, storage.padded):
                assert everything(make(W), make(Z), engine) == wanted, case


@pytest.mark.parametrize("dtype", gallery.DTYPES)
def test_products_of_blocks_are_right(dtype):
    W, Z = storage.values((2100, 12), dtype), storage.values((2100, 5), dtype, 1)
    T = storage.values((12, 5), dtype, 2)
    engine = storage.ENGINES["2 threads"]
    tol = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(blocks.cross(W, Z, engine), W.conj().T.astype("complex128") @ Z, atol=tol * 50)
    np.testing.assert_allclose(blocks.times(W, T, engine), W @ T, atol=tol)
    G = blocks.gram(W, engine)
    assert G.dtype in (np.float64, np.complex128) and np.array_equal(G, G.conj().T)
    np.testing.assert_allclose(G, W.conj().T.astype("complex128") @ W, rtol=0, atol=1e-10)
    rest = Z.copy()
    blocks.subtract_product(rest, W, T, engine)
    np.testing.assert_allclose(rest, Z - W @ T, atol=tol)
