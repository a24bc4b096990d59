"""Which scheme, and how many pairs: the smallest predicted error for a rank, the fewest pairs for a tolerance."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from ..lazy import np
from ..streams import Streams
from .cr_errors import Pairs, Weighted
from .cr_schemes import RANDOM_SIZE, TABLE, Sample, Scheme

#: Rounding of squared errors that are sums of terms of both signs, over the square of the sum of lengths: 8 eps.
_NOISE = 2.0**-49


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """A sample of a scheme, shrunk where that was asked for, and its squared error, predicted: expected over what is
    random. kind: "exact", "bound" or "estimate"."""

    scheme: str
    sample: Sample
    predicted: float
    kind: str
    shrink: float = 1.0


def best(choices: Sequence[Choice]) -> Choice:
    """That of smallest predicted error, the first of equals."""
    return min(choices, key=lambda choice: choice.predicted)


class Chooser:
    """The schemes that apply, drawn from one set of pairs.

    shrink: multiply the weights of unbiased schemes by F2 / (F2 + Var), F2 = |XY|_F^2 and Var the expected squared
    error, or the bound of it: that minimizes s^2 Var + (1 - s)^2 F2, which then is F2 Var / (F2 + Var), below both.
    """

    def __init__(self, pairs: Pairs, asked: str, shrink: bool, streams: Streams):
        self.pairs, self.asked, self.shrink, self.streams = pairs, asked, shrink, streams

    def names(self, r: int) -> list[str]:
        """The scheme asked for; for auto those that store at most r pairs and cost no more than the product."""
        if self.asked != "auto":
            return [self.asked]
        return [name for name, scheme in TABLE.items() if name != RANDOM_SIZE and self._applies(scheme, r)]

    def _applies(self, scheme: Scheme, r: int) -> bool:
        (m, l), n = self.pairs.X.matrix.shape, self.pairs.Y.matrix.shape[1]
        if (self.shrink and not scheme.unbiased) or (scheme.needs_gram and self.pairs.G is None):
            return False
        extra = scheme.extra(m, n, l, r)
        # beyond the reach of Gram matrices sampling is there to be fast: no more than the product of the sample takes
        return self.pairs.affordable(extra) and (self.pairs.G is not None or extra <= 2 * m * n * r)

    def at(self, names: Sequence[str], r: int) -> list[Choice]:
        """The samples of r pairs, all errors from one product."""
        drawn = {name: TABLE[name].draw(self.pairs, r, self.streams) for name in names}
        answers = self.pairs.squares([s.asks for s in drawn.values() if s.asks is not None and s.slope])
        return [
            self._judged(name, sample, sample.predicted(self.pairs.product_square, answers))
            for name, sample in drawn.items()
        ]

    def _judged(self, name: str, sample: Sample, predicted: float) -> Choice:
        kind = sample.kind if self.pairs.G is not None and sample.kind != "exact" else self.pairs.kind
        if not self.shrink or predicted == 0:
            return Choice(name, sample, predicted, kind)
        F2 = self.pairs.product_square
        factor = F2 / (F2 + predicted)
        return Choice(name, sample.shrunk(factor), F2 if math.isinf(predicted) else factor * predicted, kind, factor)

    def selection(self, sample: Sample) -> float:
        """The squared error of these pairs and weights, exact or estimated as ``Pairs`` does."""
        question = Weighted(sample.coefficients(len(self.pairs.f)))
        return self.pairs.squares([question])[question]

    def fewest(self, cap: int, goal: float) -> Choice | None:
        """The choice of fewest pairs, at most cap, whose squared error is at most goal; None when there is none.

        With the Gram matrix the errors of pairs and weights are exact. The smallest number of pairs there is for
        a scheme that is not random; for a random one it is such that the pairs drawn meet the goal and those drawn one
        fewer do not. Without: by estimates. Of several schemes the later ones are tried below the best so far, and
        searched only where they meet the goal there.
        """
        found: tuple[str, int] | None = None
        for name in self.names(1):
            below = cap if found is None else found[1] - 1
            r = self._fewest_of(name, below, goal, found is not None)
            found = found if r is None else (name, r)
        return None if found is None else self.at([found[0]], found[1])[0]

    def _fewest_of(self, name: str, cap: int, goal: float, top_first: bool) -> int | None:
        scheme, f = TABLE[name], self.pairs.f
        if self.asked == "auto":
            cap = _last(cap, lambda r: self._applies(scheme, r))
        if cap < 1:
            return None
        if scheme.path is not None and self.pairs.G is not None:
            noise = _NOISE * float(f.sum()) ** 2
            fits = np.flatnonzero(scheme.path(self.pairs, cap, goal - noise) <= goal - noise)
            if len(fits):
                return int(fits[0]) + 1
            # all that count make the product, whatever rounding hides
            count = max(1, int(np.count_nonzero(f)))
            return count if count <= cap else None
        return _first(cap, lambda r: self._upper(name, r) <= goal, top_first)

    def _upper(self, name: str, r: int) -> float:
        """The squared error of the pairs that a scheme chooses, with what rounding may hide of it."""
        sample = self.at([name], r)[0].sample if self.shrink else TABLE[name].draw(self.pairs, r, self.streams)
        c = np.abs(sample.coefficients(len(self.pairs.f)))
        return self.selection(sample) + (0.0 if self.pairs.G is None else _NOISE * float(c @ self.pairs.f) ** 2)


def _first(high: int, meets: Callable[[int], bool], top_first: bool) -> int | None:
    """An r in 1 .. high with meets(r) and not meets(r - 1); None when there is none on the way.

    By doubling from 1, as few pairs cost less to judge, then by halves; top_first: only where meets(high).
    """
    if top_first and not meets(high):
        return None
    low, r = 0, high if top_first else 1
    while not top_first and not meets(r):
        if r == high:
            return None
        low, r = r, min(2 * r, high)
    while r - low > 1:
        middle = (low + r) // 2
        low, r = (low, middle) if meets(middle) else (middle, r)
    return r


def _last(high: int, holds: Callable[[int], bool]) -> int:
    """The largest r in 0 .. high that holds, for what holds up to some r."""
    failing = _first(high, lambda r: not holds(r), False) if high >= 1 else None
    return high if failing is None else failing - 1
