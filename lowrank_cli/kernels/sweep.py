"""The first look at a tile: is it finite, how large is it, how long are its columns. One read."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import TYPE_CHECKING

from ..lazy import np
from . import jit

if TYPE_CHECKING:
    import numpy

#: Rows summed before their sum joins the total: keeps a scratch block in cache, threads out of each other's way (each
#: step asks for the interpreter lock), and rounding below (128 + rows/128) eps.
BLOCK_ROWS = 128
#: Squares of numbers inside 2**-WINDOW .. 2**WINDOW neither overflow nor vanish when a matrix full of them is summed.
WINDOW = 400


@dataclasses.dataclass(frozen=True, eq=False)
class Signed:
    """Sums of rows of a tile, with signs. signs (rows, 1), +-1; runs: for each ``BLOCK_ROWS`` rows triples (a, b, p):
    their rows a .. b - 1 go to sums p, p + 1, ..."""

    signs: numpy.ndarray
    runs: list[list[tuple[int, int, int]]]


def signed_rows(signs: numpy.ndarray, places: numpy.ndarray) -> Signed:
    """That row i goes to sum places[i]."""
    runs = []
    for start in range(0, len(places), BLOCK_ROWS):
        own = places[start : start + BLOCK_ROWS]
        marks = [0, *(np.flatnonzero(np.diff(own) != 1) + 1).tolist(), len(own)]
        runs.append([(a, b, int(own[a])) for a, b in itertools.pairwise(marks)])
    return Signed(signs.astype(np.float64)[:, None], runs)


@dataclasses.dataclass(frozen=True)
class TileFacts:
    """What one sweep saw.

    max_abs: the largest |entry|; complex: the largest |real| or |imaginary| part. column_squares: (cols,) float64, sum
    of |entry * 2**-exponent|^2 by columns. bad: how many entries are NaN or infinite, first_bad the first in row-major
    order; if there is one, max_abs and column_squares are NaN.
    """

    max_abs: float
    exponent: int
    column_squares: numpy.ndarray
    bad: int
    first_bad: tuple[int, int] | None


def tile_sweep(
    tile: numpy.ndarray, compiled: bool = False, signed: tuple[Signed, numpy.ndarray] | None = None
) -> TileFacts:
    """Facts of a tile (rows, cols), the same bits for any storage of the same values.

    exponent is 0 unless max_abs lies outside 2**-400 .. 2**400; then it is floor(log2(max_abs)), after a second read.
    Multiplying the tile by a power of two multiplies the facts exactly, as long as nothing crosses that window or the
    range of squares. Squares are formed and summed in float64. signed: (which sums, the array (sums, cols) in double
    precision that they are added to), of entries as they are; no kernel does that. Cost: one read, 2 rows cols flops.
    """
    cols = tile.shape[1]
    module = jit.compiled() if compiled and signed is None else None
    if module is not None and tile.dtype in (np.float32, np.float64):
        squares, max_abs = _sweep_compiled(module, tile, 0)
    else:
        module = None
        squares, max_abs = sweep_numpy(tile, 0, signed)
    if not (math.isfinite(max_abs) and math.isfinite(_sum(squares))):
        bad, first = _locate(tile)
        if bad:
            return TileFacts(math.nan, 0, np.full(cols, math.nan), bad, first)
    exponent = exponent_for(max_abs)
    if exponent:
        squares, _ = sweep_numpy(tile, exponent) if module is None else _sweep_compiled(module, tile, exponent)
    return TileFacts(max_abs, exponent, squares, 0, None)


def exponent_for(max_abs: float) -> int:
    """0, or floor(log2(max_abs)) where squares of such entries could overflow or vanish."""
    if max_abs > 0 and not 2.0**-WINDOW <= max_abs <= 2.0**WINDOW:
        return math.frexp(max_abs)[1] - 1
    return 0


def seconds_saved(rows: int, cols: int) -> float:
    """Estimated saving of the kernel over the twin: about 0.5 ns an entry."""
    return 0.5e-9 * rows * cols


def sweep_numpy(
    tile: numpy.ndarray, exponent: int, signed: tuple[Signed, numpy.ndarray] | None = None
) -> tuple[numpy.ndarray, float]:
    """(column sums of |entry * 2**-exponent|^2, largest part in modulus or NaN or inf); the oracle of the kernel."""
    rows, cols = tile.shape
    parts = 2 if np.iscomplexobj(tile) else 1
    width = parts * cols
    scratch = np.empty((min(rows, BLOCK_ROWS), width))
    squares = np.zeros(width)
    largest = 0.0
    with np.errstate(all="ignore"):
        for start in range(0, rows if cols else 0, BLOCK_ROWS):
            block = tile[start : start + BLOCK_ROWS]
            if parts == 2:
                block = np.ascontiguousarray(block)
                block = block.view(block.real.dtype)
            work = scratch[: len(block)]
            if exponent:
                np.ldexp(block.astype(np.float64), -exponent, out=work)
                np.square(work, out=work)
            elif signed is None and block.dtype == work.dtype and block.flags.c_contiguous:
                np.square(block, out=work)
            else:
                # in two steps: NumPy squares a strided block at half the speed that it copies one
                np.copyto(work, block)
                if signed is not None:
                    _add_signed(work, start, *signed)
                np.square(work, out=work)
            # NaN comes through the maximum and the sum
            top = float(work.max())
            largest = top if math.isnan(top) else max(largest, top)
            if math.isnan(largest):
                break
            # a single column would be summed pairwise, which the other widths and the kernel are not
            squares += work.sum(axis=0) if width > 1 else np.cumsum(work)[-1]
        max_abs = math.sqrt(largest)
        if exponent or not 2.0**-900 <= largest <= 2.0**900:
            # squares that vanished or overflowed tell nothing; else the root of a rounded square is the number itself
            high, low = float(tile.real.max(initial=0.0)), float(tile.real.min(initial=0.0))
            if parts == 2:
                high, low = max(high, float(tile.imag.max(initial=0.0))), min(low, float(tile.imag.min(initial=0.0)))
            max_abs = max(abs(high), abs(low)) if not math.isnan(largest) else largest
    if parts == 2:
        squares = squares[0::2] + squares[1::2]
    return squares, max_abs


def _add_signed(work: numpy.ndarray, start: int, signed: Signed, total: numpy.ndarray) -> None:
    """Rows of a tile from that one on added to their sums; they get their signs in place."""
    if total.dtype != work.dtype:
        total = total.view(work.dtype)
    np.multiply(work, signed.signs[start : start + len(work)], out=work)
    for a, b, place in signed.runs[start // BLOCK_ROWS]:
        into = total[place : place + b - a]
        np.add(into, work[a:b], out=into)


def _sweep_compiled(module: object, tile: numpy.ndarray, exponent: int) -> tuple[numpy.ndarray, float]:
    squares, largest = np.zeros(tile.shape[1]), np.zeros(tile.shape[1])
    # 2**-exponent itself may overflow; its two halves do not
    half = -exponent // 2
    factors = math.ldexp(1.0, half), math.ldexp(1.0, -exponent - half)
    module.sweep(jit.frozen(tile), BLOCK_ROWS, squares, largest, *factors)  # type: ignore[attr-defined]
    return squares, float(largest.max(initial=0.0))


def _sum(values: numpy.ndarray) -> float:
    with np.errstate(all="ignore"):
        return float(values.sum())


def _locate(tile: numpy.ndarray) -> tuple[int, tuple[int, int] | None]:
    """How many entries are not finite, and the first in row-major order."""
    wrong = ~np.isfinite(tile)
    count = int(np.count_nonzero(wrong))
    if not count:
        return 0, None
    row = int(np.argmax(wrong.any(axis=1)))
    return count, (row, int(np.argmax(wrong[row])))
