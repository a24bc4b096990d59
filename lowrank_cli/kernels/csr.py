"""Compressed sparse rows times a dense block, and the transposed copy that serves the adjoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import np
from . import jit

if TYPE_CHECKING:
    import numpy

#: Index types that the kernels know.
_INDEX = "il"


def csr_matmat(
    indptr: numpy.ndarray,
    indices: numpy.ndarray,
    data: numpy.ndarray,
    X: numpy.ndarray,
    out: numpy.ndarray,
    start: int,
    stop: int,
    compiled: bool = False,
    stretch: int = 0,
) -> None:
    """out[:] = (A X)[start:stop] for A in CSR form (m, n) and X (n, l); out is (stop - start, l), C-ordered.

    Every row is summed in stored order, so the bits do not depend on how rows are cut into blocks. With a stretch its
    sorted entries are summed by stretches of so many columns, and those in a tree of eight (``grid.TreeSum``). Blocks
    of rows may run in threads: both forms release the interpreter lock. Cost: 2 l flops an entry; with a stretch at
    most twice as many.
    """
    module = jit.compiled() if compiled else None
    suits = data.dtype.char in "fd" and X.dtype == data.dtype == out.dtype and out.flags.c_contiguous
    levels = tree_levels(X.shape[0], stretch)
    if module is None or not suits:
        csr_matmat_numpy(indptr, indices, data, X, out, start, stop, stretch if levels > 1 else 0)
        return
    bounds = jit.frozen(indptr[start : stop + 1], np.int64)
    parts = bounds, _index(indices), jit.frozen(data), jit.frozen(X), out
    if levels > 1:
        module.csr_tree_rows(*parts, stretch, levels)
    else:
        module.csr_rows(*parts)


def tree_levels(length: int, stretch: int) -> int:
    """Levels of the tree over stretches of so many, the stretches themselves being one; 1 where there is no tree."""
    levels = 1
    while stretch and stretch * 8 ** (levels - 1) < length:
        levels += 1
    return levels


def csr_matmat_numpy(
    indptr: numpy.ndarray,
    indices: numpy.ndarray,
    data: numpy.ndarray,
    X: numpy.ndarray,
    out: numpy.ndarray,
    start: int,
    stop: int,
    stretch: int = 0,
) -> None:
    """The twin: SciPy's product of the block of rows, which adds in stored order too; a level of the tree is one."""
    from scipy.sparse import csr_array

    first, last = int(indptr[start]), int(indptr[stop])
    bounds = indptr[start : stop + 1] - indptr[start]
    values, places, P = data[first:last], indices[first:last], np.ascontiguousarray(X)
    groups = places // stretch if stretch else None
    while groups is not None and np.diff(bounds).max(initial=0) > 1:
        begins, bounds, groups = _runs(bounds, groups)
        P = csr_array((values, places, begins), shape=(len(groups), len(P)), copy=False) @ P
        values, places, groups = np.ones(len(groups), P.real.dtype), np.arange(len(groups)), groups >> 3
    out[...] = csr_array((values, places, bounds), shape=(stop - start, len(P)), copy=False) @ P


def csr_tree_sums(indptr: numpy.ndarray, indices: numpy.ndarray, weights: numpy.ndarray, stretch: int) -> numpy.ndarray:
    """The sums of the weights of each row's entries, in the order of ``csr_matmat`` with that stretch, in float64."""
    bounds, groups = indptr - indptr[0], indices // stretch
    while np.diff(bounds).max(initial=0) > 1:
        begins, bounds, groups = _runs(bounds, groups)
        runs = np.repeat(np.arange(len(groups)), np.diff(begins))
        weights, groups = np.bincount(runs, weights, len(groups)), groups >> 3
    return np.bincount(np.repeat(np.arange(len(bounds) - 1), np.diff(bounds)), weights, len(bounds) - 1)


def _runs(bounds: numpy.ndarray, groups: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """Entries of a row that are of one group: where such runs begin and end, which runs are those of each row, and the
    group of each run."""
    begins = np.ones(len(groups), bool)
    begins[1:] = groups[1:] != groups[:-1]
    begins[bounds[:-1][np.diff(bounds) > 0]] = True
    at = np.flatnonzero(begins)
    return np.append(at, len(groups)), np.searchsorted(at, bounds), groups[at]


def csr_scatter(
    indptr: numpy.ndarray,
    indices: numpy.ndarray,
    data: numpy.ndarray,
    Y: numpy.ndarray,
    out: numpy.ndarray,
    columns: slice,
    compiled: bool = False,
) -> None:
    """out[:, columns] += (A^T Y)[:, columns] for A in CSR form (m, n), Y (m, l) and out (n, l), both C-ordered.

    Added in the order of A's rows: to a block of zeros, row block after row block, this is the sum that ``csr_matmat``
    forms with the transposed copy, bit for bit. Other columns may be worked on in other threads. Cost: 2 l flops an
    entry.
    """
    module = jit.compiled() if compiled else None
    suits = data.dtype.char in "fd" and Y.dtype == data.dtype == out.dtype and out.flags.c_contiguous
    if module is None or not suits:
        csr_scatter_numpy(indptr, indices, data, Y, out, columns)
        return
    bounds = jit.frozen(indptr, np.int64)
    module.csr_scatter(bounds, _index(indices), jit.frozen(data), jit.frozen(Y), out, columns.start, columns.stop)


def csr_scatter_numpy(
    indptr: numpy.ndarray,
    indices: numpy.ndarray,
    data: numpy.ndarray,
    Y: numpy.ndarray,
    out: numpy.ndarray,
    columns: slice,
) -> None:
    """The twin: SciPy's product by columns, in front of whose columns stand those that bring what out holds already."""
    from scipy.sparse import csc_array

    seen = np.zeros(len(out), bool)
    seen[indices] = True
    touched = np.flatnonzero(seen)
    rows, n = len(indptr) - 1, len(touched)
    kind = np.int32 if max(n + rows, n + len(data)) < 2**31 else np.int64
    before = np.arange(n, dtype=kind)
    joined = csc_array(
        (
            np.concatenate([np.ones(n, out.dtype), data.astype(out.dtype, copy=False)]),
            np.concatenate([before, (np.cumsum(seen) - 1)[indices].astype(kind)]),
            np.concatenate([before, n + indptr.astype(kind, copy=False)]),
        ),
        shape=(n, n + rows),
    )
    out[touched, columns] = joined @ np.concatenate([out[touched, columns], Y[:, columns]])


def transpose_csr(
    indptr: numpy.ndarray,
    indices: numpy.ndarray,
    data: numpy.ndarray,
    shape: tuple[int, int],
    conjugate: bool = False,
    compiled: bool = False,
) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """(indptr, indices, data) of A^T, or A^H if conjugate, in CSR form; A (m, n) = shape.

    Within a row of the result the entries keep the order of A's rows, then the order stored: a stable sort, so
    duplicates stay apart and in order. indptr is int64; indices are int32 when they were and m allows. Cost: two
    reads of A, a counting sort.
    """
    m, n = shape
    kind = np.dtype(np.int32 if indices.dtype == np.int32 and m <= np.iinfo(np.int32).max else np.int64)
    module = jit.compiled() if compiled else None
    if module is None or data.dtype.char not in "fd":
        turned = transpose_csr_numpy(indptr, indices, data, shape)
    else:
        turned = np.zeros(n + 1, np.int64), np.empty(len(data), kind), np.empty(len(data), data.dtype)
        module.csr_transpose(jit.frozen(indptr, np.int64), _index(indices), jit.frozen(data), *turned)
    new_indptr, new_indices, new_data = turned
    if conjugate and np.iscomplexobj(new_data):
        new_data = new_data.conj()
    return new_indptr.astype(np.int64, copy=False), new_indices.astype(kind, copy=False), new_data


def transpose_csr_numpy(
    indptr: numpy.ndarray, indices: numpy.ndarray, data: numpy.ndarray, shape: tuple[int, int]
) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """The twin: SciPy's conversion to compressed columns, a stable counting sort as well."""
    from scipy.sparse import csr_array

    columns = csr_array((data, indices, indptr), shape=shape, copy=False).tocsc()
    return columns.indptr, columns.indices, columns.data


def seconds_saved(nnz: int, width: int) -> float:
    """Estimated saving of the product kernel over the twin for one product.

    Measured: 0.5 ns a multiplication in single precision, which most products are in, 0.9 in double.
    """
    return 0.6e-9 * nnz * width


def _index(indices: numpy.ndarray) -> numpy.ndarray:
    return jit.frozen(indices, None if indices.dtype.char in _INDEX else np.int64)
