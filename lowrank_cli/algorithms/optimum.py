"""The best possible error, enclosed: from what the basis says, and where that is wide, from a few probes more."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from ..certificates import optimum
from ..certificates.certificate import Certificate
from ..lazy import np
from ..matrices.blocks import cast, combined, cross, gram, subtract_product
from ..sketches.gaussian import gaussian
from ..streams import Streams
from .bases import adjoint, tall
from .scaling import Scaled, lowered
from .svd_sources import Refined

if TYPE_CHECKING:
    import numpy

#: An enclosure whose ends are this near needs no more work.
TIGHT = 1.005
#: Degrees of the polynomial, tried in turn: each costs two products of 32 columns more, in one pass.
_DEGREES = (1, 2, 3)
#: The rounding of a product, in units of eps |A|_F |X|.
_ROUNDING = 4.0


def enclose(source: Refined, k: int, found: Certificate, scaled: Scaled, delta: float, streams: Streams) -> Certificate:
    """The certificate with a higher lower end of the best possible error of rank k, where the one it has is loose.

    measured^2 - best^2 is what the k largest squared singular values exceed s_1^2 + ... + s_k^2 by, since A^H U = V S:
    ``certificates.optimum`` bounds it. Fails with probability delta. Cost: 3 products of 32 columns in two passes,
    two more in one pass for each further degree while the bound is loose; they need no precision, so single serves
    while its rounding is small.
    """
    norm = math.sqrt(scaled.squares)
    lower, upper = found.optimal_lower or 0.0, found.relative or 0.0
    if source.complete or upper <= TIGHT * lower or not norm:
        return found
    U, s, V = source.resolved(k)
    if len(s) <= k or not s[k] > 0:
        return found
    squares = np.square(s.astype(np.float64))
    probe = _Probe(source, U, float(squares[-1]), scaled, streams)
    parts = _distances(source, V, len(s), norm)
    for degree in _DEGREES:
        cap = probe.cap(degree, delta / len(_DEGREES))
        distances = optimum.joint([*parts[:2], cap * parts[2]])
        best = (upper * norm) ** 2 - optimum.missing(k, squares, distances, cap)
        lower = max(lower, math.sqrt(max(0.0, best)) / norm)
        if upper <= TIGHT * lower:
            break
    if lower <= (found.optimal_lower or 0.0):
        return found
    return dataclasses.replace(found, optimal_lower=min(lower, upper), optimal_failure_probability=delta)


class _Probe:
    """E T(2 E^H E / bulk - I) G for E = (I - U U^H) A and growing degrees of the Chebyshev polynomial T."""

    def __init__(self, source: Refined, U: numpy.ndarray, bulk: float, scaled: Scaled, streams: Streams):
        self.bulk = bulk
        self.matrix, exponent = self._precision(source, scaled)
        self.unit = math.ldexp(bulk, -2 * exponent)
        self.adjoint = adjoint(self.matrix)
        self.engine = self.matrix.engine
        self.U = cast(U, self.matrix.dtype, self.engine)
        self.noise = _ROUNDING * float(np.finfo(self.matrix.dtype).eps) * math.sqrt(scaled.squares / bulk)
        G = gaussian(streams, "optimum", self.matrix.shape[1], optimum.COUNT, self.matrix.dtype, self.matrix.engine)
        self.degree = 0
        # A times the polynomials of the last two degrees, times G
        self.AX, self.before = self.matrix.matmat(G, keep=True), None
        self.length = math.sqrt(float(np.square(np.abs(G).astype(np.float64)).sum()))

    def _precision(self, source: Refined, scaled: Scaled) -> tuple[Any, int]:
        low = lowered(scaled)
        if low is not None and (_ROUNDING * float(np.finfo(low[0].dtype).eps)) ** 2 * scaled.squares < 1e-6 * self.bulk:
            return tall(low[0]), low[1]
        return source.matrix, 0

    def _projected(self, Y: Any) -> Any:
        """(I - U U^H) Y."""
        left = combined([(1.0, Y)], self.engine)
        subtract_product(left, self.U, cross(self.U, Y, self.engine), self.engine)
        return left

    def cap(self, degree: int, delta: float) -> float:
        """A bound of |E|_2^2 by the polynomial of that degree."""
        while self.degree < degree:
            # A E^H E X = A A^H (I - U U^H) A X: the recurrence runs on A X alone, one fused pass a degree
            more = self.adjoint.normal_matmat(self._projected(self.AX), keep=True)[1]
            twice = 2.0 if self.degree else 1.0
            terms = [(2 * twice / self.unit, more), (-twice, self.AX)]
            stepped = combined(terms if self.before is None else [*terms, (-1.0, self.before)], self.engine)
            self.before, self.AX = self.AX, stepped
            self.degree += 1
        Y = self._projected(self.AX)
        observed = math.sqrt(max(0.0, float(np.linalg.eigvalsh(gram(Y, self.engine))[-1]) / self.unit))
        # what rounding of the products may have hidden, each step at most doubling what came before
        observed += self.noise * 4.0**degree * self.length
        return optimum.cap(observed**2 * self.bulk, self.bulk, degree, delta, self.matrix.dtype.kind == "c")


def _distances(source: Refined, V: numpy.ndarray, l: int, norm: float) -> list[numpy.ndarray]:
    """Bounds of D^H D for parts D of E V: the part of V in the basis meets W, which is known; its rounding; and X^H X
    for the part X outside, where |E|_2 has the last word."""
    basis = source.grown.basis
    engine = basis.matrix.engine
    eps = float(np.finfo(basis.W.dtype).eps)
    C = cross(basis.V, V.astype(basis.V.dtype, copy=False), engine)
    X = V.astype(basis.V.dtype)
    subtract_product(X, basis.V, C, engine)
    C = (basis.ritz()[1][:, l:].conj().T @ C).astype(np.result_type(C.dtype, np.float64))
    eye = np.eye(l)
    return [
        C.conj().T @ (source.grown.squares()[l:, None] * C),
        (_ROUNDING * eps * norm) ** 2 * eye,
        optimum.joint([gram(X, engine), (8 * eps) ** 2 * eye]),
    ]
