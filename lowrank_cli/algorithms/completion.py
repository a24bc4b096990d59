"""From ordered pieces of an approximation to the one that is asked for: its rank, its error, its status."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..certificates.certificate import Certificate
from ..certificates.residual import exact, residual
from ..matrices.facts import MatrixFacts, ldexp
from .outcome import Status
from .scaling import Scaled
from .tolerance import rank_for, settle

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(frozen=True, eq=False)
class Ordered:
    """An approximation that can be cut at any rank k: build(k) is its factor on the scaled matrix.

    gains (K,): by how much the squared error falls from rank j to j + 1; beyond: estimate of the squared error at
    rank K.
    """

    build: Callable[[int], Any]
    gains: numpy.ndarray
    beyond: float


@dataclasses.dataclass(frozen=True)
class Completed:
    """The rank taken, the residual measured there on the scaled matrix (None: not measured), and the status."""

    rank: int
    error: MatrixFacts | None
    status: Status


def complete(pieces: Ordered, scaled: Scaled, budget: Budget, target: float | None) -> Completed:
    """Cut at the rank asked for, or at the smallest whose error meets the target.

    With certify "exact" every answer is measured against the matrix, one pass each. When no rank meets the target for
    rounding, the smallest that is as good.
    """
    cap = max(1, min(budget.rank or len(pieces.gains), len(pieces.gains)))
    measured = budget.certify == "exact"

    def measure(factor: Any) -> MatrixFacts:
        return residual(scaled.matrix, factor)

    if target is None or not len(pieces.gains):
        return Completed(cap, measure(pieces.build(cap)) if measured else None, Status.CONVERGED)
    guess = rank_for(target, pieces.beyond, pieces.gains)
    if not measured:
        return Completed(min(guess, cap), None, _status(guess <= cap, cap, budget))
    settled = settle(guess, cap, target, pieces.gains, pieces.build, measure)
    return Completed(settled.factor.rank, settled.error, _status(settled.met, settled.factor.rank, budget))


def _status(met: bool, rank: int, budget: Budget) -> Status:
    if met:
        return Status.CONVERGED
    capped = budget.rank is not None and rank >= budget.rank
    return Status.RANK_REACHED if capped else Status.STAGNATED


def certify(done: Completed, scaled: Scaled, optimal_lower: float | None = None) -> Certificate:
    """The certificate on the scale of the given matrix."""
    if done.error is None:
        return Certificate(matrix_norm=scaled.facts.norm)
    found = exact(done.error, scaled.work_facts, optimal_lower)
    return dataclasses.replace(found, absolute=ldexp(done.error.norm, scaled.exponent), matrix_norm=scaled.facts.norm)
