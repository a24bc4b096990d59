"""Matrices that are already in memory: used as they are, converted, or refused; never repaired."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from lowrank_cli.errors import InputError
from lowrank_cli.formats.memory import from_array


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_we_compute_in_is_used_without_a_copy(dtype, order):
    A = np.ones((3, 4), dtype, order=order)
    assert np.shares_memory(from_array(A).array, A)


@pytest.mark.parametrize(
    ("stored", "computed"), [("f2", "f4"), ("i4", "f8"), ("?", "f8"), (">f8", "f8"), (">c8", "c8")]
)
def test_other_dtypes_are_converted_and_their_name_is_kept(stored, computed):
    A = np.eye(3).astype(stored)
    loaded = from_array(A)
    assert loaded.array.dtype == np.dtype(computed) and loaded.array.dtype.isnative
    assert np.array_equal(loaded.array, np.eye(3)) and loaded.item.dtype == A.dtype.newbyteorder("=").name


def test_nested_lists_are_a_matrix():
    assert np.array_equal(from_array([[1, 2], [3, 4]]).array, [[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize("layout", ["csr", "csc", "coo", "dok", "lil", "bsr", "dia"])
def test_every_sparse_layout_becomes_csr_and_is_left_as_it_was(layout):
    A = sparse.csr_array(np.triu(np.arange(1.0, 10).reshape(3, 3))).asformat(layout)
    loaded = from_array(A)
    assert loaded.array.format == "csr" and (loaded.array.toarray() == A.toarray()).all()
    loaded.array.data[:] = 0
    assert A.toarray()[0, 0] == 1


def test_duplicate_entries_are_summed_and_said():
    A = sparse.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(2, 2))
    loaded = from_array(A)
    assert loaded.array[0, 1] == 3 and loaded.item.nnz == 1


def test_masked_entries_are_refused_and_a_mask_without_any_is_not():
    with pytest.raises(InputError, match="masked"):
        from_array(np.ma.masked_array(np.eye(3), np.eye(3) > 0))
    assert np.array_equal(from_array(np.ma.masked_array(np.eye(3))).array, np.eye(3))


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ([[1, 2], [3]], "different lengths"),
        ([1, 2], "1-D"),
        (3.0, "single number"),
        (np.zeros((2, 2, 2)), "3-D"),
        (np.zeros((0, 3)), "no rows"),
        (sparse.csr_array((3, 0)), "no columns"),
        ([["a"]], "dtype"),
        (None, "dtype"),
        ({"a": 1}, "dtype"),
        (np.array([[1, None]]), "dtype"),
        (np.eye(2, dtype=np.longdouble), "dtype"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_an_input_error(given, word):
    with pytest.raises(InputError, match=word):
        from_array(given)
