"""Odd polynomials and rational functions that drive singular values to 1: their coefficients, and what they promise.

A step of a matrix sign iteration maps every singular value x to p(x) = a x + b x^3 + c x^5 and leaves the singular
vectors alone, so all that it does can be worked out on numbers. Everything here is about numbers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from ..lazy import np

#: (a, b, c) of p(x) = a x + b x^3 + c x^5.
Triple = tuple[float, float, float]

#: Muon's five steps (Jordan et al. 2024): steep at 0, and no fixed point at 1.
JORDAN: Triple = (3.4445, -4.7750, 2.0315)
#: Newton-Schulz: Taylor approximations of x (x^2)^(-1/2) at 1, of order two and three.
CUBIC: Triple = (1.5, -0.5, 0.0)
QUINTIC: Triple = (1.875, -1.25, 0.375)
#: The fit does not reach below this share of the interval's upper end (that of the published coefficients). Without it
#: a polynomial for a tiny lower end takes values of order 1 to nearly 0 on its way, and rounding with them.
CUSHION = 0.02407327424182761
#: Near the upper end of an interval polynomials are steep, and what rounding lifts above it would leave for ever: each
#: is laid out for an interval this much wider (1.01 in half precision, by the same authors).
SAFETY = 1.001
#: From this ratio of the ends on the best polynomial and Taylor's agree to rounding.
_TAYLOR = 1 - 5e-6
#: Beyond this weight the QDWH step is taken through a QR, whose rounding does not grow with it.
CHOLESKY_WEIGHT = 100.0


def value(triple: Triple, x: float) -> float:
    """p(x)."""
    a, b, c = triple
    return x * (a + x * x * (b + x * x * c))


def image(triple: Triple, low: float, high: float) -> tuple[float, float]:
    """[least, largest] value of p on [low, high]: at the ends, or where the derivative vanishes between them.

    A continuous map takes an interval onto an interval, so repeated images are those of the composition, exactly.
    """
    a, b, c = triple
    points = [low, high]
    for square in _roots(5 * c, 3 * b, a):
        if low * low < square < high * high:
            points.append(math.sqrt(square))
    values = [value(triple, x) for x in points]
    return min(values), max(values)


def _roots(a: float, b: float, c: float) -> list[float]:
    """The real roots of a t^2 + b t + c, smaller first."""
    if not a:
        return [-c / b] if b else []
    inside = b * b - 4 * a * c
    if inside < 0:
        return []
    # the root of larger modulus without cancellation, the other from their product
    far = -0.5 * (b + math.copysign(math.sqrt(inside), b))
    return sorted([far / a, c / far] if far else [0.0, 0.0])


def best_quintic(low: float, high: float) -> tuple[Triple, float]:
    """The odd quintic nearest to 1 on [low, high] in the largest deviation, and that deviation; 0 < low < high.

    Remez: the deviation is taken with alternating signs at the ends and at the two extrema between.
    """
    q, r = (3 * low + high) / 4, (low + 3 * high) / 4
    before = math.inf
    for _ in range(100):
        points = np.array([low, q, r, high])
        signs = np.array([1.0, -1.0, 1.0, -1.0])
        system = np.stack([points, points**3, points**5, signs], axis=1)
        a, b, c, deviation = (float(x) for x in np.linalg.solve(system, np.ones(4)))
        if not abs(deviation - before) > 1e-15 * abs(deviation):
            break
        before = deviation
        squares = _roots(5 * c, 3 * b, a)
        if len(squares) != 2 or squares[0] <= 0:
            break
        q, r = math.sqrt(squares[0]), math.sqrt(squares[1])
    return (a, b, c), abs(deviation)


def polar_express(low: float, cushion: float = CUSHION, safety: float = SAFETY) -> Iterator[Triple]:
    """The quintics of Polar Express for singular values in [low, 1], without end.

    Each is the best one for the interval that those before it leave, which is the best composition too (Amsel, Persson,
    Musco and Gower 2025, Theorem 3.1); scaled so that its values lie evenly about 1. cushion 0 and safety 1 give that
    optimum, safety 1 the published coefficients; the defaults give up a little of it for rounding.
    """
    high = 1.0
    while True:
        if low / high > _TAYLOR:
            a, b, c = QUINTIC
            triple = a / high, b / high**3, c / high**5
        else:
            (a, b, c), _ = best_quintic(max(low, cushion * high), high)
            # below the interval of the fit the value at ``low`` is the least there is
            share = 2 / (value((a, b, c), low) + value((a, b, c), high))
            triple = a * share / safety, b * share / safety**3, c * share / safety**5
        yield triple
        low = value(triple, low)
        high = 2 - low


def quintics(method: str, low: float) -> Iterator[Triple]:
    """The polynomials of ``polar-express``, ``newton-schulz``, ``newton-schulz-cubic`` or ``muon``, without end."""
    if method == "polar-express":
        return polar_express(low)
    return itertools.repeat({"newton-schulz": QUINTIC, "newton-schulz-cubic": CUBIC, "muon": JORDAN}[method])


def until(method: str, low: float, tolerance: float, most: int) -> list[Triple]:
    """As many polynomials as bring all of [low, 1] within tolerance of 1, and at most ``most``."""
    taken: list[Triple] = []
    left, right = low, 1.0
    for triple in itertools.islice(quintics(method, low), most):
        if max(1 - left, right - 1) <= tolerance:
            break
        taken.append(triple)
        left, right = image(triple, left, right)
    return taken


def deviation(triples: list[Triple], low: float) -> float:
    """The largest |1 - p(x)| of the composition on [low, 1]."""
    left, right = low, 1.0
    for triple in triples:
        left, right = image(triple, left, right)
    return max(1 - left, right - 1)


def qdwh_weights(low: float) -> tuple[Triple, float]:
    """(a, b, c) of the step x (a + b x^2) / (1 + c x^2) for values in [low, 1], and the lower end after it.

    The best rational function of this type (Nakatsukasa, Bai and Gygi 2010, equation 3.19), dynamically weighted
    Halley; low = 1 gives Halley's own (3, 1, 3).
    """
    square = low * low
    d = (4 * (1 - square) / square**2) ** (1 / 3) if low < 1 else 0.0
    root = math.sqrt(1 + d)
    a = root + 0.5 * math.sqrt(8 - 4 * d + 8 * (2 - square) / (square * root))
    b = (a - 1) ** 2 / 4
    triple = a, b, a + b - 1
    return triple, halley(triple, low)


def halley(triple: Triple, x: float) -> float:
    """x (a + b x^2) / (1 + c x^2), at most 1 as on [0, 1] without rounding."""
    a, b, c = triple
    return min(x * (a + b * x * x) / (1 + c * x * x), 1.0)


def qdwh(low: float, tolerance: float) -> list[Triple]:
    """The weights of the QDWH steps that bring [low, 1] within tolerance of 1: six from 1e-16 in double precision."""
    weights = []
    while 1 - low > tolerance:
        triple, low = qdwh_weights(low)
        weights.append(triple)
    return weights
