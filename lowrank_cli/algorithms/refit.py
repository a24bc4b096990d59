"""The rank that meets a tolerance, for methods whose factor of one rank is no beginning of that of the next."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ..budget import Budget
from ..certificates.certificate import Certificate
from ..factors.base import Approximation
from ..streams import Streams
from .assessment import Assessor, Measured, Spectral, assessor
from .outcome import Status
from .scaling import Scaled
from .tolerance import Assessment, Judge, Settled, bracket, target_square

#: Makes the approximation of a rank, on the scaled matrix, and what is to be said of it.
Build = Callable[[int], tuple[Approximation, dict[str, Any]]]


@dataclasses.dataclass(frozen=True)
class Refitted:
    """The approximation taken, on the scaled matrix, what is known of its error, and what its making has to say."""

    factor: Approximation
    certificate: Certificate
    status: Status
    facts: dict[str, Any]


def refit(build: Build, scaled: Scaled, budget: Budget, most: int, limit: int, streams: Streams) -> Refitted:
    """The approximation of the rank asked for, or the smallest one found whose assessed error meets the tolerance.

    Ranks 1, 2, 4, ... are built until one meets it, then those between by halves: the smallest rank where errors fall
    with the rank, as they do but for chance. Bounds that may fail are looked at for 1, 2, 4, ... alone, a schedule that
    is fixed before the first look. most: the highest rank that is worth its work when only a tolerance is given;
    limit: the highest there is. Cost: that of a build, for each rank tried.
    """
    assess = assessor(scaled, budget, streams)
    target = None if assess is None else target_square(budget, scaled, assess.norm)
    if assess is None or target is None:
        factor, facts = build(min(budget.rank or 1, limit))
        known = Certificate(matrix_norm=scaled.facts.norm) if assess is None else assess(factor, None).certificate
        return Refitted(factor, known, Status.CONVERGED, facts)
    cap = min(budget.rank or most, limit)
    made: dict[str, tuple[int, Any]] = {}

    def judge(k: int) -> Assessment:
        built = build(k)
        found = assess(built[0], None)
        if found.square <= target and ("met" not in made or k < made["met"][0]):
            made["met"] = k, built
        made["last"] = k, built
        return found

    settled = bracket(1, cap, target, judge) if _exact(assess) else _doubling(cap, target, judge)
    factor, facts = made["met" if settled.met else "last"][1]
    missed = (
        Status.RANK_REACHED if budget.rank is not None else Status.PASSES_SPENT if cap < limit else Status.STAGNATED
    )
    return Refitted(factor, settled.assessment.certificate, Status.CONVERGED if settled.met else missed, facts)


def _exact(assess: Assessor) -> bool:
    return isinstance(assess, Measured) or (isinstance(assess, Spectral) and assess.exact)


def _doubling(cap: int, target: float, judge: Judge) -> Settled:
    rank = 1
    while True:
        found = judge(rank)
        if found.square <= target or rank >= cap:
            return Settled(rank, found, found.square <= target)
        rank = min(cap, 2 * rank)
