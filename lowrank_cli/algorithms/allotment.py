"""One budget for many matrices: the ranks whose truncated SVDs leave least over in so many bytes, or take fewest bytes
for so much error."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..lazy import np

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(frozen=True, eq=False)
class Priced:
    """A matrix that is to get a rank: errors (r + 1,) relative Frobenius errors at ranks 0 .. r, squares convex in the
    rank; lower: what no rank can go below; |A| = norm * 2**exponent; price: bytes of one rank; open: ranks beyond r
    would lower the error."""

    errors: numpy.ndarray
    lower: numpy.ndarray
    norm: float
    exponent: int
    price: int
    open: bool = False


@dataclasses.dataclass(frozen=True)
class Allotment:
    """ranks, one each; size: bytes they take; error: relative to all matrices together, as the curves tell it; best:
    no ranks in so many bytes can go below it; short: whose curves ended too early to be sure, by number."""

    ranks: list[int]
    size: int
    error: float
    best: float
    short: list[int]


def allot(matrices: Sequence[Priced], *, size: int | None = None, rtol: float | None = None) -> Allotment:
    """Ranks of at least 1 by marginal gain: always the step that lowers the squared error most for its bytes.

    With ``size`` bytes for all: steps as long as they fit. With ``rtol``: steps until the relative error of all
    together is at most that, then those taken back that it can do without. Squared errors are convex in the rank, so no
    ranks in the bytes of the first steps leave less; what is lost to the last step that did not fit is at most its
    gain, and ``best`` bounds it. Raises UsageError when not even rank 1 of each fits.

    Reference: Fox, "Discrete optimization via marginal analysis", Management Science 13 (1966).
    """
    top = max(one.exponent for one in matrices)
    weights = np.array([np.ldexp(one.norm, one.exponent - top) ** 2 for one in matrices])
    squares = [w * np.square(one.errors) for w, one in zip(weights, matrices, strict=True)]
    gains = [np.minimum.accumulate(s[1:-1] - s[2:]) if len(s) > 2 else s[:0] for s in squares]
    prices = np.array([one.price for one in matrices])
    owner = np.repeat(np.arange(len(matrices)), [len(g) for g in gains])
    gain = np.concatenate(gains)
    rate = gain / prices[owner]
    # stable: of equal steps the first matrix's, and within a matrix by rank
    order = np.argsort(-rate, kind="stable")
    order = order[gain[order] > 0]
    total = float(weights.sum())
    if size is not None:
        least = int(prices.sum())
        if least > size:
            raise UsageError(f"--total-bytes {size} is too small: rank 1 of each matrix takes {least} bytes in all")
        taken, edge = _in_size(order, owner, prices, size - least)
    else:
        assert rtol is not None
        left = sum(float(s[-1]) for s in squares)
        taken, edge = _to_error(order, owner, gain, left, rtol**2 * total)
    ranks = 1 + np.bincount(owner[taken], minlength=len(matrices))
    spent = int(ranks @ prices)
    ends = [len(one.errors) - 1 for one in matrices]
    error = sum(float(s[min(k, end)]) for s, k, end in zip(squares, ranks, ends, strict=True))
    rates = rate[order[max(0, edge - 1) : edge + 1]]
    best = max([0.0, *(_dual(matrices, weights, spent, float(r)) for r in rates)])
    short = [i for i, one in enumerate(matrices) if one.open and ranks[i] >= ends[i]]
    whole = total**0.5 or 1.0
    return Allotment([int(k) for k in ranks], spent, error**0.5 / whole, best**0.5 / whole, short)


def _in_size(order: numpy.ndarray, owner: numpy.ndarray, prices: numpy.ndarray, left: int) -> tuple[list[int], int]:
    """The steps that fit into the bytes left, and at which place of the order the first did not."""
    taken: list[int] = []
    full: set[int] = set()
    edge = len(order)
    for place, step in enumerate(order.tolist()):
        which = int(owner[step])
        if which in full:
            continue
        if prices[which] <= left:
            left -= int(prices[which])
            taken.append(step)
            continue
        edge = min(edge, place)
        full.add(which)
        if len(full) == len(prices):
            break
    return taken, edge


def _to_error(
    order: numpy.ndarray, owner: numpy.ndarray, gain: numpy.ndarray, end: float, target: float
) -> tuple[list[int], int]:
    """The steps that bring the squared error down to the target, and how many of the order that took; end: what is
    left after all of them."""
    # summed from the small end: a difference from the whole would have no digits left
    left = end + np.append(np.cumsum(gain[order][::-1])[::-1], 0.0)
    there = np.flatnonzero(left <= target)
    edge = int(there[0]) if len(there) else len(order)
    now, kept, held = float(left[edge]), [], set()
    for step in order[:edge][::-1].tolist():
        which = int(owner[step])
        if which not in held and now + float(gain[step]) <= target:
            now += float(gain[step])
            continue
        # the ranks below one that stays have to stay
        held.add(which)
        kept.append(step)
    return kept, edge


def _dual(matrices: Sequence[Priced], weights: numpy.ndarray, size: int, rate: float) -> float:
    """A squared error that no ranks of so many bytes can go below: the Lagrangian at this price of a byte."""
    least = 0.0
    for weight, one in zip(weights, matrices, strict=True):
        cost = rate * one.price * np.arange(len(one.lower) + 1)
        least += float(np.min(np.append(weight * np.square(one.lower), 0.0) + cost))
    # what the sums may have rounded up to: a bound of zero must not become more than that
    rounding = 4 * len(matrices) * float(np.finfo(np.float64).eps) * (float(weights.sum()) + rate * size)
    return least - rate * size - rounding
