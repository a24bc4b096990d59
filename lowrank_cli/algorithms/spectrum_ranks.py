"""Norms, effective ranks and the numeric rank from singular values: numbers when all are known, else intervals.

With only the leading K of p values, the matrix is (in the bases found) block diagonal but for a small coupling R: the
values s_1 .. s_K, and a rest C of at most p - K values c_j with sum c_j^2 = t, measured, and c_j <= cap. Every
interval below holds for all such c; the coupling and rounding widen it.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..lazy import np
from .spectrum import Spectrum

if TYPE_CHECKING:
    import numpy

#: An interval narrower than this share of its end is given as a number.
SAME = 1e-6

DEFINITIONS = {
    "stable": "|A|_F^2 / s_1^2",
    "participation": "(sum s^2)^2 / sum s^4",
    "energy_entropy": "exp(entropy of s^2 / sum s^2)",
    "renyi_inf": "sum s / s_1, nuclear over spectral norm",
    "renyi_2": "(sum s)^2 / sum s^2",
    "entropy": "exp(entropy of s / sum s) (Roy and Vetterli 2007)",
    "numeric": "how many s exceed max(m, n) eps s_1",
}


@dataclasses.dataclass(frozen=True)
class Interval:
    """lower <= truth <= upper. value: one number where the ends agree to six digits, or where it is known."""

    lower: float
    upper: float

    @property
    def value(self) -> float | None:
        if self.lower == self.upper:
            return self.lower
        return 0.5 * (self.lower + self.upper) if self.upper - self.lower <= SAME * abs(self.upper) else None


def exactly(value: float) -> Interval:
    return Interval(value, value)


@dataclasses.dataclass(frozen=True, eq=False)
class Rest:
    """The values nobody computed: at most ``count`` of them, Frobenius norm in [low, high], each at most cap.

    coupling: Frobenius norm of R; rounding: of one computed number.
    """

    count: int
    low: float
    high: float
    cap: float
    coupling: float
    rounding: float


def rest_of(found: Spectrum) -> Rest:
    """What the measured remainder says of the values beyond the leading K.

    |A - A_K|^2 is |R|^2 + sum c_j^2, so t is enclosed without any difference of squares of large numbers.
    """
    rounding, error = found.rounding, found.remainder_error
    count = found.full - len(found.values)
    low = max(0.0, math.sqrt(max(found.remainder**2 - found.coupling**2, 0.0)) - error)
    high = found.remainder + error
    cap = max(min(high, found.cap + found.coupling + rounding), low / math.sqrt(count))
    return Rest(count, low, high, cap, found.coupling, rounding)


def norms(found: Spectrum) -> dict[str, Interval]:
    """Frobenius, spectral and nuclear norm of the scaled matrix.

    nuclear: S_K + |C|_F <= |A|_* by pinching, and sum c >= t / cap; |A|_* <= S_K + sqrt((p - K) t).
    """
    s, fro = found.values, math.sqrt(found.scaled.squares)
    total = float(np.sum(s))
    if found.complete or not fro:
        return {"fro": exactly(fro), "spectral": exactly(float(s[0])), "nuclear": exactly(total)}
    rest = rest_of(found)
    low, high = _sum_of_rest(rest)
    upper = min(total + high + len(s) * rest.rounding, math.sqrt(found.full) * (fro + rest.rounding))
    nuclear = Interval(min(total + low - len(s) * rest.rounding, upper), upper)
    return {"fro": exactly(fro), "spectral": _spectral(found, rest), "nuclear": nuclear}


def _sum_of_rest(rest: Rest) -> tuple[float, float]:
    low = max(rest.low, rest.low**2 / rest.cap) if rest.cap > 0 else 0.0
    return low, max(low, math.sqrt(rest.count) * rest.high)


def _spectral(found: Spectrum, rest: Rest) -> Interval:
    """s_1 <= |A|_2 <= the norm of the 2 x 2 matrix of the blocks' norms [[s_1, |R|], [0, cap]]."""
    first = float(found.values[0])
    upper = _block_norm(first, rest.coupling, rest.cap) + rest.rounding
    fro = math.sqrt(found.scaled.squares) + rest.rounding
    lower = max(first - rest.rounding, 0.0)
    return Interval(lower, max(lower, min(upper, fro)))


def _block_norm(a: float, b: float, c: float) -> float:
    """Spectral norm of [[a, b], [0, c]], and at most max(a, c) + b."""
    size = max(a, b, c)
    if not size:
        return 0.0
    return min(float(np.linalg.norm(np.array([[a, b], [0.0, c]]) / size, 2)) * size, max(a, c) + b)


def effective_ranks(found: Spectrum) -> dict[str, Interval]:
    """Effective ranks under the names of ``DEFINITIONS``; all 0 for a zero matrix.

    Renyi family of p = s / sum s: renyi_inf <= renyi_2 <= entropy <= rank; and of s^2: stable <= participation <=
    energy_entropy. (Roy and Vetterli 2007 for the entropy.)
    """
    s, p = found.values, found.full
    names = [name for name in DEFINITIONS if name != "numeric"]
    if not found.scaled.squares:
        return dict.fromkeys(names, exactly(0.0))
    if found.complete:
        return {name: exactly(_clip(rank_of(s, name), p)) for name in names}
    rest, sizes = rest_of(found), norms(found)
    square, total, largest = found.scaled.squares, sizes["nuclear"], sizes["spectral"]
    made = {
        "stable": Interval(square / largest.upper**2, square / largest.lower**2),
        "participation": _participation(s, square, rest),
        "energy_entropy": _energy_entropy(s, square, rest),
        "renyi_inf": Interval(total.lower / largest.upper, total.upper / largest.lower),
        "renyi_2": Interval(total.lower**2 / square, total.upper**2 / square),
        "entropy": _entropy(s, total, rest),
    }
    return {name: Interval(_clip(i.lower, p), _clip(i.upper, p)) for name, i in made.items()}


def _clip(value: float, p: int) -> float:
    """An effective rank lies between 1 and p; rounding must not say otherwise."""
    return float(min(max(value, 1.0), p))


def rank_of(s: numpy.ndarray, name: str) -> float:
    """One effective rank of a complete list of singular values, not all zero."""
    x = s / s[0]
    squares = np.square(x)
    if name == "stable":
        return float(np.sum(squares))
    if name == "participation":
        return float(np.sum(squares) ** 2 / np.sum(np.square(squares)))
    if name == "energy_entropy":
        return math.exp(_shannon(squares))
    if name == "renyi_inf":
        return float(np.sum(x))
    if name == "renyi_2":
        return float(np.sum(x) ** 2 / np.sum(squares))
    return math.exp(_shannon(x))


def _shannon(weights: numpy.ndarray) -> float:
    w = weights[weights > 0] / np.sum(weights)
    w = w[w > 0]
    return float(-np.sum(w * np.log(w)))


def _participation(s: numpy.ndarray, square: float, rest: Rest) -> Interval:
    """sum c^4 lies between t^2 / (p - K) and t cap^2; the 4-norm moves by at most |R|."""
    fourth = float(np.sum(s**4))
    low = fourth + rest.low**4 / rest.count
    high = (fourth + rest.high**2 * rest.cap**2) ** 0.25 + rest.coupling + rest.rounding
    return Interval(square**2 / high**4, square**2 / low)


def _energy_entropy(s: numpy.ndarray, square: float, rest: Rest) -> Interval:
    """The rest holds the share t of the energy: its entropy is least when concentrated in values of size cap, most
    when spread evenly."""
    cells = np.square(s) / square
    least, most = _entropy_range(cells, (rest.low**2 / square, rest.high**2 / square), rest.cap**2 / square, rest.count)
    fro = math.sqrt(square)
    slack = _continuity(2 * (rest.coupling + rest.rounding) / fro, len(s) + rest.count)
    return Interval(math.exp(least - slack), math.exp(most + slack))


def _entropy(s: numpy.ndarray, total: Interval, rest: Rest) -> Interval:
    least, most = _entropy_range(s, _sum_of_rest(rest), rest.cap, rest.count)
    # sums of singular values move by at most sqrt(K) |R| for the coupling and by the rounding of each
    moved = math.sqrt(len(s)) * rest.coupling + len(s) * rest.rounding
    slack = _continuity(2 * moved / total.lower, len(s) + rest.count)
    return Interval(math.exp(least - slack), math.exp(most + slack))


def _entropy_range(known: numpy.ndarray, mass: tuple[float, float], cap: float, count: int) -> tuple[float, float]:
    """Least and largest entropy of known weights joined by at most ``count`` others of a total in ``mass``, each at
    most cap.

    With the shape of the rest fixed, the entropy rises with its total until its cells are as large as the weighted
    geometric mean of the known ones, and falls from there: the least is at an end, the largest there or at an end.
    """
    known = known[known > 0]
    S = float(np.sum(known))
    L = float(-np.sum(known * np.log(known)))

    def joined(total: float, cell: float) -> float:
        if total <= 0:
            return math.log(S) + L / S
        return math.log(S + total) + (L - total * math.log(cell)) / (S + total)

    low, high = mass
    least = min(joined(T, min(T, cap) if cap > 0 else T) for T in (low, high))
    best = min(max(count * math.exp(-L / S), low), high)
    most = max(joined(T, T / count) for T in (low, high, best))
    return min(least, most), most


def _continuity(distance: float, cells: int) -> float:
    """How far the entropies of two distributions on so many cells, at this total variation distance, can differ
    (Audenaert 2007)."""
    t = min(distance, 1 - 1 / cells) if cells > 1 else 0.0
    if t <= 0:
        return 0.0
    return t * math.log(cells - 1) - t * math.log(t) - (1 - t) * math.log1p(-t)


@dataclasses.dataclass(frozen=True)
class NumericRank:
    """How many values exceed the threshold, and the two that decide it: the last above and the first at or below.

    below is None when every value is above, or when the first one below was not computed.
    """

    lower: int
    upper: int
    threshold: float
    above: float | None
    below: float | None

    @property
    def value(self) -> int | None:
        return self.lower if self.lower == self.upper else None


def numeric_rank(found: Spectrum) -> NumericRank:
    """The number of singular values above max(m, n) eps s_1, eps that of the dtype computed with."""
    s = found.values
    eps = float(np.finfo(found.scaled.matrix.dtype).eps)
    threshold = max(found.scaled.matrix.shape) * eps * float(s[0])
    known = int(np.count_nonzero(s > threshold))
    above = float(s[known - 1]) if known else None
    below = float(s[known]) if known < len(s) else None
    if found.complete:
        return NumericRank(known, known, threshold, above, below)
    rest = rest_of(found)
    sure = int(np.count_nonzero(s - found.radii > threshold))
    maybe = int(np.count_nonzero(s + found.radii > threshold))
    # the threshold itself stands for rounding: the measured remainder meets it without a further allowance
    beyond = found.remainder + found.coupling
    if min(beyond, rest.cap) > threshold:
        room = beyond**2 / threshold**2 if threshold else math.inf
        maybe += rest.count if room >= rest.count else int(room)
    return NumericRank(sure, maybe, threshold, above, below)


def condition_number(found: Spectrum) -> Interval | None:
    """s_1 / s_p. From below when the last value is not known, or lost in rounding (upper: infinity); None for a zero
    matrix."""
    s = found.values
    if not s[0]:
        return None
    last, radius = float(s[-1]), float(found.radii[-1])
    lower = float(s[0]) / (last + radius)
    if not found.complete or last <= radius:
        return Interval(lower, math.inf)
    return Interval(lower, float(s[0]) / (last - radius))


def energy(found: Spectrum) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(share, tail): share[i] of the squared norm that the first i + 1 values hold, and tail[i], the relative
    Frobenius error of the best approximation of rank i + 1, from sums of what is left and not from differences."""
    squares, total = np.square(found.values), found.scaled.squares
    if not total:
        return np.ones(len(squares)), np.zeros(len(squares))
    beyond = 0.0 if found.complete else found.remainder**2
    left = beyond + np.append(np.cumsum(squares[::-1])[::-1], 0.0)[1:]
    return np.minimum(np.cumsum(squares) / total, 1.0), np.sqrt(left / total)
