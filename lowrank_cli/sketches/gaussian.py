"""Gaussian test matrices: the best statistics of all sketches, at the speed of a product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..lazy import np
from ..streams import BLOCK_ROWS, Streams

if TYPE_CHECKING:
    import numpy


def gaussian(streams: Streams, purpose: str, n: int, l: int, dtype: numpy.dtype, engine: Any = None) -> numpy.ndarray:
    """An (n, l) matrix of independent N(0, 1) entries, drawn by blocks of 4096 rows; columns of a block in turn, so
    a wider one extends a narrower one bit for bit. Real: float64 numbers rounded to dtype. Complex: real and imaginary
    parts N(0, 1/2) from two streams. engine: who draws the blocks; no number depends on it."""
    if np.dtype(dtype).kind == "c":
        real = np.dtype(dtype).type(0).real.dtype
        out = np.empty((n, l), dtype)
        out.real = gaussian(streams, purpose + "/re", n, l, real, engine)
        out.imag = gaussian(streams, purpose + "/im", n, l, real, engine)
        out *= np.sqrt(0.5).astype(real)
        return out
    out = np.empty((n, l), dtype)
    starts = range(0, n, BLOCK_ROWS)

    def draw(block: int) -> None:
        rows = slice(starts[block], min(n, starts[block] + BLOCK_ROWS))
        out[rows] = streams.generator(purpose, block).standard_normal((l, rows.stop - rows.start)).T

    if engine is not None:
        engine.map(draw, len(starts))
    else:
        for block in range(len(starts)):
            draw(block)
    return out
