"""A matrix that is already in memory, checked and converted like one from a file."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..lazy import np
from .loaded import Item, Loaded
from .working import Conversion, canonical, matrix_shape, native_name, supported

_WHERE = "array"


def from_array(A: Any) -> Loaded:
    """A NumPy array (or nested lists) or SciPy sparse array as a matrix to compute with.

    An array in native float32, float64 or complex is used as it is, never written to; others are converted. Raises
    InputError for another number of dimensions, an empty matrix, masked entries, or a dtype that is not numeric.
    """
    if hasattr(A, "tocsr"):
        return _from_sparse(A)
    if np.ma.is_masked(A):
        raise InputError("has masked entries", where=_WHERE, hint="fill them first, with A.filled(value)")
    try:
        stored = np.asarray(A)
    except ValueError as error:
        raise InputError("its rows have different lengths", where=_WHERE, hint="make it a 2-D array first") from error
    if not supported(stored.dtype):
        raise InputError(f"cannot compute with dtype {stored.dtype}", where=_WHERE, hint="convert it to float64")
    matrix_shape(stored.shape, _WHERE)
    convert = Conversion(stored.dtype)
    array = stored
    if not convert.direct or stored.dtype.byteorder not in "=|" or not stored.dtype.isnative:
        array = np.empty(stored.shape, convert.target, order="F" if stored.flags.f_contiguous else "C")
        convert(stored, array)
    item = Item(None, stored.shape, native_name(stored.dtype), None, int(stored.size * stored.dtype.itemsize))
    return Loaded(array, _WHERE, "memory", item, convert.notes())


def _from_sparse(A: Any) -> Loaded:
    dtype = np.dtype(A.dtype)
    if not supported(dtype):
        raise InputError(f"cannot compute with dtype {dtype}", where=_WHERE, hint="convert it to float64")
    matrix_shape(A.shape, _WHERE)
    matrix, summed = canonical(A.tocsr(copy=True))
    convert = Conversion(matrix.dtype)
    data = np.empty(matrix.data.shape, convert.target)
    convert(matrix.data, data)
    stored_bytes = int(matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes)
    matrix.data = data
    item = Item(None, A.shape, native_name(dtype), int(matrix.nnz), stored_bytes)
    notes = (f"{summed} duplicate entries were summed",) if summed else ()
    return Loaded(matrix, _WHERE, "memory", item, (*notes, *convert.notes()))
