"""Bring a matrix to a scale where nothing an algorithm does can overflow or vanish, exactly."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ..errors import NumericalError, UsageError
from ..factors.base import Approximation
from ..lazy import np
from ..matrices.dense import SINGLE
from ..matrices.facts import MatrixFacts
from ..matrices.metered import Metered

if TYPE_CHECKING:
    import numpy

#: Beyond 2**-W .. 2**W fourth powers of entries, or LAPACK's own thresholds, come into reach.
_WINDOW = {"float32": 16, "complex64": 16, "float64": 100, "complex128": 100}


@dataclasses.dataclass(frozen=True)
class Scaled:
    """matrix is the given one times 2**-exponent; facts are those of the given one."""

    matrix: Metered
    facts: MatrixFacts
    exponent: int

    @property
    def work_facts(self) -> MatrixFacts:
        """Facts of the scaled matrix: only the exponent differs."""
        facts = self.facts
        return dataclasses.replace(facts, exponent=facts.exponent - self.exponent)

    @property
    def squares(self) -> float:
        """Squared Frobenius norm of the scaled matrix."""
        return float(np.ldexp(self.facts.squares, 2 * (self.facts.exponent - self.exponent)))


def bring_to_scale(matrix: Metered, transposed: bool = False, single: bool = False) -> Scaled:
    """One pass over the matrix, then scaling by a power of two if its largest entry asks for it.

    transposed: the facts hold squared norms of rows instead of columns. single: ``lowered`` is going to be asked for;
    where it keeps its tiles the same reading makes them. Raises InputError for NaN or infinite entries.
    """
    facts = matrix.shared.get(("facts", transposed))
    if facts is not None:
        matrix.ledger.passes += 1
        return at_scale(matrix, facts)
    stored: Any = matrix.inner
    low = stored.kept_single() if single and hasattr(stored, "kept_single") else None
    matrix.shared["facts", transposed] = facts = matrix.sweep(transposed, low)
    scaled = at_scale(matrix, facts)
    if low is not None and not scaled.exponent and not _single_exponent(scaled):
        matrix.shared["single"] = low
    return scaled


def at_scale(matrix: Metered, facts: MatrixFacts) -> Scaled:
    """The matrix, whose facts are known, scaled by a power of two if its largest entry asks for it."""
    exponent = exponent_for(facts.binade, matrix.dtype)
    return Scaled(matrix.scaled(-exponent) if exponent else matrix, facts, exponent)


def exponent_for(binade: int, dtype: numpy.dtype) -> int:
    """The exponent to take out of a matrix of that binade; 0 where nothing is in reach of overflow or underflow."""
    return binade if abs(binade) > _WINDOW[str(np.dtype(dtype))] else 0


def lowered(scaled: Scaled) -> tuple[Metered, int] | None:
    """(the matrix times 2**-exponent in single precision, exponent); None for a matrix that has no more digits."""
    matrix = scaled.matrix
    if str(matrix.dtype) not in SINGLE:
        return None
    exponent = _single_exponent(scaled)
    kept = matrix.shared.get("single")
    if kept is None:
        matrix.shared["single"] = kept = matrix.inner.single(-exponent)
    return Metered(kept, matrix.ledger, matrix.shared), exponent


def _single_exponent(scaled: Scaled) -> int:
    """The exponent to take out of a scaled matrix before it is rounded."""
    return exponent_for(scaled.facts.binade - scaled.exponent, np.dtype(np.float32))


def restored(factor: Approximation, exponent: int) -> Approximation:
    """The approximation of a matrix that was brought to scale, times 2**exponent. Raises NumericalError on overflow."""
    with np.errstate(over="ignore"):
        made = factor.scaled(exponent)
    if not all(np.all(np.isfinite(array)) for array in made.arrays().values()):
        raise NumericalError(f"the factors overflow {np.dtype(made.dtype)}", hint="scale the matrix down")
    return made


def check_rank(rank: int | None, limit: int, what: str) -> None:
    """Raise UsageError when the rank asked for exceeds what the shape allows."""
    if rank is not None and rank > limit:
        raise UsageError(f"--rank {rank} is too large: {what} allows at most {limit}")
