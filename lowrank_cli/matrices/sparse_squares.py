"""The first look at a sparse matrix that stays in its file: sums of squares, in the order of one that is in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..kernels.csr import csr_tree_sums
from ..kernels.sweep import TileFacts, exponent_for, sweep_numpy
from ..lazy import np
from .facts import MatrixFacts, combine, refuse_not_finite
from .lines import Strip
from .scattered import Scattered

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(frozen=True, eq=False)
class Squares:
    """Of entries times 2**-exponent. sums: of the squares in each column, or row; max_abs: of the entries as they are.
    bad: row, column and count of some that are not finite: where there are any, the sums say nothing."""

    bad: list[tuple[int, int, int]]
    max_abs: float
    exponent: int
    sums: numpy.ndarray


def squares(
    strips: Iterable[tuple[Strip, numpy.ndarray]],
    shape: tuple[int, int],
    by_rows: bool,
    stretch: int,
    transposed: bool,
    exponent: int,
) -> Squares:
    """Of all strips and their values. transposed: in each row, in the order of its columns; else in each column, by
    stretches of rows, and these in the tree."""
    m, n = shape
    bad, max_abs = [], 0.0
    sums, tree = np.zeros(m if transposed else n), Scattered((n,), np.dtype(np.float64), m, stretch)
    for strip, data in strips:
        values, largest = sweep_numpy(data[None, :], exponent)
        wrong = ~np.isfinite(data)
        if wrong.any():
            rows, cols = (places[wrong] for places in strip.places(by_rows))
            first = np.lexsort((cols, rows))[0]
            bad.append((int(rows[first]), int(cols[first]), len(rows)))
            continue
        max_abs = max(max_abs, largest)
        if transposed:
            np.add.at(sums, strip.places(by_rows)[0], values)
        elif by_rows:
            tree.take(strip.lines, strip.pointer, strip.indices, _adding(strip.indices, values))
        else:
            sums[strip.lines] = csr_tree_sums(strip.pointer, strip.indices, values, stretch)
    return Squares(bad, max_abs, exponent, tree.total() if by_rows and not transposed else sums)


def _adding(indices: numpy.ndarray, values: numpy.ndarray) -> Callable[[slice, slice, numpy.ndarray], None]:
    return lambda _, at, sums: np.add.at(sums, indices[at], values[at])


def facts_of(look: Callable[[int], Squares], name: str | None) -> MatrixFacts:
    """What look(exponent) sees, again with another exponent where squares leave the range of floats. Raises InputError
    for entries that are not finite."""
    exponent = 0
    while True:
        seen = look(exponent)
        if seen.bad:
            refuse_not_finite(*min(seen.bad)[:2], sum(count for *_, count in seen.bad), name)
        if exponent == exponent_for(seen.max_abs):
            length = len(seen.sums)
            facts = TileFacts(seen.max_abs, exponent, seen.sums, 0, None)
            return combine([(slice(0, length), facts)], length, "numpy")
        exponent = exponent_for(seen.max_abs)
