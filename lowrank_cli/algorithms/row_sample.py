"""A few rows of a tall matrix, read before its first pass: how large its entries are, where it is large, and whether
one pass is going to be enough.

Rows say little of one another's size but much of where the others point: of rows that come from one population, s give
the right singular directions to within the share n / s of what noise adds to a row (Johnstone 2001 has the limits of
that). What they miss costs passes, never truth: the pass itself measures what it captured.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..lazy import np
from ..matrices.adjoint import Adjoint
from ..matrices.blocks import gram, times
from ..matrices.dense import SINGLE, TiledMatrix
from ..matrices.metered import Metered
from ..matrices.orthonormal import orthonormalize
from ..matrices.tiles import scale_exactly
from ..sketches.gaussian import gaussian
from ..streams import Streams

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine

#: Bytes of the sample in single precision, at most, and the share of the rows.
BYTES, SHARE = 64 << 20, 32
#: Runs of rows that lie together, spread evenly: rows that were written at about the same time may be alike.
RUNS = 8
#: Rows of each half of the sample for each direction that it has to tell, at least.
_ROWS = 4
#: Columns beyond the directions wanted, and power steps, that find them in memory.
_SPARE, _STEPS = 16, 3
#: Sizes of entries, as powers of two, that are left as they are.
_NEAR = 20
#: A sample makes what has no place look larger than it is, by (1 + sqrt(n / s))^2 for noise, and the pass is the judge:
#: so many times what may remain is still worth a try.
_TRY = 4
#: Further passes that would take less than this share off the squared error are left out.
NOTHING = 2e-5


@dataclasses.dataclass(frozen=True)
class Sample:
    """exponent: entries are about as large as 2**exponent; 0 when they are near 1, or zero. V: orthonormal columns that
    hold most of the rows, in single precision; None where the sample is too small. enough: whether a pass that begins
    there is likely to leave nothing to a second one."""

    exponent: int
    V: numpy.ndarray | None = None
    enough: bool = False


def taken(matrix: Metered | Adjoint, rank: int, kept: int, streams: Streams) -> Sample:
    """A sample of a dense matrix that is at least as tall as wide: what it says of ``kept`` directions, and of the
    ``rank`` that are wanted. Cost: at most 1 / 32 of a pass, 64 MiB, and the few products of that."""
    m, n = matrix.shape
    low = np.dtype(SINGLE.get(str(matrix.dtype), str(matrix.dtype)))
    s = min(m // SHARE, BYTES // (n * low.itemsize))
    tells = s // 2 >= _ROWS * (kept + _SPARE)
    rows, exponent = _read(matrix, s if tells else min(m, 2 * RUNS), low)
    if not tells or not all(np.all(np.isfinite(run)) for run in np.array_split(rows, RUNS)):
        return Sample(exponent)
    engine = matrix.engine
    G = gaussian(streams, "row sample", n, min(n, kept + _SPARE), low, engine)
    half = len(rows) // 2
    first, second = TiledMatrix(rows[:half], engine), TiledMatrix(rows[half:], engine)
    V = _leading(first, G, kept, engine)
    squares = _squares(second, _leading(second, G, kept, engine), engine)
    # on rows that V has not seen it misses twice what they add to their own directions; all rows together, a half of it
    missed = np.maximum(squares - _squares(second, V, engine), 0.0)[:rank] / 4
    total = sum(float(np.sum(np.square(abs(run)), dtype=np.float64)) for run in np.array_split(rows[half:], RUNS))
    left = total - float(np.sum(squares[:rank]))
    enough = rank < len(squares) and remains(missed, squares, rank, -1) <= _TRY * NOTHING * left
    return Sample(exponent, _leading(TiledMatrix(rows, engine), G, kept, engine), enough)


def remains(gained: numpy.ndarray, squares: numpy.ndarray, k: int, beyond: int) -> float:
    """What is still to gain of the squares of k singular values after a half step that added ``gained`` to each: it
    multiplies what is left out of a direction by t / s_i^2, for t the largest square that has no place in the basis,
    squares[beyond]. Infinite where that is no clear gap."""
    ratio = squares[beyond] / np.maximum(squares[:k], np.finfo(np.float64).tiny)
    if not ratio[-1] < 0.5:
        return math.inf
    return float(np.sum(gained * ratio / (1 - ratio)))


def _leading(S: TiledMatrix, G: numpy.ndarray, kept: int, engine: Engine) -> numpy.ndarray:
    """Right singular directions of the largest singular values, by subspace iteration from G."""
    X = G
    for _ in range(_STEPS):
        X = orthonormalize(S.normal_matmat(X)[1], engine)[0]
    T = np.linalg.eigh(gram(S.matmat(X), engine))[1][:, ::-1]
    return times(X, T[:, :kept].astype(X.dtype), engine)


def _squares(S: TiledMatrix, V: numpy.ndarray, engine: Engine) -> numpy.ndarray:
    """Squared singular values of S V, non-increasing."""
    return np.maximum(np.linalg.eigvalsh(gram(S.matmat(V), engine))[::-1], 0.0)


def _read(matrix: Metered | Adjoint, s: int, dtype: numpy.dtype) -> tuple[numpy.ndarray, int]:
    """(rows * 2**-exponent, exponent) of s rows in runs, every other run in the first half."""
    m, n = matrix.shape
    length = max(1, s // RUNS)
    starts = np.linspace(0, m - length, min(RUNS, s)).astype(np.int64).tolist()
    rows, sizes = np.empty((len(starts) * length, n), dtype), []
    runs = [slice(i, i + length) for i in range(0, len(rows), length)]
    for start, run in zip(starts[::2] + starts[1::2], runs, strict=True):
        block = matrix.block(slice(start, start + length), slice(0, n))
        sizes.append(binade(block))
        rows[run] = scale_exactly(block, -(sizes[-1] or 0))
    exponent = far(max((size for size in sizes if size is not None), default=0))
    for run, size in zip(runs, sizes, strict=True):
        rows[run] = scale_exactly(rows[run], (size or 0) - exponent)
    return rows, exponent


def binade(block: numpy.ndarray) -> int | None:
    """The power of two above the largest entry; None where all are zero, or one is not finite."""
    largest = float(abs(block).max(initial=0.0))
    return math.frexp(largest)[1] if 0 < largest < math.inf else None


def far(exponent: int | None) -> int:
    """The exponent, or 0 where entries of that size may stay as they are."""
    return exponent if exponent is not None and abs(exponent) > _NEAR else 0
