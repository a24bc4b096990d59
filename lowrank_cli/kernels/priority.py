"""Priority sampling: one pass over weights that come in any order and in any parts, whose states merge."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..lazy import np

if TYPE_CHECKING:
    import numpy

#: Larger weights could overflow when they are divided by a uniform number: the caller scales them.
_MOST = 2.0**960


@dataclasses.dataclass(frozen=True, eq=False)
class Priorities:
    """The r + 1 entries of highest priority among those seen, highest first, equal ones by index.

    index (k,) int64, f (k,) their weights, priority (k,) float64; k <= r + 1.
    """

    index: numpy.ndarray
    f: numpy.ndarray
    priority: numpy.ndarray


def priorities(index: numpy.ndarray, f: numpy.ndarray, u: numpy.ndarray, r: int) -> Priorities:
    """The state after the entries index (n,) with weights f (n,) and uniforms u (n,) in [0, 1), one for each entry.

    The priority is f / (1 - u); an entry of weight 0 is never kept. Raises UsageError for a weight that is negative,
    not finite or above 2^960. Source: Duffield, Lund and Thorup, J. ACM 54, 2007. Cost: a sort of n numbers, memory r
    between parts.
    """
    f = np.asarray(f, np.float64)
    if len(f) and not (f.min() >= 0 and f.max() <= _MOST):
        raise UsageError("weights for priority sampling must be between 0 and 2^960")
    kept = np.flatnonzero(f)
    f = f[kept]
    return _highest(np.asarray(index, np.int64)[kept], f, f / (1.0 - np.asarray(u, np.float64)[kept]), r)


def merge(one: Priorities, other: Priorities, r: int) -> Priorities:
    """The state after the entries of both, which share none. Associative and commutative, bit for bit."""
    index, f = np.concatenate([one.index, other.index]), np.concatenate([one.f, other.f])
    return _highest(index, f, np.concatenate([one.priority, other.priority]), r)


def estimate(state: Priorities, r: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(index, weights) of the sample, indices ascending: weight max(1, tau / f), tau the (r + 1)-th priority.

    Unbiased: each entry has weight 1 on average, and the weights of two entries are uncorrelated. When no more than r
    entries had a weight, all of them with weight 1.
    """
    if len(state.index) <= r:
        order = np.argsort(state.index)
        return state.index[order], np.ones(len(order))
    order = np.argsort(state.index[:r])
    return state.index[:r][order], np.maximum(1.0, state.priority[r] / state.f[:r])[order]


def _highest(index: numpy.ndarray, f: numpy.ndarray, priority: numpy.ndarray, r: int) -> Priorities:
    order = np.lexsort((index, -priority))[: r + 1]
    return Priorities(index[order], f[order], priority[order])
