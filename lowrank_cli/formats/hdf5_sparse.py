"""Sparse matrices kept as an HDF5 group: 10x Genomics feature-barcode matrices and AnnData's csr and csc groups.

10x Genomics: one group (``matrix``, or one a genome in version 2) with data, indices, indptr and a shape dataset, by
columns, genes x cells. AnnData: the same three arrays, the layout in the attribute encoding-type (h5sparse_format in
old files) and the shape in an attribute. The stated orientation is kept.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..lazy import np
from .hdf5_read import check, dtype_name, read
from .hdf5_walk import guarded, wrap
from .sparse_parts import compressed, require_room
from .working import Conversion, matrix_shape, supported

if TYPE_CHECKING:
    import numpy.typing as npt

PARTS = ("data", "indices", "indptr")


@dataclasses.dataclass(frozen=True, eq=False)
class SparseGroup:
    """A group that describes itself as a sparse matrix; nothing is checked yet but the header."""

    layout: str
    shape: tuple[int, int]
    nnz: int
    dtype: str
    bytes: int
    detail: str


def is_sparse(group: Any) -> bool:
    """Whether a group has the three arrays and says what they mean; attributes and links only."""
    import h5py

    if not isinstance(group, h5py.Group) or not all(_part(group, name) is not None for name in PARTS):
        return False
    return _layout(group) is not None


def describe(group: Any, where: str) -> SparseGroup:
    """Shape, count and layout of a sparse group, from headers and the two numbers of its shape."""
    with guarded(where, "the sparse group cannot be examined"):
        layout = _layout(group)
        parts = {name: _part(group, name) for name in PARTS}
        if layout is None or any(part is None or len(part.shape or ()) != 1 for part in parts.values()):
            raise InputError("is a group whose data, indices and indptr are not a sparse matrix", where=where)
        for name, part in parts.items():
            check(part, f"{where}/{name}")
        shape = _shape(group, where)
        size = sum(part.shape[0] * part.dtype.itemsize for part in parts.values())
        kind = f"sparse, by {'rows' if layout == 'csr' else 'columns'} ({layout})"
        return SparseGroup(layout, shape, parts["data"].shape[0], dtype_name(parts["data"]), size, kind)


def _part(group: Any, name: str) -> Any:
    """The dataset a hard link of the group leads to, or None."""
    import h5py

    raw = name.encode()
    if not group.id.links.exists(raw) or group.id.links.get_info(raw).type != h5py.h5l.TYPE_HARD:
        return None
    part = wrap(h5py.h5o.open(group.id, raw))
    return part if isinstance(part, h5py.Dataset) else None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _layout(group: Any) -> str | None:
    for attribute in ("encoding-type", "h5sparse_format"):
        if attribute in group.attrs:
            text = _text(group.attrs[attribute])
            return text[:3] if text in ("csr", "csc", "csr_matrix", "csc_matrix") else None
    return "csc" if _part(group, "shape") is not None else None


def _shape(group: Any, where: str) -> tuple[int, int]:
    stored = _part(group, "shape")
    if stored is not None and "shape" not in group.attrs:
        check(stored, f"{where}/shape")
        if stored.shape != (2,):
            raise InputError("the shape of the sparse matrix is not two numbers", where=where)
        values = stored[()]
    else:
        values = np.asarray(group.attrs.get("shape", group.attrs.get("h5sparse_shape", ())))
    if values.shape != (2,) or values.dtype.kind not in "iu" or any(int(value) < 0 for value in values):
        raise InputError("the shape of the sparse matrix is not two numbers", where=where)
    return matrix_shape((int(values[0]), int(values[1])), where)


def load_group(group: Any, where: str) -> tuple[Any, tuple[str, ...]]:
    """The matrix as a canonical csr_array in the dtype we compute in, and notes. InputError when parts disagree.

    Cost: the three arrays once, and one transposition by counting for a matrix stored by columns.
    """
    about = describe(group, where)
    require_room(about.nnz, about.shape, where)
    with guarded(where, "the sparse group cannot be read"):
        data_part = _part(group, "data")
        conversion = Conversion(data_part.dtype)
        data = np.empty(about.nnz, conversion.target)
        read(data_part, data, conversion, f"{where}/data")
        indices, indptr = (_integers(group, name, where) for name in ("indices", "indptr"))
    array, notes = compressed(about.layout, data, indices, indptr, about.shape, where)
    return array, (*conversion.notes(), *notes)


def _integers(group: Any, name: str, where: str) -> npt.NDArray:
    part = _part(group, name)
    if part.dtype.kind not in "iu" or not supported(part.dtype):
        raise InputError(f"{name} of the sparse matrix are not integers ({dtype_name(part)})", where=where)
    values = np.empty(part.shape, part.dtype.newbyteorder("="))
    part.read_direct(values) if values.size else None
    return values
