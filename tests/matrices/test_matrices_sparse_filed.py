"""A sparse matrix left in its file gives the bits of the same matrix in memory, however little is read at a time."""

from __future__ import annotations

import os

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrices.storage import disturb
from scipy import sparse

from lowrank_cli.engines.threads import engine_for
from lowrank_cli.errors import InputError, ResourceError
from lowrank_cli.formats import hdf5, npz, npz_filed
from lowrank_cli.matrices import sparse as in_memory
from lowrank_cli.matrices import sparse_filed
from lowrank_cli.matrices.digest import digest
from lowrank_cli.matrices.magnitudes import magnitudes
from lowrank_cli.matrices.metered import Metered
from lowrank_cli.matrices.sparse import SparseMatrix
from lowrank_cli.matrices.sparse_filed import FiledSparseMatrix


def made(m, n, dtype="f8", entries=3000, seed=0):
    """Rows and columns without entries, and one row that is full."""
    rng = np.random.default_rng([seed, m, n])
    rows, cols = rng.integers(0, m, entries), rng.integers(0, max(1, n - 2), entries)
    keep = rows % 7 != 3
    rows, cols = np.concatenate([rows[keep], np.zeros(n, int)]), np.concatenate([cols[keep], np.arange(n)])
    values = 30 * rng.standard_normal(len(rows))
    values = values + 1j * rng.standard_normal(len(rows)) if np.dtype(dtype).kind == "c" else values
    A = sparse.csr_array(sparse.coo_array((values, (rows, cols)), shape=(m, n)))
    A.data = A.data.astype(dtype)
    return A


def written(path, A, how, index="i4", **more):
    """The matrix in a file, stored by rows or by columns, and what reads it."""
    layout, container = how.split()
    A = A.asformat(layout) if A.format != layout else A
    parts = {"data": A.data, "indices": A.indices.astype(index), "indptr": A.indptr.astype(index)}
    if container == "npz":
        np.savez(path / "A.npz", format=layout.encode(), shape=A.shape, **parts)
        return npz, str(path / "A.npz")
    with h5py.File(path / "A.h5", "w") as file:
        group = file.create_group("X")
        group.attrs["encoding-type"], group.attrs["shape"] = f"{layout}_matrix", A.shape
        for name, part in parts.items():
            group.create_dataset(name, data=part, **more)
    return hdf5, str(path / "A.h5")


def passes(A):
    """Everything a method may ask of the matrix."""
    m, n = A.shape
    rng = np.random.default_rng(3)
    X, Y = (rng.standard_normal((length, 35)).astype(A.dtype) for length in (n, m))
    for transposed in (False, True):
        facts = A.sweep(transposed)
        yield from (facts.column_squares, np.array([facts.max_abs, facts.exponent]))
    yield from (A.matmat(X), A.rmatmat(Y), *A.normal_matmat(X), *A.adjoint_normal_matmat(Y), A.matmat(X[:, :1]))
    pick, across = np.array([m - 1, 0, m // 2, 0]), np.array([n - 1, 0])
    for found in (A.rows(pick), A.cols(across), A.rows(pick, np.arange(4.0)), A.cols(across, np.ones(2))):
        yield from (found.data, found.indices, found.indptr)
    yield from (A.block(slice(0, m // 2), slice(n // 3, n)), np.concatenate([*map(np.asarray, A.grid)]))
    yield from A.tiles(lambda i, rows, cols, tile: np.concatenate([[i, rows.start, cols.start], tile.ravel()]))
    yield from A.occupied()
    totals = magnitudes(Metered(A))
    yield from (totals.columns, totals.rows, np.array(totals.largest))
    yield np.frombuffer(digest(A, "x").encode(), np.uint8)


def assert_same(one, other):
    for expected, found in zip(passes(one), passes(other), strict=True):
        assert expected.dtype == found.dtype and expected.shape == found.shape
        assert expected.tobytes() == found.tobytes()


HOWS = ["csr npz", "csc npz", "csr h5", "csc h5"]


@pytest.fixture
def small_blocks(monkeypatch):
    """Many blocks and stretches of rows, and strips of a few of them, in small matrices."""
    for module in (in_memory, sparse_filed):
        monkeypatch.setattr(module, "stretch", lambda m: 6)
    monkeypatch.setattr("lowrank_cli.matrices.grid.BLOCK_ENTRIES", 200)
    monkeypatch.setattr("lowrank_cli.matrices.grid.BLOCK_ROWS", 40)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(("dtype", "index"), [("f8", "i4"), ("f4", "i8"), ("c16", "i4"), ("c8", "u4"), ("i2", "u2")])
@pytest.mark.parametrize("allowed", [20_000, 60_000])
def test_every_pass_gives_the_bits_of_the_matrix_in_memory(how, dtype, index, allowed, tmp_path):
    reader, path = written(tmp_path, made(310, 170, dtype), how, index)
    left = reader.filed(path, None, allowed)
    one, other = SparseMatrix(reader.load(path).array), FiledSparseMatrix(left.array, engine_for(2))
    assert_same(one, other)
    if one.dtype in (np.float64, np.complex128):
        assert_same(one.scaled(450), other.scaled(450))
        assert_same(one.single(-3), other.single(-3))
    rows, cols = (np.flatnonzero(kept) for kept in one.occupied())
    assert_same(one.restricted(rows, cols), other.restricted(rows, cols))
    assert left.item.nnz == one.nnz and left.array.bytes_read > 0


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("how", ["csr npz", "csc npz"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_compiled_kernels_give_the_same_bits_as_well(how, dtype, tmp_path, monkeypatch):
    for module in (in_memory, sparse_filed):
        monkeypatch.setattr(module, "compiled_for", lambda nnz, dtype: True)
    reader, path = written(tmp_path, made(310, 170, dtype), how)
    assert_same(
        SparseMatrix(reader.load(path).array), FiledSparseMatrix(reader.filed(path, None, 30_000).array, engine_for(3))
    )


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("repeats", [False, True])
def test_lines_that_are_not_sorted_or_repeat_entries_are_put_in_order(how, repeats, tmp_path):
    rng = np.random.default_rng(5)
    A = made(200, 130).asformat(how[:3])
    for first, last in zip(A.indptr[:-1], A.indptr[1:], strict=True):
        order = first + rng.permutation(last - first)
        A.data[first:last], A.indices[first:last] = A.data[order], A.indices[order]
    if repeats:
        A.indices[A.indptr[:-1][np.diff(A.indptr) > 1] + 1] = A.indices[A.indptr[:-1][np.diff(A.indptr) > 1]]
    reader, path = written(tmp_path, A, how)
    loaded, left = reader.load(path), reader.filed(path, None, 40_000)
    assert_same(SparseMatrix(loaded.array), FiledSparseMatrix(left.array))
    told = [[note for note in notes if "duplicate" in note] for notes in (loaded.notes, left.notes)]
    assert told[0] == told[1] and bool(told[0]) == repeats


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 300), st.integers(1, 4000), st.sampled_from(HOWS[:2]))
def test_no_buffer_size_changes_a_bit(tmp_path_factory, m, n, entries, buffer, how):
    reader, path = written(tmp_path_factory.mktemp("any"), made(m, n, entries=entries, seed=buffer), how)
    left = reader.filed(path, None, 0)
    left.array.room = buffer
    assert_same(SparseMatrix(reader.load(path).array), FiledSparseMatrix(left.array))


@pytest.mark.parametrize("how", HOWS)
def test_a_matrix_stays_in_its_file_when_loading_it_would_not_fit(how, tmp_path):
    A = made(50, 40)
    reader, path = written(tmp_path, A, how)
    need = 48 * A.nnz + 8 * (50 + 40 + 2) + (32 << 20)
    assert reader.filed(path, None, need // 2) is None
    assert reader.filed(path, None, need // 2 - 8) is not None


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_first_bad_entry_by_rows_is_named(how, bad, tmp_path):
    A = made(300, 200)
    A.data[[700, 1500, 1501]] = bad
    reader, path = written(tmp_path, A, how)
    row = int(np.searchsorted(A.indptr, 700, side="right")) - 1
    with pytest.raises(InputError, match=f"3 entries .* row {row}, column {A.indices[700]} "):
        FiledSparseMatrix(reader.filed(path, None, 10_000).array).sweep()


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(("part", "value", "words"), [("indices", 9999, "outside 0 to"), ("indptr", -1, "rise")])
def test_parts_that_disagree_are_refused_as_in_memory(how, part, value, words, tmp_path):
    A = made(60, 50).asformat(how[:3])
    getattr(A, part)[3] = value
    reader, path = written(tmp_path, A, how)
    for read in (reader.load, lambda path: reader.filed(path, None, 100)):
        with pytest.raises(InputError, match=words):
            read(path)


@pytest.mark.parametrize("how", HOWS)
def test_a_file_that_changes_between_two_passes_is_refused(how, tmp_path):
    reader, path = written(tmp_path, made(300, 200), how)
    A = FiledSparseMatrix(reader.filed(path, None, 10_000).array)
    A.matmat(np.ones((200, 1)))
    disturb(path)
    with pytest.raises(InputError, match="changed while it was being read"):
        A.matmat(np.ones((200, 1)))


def test_a_file_that_becomes_shorter_is_an_error_and_no_crash(tmp_path):
    reader, path = written(tmp_path, made(300, 200), "csr npz")
    A = FiledSparseMatrix(reader.filed(path, None, 10_000).array)
    os.truncate(path, 6000)
    with pytest.raises(InputError, match=r"became shorter|changed"):
        A.matmat(np.ones((200, 1)))


def test_packed_members_are_refused_with_what_stores_them_and_can_be_read_forwards(tmp_path):
    A = made(300, 200)
    path = str(tmp_path / "A.npz")
    sparse.save_npz(path, A, compressed=True)
    assert npz.filed(path, None, 10**9) is None
    with pytest.raises(ResourceError, match=r"packed.*lowrank convert .*A\.npz .*A\.stored\.npz"):
        npz.filed(path, None, 10_000)
    left = npz_filed.forwards(path, None, 10_000)
    assert left is not None
    assert_same(SparseMatrix(npz.load(path).array), FiledSparseMatrix(left.array))


def test_whoever_wants_all_entries_is_told_why_not(tmp_path):
    reader, path = written(tmp_path, made(60, 50), "csr npz")
    left = reader.filed(path, None, 100).array
    for ask in (lambda: np.asarray(left), lambda: FiledSparseMatrix(left).array):
        with pytest.raises(ResourceError, match="60x50 matrix is needed in memory"):
            ask()


def test_a_pass_within_a_pass_has_buffers_of_its_own(tmp_path):
    reader, path = written(tmp_path, made(600, 200), "csr npz")
    left = reader.filed(path, None, 8000)
    A, X = FiledSparseMatrix(left.array), np.ones((200, 2))
    expected = SparseMatrix(reader.load(path).array)
    seen = A.tiles(lambda i, rows, cols, tile: (A.matmat(X).tobytes(), tile.tobytes()))
    assert seen == [
        (expected.matmat(X).tobytes(), tile) for tile in expected.tiles(lambda i, rows, cols, tile: tile.tobytes())
    ]
