"""Tall blocks in scratch files: the same bits as in memory, from every function that takes them."""

from __future__ import annotations

import numpy as np
import pytest

from lowrank_cli import api
from lowrank_cli.api import Job
from lowrank_cli.budget import Budget
from lowrank_cli.engines.threads import engine_for
from lowrank_cli.errors import ResourceError
from lowrank_cli.formats.memory import from_array
from lowrank_cli.matrices import blocks, orthonormal, tall
from lowrank_cli.matrices.dense import TiledMatrix

M, L = 5000, 24


@pytest.fixture
def scratch(monkeypatch):
    """Every block is short of memory."""
    made = []

    class Counted(tall.Scratch):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(tall, "room", Counted)
    monkeypatch.setattr(blocks, "room", Counted)
    monkeypatch.setattr("lowrank_cli.matrices.passes.room", Counted)
    return made


def block(dtype="float64", columns=L, seed=0):
    rng = np.random.default_rng(seed)
    made = rng.standard_normal((M, columns))
    return (made + 1j * rng.standard_normal(made.shape) if dtype == "complex128" else made).astype(dtype)


def on_disk(array):
    made = tall.Scratch(array.shape, array.dtype)
    made[0 : len(array)] = array
    return made


def assert_same(found, expected):
    found = np.asarray(found)
    assert found.dtype == expected.dtype and np.array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("threads", [1, 2])
def test_every_function_gives_the_bits_it_gives_in_memory(dtype, threads):
    engine = engine_for(threads)
    W, Z = block(dtype), block(dtype, 8, 1)
    T = np.ascontiguousarray(block(dtype, 8, 2)[:L])
    for call in (
        lambda W, Z: blocks.cross(W, Z, engine, wide=True),
        lambda W, Z: blocks.gram(W, engine),
        lambda W, Z: blocks.lengths(W, engine),
        lambda W, Z: blocks.times(W, T, engine),
        lambda W, Z: blocks.peaks(W, engine),
        lambda W, Z: blocks.weighted(W, np.arange(1.0, L + 1), engine),
        lambda W, Z: blocks.combined([(2.0, W), (-0.5, W)], engine),
        lambda W, Z: blocks.beside([W, Z], engine),
        lambda W, Z: blocks.columns_of(W, 3, 9, engine),
        lambda W, Z: orthonormal.orthonormalize(W, engine)[0],
        lambda W, Z: orthonormal.householder(W, engine)[0],
    ):
        assert_same(call(on_disk(W), on_disk(Z)), np.ascontiguousarray(call(W, Z)))


def test_subtraction_in_place_reaches_the_file():
    engine = engine_for(1)
    Z, V, H = block(), block(columns=4, seed=1), np.ascontiguousarray(block()[:4])
    there = on_disk(Z)
    blocks.subtract_product(there, on_disk(V), H, engine)
    blocks.subtract_product(Z, V, H, engine)
    assert_same(there, Z)


@pytest.mark.parametrize("shape", [(3000, 700), (700, 3000)])
def test_products_that_are_kept_in_files_have_the_same_bits(shape, scratch):
    A = TiledMatrix(np.random.default_rng(1).standard_normal(shape), engine_for(2))
    X = np.random.default_rng(2).standard_normal((shape[1], 8))
    for kept, plain in zip(A.normal_matmat(X, keep=True), A.normal_matmat(X), strict=True):
        assert_same(kept, plain)
    assert isinstance(A.normal_matmat(X, keep=True)[0], tall.Tall)
    Y = A.matmat(X, keep=True)
    assert_same(A.rmatmat(Y), A.rmatmat(np.asarray(Y)))
    for kept, plain in zip(A.adjoint_normal_matmat(Y, keep=True), A.adjoint_normal_matmat(np.asarray(Y)), strict=True):
        assert_same(kept, plain)


@pytest.mark.parametrize("method", ["svd", "qb"])
@pytest.mark.parametrize("budget", [Budget(rank=6), Budget(rtol=0.5)])
@pytest.mark.parametrize("shape", [(9000, 300), (1500, 900), (900, 1500)])
def test_methods_give_the_same_bits_from_scratch_files(method, budget, shape, scratch, monkeypatch):
    rng = np.random.default_rng(3)
    A = rng.standard_normal((shape[0], 30)) @ (rng.standard_normal((30, shape[1])) / np.arange(1, 31)[:, None])
    A += 1e-3 * rng.standard_normal(shape)
    job = Job("approx", method, budget)
    found = api.run(job, from_array(A))[0]
    assert scratch
    monkeypatch.undo()
    expected = api.run(job, from_array(A))[0]
    for name, array in expected.factor.arrays().items():
        assert_same(found.factor.arrays()[name], array)
    assert found.certificate == expected.certificate


def test_a_block_that_does_not_fit_the_memory_is_not_gathered(monkeypatch):
    there = on_disk(block())
    monkeypatch.setattr("lowrank_cli.memory.available_memory", lambda: 1000)
    with pytest.raises(ResourceError, match="5000x24 block of float64"):
        np.asarray(there)


def test_a_full_disk_is_one_clear_line(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(ResourceError, match=r"No space left on device.*TMPDIR"):
        tall.Scratch((10, 10), np.float64)


def test_memory_decides_where_a_block_goes(monkeypatch):
    assert isinstance(tall.room((1 << 20, 2), np.float64), np.ndarray)
    monkeypatch.setattr(tall, "available_memory", lambda: 100 << 20)
    assert isinstance(tall.room((1 << 20, 2), np.float64), tall.Scratch)
    assert isinstance(tall.room((1 << 20, 1), np.float64), np.ndarray)
