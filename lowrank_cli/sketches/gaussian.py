"""Gaussian test matrices: the best statistics of all sketches, at the speed of a product."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import np
from ..streams import BLOCK_ROWS, Streams

if TYPE_CHECKING:
    import numpy


def gaussian(streams: Streams, purpose: str, n: int, l: int, dtype: numpy.dtype) -> numpy.ndarray:
    """An (n, l) matrix of independent N(0, 1) entries, drawn by blocks of 4096 rows; columns of a block in turn, so
    a wider one extends a narrower one bit for bit. Real: float64 numbers rounded to dtype. Complex: real and imaginary
    parts N(0, 1/2) from two streams."""
    if np.dtype(dtype).kind == "c":
        real = np.dtype(dtype).type(0).real.dtype
        out = np.empty((n, l), dtype)
        out.real = gaussian(streams, purpose + "/re", n, l, real)
        out.imag = gaussian(streams, purpose + "/im", n, l, real)
        out *= np.sqrt(0.5).astype(real)
        return out
    out = np.empty((n, l), dtype)
    for block, start in enumerate(range(0, n, BLOCK_ROWS)):
        stop = min(n, start + BLOCK_ROWS)
        out[start:stop] = streams.generator(purpose, block).standard_normal((l, stop - start)).T
    return out
