"""HDF5 files of single-cell tools: the main matrix unless another is named, in the orientation the file states."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from lowrank_cli.errors import InputError
from lowrank_cli.formats import hdf5_names
from lowrank_cli.formats.opening import list_items, open_matrix

A = np.where(np.random.default_rng(23).random((5, 7)) < 0.5, np.arange(35.0).reshape(5, 7), 0).astype("f4")


def put_sparse(parent, name: str, layout: str, old: bool = False) -> None:
    matrix = getattr(sp, f"{layout}_array")(A)
    group = parent.create_group(name)
    for part in ("data", "indices", "indptr"):
        group[part] = getattr(matrix, part)
    group.attrs["h5sparse_format" if old else "encoding-type"] = layout if old else f"{layout}_matrix"
    group.attrs["h5sparse_shape" if old else "shape"] = A.shape


def anndata(path, put) -> str:
    with h5py.File(path, "w") as file:
        file.attrs["encoding-type"] = "anndata"
        put(file)
        file.create_group("obs")["n"], file.create_group("var")["n"] = np.arange(5), np.arange(7)
        file["obsm/X_pca"], file["varm/PCs"] = A[:, :2], A.T[:, :2]
        put_sparse(file.create_group("layers"), "counts", "csc")
    return str(path)


@pytest.mark.parametrize(
    "put",
    [
        lambda file: file.create_dataset("X", data=A, chunks=(2, 3), compression="gzip"),
        lambda file: put_sparse(file, "X", "csr"),
        lambda file: put_sparse(file, "X", "csc"),
        lambda file: put_sparse(file, "X", "csr", old=True),
        lambda file: put_sparse(file, "X", "csc", old=True),
    ],
)
@pytest.mark.parametrize("name", ["a.h5ad", "a.h5"])
def test_x_of_an_anndata_file_is_the_matrix_meant_and_the_others_have_names(tmp_path, put, name):
    path = anndata(tmp_path / name, put)
    loaded = open_matrix(path)
    dense = loaded.array.toarray() if sp.issparse(loaded.array) else loaded.array
    assert (dense == A).all() and loaded.array.dtype == np.float32 and loaded.notes[0] == f"using {path}:/X"
    assert (open_matrix(f"{path}:layers/counts").array.toarray() == A).all()
    assert (open_matrix(f"{path}:obsm/X_pca").array == A[:, :2]).all()
    assert {"/X", "/layers/counts", "/obsm/X_pca", "/varm/PCs"} <= {item.path for item in list_items(path)[1]}


def test_matrix_of_a_loom_file_is_the_matrix_meant(tmp_path):
    path = str(tmp_path / "a.loom")
    with h5py.File(path, "w") as file:
        file["matrix"], file["layers/spliced"] = A, 2 * A
        file["row_attrs/Gene"], file["col_attrs/CellID"] = np.arange(5), np.arange(7)
    assert (open_matrix(path).array == A).all()
    assert (open_matrix(f"{path}:layers/spliced").array == 2 * A).all()


def test_a_sparse_group_without_a_layout_of_ours_is_refused(tmp_path):
    def put(file):
        put_sparse(file, "X", "csr")
        file["X"].attrs["encoding-type"] = "coo_matrix"

    with pytest.raises(InputError, match="not a matrix"):
        open_matrix(anndata(tmp_path / "a.h5ad", put))


def test_two_genomes_of_a_10x_file_have_to_be_chosen_from(data):
    path = str(data("10x_v2_multiple_genomes.h5"))
    with pytest.raises(InputError, match=r"another_genome.*hg19_chr21"):
        open_matrix(path)
    first, second = (open_matrix(f"{path}:{name}").array for name in ("another_genome", "hg19_chr21"))
    assert first.shape == second.shape == (343, 12)


def test_the_matrix_that_is_read_is_the_candidate_of_the_listing(tmp_path):
    path = anndata(tmp_path / "a.h5ad", lambda file: file.create_dataset("X", data=A))
    assert [item.path for item in list_items(path)[1] if item.candidate] == ["/X"]


def test_names_of_rows_and_columns_come_with_the_matrix(tmp_path):
    def put(file):
        file["X"] = A
        file["obs/cell"], file["var/index"] = [f"c{k}" for k in range(5)], np.array([f"g{k}" for k in range(7)], "S")
        file["obs"].attrs["_index"] = "cell"

    path = str(tmp_path / "a.h5ad")
    with h5py.File(path, "w") as file:
        put(file)
        file["layers/twice"], file["other"] = 2 * A, A
    for item in ("", ":layers/twice"):
        names = open_matrix(path + item).names
        assert names.rows == tuple(f"c{k}" for k in range(5)) and names.cols == tuple(f"g{k}" for k in range(7))
    assert open_matrix(f"{path}:other").names.rows is None
    with h5py.File(path, "r+") as file:
        del file["obs/cell"], file["var/index"]
        file["obs/cell"] = np.arange(5)
        file["var/index"] = h5py.ExternalLink("elsewhere.h5", "/x")
    names = open_matrix(path).names
    assert names.rows is None and names.cols is None


def test_names_longer_than_names_are_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5_names, "BYTES", 30)
    path = str(tmp_path / "a.h5ad")
    with h5py.File(path, "w") as file:
        file["X"] = A
        file["obs/index"], file["var/index"] = ["c"] * 5, ["long name of a gene"] * 7
    names = open_matrix(path).names
    assert names.rows == ("c",) * 5 and names.cols is None


def test_genes_and_cells_of_10x_files_have_their_names(data):
    for path, gene in (("10x_v3_filtered_feature_bc_matrix.h5", 507), ("10x_v2_multiple_genomes.h5:hg19_chr21", 343)):
        name, _, item = path.partition(":")
        loaded = open_matrix(str(data(name)), item or None)
        assert loaded.names.rows is not None and len(loaded.names.rows) == gene == loaded.shape[0]
        assert loaded.names.cols is not None and all(name.endswith("-1") for name in loaded.names.cols)
