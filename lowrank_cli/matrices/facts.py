"""The first look at a matrix: finite or not, and how large; right at every scale a float can hold."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..kernels import jit
from ..kernels import sweep as kernel
from ..lazy import np
from .grid import TreeSum

if TYPE_CHECKING:
    import numpy

    from .protocols import Matrix


@dataclasses.dataclass(frozen=True)
class MatrixFacts:
    """max_abs: largest |entry| (complex: largest part). exponent: 0, or floor(log2(max_abs)) when squares could
    overflow or vanish. column_squares (n,) float64: squared column norms of A * 2**-exponent. kernel: what ran.
    """

    max_abs: float
    exponent: int
    column_squares: numpy.ndarray
    kernel: str = "numpy"

    @property
    def squares(self) -> float:
        """Squared Frobenius norm of A * 2**-exponent."""
        return float(np.sum(self.column_squares))

    @property
    def norm(self) -> float:
        """Frobenius norm of A; infinite when it is beyond the largest float."""
        return ldexp(math.sqrt(self.squares), self.exponent)

    @property
    def binade(self) -> int:
        """e with 2**e <= max_abs < 2**(e + 1); 0 for a zero matrix."""
        return math.frexp(self.max_abs)[1] - 1 if self.max_abs > 0 else 0


def ldexp(value: float, exponent: int) -> float:
    """value * 2**exponent; infinity, not an exception, on overflow."""
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(math.inf, value)


def combine(parts: Sequence[tuple[slice, kernel.TileFacts]], columns: int, flavour: str) -> MatrixFacts:
    """Facts of a matrix from those of its tiles, given with their columns, added in the order given, in a tree."""
    max_abs = max((facts.max_abs for _, facts in parts), default=0.0)
    exponent = max((facts.exponent for _, facts in parts if facts.max_abs == max_abs), default=0)
    sums: dict[tuple[int, int], TreeSum] = {}
    for cols, facts in parts:
        shift = 2 * (facts.exponent - exponent)
        # copied either way: what is in a sum is written to
        sums.setdefault((cols.start, cols.stop), TreeSum()).add(np.ldexp(facts.column_squares, shift))
    total = np.zeros(columns)
    for (start, stop), tree in sums.items():
        total[start:stop] = tree.total()
    return MatrixFacts(max_abs, exponent, total, flavour)


def merged(seen: list[tuple[slice, slice, kernel.TileFacts]]) -> list[tuple[slice, slice, kernel.TileFacts]]:
    """The facts of the tiles of a node of the tree, one for each block of columns; as they are where some are bad, so
    that the place is known."""
    if any(facts.first_bad is not None for _, _, facts in seen):
        return seen
    blocks: dict[tuple[int, int], list[tuple[slice, slice, kernel.TileFacts]]] = {}
    for one in seen:
        blocks.setdefault((one[1].start, one[1].stop), []).append(one)
    made = []
    for (start, stop), tiles in blocks.items():
        whole = combine([(slice(0, stop - start), facts) for *_, facts in tiles], stop - start, "numpy")
        rows = slice(tiles[0][0].start, tiles[-1][0].stop)
        found = kernel.TileFacts(whole.max_abs, whole.exponent, whole.column_squares, 0, None)
        made.append((rows, slice(start, stop), found))
    return made


def sweep(matrix: Matrix, transposed: bool = False) -> MatrixFacts:
    """One pass over the tiles; transposed: facts of A^T, whose columns are the rows of A.

    Raises InputError with the first position and the count of NaN and infinite entries.
    """
    look, conclude = looking(matrix, transposed)
    return conclude(matrix.tiles(look))


def looking(
    matrix: Matrix, transposed: bool, sums: bool = False
) -> tuple[Callable[..., Any], Callable[[list[Any]], MatrixFacts]]:
    """What ``sweep`` does with each tile, and what it makes of all the results. sums: the former is also told
    which sums of lines to take on the way."""
    use = not sums and jit.pays(kernel.seconds_saved(*matrix.shape)) and matrix.dtype.kind == "f"

    def look(
        _: int,
        rows: slice,
        cols: slice,
        tile: numpy.ndarray,
        signed: tuple[kernel.Signed, numpy.ndarray] | None = None,
    ) -> tuple[slice, slice, kernel.TileFacts]:
        facts = kernel.tile_sweep(tile.T if transposed else tile, use, signed)
        if transposed and facts.bad:
            # "first" means first by rows of A
            facts = kernel.tile_sweep(tile, compiled=use)
        return rows, cols, facts

    if not transposed:
        look.fold = merged  # type: ignore[attr-defined]

    def conclude(seen: list[tuple[slice, slice, kernel.TileFacts]]) -> MatrixFacts:
        bad = []
        for rows, cols, facts in seen:
            if facts.first_bad is not None:
                row, col = facts.first_bad
                bad.append((rows.start + row, cols.start + col, facts.bad))
        if bad:
            refuse_not_finite(*min(bad)[:2], sum(count for *_, count in bad), getattr(matrix, "name", None))
        lines = [(rows if transposed else cols, facts) for rows, cols, facts in seen]
        return combine(lines, matrix.shape[0 if transposed else 1], jit.flavour(use))

    return look, conclude


def refuse_not_finite(row: int, col: int, count: int, where: str | None) -> None:
    """Raise the InputError for a matrix with NaN or infinite entries."""
    entries = "1 entry is" if count == 1 else f"{count} entries are"
    raise InputError(
        f"{entries} NaN or infinite, the first at row {row}, column {col} (counted from 0)",
        where=where,
        hint="remove or replace such entries first",
    )
