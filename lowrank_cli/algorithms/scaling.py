"""Bring a matrix to a scale where nothing an algorithm does can overflow or vanish, exactly."""

from __future__ import annotations

import dataclasses

from ..errors import UsageError
from ..lazy import np
from ..matrices.facts import MatrixFacts
from ..matrices.metered import Metered

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


def bring_to_scale(matrix: Metered, transposed: bool = False) -> Scaled:
    """One pass over the matrix, then scaling by a power of two if its largest entry asks for it.

    transposed: the facts hold squared norms of rows instead of columns. Raises InputError for NaN or infinite entries.
    """
    facts = matrix.sweep(transposed)
    exponent = facts.binade if abs(facts.binade) > _WINDOW[str(np.dtype(matrix.dtype))] else 0
    return Scaled(matrix.scaled(-exponent) if exponent else matrix, facts, exponent)


def check_rank(rank: int | None, limit: int, what: str) -> None:
    """Raise UsageError when the rank asked for exceeds what the shape allows."""
    if rank is not None and rank > limit:
        raise UsageError(f"--rank {rank} is too large: {what} allows at most {limit}")
