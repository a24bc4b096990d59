"""Sparse sign test matrices: a few entries a row, so that a product with one costs as much as that many columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..lazy import np
from ..streams import BLOCK_ROWS, Streams

if TYPE_CHECKING:
    import numpy

#: Entries of a row, as in Tropp, Yurtsever, Udell and Cevher 2019.
STACKS = 8


def sparse_signs(streams: Streams, purpose: str, n: int, l: int, dtype: numpy.dtype) -> tuple[Any, float]:
    """(S, spread): S (n, l) a csr_array with E S S^H = I, and the factor of its second moment.

    The columns are cut into min(8, l) stacks of equal width, up to one; a row has one entry of modulus 1 / sqrt(8) in
    each, at a random place, of random sign; complex: of random phase. For X (m, n) and Y (n, p) the mean of
    |X S S^H Y - X Y|^2 is spread (|X|^2 |Y|^2 + |X Y|^2 - 2 sum_i |x_i|^2 |y_i|^2), complex: spread (|X|^2 |Y|^2
    - sum_i |x_i|^2 |y_i|^2); spread is 1 / l where all stacks are equally wide. Drawn by blocks of 4096 rows.
    """
    from scipy.sparse import csr_array

    dtype = np.dtype(dtype)
    stacks = min(STACKS, l)
    marks = (np.arange(stacks + 1) * l) // stacks
    widths = np.diff(marks)
    places, signs = np.empty((n, stacks), np.int64), np.empty((n, stacks), dtype)
    for block, start in enumerate(range(0, n, BLOCK_ROWS)):
        rows = slice(start, min(start + BLOCK_ROWS, n))
        generator = streams.generator(purpose, block)
        u, v = generator.random((2, rows.stop - start, stacks))
        places[rows] = marks[:-1] + np.minimum((u * widths).astype(np.int64), widths - 1)
        signs[rows] = np.exp(2j * np.pi * v) if dtype.kind == "c" else np.where(v < 0.5, -1.0, 1.0)
    data = (signs / np.sqrt(stacks)).astype(dtype).ravel()
    indptr = np.arange(n + 1, dtype=np.int64) * stacks
    return csr_array((data, places.ravel(), indptr), shape=(n, l)), float(np.sum(1.0 / widths)) / stacks**2
