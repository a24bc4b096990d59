"""Sparse matrices from the arrays that files keep them as, checked before SciPy sees them.

SciPy believes what it is given: an index out of range, or an indptr that falls, is a read outside the arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..lazy import np
from .working import canonical, require_memory

if TYPE_CHECKING:
    import numpy.typing as npt

#: Bytes of a value and its index, in the file's form and in ours, and of a pointer.
_PER_ENTRY, _PER_POINTER = 2 * (16 + 8), 8


#: Bytes that SciPy takes once it is loaded.
_LIBRARIES = 32 << 20


def room(nnz: int, shape: tuple[int, int]) -> int:
    """Bytes of memory it takes to read a sparse matrix whole; half of it is what it takes with its transposed copy."""
    return nnz * _PER_ENTRY + _PER_POINTER * (shape[0] + shape[1] + 2)


def fits(need: int, have: int) -> bool:
    """Whether a matrix that needs so much may be read whole: what reads it has to be loaded, too."""
    return need + _LIBRARIES <= have


def require_room(nnz: int, shape: tuple[int, int], where: str) -> None:
    """ResourceError when a sparse matrix of this size does not fit the memory that is free now."""
    require_memory(room(nnz, shape), where, f"the {shape[0]} x {shape[1]} sparse matrix with {nnz} entries")


def compressed(
    layout: str, data: npt.NDArray, indices: npt.NDArray, indptr: npt.NDArray, shape: tuple[int, int], where: str
) -> tuple[Any, tuple[str, ...]]:
    """A canonical csr_array from the three arrays of a csr or csc matrix, and notes. InputError when they disagree.

    Cost: one check of the indices, and one transposition by counting for a matrix stored by columns.
    """
    from scipy import sparse

    major, minor = shape if layout == "csr" else shape[::-1]
    _check_structure(len(data), indices, indptr, major, minor, where)
    index = index_type(len(data), shape)
    build = sparse.csr_array if layout == "csr" else sparse.csc_array
    return _canonical(build((data, indices.astype(index), indptr.astype(index)), shape=shape))


def triplets(
    data: npt.NDArray, rows: npt.NDArray, cols: npt.NDArray, shape: tuple[int, int], where: str
) -> tuple[Any, tuple[str, ...]]:
    """A canonical csr_array from rows, columns and values. InputError when they disagree."""
    from scipy import sparse

    if not len(data) == len(rows) == len(cols):
        raise InputError(
            f"the sparse matrix has {len(data)} values, {len(rows)} rows and {len(cols)} columns", where=where
        )
    for found, limit, what in ((rows, shape[0], "row"), (cols, shape[1], "column")):
        _check_range(found, limit, f"a {what} index", where)
    index = index_type(len(data), shape)
    array = sparse.csr_array(sparse.coo_array((data, (rows.astype(index), cols.astype(index))), shape=shape))
    array.sum_duplicates()
    return array, _summed(len(data) - array.nnz)


def blocks(
    data: npt.NDArray, indices: npt.NDArray, indptr: npt.NDArray, shape: tuple[int, int], where: str
) -> tuple[Any, tuple[str, ...]]:
    """A canonical csr_array from the arrays of a bsr matrix (dense blocks in block rows). InputError as above."""
    from scipy import sparse

    if data.ndim != 3 or 0 in data.shape[1:] or shape[0] % data.shape[1] or shape[1] % data.shape[2]:
        raise InputError(f"blocks of shape {data.shape[1:]} do not tile {shape[0]} x {shape[1]}", where=where)
    _check_structure(len(data), indices, indptr, shape[0] // data.shape[1], shape[1] // data.shape[2], where)
    index = index_type(data.size, shape)
    return _canonical(sparse.bsr_array((data, indices.astype(index), indptr.astype(index)), shape=shape))


def diagonals(
    data: npt.NDArray, offsets: npt.NDArray, shape: tuple[int, int], where: str
) -> tuple[Any, tuple[str, ...]]:
    """A canonical csr_array from the diagonals of a dia matrix. InputError as above."""
    from scipy import sparse

    if data.ndim != 2 or offsets.ndim != 1 or len(offsets) != len(data) or len(np.unique(offsets)) != len(offsets):
        raise InputError(f"{len(data)} diagonals with offsets that do not name one each", where=where)
    inside = [-shape[0] < int(offset) < shape[1] for offset in offsets]
    if not all(inside):
        raise InputError(f"a diagonal lies outside {shape[0]} x {shape[1]}", where=where)
    return _canonical(sparse.dia_array((data, offsets.astype(np.int64)), shape=shape))


def _canonical(matrix: Any) -> tuple[Any, tuple[str, ...]]:
    array, summed = canonical(matrix)
    return array, _summed(summed)


def _summed(count: int) -> tuple[str, ...]:
    return (f"{count} duplicate entries were summed",) if count else ()


def index_type(nnz: int, shape: tuple[int, int]) -> type:
    """The type of indices in memory, where a file gives so many entries."""
    return np.int32 if max(nnz, *shape) < 2**31 else np.int64


def _check_structure(count: int, indices: npt.NDArray, indptr: npt.NDArray, major: int, minor: int, where: str) -> None:
    check_pointer((count, len(indices)), indptr, major, where)
    _check_range(indices, minor, "an index", where)


def check_pointer(counts: tuple[int, int], indptr: npt.NDArray, major: int, where: str) -> None:
    """InputError unless there are as many values as indices, and indptr rises from 0 to that number in major steps."""
    count, indices = counts
    if indices != count:
        raise InputError(f"the sparse matrix has {count} values and {indices} indices", where=where)
    if len(indptr) != major + 1:
        raise InputError(f"indptr of the sparse matrix has {len(indptr)} entries, not {major + 1}", where=where)
    if int(indptr[0]) != 0 or int(indptr[-1]) != count or bool((indptr[1:] < indptr[:-1]).any()):
        raise InputError(f"indptr of the sparse matrix does not rise from 0 to {count}", where=where)


def _check_range(indices: npt.NDArray, limit: int, what: str, where: str) -> None:
    if len(indices) and not (int(indices.min()) >= 0 and int(indices.max()) < limit):
        raise InputError(f"{what} of the sparse matrix is outside 0 to {limit - 1}", where=where)
