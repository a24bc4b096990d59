"""A matrix left in its file gives the bits of the same matrix in memory, however little of it is read at a time."""

from __future__ import annotations

import os

import h5py
import numpy as np
import pytest
from matrices.storage import disturb

from lowrank_cli.engines.threads import engine_for
from lowrank_cli.errors import InputError, ResourceError
from lowrank_cli.formats import hdf5, npy
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.sketches.counting import count_sketch
from lowrank_cli.streams import Streams

SHAPES = [(1100, 900), (300, 2100), (6500, 90)]
#: Bytes a matrix may take before it stays in its file; the buffers are an eighth of it.
ALLOWED = [400_000, 3_900_000]


def values(shape, dtype):
    rng = np.random.default_rng(7)
    A = rng.standard_normal(shape) * 30
    return (A + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else A).astype(dtype)


def written(path, A, how):
    if how in ("C", "F"):
        np.save(path / "A.npy", np.asarray(A, order=how))
        return npy, str(path / "A.npy")
    chunks = {"contiguous": {}, "chunks": {"chunks": (170, 90), "compression": "lzf"}}[how]
    with h5py.File(path / "A.h5", "w") as file:
        file.create_dataset("g/A", data=A, **chunks)
    return hdf5, str(path / "A.h5")


def passes(A):
    """Everything a method may ask of the matrix."""
    m, n = A.shape
    rng = np.random.default_rng(3)
    X, Y = (rng.standard_normal((length, 20)).astype(A.dtype) for length in (n, m))
    facts = A.sweep()
    yield from (A.matmat(X), A.rmatmat(Y), *A.normal_matmat(X), *A.adjoint_normal_matmat(Y))
    yield from (A.rows(np.array([m - 1, 0, 3])), A.cols(np.array([1, n - 1])), A.block(slice(1, 70), slice(5, 60)))
    yield from (facts.column_squares, np.array(facts.max_abs), np.array(A.tiles(lambda i, *_: i)))
    yield from (A.survey(count_sketch(Streams(0), "s", m))[1], A.survey(count_sketch(Streams(0), "s", n), True)[1])
    if n <= 640:
        yield A.gram()
    if m <= 640:
        yield A.adjoint_gram()


@pytest.mark.parametrize("how", ["C", "F", "contiguous", "chunks"])
@pytest.mark.parametrize(
    ("shape", "dtype", "allowed"),
    [
        *((shape, "<f8", allowed) for shape in SHAPES for allowed in ALLOWED),
        *((SHAPES[0], dtype, ALLOWED[1]) for dtype in ("<f4", ">f8", "i2", "c16")),
    ],
)
def test_every_pass_gives_the_bits_of_the_matrix_in_memory(shape, dtype, how, allowed, tmp_path):
    reader, path = written(tmp_path, values(shape, dtype), how)
    left = reader.filed(path, None, allowed)
    assert left is not None
    one, other = TiledMatrix(reader.load(path).array), TiledMatrix(left.array, engine_for(2))
    for A, B in [(one, other), (one.scaled(4), other.scaled(4))]:
        for expected, found in zip(passes(A), passes(B), strict=True):
            assert expected.tobytes() == found.tobytes()
    if dtype == "<f8":
        for expected, found in zip(passes(one.single(-3)), passes(other.single(-3)), strict=True):
            assert expected.tobytes() == found.tobytes()


def test_a_matrix_that_fits_is_loaded(tmp_path):
    _, path = written(tmp_path, values((20, 30), "f8"), "C")
    assert npy.filed(path, None, 4800) is None
    assert npy.filed(path, None, 4799) is not None


@pytest.mark.parametrize("how", ["C", "chunks"])
def test_a_file_that_changes_between_two_passes_is_refused(how, tmp_path):
    reader, path = written(tmp_path, values((600, 300), "f8"), how)
    A = TiledMatrix(reader.filed(path, None, 100_000).array)
    A.matmat(np.ones((300, 1)))
    disturb(path)
    with pytest.raises(InputError, match="changed while it was being read"):
        A.matmat(np.ones((300, 1)))


def test_a_file_that_becomes_shorter_is_an_error_and_no_crash(tmp_path):
    _, path = written(tmp_path, values((600, 300), "f8"), "C")
    A = TiledMatrix(npy.filed(path, None, 100_000).array)
    os.truncate(path, 700_000)
    with pytest.raises(InputError, match="became shorter"):
        A.matmat(np.ones((300, 1)))


def test_whoever_wants_the_whole_array_is_told_why_not(tmp_path):
    _, path = written(tmp_path, values((600, 300), "f8"), "C")
    left = npy.filed(path, None, 100_000).array
    with pytest.raises(ResourceError, match="600x300 matrix is needed in memory"):
        np.asarray(left)


def test_a_pass_that_fails_leaves_the_next_one_right(tmp_path):
    _, path = written(tmp_path, values((1500, 300), "f8"), "C")
    A = TiledMatrix(npy.filed(path, None, 200_000).array, engine_for(2))

    def fail(i, *_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        A.tiles(fail)
    X = np.ones((300, 3))
    assert A.matmat(X).tobytes() == TiledMatrix(npy.load(path).array).matmat(X).tobytes()
