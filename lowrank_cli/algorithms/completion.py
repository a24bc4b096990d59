"""From ordered pieces of an approximation to the one that is asked for: its rank, its error, its status."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..certificates.certificate import Certificate
from ..lazy import np
from .assessment import Assessor
from .outcome import Status
from .scaling import Scaled
from .tolerance import Assessment

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(frozen=True, eq=False)
class Ordered:
    """An approximation that can be cut at any rank k: build(k) is its factor on the scaled matrix.

    gains (K,): by how much the squared error falls from rank j to j + 1; beyond: estimate of the squared error at
    rank K. optimal_lower(k): a proven lower bound of the best relative error of rank k, or None.
    """

    build: Callable[[int], Any]
    gains: numpy.ndarray
    beyond: float
    optimal_lower: Callable[[int], float | None] = lambda k: None


@dataclasses.dataclass(frozen=True)
class Completed:
    """The rank taken, what is known of the error there, and the status."""

    rank: int
    certificate: Certificate
    status: Status


def seen(gains: numpy.ndarray, rank: int, exponent: int) -> numpy.ndarray:
    """Singular values of the matrix as given, from squared ones of the scaled one: so many that a cut at the rank can
    be seen among them."""
    return np.ldexp(np.sqrt(np.maximum(gains[: 2 * rank + 10], 0.0)), exponent)


def complete(
    pieces: Ordered, scaled: Scaled | None, budget: Budget, target: float | None, assess: Assessor | None
) -> Completed:
    """Cut at the rank asked for, or at the smallest whose assessed error meets the target. scaled: read only for the
    norm of a matrix whose error is not assessed."""
    cap = max(1, min(budget.rank or len(pieces.gains), len(pieces.gains)))
    if assess is None:
        return Completed(cap, Certificate(matrix_norm=None if scaled is None else scaled.facts.norm), Status.CONVERGED)

    def judge(k: int) -> Assessment:
        return assess(pieces.build(k), pieces.optimal_lower(k))

    if target is None or not len(pieces.gains):
        return Completed(cap, judge(cap).certificate, Status.CONVERGED)
    capped = budget.rank is not None and cap >= budget.rank
    guess = assess.guess(target, pieces.beyond, pieces.gains)
    found = assess.find(guess, cap, target, pieces.gains, judge, capped)
    status = Status.CONVERGED if found.met else Status.RANK_REACHED if capped else Status.STAGNATED
    return Completed(found.rank, found.assessment.certificate, status)
