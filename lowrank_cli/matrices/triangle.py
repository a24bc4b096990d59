"""The triangle of a QR decomposition: what has the singular values of a tall matrix in the room of a few small ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import np
from ..memory import available_memory
from .grid import TILE

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine
    from .tall import Tall

#: Matrices of fewer entries are decomposed as they are.
_LEAST = 1_000_000
#: Entries of a strip at least, so that narrow matrices are not read in crumbs.
_STRIP = 1 << 20
#: Arrays of the size of a strip while NumPy factors it: what came, two copies, and what is done with others meanwhile.
_COPIES = 4


def pays(m: int, n: int) -> bool:
    """Whether the triangle of a matrix of that shape, either way, is to be taken: it is much smaller."""
    return m * n > _LEAST and max(m, n) >= 2 * min(m, n)


def strip(l: int) -> int:
    """Rows of a strip of l columns: at least twice as many."""
    return -(-max(2 * l, _STRIP // l) // TILE) * TILE


def needs(l: int, itemsize: int) -> int:
    """Bytes of memory at least for l columns."""
    return (_COPIES * strip(l) + 4 * l) * l * itemsize


def flops(m: int, l: int) -> int:
    """Of m rows: each strip is factored, and its triangle below the one of those before it."""
    return 2 * m * l * l + m // strip(l) * (10 * l**3 // 3)


def triangle(W: Tall, engine: Engine) -> numpy.ndarray:
    """R with W^H W = R^H R, by Householder QR of W (m, l) in double precision: its singular values are those of W.

    Strips are factored in parallel, as many as memory allows; their triangles join one after another in order, so that
    no bit depends on that.
    """
    (m, l), rows = W.shape, strip(W.shape[1])
    wide = np.result_type(W.dtype, np.float64)
    at_once = max(1, min(engine.threads, available_memory() // (_COPIES * rows * l * wide.itemsize)))
    starts, R = range(0, m, rows), np.zeros((0, l), wide)
    for first in range(0, len(starts), at_once):
        wave = starts[first : first + at_once]

        def one(i: int, wave: range = wave) -> numpy.ndarray:
            return np.linalg.qr(W[wave[i] : wave[i] + rows].astype(wide, copy=False), mode="r")

        for part in engine.map(one, len(wave)):
            R = np.linalg.qr(np.vstack([R, part]), mode="r") if len(R) else part
    return R
