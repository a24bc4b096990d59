"""Sparse groups of HDF5: 10x Genomics and AnnData, in the orientation they state, checked before they are believed."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy import sparse

from lowrank_cli.errors import InputError
from lowrank_cli.formats import hdf5
from lowrank_cli.formats.opening import list_items, open_matrix

DENSE = np.array([[0, 1, 0, 2], [3, 0, 0, 0], [0, 0, 0, 4.0]])


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "a.h5")


def write(file, name, matrix, *, attrs=None, with_shape=True, **replaced):
    group = file.create_group(name)
    parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
    if with_shape:
        parts["shape"] = np.array(matrix.shape)
    parts |= replaced
    for key, value in parts.items():
        group[key] = value
    group.attrs.update(attrs or {})
    return group


def test_a_10x_group_is_genes_by_cells(path):
    with h5py.File(path, "w") as file:
        write(file, "matrix", sparse.csc_array(DENSE.astype("i4")))
        file["matrix/barcodes"] = np.array(["a", "b", "c", "d"], "S1")
        file["matrix/features/id"] = np.array(["g", "h", "i"], "S1")
    loaded = hdf5.load(path)
    assert isinstance(loaded.array, sparse.csr_array) and loaded.array.has_canonical_format
    assert loaded.array.dtype == np.float64 and (loaded.array.toarray() == DENSE).all()
    assert loaded.item.path == "/matrix" and loaded.item.nnz == 4 and loaded.item.dtype == "int32"
    assert list_items(path)[1][0].shape == (3, 4)


def test_several_genomes_are_listed_and_one_can_be_named(path):
    with h5py.File(path, "w") as file:
        write(file, "hg19", sparse.csc_array(DENSE))
        write(file, "mm10", sparse.csc_array(2 * DENSE))
    with pytest.raises(InputError, match=r"hg19 .3 x 4 float64.*mm10"):
        hdf5.load(path)
    assert (hdf5.load(path, "mm10").array.toarray() == 2 * DENSE).all()


@pytest.mark.parametrize("layout", ["csr", "csc"])
@pytest.mark.parametrize("style", ["new", "old"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c16", "i8", "b1"])
def test_anndata_groups_keep_their_orientation(path, layout, style, dtype):
    matrix = getattr(sparse, f"{layout}_array")(DENSE.astype(dtype))
    attrs = {"encoding-type": f"{layout}_matrix", "shape": DENSE.shape}
    if style == "old":
        attrs = {"h5sparse_format": layout, "h5sparse_shape": DENSE.shape}
    with h5py.File(path, "w") as file:
        write(file, "X", matrix, attrs=attrs, with_shape=False)
    assert (hdf5.load(path).array.toarray() == DENSE.astype(dtype)).all()


def test_duplicates_are_summed_and_indices_sorted(path):
    with h5py.File(path, "w") as file:
        write(
            file,
            "matrix",
            sparse.csc_array(DENSE),
            indices=np.array([2, 0, 0, 1]),
            indptr=np.array([0, 3, 4, 4, 4]),
            data=np.array([1.0, 2.0, 3.0, 4.0]),
        )
    loaded = hdf5.load(path, "matrix")
    assert loaded.array.toarray().tolist() == [[5, 0, 0, 0], [0, 4, 0, 0], [1, 0, 0, 0]]
    assert loaded.notes == ("1 duplicate entries were summed",)


@pytest.mark.parametrize(
    ("replaced", "words"),
    [
        ({"indices": np.array([0, 1, 9, 2])}, "outside 0 to 2"),
        ({"indices": np.array([0, 1, -1, 2])}, "outside 0 to 2"),
        ({"indices": np.array([0, 1, 2])}, "4 values and 3 indices"),
        ({"indices": np.array([0, 1, 2, 0.5])}, "not integers"),
        ({"indptr": np.array([0, 1, 2, 4])}, "4 entries, not 5"),
        ({"indptr": np.array([0, 3, 2, 2, 4])}, "does not rise"),
        ({"indptr": np.array([1, 1, 2, 2, 4])}, "does not rise"),
        ({"indptr": np.array([0, 1, 2, 2, 5])}, "does not rise"),
        ({"data": np.array(["a", "b", "c", "d"], "S1")}, "text"),
        ({"data": np.ones((2, 2))}, "not a sparse matrix"),
        ({"shape": np.array([3, 4, 1])}, "not two numbers"),
        ({"shape": np.array([3.0, 4.0])}, "not two numbers"),
        ({"shape": np.array([-3, 4])}, "not two numbers"),
        ({"shape": np.array([0, 4])}, "no rows"),
        ({"shape": np.array([2**62, 2**62])}, "too large"),
    ],
)
def test_parts_that_disagree_are_refused(path, replaced, words):
    with h5py.File(path, "w") as file:
        write(file, "matrix", sparse.csc_array(DENSE), **replaced)
    with pytest.raises(InputError, match=words):
        hdf5.load(path, "matrix")
    with pytest.raises(InputError):
        hdf5.load(path)
    list_items(path)


def test_a_part_behind_an_external_link_is_not_followed(tmp_path, path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["data"] = np.ones(4)
    with h5py.File(path, "w") as file:
        group = write(file, "matrix", sparse.csc_array(DENSE))
        del group["data"]
        group["data"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "data")
    with pytest.raises(InputError):
        hdf5.load(path, "matrix")


def test_a_sparse_group_beside_a_dataset_is_one_of_two_candidates(path):
    with h5py.File(path, "w") as file:
        write(
            file, "X", sparse.csr_array(DENSE), attrs={"encoding-type": "csr_matrix", "shape": (3, 4)}, with_shape=False
        )
        file["dense"] = DENSE
    with pytest.raises(InputError, match=r"holds 2 matrices.*:/X .*:/dense "):
        open_matrix(path)
    assert open_matrix(path + ":X").shape == (3, 4)
