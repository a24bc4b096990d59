"""One matrix to every format that holds one, and back with every value."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import scipy.io
from scipy import sparse

from lowrank_cli.errors import OutputError, UsageError
from lowrank_cli.formats import MATRICES
from lowrank_cli.formats.opening import open_matrix
from lowrank_cli.formats.saving import check_array, write_array

TEXT = (".csv", ".tsv", ".mtx", ".csv.gz", ".tsv.gz", ".mtx.gz")
COMPLEX = (".npy", ".npz", ".h5", ".mat", ".mtx", ".mtx.gz")
SPARSE = (".npz", ".h5", ".mat", ".mtx", ".mtx.gz")
SUFFIXES = [suffix for suffix in (*MATRICES, *TEXT[3:]) if suffix != ".pgm"]


def values(dtype) -> np.ndarray:
    """Numbers of every size, a whole one and those that take all digits."""
    made = np.random.default_rng(0).standard_normal((7, 5)) * 10.0 ** np.arange(-12, 13, 6)
    made[:3, 0] = 3, 1e22, 1 / 3
    return (made * (1 + 0.7j) if np.dtype(dtype).kind == "c" else made).astype(dtype)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_dense_matrix_comes_back_with_every_value_or_is_refused_by_name(suffix, dtype, order, tmp_path):
    A, path = np.asarray(values(dtype), order=order), str(tmp_path / f"A{suffix}")
    if A.dtype.kind == "c" and suffix not in COMPLEX:
        for attempt in (lambda: check_array(path, A.dtype), lambda: write_array(A, path)):
            with pytest.raises(UsageError, match=f"cannot hold values of type {dtype}"):
                attempt()
        return
    write_array(A, path)
    back = open_matrix(path).array
    assert np.array_equal(back, A)
    assert back.dtype == A.dtype or suffix in TEXT


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_a_sparse_matrix_stays_sparse_where_the_format_has_a_form_for_it(suffix, dtype, tmp_path):
    A, path = sparse.random_array((9, 6), density=0.3, rng=0).tocsr().astype(dtype), str(tmp_path / f"A{suffix}")
    A.data[0] = 0
    if A.dtype.kind == "c" and suffix not in COMPLEX:
        with pytest.raises(UsageError):
            write_array(A, path)
        return
    write_array(A, path)
    back = open_matrix(path).array
    assert hasattr(back, "indptr") == (suffix in SPARSE)
    if suffix in SPARSE:
        assert back.nnz == A.nnz and np.array_equal(back.indices, A.indices)
        back = back.toarray()
    assert np.array_equal(back, A.toarray())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_equal_values_give_equal_bytes(suffix, tmp_path):
    A = values("float64")
    for name, twin in (("a", A), ("b", A.astype(">f8")), ("c", np.repeat(A, 2, axis=1)[:, ::2])):
        write_array(twin, str(tmp_path / f"{name}{suffix}"))
    assert len({(tmp_path / f"{name}{suffix}").read_bytes() for name in "abc"}) == 1


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("array", [np.array([2, 0, 5]), np.array([0.5, 0.25])], ids=["indices", "vector"])
def test_an_array_of_one_dimension_is_written(suffix, array, tmp_path):
    path = str(tmp_path / f"v{suffix}")
    write_array(array, path)
    if suffix == ".mat":
        assert np.array_equal(scipy.io.loadmat(path)["A"], array[:, None])
    elif suffix in TEXT:
        assert np.array_equal(open_matrix(path).array, array[:, None])


def test_other_programs_read_them(tmp_path):
    import h5py
    from safetensors.numpy import load_file

    A, S = values("float64"), sparse.random_array((9, 6), density=0.3, rng=0).tocsr()
    for suffix in MATRICES:
        if suffix != ".pgm":
            write_array(A, str(tmp_path / f"A{suffix}"))
            write_array(S, str(tmp_path / f"S{suffix}"))
    assert np.array_equal(np.load(tmp_path / "A.npz")["A"], A)
    assert np.array_equal(scipy.io.loadmat(tmp_path / "A.mat")["A"], A)
    assert np.array_equal(scipy.io.mmread(tmp_path / "A.mtx"), A)
    assert np.array_equal(np.loadtxt(tmp_path / "A.csv", delimiter=","), A)
    assert np.array_equal(load_file(tmp_path / "A.safetensors")["A"], A)
    with h5py.File(tmp_path / "A.h5") as file:
        assert np.array_equal(file["A"][...], A)
    for read in (lambda: sparse.load_npz(tmp_path / "S.npz"), lambda: scipy.io.loadmat(tmp_path / "S.mat")["A"]):
        assert np.array_equal(read().toarray(), S.toarray())
    assert np.array_equal(scipy.io.mmread(tmp_path / "S.mtx").toarray(), S.toarray())
    write_array(A, str(tmp_path / "A.tsv.gz"))
    assert np.array_equal(np.loadtxt(gzip.open(tmp_path / "A.tsv.gz"), delimiter="\t"), A)


def test_an_h5_file_is_laid_out_without_a_copy_of_the_values():
    A = values("float64")
    chunks = MATRICES[".h5"].load().encode(A)
    assert sum(np.shares_memory(np.frombuffer(chunk, np.uint8), A) for chunk in chunks if len(chunk)) == 1
    assert sum(memoryview(chunk).nbytes for chunk in chunks) < 2048


@pytest.mark.parametrize("largest", [1, 255, 256, 65535])
def test_whole_numbers_make_an_image(largest, tmp_path):
    A = np.array([[0.0, largest], [1, 0]])
    write_array(A, str(tmp_path / "A.pgm"))
    assert np.array_equal(open_matrix(str(tmp_path / "A.pgm")).array, A)


@pytest.mark.parametrize("A", [[[-1.0]], [[0.5]], [[65536.0]], [[np.nan]], [[np.inf]]])
def test_what_no_pixel_can_be_makes_no_image(A, tmp_path):
    with pytest.raises(UsageError, match="whole numbers from 0 to 65535"):
        write_array(np.array(A), str(tmp_path / "A.pgm"))


@pytest.mark.parametrize("suffix", TEXT)
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_text_has_no_place_for_nan_and_infinity(suffix, odd, tmp_path):
    with pytest.raises(UsageError, match="NaN and infinity"):
        write_array(np.array([[1.0, odd]]), str(tmp_path / f"A{suffix}"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["A", "A.txt", "A.gz", "A.npy.gz", "A.h5.gz", "A.pgm.gz", "A.xlsx", ".csv"])
def test_a_name_without_a_format_is_refused_with_those_there_are(name, tmp_path):
    with pytest.raises(UsageError, match=r"\.npy, \.npz"):
        write_array(np.eye(2), str(tmp_path / name))


def test_no_clobber_keeps_what_is_there(tmp_path):
    (tmp_path / "A.csv").write_text("theirs")
    with pytest.raises(OutputError, match="not replaced"):
        write_array(np.eye(2), str(tmp_path / "A.csv"), no_clobber=True)
    assert (tmp_path / "A.csv").read_text() == "theirs"
