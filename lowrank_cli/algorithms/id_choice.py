"""Ways to choose the columns of an interpolative decomposition, rank by rank."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from .assessment import Assessor
from .bases import for_rank, tall, to_tolerance
from .id_bound import Bound, choose
from .id_exchange import limit_coefficients
from .id_selection import Selection, Wish, for_a_rank, for_a_tolerance
from .svd import SVDOptions, wants_lapack
from .svd_sources import Full, Refined, Source
from .tolerance import Assessment, Settled, rank_for

if TYPE_CHECKING:
    import numpy

    from ..streams import Streams

#: Columns leave a few times the squared error of the best of their rank: the basis reaches that much deeper.
_DEEPER = 16
#: Ranks tried by how far the last one was off.
_GUESSES = 6


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """Columns for every rank: at(k) is a selection whose first k columns, or all if there are fewer, are those.

    nested: the columns of a rank are among those of a higher one. gains, beyond: as in ``completion.Ordered``, of
    these columns when nested, else of the best there could be. exchanges(k): how many the choice took. least(k, norm):
    a proven lower bound of the squared error of any approximation of that rank, or None. bound(k): what is proven of
    the error, or None. excess: what the squared error is, by experience, over that of which the gains speak.
    """

    at: Callable[[int], Selection]
    nested: bool
    gains: numpy.ndarray
    beyond: float
    exchanges: Callable[[int], int] = lambda k: 0
    least: Callable[[int, str], float | None] = lambda k, norm: None
    bound: Callable[[int], Bound | None] = lambda k: None
    excess: float = 1.0


def by_pivots(
    wish: Wish,
    limit: float | None,
    rank: int | None,
    assess: Assessor | None,
    target: float | None,
    streams: Streams,
) -> Choice:
    """Pivots in their order; with a limit on coefficients, pivots exchanged for each rank."""
    if assess is None or target is None:
        chosen = for_a_rank(wish, rank, streams)
    else:
        chosen = for_a_tolerance(wish, assess, target, rank, streams)
    if limit is None or not len(chosen.pivots):
        return Choice(lambda k: chosen, True, chosen.gains, chosen.beyond)

    @functools.lru_cache(maxsize=4)
    def limited(k: int) -> tuple[Selection, int]:
        made, exchanges = limit_coefficients(chosen.image, chosen.pivots[:k], limit)
        return dataclasses.replace(made, drawn=chosen.drawn), exchanges

    return Choice(lambda k: limited(k)[0], False, chosen.gains, chosen.beyond, lambda k: limited(k)[1])


def by_bound(
    wish: Wish,
    limit: float | None,
    rank: int | None,
    assess: Assessor | None,
    target: float | None,
    streams: Streams,
) -> Choice:
    """For each rank the columns of ``id_bound.choose``; then exchanges for a limit on coefficients."""
    source = _triplets(wish, rank, assess, target, streams)

    @functools.lru_cache(maxsize=4)
    def made(k: int) -> tuple[Selection, Bound]:
        chosen, bound = choose(wish, source, k, streams)
        chosen = dataclasses.replace(chosen, drawn=not isinstance(source, Full))
        if limit is None or not len(chosen.pivots):
            return chosen, bound
        limited, exchanges = limit_coefficients(wish.work, chosen.pivots, limit)
        if not exchanges:
            return chosen, bound
        have = len(limited.pivots)
        ratio = math.sqrt(1 + limit**2 * have * (wish.work.shape[1] - have))
        more = dataclasses.replace(bound, ratio=ratio, exchanges=bound.exchanges + exchanges)
        return dataclasses.replace(limited, drawn=chosen.drawn), more

    def least(k: int, norm: str) -> float:
        squares = source.least()
        return float(squares[k : k + 1].sum() if norm == "spectral" else squares[k:].sum())

    return Choice(
        lambda k: made(k)[0],
        False,
        source.squares(),
        source.beyond,
        lambda k: made(k)[1].exchanges,
        least,
        lambda k: made(k)[1],
        excess=2.0,
    )


def _triplets(wish: Wish, rank: int | None, assess: Assessor | None, target: float | None, streams: Streams) -> Source:
    """Singular triplets as the SVD method finds them, for a rank, or enough for columns to meet a tolerance."""
    scaled = wish.scaled
    matrix = scaled.matrix
    if wants_lapack(matrix, rank, SVDOptions()):
        return Full(tall(matrix))
    if assess is None or target is None:
        return Refined(tall(matrix), for_rank(scaled, rank or 1, streams), math.sqrt(scaled.squares))
    grown = to_tolerance(scaled, assess, target / _DEEPER, rank, streams)
    if grown is None:
        return Full(tall(matrix))
    return Refined(tall(matrix), grown, math.sqrt(scaled.squares), target)


def anew(
    cap: int, target: float, beyond: float, gains: numpy.ndarray, excess: float, judge: Callable[[int], Assessment]
) -> Settled:
    """A rank that meets the target where one less, by the same judge, does not, for ranks with columns of their own.

    gains and beyond tell how fast squared errors fall, each measurement how far above them these columns are; excess
    is the first guess at that. With met False when the highest rank tried, cap, misses the target.
    """
    low, high = 0, cap + 1
    best: Settled | None = None
    for trial in itertools.count():
        # by halves where they mislead
        guess = rank_for(target / excess, beyond, gains) if trial < _GUESSES else (low + high) // 2
        rank = min(max(guess, low + 1), high - 1)
        found = judge(rank)
        if found.square <= target:
            best, high = Settled(rank, found, True), rank
        else:
            low = rank
        if high - low <= 1:
            return best if best is not None else Settled(rank, found, False)
        left = beyond + float(gains[rank:].sum())
        excess = found.square / left if left > 0 and found.square > 0 else excess
    raise AssertionError("unreachable")
