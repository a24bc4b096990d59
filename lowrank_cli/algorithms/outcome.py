"""What a method returns."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING, Any

from ..certificates.certificate import Certificate
from ..factors.base import Approximation
from ..matrices.metered import Ledger

if TYPE_CHECKING:
    import numpy


class Status(enum.Enum):
    """How a computation ended. Not reaching a tolerance is a status, not an exception."""

    CONVERGED = "converged"
    RANK_REACHED = "rank_reached"
    PASSES_SPENT = "passes_spent"
    STAGNATED = "stagnated"
    GIVEN_EXHAUSTED = "given_exhausted"

    @property
    def advice(self) -> str:
        return _ADVICE[self]


_ADVICE = {
    Status.CONVERGED: "The request was met.",
    Status.RANK_REACHED: "The rank cap stopped before the tolerance; raise --rank or loosen --rtol.",
    Status.PASSES_SPENT: "The allowance of passes is spent; the error is what was reached.",
    Status.GIVEN_EXHAUSTED: "No matrix with the given factor is nearer; loosen --rtol or give another factor.",
    Status.STAGNATED: "Rounding stopped progress before the tolerance; it is below what this dtype can show.",
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A factorization, how it ended, how good it is, and what it cost.

    facts holds what only this method can say, for the report's ``method_facts``. spectrum: leading singular values of
    the matrix as far as the method saw them, more than the rank where it can; those beyond it are estimates from below.
    """

    factor: Approximation
    status: Status
    certificate: Certificate
    ledger: Ledger
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    spectrum: numpy.ndarray | None = None

    @property
    def bound_met(self) -> bool:
        """Whether every tolerance that was asked for holds."""
        return self.status is Status.CONVERGED
