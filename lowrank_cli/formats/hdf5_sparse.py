"""Sparse matrices kept as an HDF5 group: by 10x Genomics, AnnData and MATLAB 7.3.

10x Genomics: one group (``matrix``, or one a genome in version 2) with data, indices, indptr and a shape dataset, by
columns, genes x cells. AnnData: the same three arrays, the layout in the attribute encoding-type (h5sparse_format in
old files) and the shape in an attribute. MATLAB: data, ir and jc, by columns, the number of rows in the attribute
MATLAB_sparse; data and ir are missing where there are no entries. The stated orientation is kept.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..lazy import np
from .hdf5_layouts import matlab_class, text
from .hdf5_read import check, dtype_name, number_dtype, read
from .hdf5_walk import guarded, wrap
from .sparse_parts import compressed, require_room
from .working import Conversion, matrix_shape, require_memory, supported

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..matrices.lines import Lines

PARTS = ("data", "indices", "indptr")
#: MATLAB's attribute with the number of rows.
_MATLAB = "MATLAB_sparse"


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
    """Whether a group has the arrays of a sparse matrix and says what they mean; attributes and links only."""
    import h5py

    if not isinstance(group, h5py.Group):
        return False
    if _MATLAB in group.attrs:
        return _part(group, "jc") is not None
    return all(_part(group, name) is not None for name in PARTS) and _layout(group) is not None


def describe(group: Any, where: str) -> SparseGroup:
    """Shape, count and layout of a sparse group, from headers and the two numbers of its shape."""
    with guarded(where, "the sparse group cannot be examined"):
        layout, parts = _layout(group), _parts(group)
        data = parts.get("data")
        if layout is None or "indptr" not in parts or any(len(part.shape or ()) != 1 for part in parts.values()):
            raise InputError("is a group whose data, indices and indptr are not a sparse matrix", where=where)
        for name, part in parts.items():
            check(part, f"{where}/{name}")
        shape = _matlab_shape(group, parts["indptr"], where) if _MATLAB in group.attrs else _shape(group, where)
        size = sum(part.shape[0] * number_dtype(part).itemsize for part in parts.values())
        kind = f"sparse, by {'rows' if layout == 'csr' else 'columns'} ({layout})"
        dtype = "bool" if matlab_class(group) == "logical" else "float64" if data is None else dtype_name(data)
        return SparseGroup(layout, shape, 0 if data is None else data.shape[0], dtype, size, kind)


def _parts(group: Any) -> dict[str, Any]:
    """data, indices and indptr, as far as they are there."""
    names = zip(PARTS, ("data", "ir", "jc") if _MATLAB in group.attrs else PARTS, strict=True)
    return {name: part for name, stored in names if (part := _part(group, stored)) is not None}


def _part(group: Any, name: str) -> Any:
    """The dataset a hard link of the group leads to, or None."""
    import h5py

    raw = name.encode()
    if not group.id.links.exists(raw) or group.id.links.get_info(raw).type != h5py.h5l.TYPE_HARD:
        return None
    part = wrap(h5py.h5o.open(group.id, raw))
    return part if isinstance(part, h5py.Dataset) else None


def _layout(group: Any) -> str | None:
    if _MATLAB in group.attrs:
        return "csc"
    for attribute in ("encoding-type", "h5sparse_format"):
        if attribute in group.attrs:
            said = text(group.attrs[attribute])
            return said[:3] if said in ("csr", "csc", "csr_matrix", "csc_matrix") else None
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


def _matlab_shape(group: Any, pointers: Any, where: str) -> tuple[int, int]:
    rows = np.asarray(group.attrs[_MATLAB])
    if rows.size != 1 or rows.dtype.kind not in "iu" or int(rows.reshape(-1)[0]) < 0 or not pointers.shape[0]:
        raise InputError("the sparse matrix does not say how many rows it has", where=where)
    return matrix_shape((int(rows.reshape(-1)[0]), pointers.shape[0] - 1), where)


def load_group(group: Any, where: str) -> tuple[Any, tuple[str, ...]]:
    """The matrix as a canonical csr_array in the dtype we compute in, and notes. InputError when parts disagree.

    Cost: the three arrays once, and one transposition by counting for a matrix stored by columns.
    """
    about = describe(group, where)
    require_room(about.nnz, about.shape, where)
    require_memory(about.bytes, where, "the sparse matrix")
    with guarded(where, "the sparse group cannot be read"):
        parts = _parts(group)
        conversion = _conversion(about, parts)
        data = np.empty(about.nnz, conversion.target)
        if "data" in parts:
            read(parts["data"], data, conversion, f"{where}/data")
        indices, indptr = (_integers(parts.get(name), name, where) for name in ("indices", "indptr"))
    array, notes = compressed(about.layout, data, indices, indptr, about.shape, where)
    return array, (*conversion.notes(), *notes)


def leave_group(
    group: Any, open_file: Any, path: str, where: str, buffer: int, settle: bool = True
) -> tuple[Lines, tuple[str, ...]]:
    """The matrix left in its file, which open_file closes, and notes. Raises as ``load_group``; reads the indices, if
    it is to be settled."""
    from .sparse_filed import columns_of_group, lines_of
    from .unchanged import Unchanged

    about = describe(group, where)
    with guarded(where, "the sparse group cannot be read"):
        # MATLAB leaves out what would be empty
        parts = {"data": np.empty(0), "indices": np.empty(0, np.int64)} | _parts(group)
        for name in ("indices", "indptr"):
            _require_integers(parts[name], name, where)
        require_memory(2 * 8 * parts["indptr"].shape[0], where, "the pointer of the sparse matrix")
        conversion = _conversion(about, parts)
        pointer = _integers(parts["indptr"], "indptr", where)
        data, indices = columns_of_group(parts["data"], parts["indices"], open_file, where)
        counts = parts["data"].shape[0], parts["indices"].shape[0]
    lines, notes = lines_of(
        about.layout, about.shape, pointer, data, indices, counts, conversion, Unchanged(path), where, buffer, settle
    )
    return lines, (*conversion.notes(), *notes)


def _conversion(about: SparseGroup, parts: dict[str, Any]) -> Conversion:
    stored = np.dtype("f8") if "data" not in parts else number_dtype(parts["data"])
    return Conversion(np.dtype("?") if about.dtype == "bool" and stored.itemsize == 1 else stored)


def _integers(part: Any, name: str, where: str) -> npt.NDArray:
    if part is None:
        return np.empty(0, np.int64)
    _require_integers(part, name, where)
    values = np.empty(part.shape, part.dtype.newbyteorder("="))
    part.read_direct(values) if values.size else None
    return values


def _require_integers(part: Any, name: str, where: str) -> None:
    if part.dtype.kind not in "iu" or not supported(part.dtype):
        raise InputError(f"{name} of the sparse matrix are not integers ({dtype_name(part)})", where=where)
