"""One matrix in the containers that could hold several, under one name: what other programs read them with."""

from __future__ import annotations

from typing import Any

from ..errors import ResourceError
from ..lazy import np
from ..memory import available_memory
from . import mat5_writer, safetensors_factors, zip_writer
from .hdf5_factors import LIBVER
from .matrix_file import NAME, MatrixFile
from .npy_writer import npy_chunks, stored


def _npz(array: Any) -> list[Any]:
    """A stored archive of one array; of a sparse matrix ``sparse_writer`` makes one."""
    return [*zip_writer.archive([zip_writer.member(f"{NAME}.npy", npy_chunks(array))])]


def _hdf5(array: Any) -> list[Any]:
    """A dataset, or a group as AnnData keeps sparse matrices; built in memory, so that a full disk ends nothing."""
    import h5py

    sparse = hasattr(array, "indptr")
    parts = {"data": array.data, "indices": array.indices, "indptr": array.indptr} if sparse else {NAME: array}
    nbytes = sum(part.nbytes for part in parts.values())
    if 2 * nbytes > available_memory():
        raise ResourceError(f"an HDF5 file of {nbytes:,} bytes is built in memory", hint="write .npy or .npz")
    with h5py.File("matrix.h5", "w", driver="core", backing_store=False, libver=LIBVER) as file:
        place = file
        if sparse:
            plain = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
            plain.set_obj_track_times(False)
            h5py.h5g.create(file.id, NAME.encode(), gcpl=plain)
            place = file[NAME]
            for name, text in (("encoding-type", b"csr_matrix"), ("encoding-version", b"0.1.0")):
                place.attrs.create(name, np.bytes_(text), dtype=h5py.string_dtype("utf-8", len(text)))
            place.attrs["shape"] = np.array(array.shape, np.int64)
        for name, part in parts.items():
            place.create_dataset(name, data=stored(part), track_times=False)
        file.flush()
        return [file.id.get_file_image()]


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
