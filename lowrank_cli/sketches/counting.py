"""A count sketch: many numbers added up to a few, each with a random sign and in a random place."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..lazy import np
from ..streams import BLOCK_ROWS, Streams

if TYPE_CHECKING:
    import numpy

#: Sums that a sketch consists of.
SUMS = 64


@dataclasses.dataclass(frozen=True, eq=False)
class CountSketch:
    """S (SUMS, n), whose column i holds nothing but signs[i] = +-1 in row places[i].

    |S B|_F^2 is |B|_F^2 on average, with a relative standard deviation of at most sqrt(2 / SUMS), as of SUMS Gaussian
    probes (Charikar, Chen and Farach-Colton 2002; Thorup and Zhang 2012): two of the n share a place with probability
    1 / SUMS at most, and no two of the first SUMS do, of the next SUMS and so on, so that of SUMS numbers none is lost.
    """

    signs: numpy.ndarray
    places: numpy.ndarray

    def part(self, lines: slice) -> CountSketch:
        """S[:, lines]."""
        return CountSketch(self.signs[lines], self.places[lines])

    def dense(self, dtype: numpy.dtype) -> numpy.ndarray:
        """S^T (n, SUMS)."""
        made = np.zeros((len(self.signs), SUMS), dtype)
        made[np.arange(len(made)), self.places] = self.signs
        return made


def count_sketch(streams: Streams, purpose: str, n: int) -> CountSketch:
    """That of a purpose for n numbers, drawn by blocks of 4096. SUMS of them in a row go to places in a row, from
    a random one on and around."""
    signs, places = np.empty(n, np.int8), np.empty(n, np.int8)
    for block, start in enumerate(range(0, n, BLOCK_ROWS)):
        generator = streams.generator(purpose, block)
        turns = generator.integers(SUMS, size=BLOCK_ROWS // SUMS)
        lines = np.arange(min(BLOCK_ROWS, n - start))
        places[start : start + BLOCK_ROWS] = (lines + turns[lines // SUMS]) % SUMS
        signs[start : start + BLOCK_ROWS] = 2 * generator.integers(2, size=BLOCK_ROWS)[: len(lines)] - 1
    return CountSketch(signs, places)
