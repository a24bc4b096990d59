"""How far below a projection the best approximation can lie: what the leading singular values may still gain.

A^H u_j = s_j v_j for an orthonormal U = [u_1 ... u_l], so in a basis that begins with U

    A A^H  =  [ S^2  R^H ]  <=  [ S^2    R^H   ],   R = (I - U U^H) A V S,  K = E E^H,  E = (I - U U^H) A,
              [ R    K   ]      [ R    cap I   ]

for any cap >= |E|_2^2. The sum of the k largest eigenvalues of the right side bounds that of A A^H, it follows from
R^H R alone, and it grows with R^H R in the order of positive semidefinite matrices, so an upper bound of R^H R will do.
The bound of cap comes from
Gaussian vectors that U has not seen, after a Chebyshev polynomial of E^H E, E = (I - U U^H) A, has lifted what exceeds
the bulk: Halko, Martinsson and Tropp 2011, Lemma 4.1, for the power; the constant is exact here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..lazy import np
from .probes import chi_square_quantile

if TYPE_CHECKING:
    import numpy

#: Gaussian vectors of a bound of |E|_2.
COUNT = 32


def chebyshev(degree: int, x: float) -> float:
    """T_degree(x) for x >= 1."""
    return math.cosh(degree * math.acosh(max(1.0, x)))


def cap(observed: float, bulk: float, degree: int, delta: float, complex_: bool = False) -> float:
    """A bound of |E|_2^2 that fails with probability at most delta.

    observed: |E T(2 E^H E / bulk - I) G|_2^2, T the Chebyshev polynomial of that degree, G of COUNT Gaussian columns.
    For a leading right singular vector v of E with s^2 = |E|_2^2 > bulk, observed >= s^2 T(2 s^2 / bulk - 1)^2
    |v^H G|^2, and the factor of |v^H G|^2 grows with s^2: solved for s^2 by bisection.
    """
    limit = observed / chi_square_quantile(delta, COUNT, complex_)

    def reached(square: float) -> float:
        try:
            value = chebyshev(degree, 2 * square / bulk - 1)
        except OverflowError:
            return math.inf
        # in this order, so that it overflows only where it is larger than any limit
        return square * value * value

    if reached(bulk) >= limit:
        return bulk
    low, high = bulk, max(limit, bulk)
    # to the last bit: the limit may be larger than the solution by any power
    while low < (middle := 0.5 * (low + high)) < high:
        low, high = (middle, high) if reached(middle) < limit else (low, middle)
    return high


def joint(parts: list[numpy.ndarray]) -> numpy.ndarray:
    """A bound of (D_1 + D_2 + ...)^H (D_1 + D_2 + ...) from bounds of D_i^H D_i: by Cauchy and Schwarz, with the
    weights that make its trace smallest."""
    sizes = [math.sqrt(max(0.0, float(np.trace(part).real))) for part in parts]
    total = sum(sizes)
    zero = np.zeros_like(parts[0])
    return sum(((total / size) * part for part, size in zip(parts, sizes, strict=True) if size > 0), zero)


def missing(k: int, squares: numpy.ndarray, distances: numpy.ndarray, cap: float) -> float:
    """A bound of (sum of the k largest squared singular values of A) - (sum of the first k of ``squares``).

    squares (l,), l >= k: s_j^2, non-increasing; distances (l, l): a bound of V^H E^H E V; cap: a bound of |E|_2^2.
    """
    l = len(squares)
    s = np.sqrt(squares)
    values, vectors = np.linalg.eigh((s[:, None] * distances) * s)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.conj().T
    both = np.block([[np.diag(squares), root], [root, cap * np.eye(l)]])
    largest = np.maximum(np.linalg.eigvalsh(both)[::-1][:k], cap)
    return float(np.sum(largest) - np.sum(squares[:k]))
