"""Columns and rows by index, scaled on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError
from ..lazy import np
from . import jit

if TYPE_CHECKING:
    import numpy


def gather_columns(
    X: numpy.ndarray,
    index: numpy.ndarray,
    scale: numpy.ndarray | None = None,
    compiled: bool = False,
    out: numpy.ndarray | None = None,
) -> numpy.ndarray:
    """X[:, index] * scale, always C-ordered, in the dtype of X; in out, where that is given.

    index in 0..n-1, repeats allowed; scale (len(index),) is rounded to the dtype of X first, and None copies bit for
    bit. Raises UsageError for an index outside, or for scaling a matrix that is not floating. Cost: one strided read.
    """
    index, scale = _checked(X.shape[1], index, scale, X.dtype)
    module = jit.compiled() if compiled else None
    if module is None or X.dtype.char not in "fd" or not X.flags.c_contiguous:
        return gather_columns_numpy(X, index, scale, out)
    out = np.empty((X.shape[0], len(index)), X.dtype) if out is None else out
    module.gather_columns(jit.frozen(X), jit.frozen(index), jit.frozen(_or_none(scale, X.dtype)), out)
    return out


def gather_columns_numpy(
    X: numpy.ndarray, index: numpy.ndarray, scale: numpy.ndarray | None, out: numpy.ndarray | None = None
) -> numpy.ndarray:
    """The twin of the kernel."""
    out = np.ascontiguousarray(_taken(X, index)) if out is None else _taken(X, index, out)
    return out if scale is None else np.multiply(out, scale, out=out)


def gather_rows(
    Y: numpy.ndarray, index: numpy.ndarray, scale: numpy.ndarray | None = None, out: numpy.ndarray | None = None
) -> numpy.ndarray:
    """Y[index, :] * scale[:, None], always C-ordered, in the dtype of Y; as ``gather_columns`` otherwise.

    There is no compiled form: whole rows are copied by memcpy, which no kernel beats.
    """
    index, scale = _checked(Y.shape[0], index, scale, Y.dtype)
    out = np.ascontiguousarray(_taken(Y.T, index).T) if out is None else _taken(Y.T, index, out.T).T
    return out if scale is None else np.multiply(out, scale[:, None], out=out)


def seconds_saved(rows: int, count: int) -> float:
    """Estimated saving of the column kernel over the twin: about 2 ns an entry taken."""
    return 2e-9 * rows * count


def _taken(X: numpy.ndarray, index: numpy.ndarray, out: numpy.ndarray | None = None) -> numpy.ndarray:
    """X[:, index], in any order, or in out. numpy.take would first copy all of an array that does not lie in C order;
    of clip, it writes to out without a copy between."""
    if X.flags.c_contiguous:
        return np.take(X, index, axis=1, out=out, mode="clip")
    if X.flags.f_contiguous:
        return np.take(X.T, index, axis=0, out=None if out is None else out.T, mode="clip").T
    if out is None:
        return X[:, index]
    out[...] = X[:, index]
    return out


def _checked(
    length: int, index: numpy.ndarray, scale: numpy.ndarray | None, dtype: numpy.dtype
) -> tuple[numpy.ndarray, numpy.ndarray | None]:
    index = np.asarray(index, np.int64)
    if index.ndim != 1 or (len(index) and not (index.min() >= 0 and index.max() < length)):
        raise UsageError(f"index outside 0..{length - 1}", hint="kernels do not wrap negative indices")
    if scale is None:
        return index, None
    scale = np.asarray(scale)
    if scale.shape != index.shape or dtype.kind not in "fc":
        raise UsageError(f"cannot scale {len(index)} vectors of {dtype} by a scale of shape {scale.shape}")
    return index, scale.astype(dtype)


def _or_none(scale: numpy.ndarray | None, dtype: numpy.dtype) -> numpy.ndarray:
    """A kernel takes one form of scale: empty for none."""
    return np.empty(0, dtype) if scale is None else scale
