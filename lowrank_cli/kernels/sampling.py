"""Choosing indices by given probabilities. The caller draws the uniforms, so that streams are named once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..lazy import np
from . import jit

if TYPE_CHECKING:
    import numpy

#: Weights with a larger power of two than this are scaled before they are summed.
_WINDOW = 900


def with_replacement(p: numpy.ndarray, u: numpy.ndarray, compiled: bool = False) -> numpy.ndarray:
    """Indices (len(u),) int64, each i with probability p_i / sum(p), in the order of the uniforms u in [0, 1).

    Inverts the cumulative sum; an entry with p_i = 0 is never chosen. Raises UsageError when p has a negative or
    non-finite entry or no positive one. Cost: len(p) additions, log2(len(p)) comparisons a draw.
    """
    p = _weights(p)
    last = int(np.flatnonzero(p)[-1])
    u = np.asarray(u, np.float64)
    module = jit.compiled() if compiled else None
    if module is None:
        return with_replacement_numpy(p, u, last)
    out = np.empty(len(u), np.int64)
    module.draw(jit.frozen(p), jit.frozen(u), last, out)
    return out


def with_replacement_numpy(p: numpy.ndarray, u: numpy.ndarray, last: int) -> numpy.ndarray:
    """The twin: p scaled and positive somewhere; last, its last positive entry, catches products rounded up."""
    cumulative = np.cumsum(p)
    return np.minimum(np.searchsorted(cumulative, u * cumulative[-1], side="right"), last).astype(np.int64)


def inclusion_probabilities(f: numpy.ndarray, r: int) -> numpy.ndarray:
    """pi (n,) with sum r and pi_i = min(1, f_i / tau): drawn without replacement, in proportion as far as possible.

    A zero f_i is included only when fewer than r are positive; the zeros then share what is left equally. Raises
    UsageError when f is no weight vector or r is not in 0..n. Cost: a sort. Source: Tille, Sampling Algorithms, 2.10.
    """
    n = len(f)
    if not 0 <= r <= n:
        raise UsageError(f"cannot choose {r} of {n} without replacement", hint=f"ask for at most {n}")
    if r == 0:
        return np.zeros(n)
    given = np.asarray(f, np.float64) > 0
    f = _weights(f, positive=False)
    positive = f > 0
    count = int(np.count_nonzero(positive))
    if count <= r:
        pi = positive.astype(np.float64)
        # next come weights so small that scaling made them zero, then zeros
        for others in (given & ~positive, ~given):
            left = max(0.0, r - float(pi.sum()))
            if others.any():
                pi[others] = min(1.0, left / np.count_nonzero(others))
        return pi
    order = np.argsort(-f, kind="stable")
    g = f[order]
    # rest[t]: the sum of all but the t largest, summed from the smallest up; t largest are certain
    rest = np.cumsum(g[::-1])[::-1][:r]
    certain = int(np.argmax(g[:r] * np.arange(r, 0, -1) <= rest))
    tau = rest[certain] / (r - certain)
    pi = np.ones(n)
    np.divide(f, tau, out=pi, where=f < tau)
    pi[order[:certain]] = 1.0
    return pi


def systematic(pi: numpy.ndarray, order: numpy.ndarray, u: float, compiled: bool = False) -> numpy.ndarray:
    """Distinct indices, ascending int64, i with probability pi_i: Madow's systematic sample along ``order``.

    pi (n,) in [0, 1]; order a permutation of 0..n-1; u in [0, 1) uniform. Entries with pi_i = 1 are always in, zeros
    never. When sum(pi) is whole up to rounding exactly that many are chosen, else its floor or the next. Source: W. G.
    Madow, Annals of Mathematical Statistics 20, 1949. Cost: len(pi) additions.
    """
    pi, order = np.asarray(pi, np.float64), np.asarray(order, np.int64)
    if len(pi) and not (pi.min() >= 0 and pi.max() <= 1):
        raise UsageError("inclusion probabilities must lie between 0 and 1")
    certain = np.flatnonzero(pi == 1)
    walk = order[(pi[order] > 0) & (pi[order] < 1)]
    weights = pi[walk]
    total = math.fsum(weights)
    r = round(total)
    if abs(total - r) > 1e-9 * max(1.0, r):
        r = math.floor(total) + (u < total - math.floor(total))
    r = min(r, len(walk))
    module = jit.compiled() if compiled else None
    if module is None:
        taken = systematic_numpy(weights, float(u), r)
    else:
        out = np.empty(len(walk), np.int64)
        taken = out[: module.systematic(jit.frozen(weights), float(u), r, out)]
    if len(taken) < r:
        taken = _completed(taken, weights, r)
    return np.sort(np.concatenate([certain, walk[taken]])).astype(np.int64)


def systematic_numpy(weights: numpy.ndarray, u: float, r: int) -> numpy.ndarray:
    """The twin: positions whose stretch of the cumulative sum holds one of u, u + 1, ..., u + r - 1."""
    reached = np.clip(np.ceil(np.cumsum(weights) - u), 0, r)
    return np.flatnonzero(np.diff(reached, prepend=0.0) > 0)


def poisson(pi: numpy.ndarray, u: numpy.ndarray) -> numpy.ndarray:
    """Indices, ascending int64, i with probability pi_i, each by itself: how many is random, sum(pi) on average.

    pi (n,) in [0, 1], u (n,) uniforms in [0, 1). Raises UsageError for probabilities outside. Cost: n comparisons.
    """
    pi = np.asarray(pi, np.float64)
    if len(pi) and not (pi.min() >= 0 and pi.max() <= 1):
        raise UsageError("inclusion probabilities must lie between 0 and 1")
    return np.flatnonzero(np.asarray(u, np.float64) < pi).astype(np.int64)


def uniform_without_replacement(n: int, r: int, u: numpy.ndarray) -> numpy.ndarray:
    """r distinct indices of 0..n-1, int64, in the order drawn: the first r steps of a Fisher-Yates shuffle.

    u (r,) uniforms in [0, 1). Raises UsageError when r is not in 0..n. Cost: r steps and memory r, whatever n.
    """
    if not 0 <= r <= n:
        raise UsageError(f"cannot choose {r} of {n} without replacement", hint=f"ask for at most {n}")
    moved: dict[int, int] = {}
    out = np.empty(r, np.int64)
    for i, uniform in enumerate(np.asarray(u, np.float64)[:r].tolist()):
        j = min(i + int(uniform * (n - i)), n - 1)
        out[i] = moved.get(j, j)
        moved[j] = moved.get(i, i)
    return out


def seconds_saved(n: int) -> float:
    """Estimated saving of the kernels over their twins: passes over temporaries of length n."""
    return 2e-9 * n


def _completed(taken: numpy.ndarray, weights: numpy.ndarray, r: int) -> numpy.ndarray:
    """Rounding let a stretch slip past its mark: the likeliest of those left out makes up the number."""
    free = np.ones(len(weights), bool)
    free[taken] = False
    others = np.flatnonzero(free)
    others = others[np.argsort(-weights[others], kind="stable")]
    return np.concatenate([taken, others[: r - len(taken)]])


def _weights(f: numpy.ndarray, positive: bool = True) -> numpy.ndarray:
    """f as float64, checked, and scaled by a power of two when its sum could overflow or its entries be subnormal."""
    f = np.asarray(f, np.float64)
    top = float(f.max(initial=0.0))
    if f.ndim != 1 or not math.isfinite(top) or not f.min(initial=0.0) >= 0:
        raise UsageError("weights must be a vector of finite numbers that are not negative")
    if top == 0:
        if positive:
            raise UsageError("no weight is positive, so there is nothing to choose from")
        return f
    exponent = math.frexp(top)[1]
    return f if abs(exponent) <= _WINDOW else np.ldexp(f, -exponent)
