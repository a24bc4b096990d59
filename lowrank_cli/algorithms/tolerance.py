"""From a tolerance to the smallest rank whose measured error meets it, along the method's own order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..budget import Budget
from ..errors import UsageError
from ..factors.base import Factorization
from ..lazy import np
from ..matrices.facts import MatrixFacts, ldexp

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


def target_square(budget: Budget, scaled: Scaled) -> float | None:
    """Squared absolute error to reach on the scaled matrix; None when no tolerance was given."""
    targets = []
    if budget.rtol is not None:
        targets.append(budget.rtol**2 * scaled.squares)
    if budget.atol is not None:
        targets.append(ldexp(budget.atol, -scaled.exponent) ** 2)
    return min(targets) if targets else None


@dataclasses.dataclass(frozen=True)
class Settled:
    """A factor, its measured residual (of the scaled matrix), and whether that met the target."""

    factor: Factorization
    error: MatrixFacts
    met: bool


def absolute_square(error: MatrixFacts) -> float:
    return float(np.ldexp(error.squares, 2 * error.exponent))


def rank_for(target: float, beyond: float, gains: numpy.ndarray) -> int:
    """The smallest k >= 1 with beyond + sum of gains[k:] <= target; len(gains) + 1 when there is none.

    gains[j] is how much the squared error falls from rank j to j + 1; beyond is the squared error at full length.
    """
    tails = beyond + np.append(np.cumsum(gains[::-1])[::-1], 0.0)
    fits = np.flatnonzero(tails <= target)
    return max(1, int(fits[0])) if len(fits) else len(gains) + 1


def settle(
    guess: int,
    cap: int,
    target: float,
    gains: numpy.ndarray,
    build: Callable[[int], Factorization],
    measure: Callable[[Factorization], MatrixFacts],
) -> Settled:
    """The smallest rank <= cap whose measured squared error is at most target.

    One measurement tells the error at the neighbouring ranks too, since rank j + 1 lowers the squared error by
    gains[j]: so a guess is measured, moved where those say, and measured again only if it moved. With met False when
    no rank up to cap meets the target: cap, or, when that is all there is and the rest is rounding, the smallest
    rank within 5 % of its error.
    """
    cap = min(cap, len(gains))
    rank, lowest = min(max(guess, 1), cap), 1
    best: Settled | None = None
    for _ in range(_TRIALS):
        factor = build(rank)
        error = measure(factor)
        square = absolute_square(error)
        if square <= target:
            best = Settled(factor, error, True)
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
            reached = Settled(factor, error, False)
            return reached if cap < len(gains) else _without_noise(reached, gains, build, measure, target)
        more = rank
        while more < cap and square > target:
            square -= gains[more]
            more += 1
        rank = more
    return best if best is not None else Settled(factor, error, False)


def _without_noise(
    full: Settled,
    gains: numpy.ndarray,
    build: Callable[[int], Factorization],
    measure: Callable[[Factorization], MatrixFacts],
    target: float,
) -> Settled:
    """The smallest rank about as good as ``full``: what rounding left of the rest is not worth storing."""
    floor = absolute_square(full.error)
    rank = rank_for(1.1 * floor, floor, gains[: full.factor.rank])
    if rank >= full.factor.rank:
        return full
    factor = build(rank)
    error = measure(factor)
    return Settled(factor, error, absolute_square(error) <= target)
