"""One matrix in the containers that could hold several, under one name: what other programs read them with."""

from __future__ import annotations

from typing import Any

from ..lazy import np
from . import mat5_writer, safetensors_factors, zip_writer
from .hdf5_writer import Layout, set_text
from .matrix_file import NAME, MatrixFile
from .npy_writer import npy_chunks, stored


def _npz(array: Any) -> list[Any]:
    """A stored archive of one array; of a sparse matrix ``sparse_writer`` makes one."""
    return [*zip_writer.archive([zip_writer.member(f"{NAME}.npy", npy_chunks(array))])]


def _hdf5(array: Any) -> list[Any]:
    """A dataset, or a group as AnnData keeps sparse matrices."""
    with Layout() as layout:
        if not hasattr(array, "indptr"):
            layout.dataset(NAME, stored(array))
        else:
            group = layout.group(NAME)
            set_text(group, "encoding-type", b"csr_matrix")
            set_text(group, "encoding-version", b"0.1.0")
            group.attrs["shape"] = np.array(array.shape, np.int64)
            for name in ("data", "indices", "indptr"):
                layout.dataset(f"{NAME}/{name}", stored(getattr(array, name)))
    return layout.chunks()


def _mat(array: Any) -> list[Any]:
    """One variable; a sparse matrix becomes one of MATLAB's, which are of double precision."""
    if hasattr(array, "indptr"):
        return [mat5_writer.HEADER, *mat5_writer.sparse(NAME, array)]
    return [mat5_writer.HEADER, *mat5_writer.array(NAME, stored(array))]


def _safetensors(array: Any) -> list[Any]:
    return safetensors_factors.tensors({NAME: stored(array)}, {})


NPY = MatrixFile("NumPy array", lambda array: npy_chunks(array, keep_order=True))
NPZ = MatrixFile("NumPy archive", _npz, sparse=True)
HDF5 = MatrixFile("HDF5", _hdf5, sparse=True)
MAT = MatrixFile("MATLAB", _mat, types=tuple(mat5_writer.KINDS), sparse=True)
SAFETENSORS = MatrixFile("safetensors", _safetensors, types=safetensors_factors.CONTAINER.types)
