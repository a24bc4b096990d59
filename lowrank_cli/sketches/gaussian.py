"""Gaussian test matrices: the best statistics of all sketches, at the speed of a product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..lazy import np
from ..streams import BLOCK_ROWS, Streams

if TYPE_CHECKING:
    import numpy


def gaussian(
    streams: Streams, purpose: str, n: int, l: int, dtype: numpy.dtype, engine: Any = None, out: Any = None
) -> Any:
    """An (n, l) matrix of independent N(0, 1) entries, drawn by blocks of 4096 rows; columns of a block in turn, so
    a wider one extends a narrower one bit for bit. Real: float64 numbers rounded to dtype. Complex: real and imaginary
    parts N(0, 1/2) from two streams. engine: who draws the blocks; no number depends on it. out: where it is kept."""
    made = np.empty((n, l), dtype) if out is None else out

    def draw(block: int) -> None:
        rows = slice(block * BLOCK_ROWS, min(n, (block + 1) * BLOCK_ROWS))
        made[rows] = _block(streams, purpose, block, rows.stop - rows.start, l, np.dtype(dtype))

    blocks = -(-n // BLOCK_ROWS)
    if engine is not None:
        engine.map(draw, blocks)
    else:
        for block in range(blocks):
            draw(block)
    return made


def gaussian_rows(streams: Streams, purpose: str, n: int, l: int, dtype: numpy.dtype, rows: slice) -> numpy.ndarray:
    """Those rows of ``gaussian``, drawn wherever they are wanted."""
    made = np.empty((rows.stop - rows.start, l), dtype)
    for block in range(rows.start // BLOCK_ROWS, -(-rows.stop // BLOCK_ROWS)):
        first = block * BLOCK_ROWS
        drawn = _block(streams, purpose, block, min(n, first + BLOCK_ROWS) - first, l, np.dtype(dtype))
        start, stop = max(rows.start, first), min(rows.stop, first + len(drawn))
        made[start - rows.start : stop - rows.start] = drawn[start - first : stop - first]
    return made


def _block(streams: Streams, purpose: str, block: int, rows: int, l: int, dtype: numpy.dtype) -> numpy.ndarray:
    if dtype.kind == "c":
        out = np.empty((rows, l), dtype)
        real = out.real.dtype
        out.real = _block(streams, purpose + "/re", block, rows, l, real)
        out.imag = _block(streams, purpose + "/im", block, rows, l, real)
        out *= np.sqrt(0.5).astype(real)
        return out
    return streams.generator(purpose, block).standard_normal((l, rows)).T.astype(dtype)
