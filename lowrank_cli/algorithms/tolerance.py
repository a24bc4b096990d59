"""From a tolerance to the smallest rank whose measured error meets it, along the method's own order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..budget import Budget
from ..certificates.certificate import Certificate
from ..errors import UsageError
from ..lazy import np
from ..matrices.facts import ldexp

if TYPE_CHECKING:
    import numpy

    from .scaling import Scaled

#: Measurements before we settle for the last rank that met the tolerance; each costs a pass.
_TRIALS = 6


def check_tolerance(budget: Budget, dtype: numpy.dtype) -> None:
    """Raise UsageError for a relative tolerance below the eps of the dtype: no approximation can show it."""
    eps = float(np.finfo(dtype).eps)
    if budget.rtol is not None and budget.rtol < eps:
        raise UsageError(
            f"--rtol {budget.rtol:g} is below the rounding unit {eps:.2g} of {np.dtype(dtype)}",
            hint="ask for a larger tolerance, or for a rank",
        )


def target_square(budget: Budget, scaled: Scaled, norm: float) -> float | None:
    """Squared absolute error to reach on the scaled matrix; None when no tolerance was given.

    norm: that of the scaled matrix, in the norm of the tolerance.
    """
    targets = []
    if budget.rtol is not None:
        targets.append((budget.rtol * norm) ** 2)
    if budget.atol is not None:
        wanted = ldexp(budget.atol, -scaled.exponent)
        # a power of a Python float raises where a product is infinite
        targets.append(wanted * wanted)
    return min(targets) if targets else None


@dataclasses.dataclass(frozen=True)
class Assessment:
    """square: the squared error or its bound, on the scaled matrix, to hold against a target."""

    square: float
    certificate: Certificate


@dataclasses.dataclass(frozen=True)
class Settled:
    """A rank, what was found of its error, and whether that met the target."""

    rank: int
    assessment: Assessment
    met: bool


#: Assesses the factor of a rank.
Judge = Callable[[int], Assessment]


def rank_for(target: float, beyond: float, gains: numpy.ndarray) -> int:
    """The smallest k >= 1 with beyond + sum of gains[k:] <= target; len(gains) + 1 when there is none.

    gains[j] is how much the squared error falls from rank j to j + 1; beyond is the squared error at full length.
    """
    tails = beyond + np.append(np.cumsum(gains[::-1])[::-1], 0.0)
    fits = np.flatnonzero(tails <= target)
    return max(1, int(fits[0])) if len(fits) else len(gains) + 1


def settle(guess: int, cap: int, target: float, gains: numpy.ndarray, judge: Judge, capped: bool) -> Settled:
    """The smallest rank <= cap whose measured squared error is at most target.

    One measurement tells the error at the neighbouring ranks too, since rank j + 1 lowers the squared error by
    gains[j]: so a guess is measured, moved where those say, and measured again only if it moved. With met False when
    no rank up to cap meets the target: cap, or, unless it was asked for (capped), the smallest rank within 5 % of its
    error, as the rest is rounding.
    """
    cap = min(cap, len(gains))
    rank, lowest = min(max(guess, 1), cap), 1
    best: Settled | None = None
    for _ in range(_TRIALS):
        found = judge(rank)
        square = found.square
        if square <= target:
            best = Settled(rank, found, True)
            fewer = rank
            while fewer > lowest and square + gains[fewer - 1] <= target:
                fewer -= 1
                square += gains[fewer]
            if fewer == rank:
                return best
            rank = fewer
            continue
        if best is not None:
            return best
        lowest = rank + 1
        if rank >= cap:
            reached = Settled(rank, found, False)
            return reached if capped else _without_noise(reached, gains, judge, target)
        while rank < cap and square > target:
            square -= gains[rank]
            rank += 1
    return best if best is not None else Settled(rank, judge(rank), False)


def _without_noise(full: Settled, gains: numpy.ndarray, judge: Judge, target: float) -> Settled:
    """The smallest rank about as good as ``full``: what rounding left of the rest is not worth storing."""
    floor = full.assessment.square
    rank = rank_for(1.1 * floor, floor, gains[: full.rank])
    if rank >= full.rank:
        return full
    found = judge(rank)
    return Settled(rank, found, found.square <= target)


def search(guess: int, cap: int, target: float, judge: Judge) -> Settled:
    """The first rank of a fixed schedule whose bound meets the target: guess, then 1, 2, 4, ... more, at most 5 %
    each time, up to cap.

    The schedule is fixed before the first look, so that a bound that may fail, its probability divided over the
    calls, keeps its promise; one that followed what the probes said would not.
    """
    rank, step = min(max(guess, 1), cap), 1
    while True:
        found = judge(rank)
        if found.square <= target or rank >= cap:
            return Settled(rank, found, found.square <= target)
        rank = min(cap, rank + step)
        step = max(1, min(2 * step, rank // 20))


def bracket(guess: int, cap: int, target: float, judge: Judge) -> Settled:
    """The smallest rank <= cap whose exact error meets the target, for errors that fall with the rank.

    From the guess in steps of 1, 2, 4, ... up or down until the target is between two ranks, then by halves.
    """
    low, high, rank, step = 0, cap + 1, min(max(guess, 1), cap), 1
    best: Settled | None = None
    last = judge(rank)
    while True:
        if last.square <= target:
            best, high = Settled(rank, last, True), rank
        else:
            low = rank
        if high - low <= 1:
            return best if best is not None else Settled(rank, last, False)
        if best is None:
            rank = min(cap, rank + step)
        elif low == 0:
            rank = max(1, rank - step)
        else:
            rank = (low + high) // 2
        step *= 2
        last = judge(rank)
