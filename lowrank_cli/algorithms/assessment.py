"""Ways to say how large an error is: measured, bounded, or not at all. All speak of the scaled matrix."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Protocol

from ..budget import Budget
from ..certificates import probes, residual, spectral
from ..certificates.certificate import Certificate
from ..factors.base import Factorization
from ..lazy import np
from ..matrices.difference import Difference
from ..matrices.facts import ldexp
from ..sketches.gaussian import gaussian
from ..streams import Streams
from .scaling import Scaled
from .tolerance import rank_for

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(frozen=True)
class Assessment:
    """square: the squared error or its bound, on the scaled matrix, to hold against a target."""

    square: float
    certificate: Certificate


class Assessor(Protocol):
    """Judges factors, again and again; a bound that may fail divides its probability over the calls.

    norm: that of the scaled matrix, in the norm of the tolerance. identity: the judged squares obey
    |A - F_k|^2 = |A - F_{k+1}|^2 + gain, so one call tells of the neighbours. margin: how far below the target the
    squared Frobenius error should be expected before a call is worth while.
    """

    identity: bool
    norm: float
    margin: float

    def __call__(self, factor: Factorization, optimal_lower: float | None) -> Assessment: ...

    def guess(self, target: float, beyond: float, gains: numpy.ndarray) -> int:
        """The first rank to try."""
        ...


def assessor(scaled: Scaled, budget: Budget, streams: Streams) -> Assessor | None:
    """The way the budget asks for; None for certify "none". Stored probes are taken now."""
    if budget.certify == "none":
        return None
    if budget.certify == "probes":
        return Probed(scaled, budget, streams)
    return Spectral(scaled, budget, streams) if budget.norm == "spectral" else Measured(scaled)


class Measured:
    """The exact Frobenius error, one pass a call."""

    identity, margin = True, 1.0

    def __init__(self, scaled: Scaled):
        self.scaled = scaled
        self.norm = math.sqrt(scaled.squares)

    def __call__(self, factor: Factorization, optimal_lower: float | None) -> Assessment:
        error = residual.residual(self.scaled.matrix, factor)
        found = residual.exact(error, self.scaled.work_facts, optimal_lower)
        square = float(np.ldexp(error.squares, 2 * error.exponent))
        return Assessment(square, _unscaled(found, self.scaled, self.norm))

    def guess(self, target: float, beyond: float, gains: numpy.ndarray) -> int:
        return rank_for(target, beyond, gains)


class Probed:
    """A bound of the Frobenius or the spectral error from probes stored before; no pass.

    A relative spectral error is that over a lower bound of the spectral norm of the matrix, |A^H Q|_2 for Q a basis
    of A G: always true, and one more pass.
    """

    identity = False

    def __init__(self, scaled: Scaled, budget: Budget, streams: Streams):
        self.scaled, self.kind = scaled, budget.norm
        self.delta = self.left = budget.failure_probability
        self.stored = probes.store(scaled.matrix, streams)
        self.complex = self.stored.G.dtype.kind == "c"
        self.norm = math.sqrt(scaled.squares) if budget.norm == "fro" else self.stored.spectral_lower(scaled.matrix)
        # as if this were the fourth call: each has half the probability of the one before
        self.margin = probes.chi_square_quantile(self.delta / 16, probes.COUNT, self.complex) / probes.COUNT

    def __call__(self, factor: Factorization, optimal_lower: float | None) -> Assessment:
        self.left /= 2
        square = self.stored.residual_square(factor)
        # rounding of A G and F G: below this the probes see noise
        eps = float(np.finfo(self.stored.G.dtype).eps)
        noise = 2 * math.sqrt(max(self.scaled.matrix.shape)) * eps * math.sqrt(self.scaled.squares)
        upper = probes.bound(square, self.left, probes.COUNT, self.complex) + (noise if square else 0.0)
        known = self.kind == "fro" and optimal_lower is not None
        found = Certificate(
            norm=self.kind,
            kind="bound",
            absolute=upper,
            relative=self._relative(upper),
            relative_estimate=self._relative(math.sqrt(square / probes.COUNT)) if self.kind == "fro" else None,
            failure_probability=self.delta,
            probes=probes.COUNT,
            optimal_lower=optimal_lower if known else None,
            optimal_upper=self._relative(upper) if known else None,
        )
        return Assessment(upper**2, _unscaled(found, self.scaled, self.norm))

    def _relative(self, absolute: float) -> float:
        return absolute / self.norm if self.norm else 0.0

    def guess(self, target: float, beyond: float, gains: numpy.ndarray) -> int:
        return rank_for(self.margin * target, beyond, gains)


class Spectral:
    """The spectral error, relative to the spectral norm: exact where the matrix is small enough to decompose, else
    an upper bound over a lower bound."""

    identity, margin = False, 1.0

    def __init__(self, scaled: Scaled, budget: Budget, streams: Streams):
        self.scaled, self.streams = scaled, streams
        self.delta = self.left = budget.failure_probability
        self.calls = 0
        self.exact = spectral.affordable(scaled.matrix.shape)
        if self.exact:
            self.norm = float(np.linalg.norm(scaled.matrix.whole(), 2))
        else:
            self.norm = spectral.interval(scaled.matrix, self._start(), 0.5)[0]

    def _start(self) -> numpy.ndarray:
        self.calls += 1
        m = self.scaled.matrix.shape[0]
        width = min(spectral.STARTS, m)
        return gaussian(self.streams, f"spectral {self.calls}", m, width, self.scaled.matrix.dtype)

    def __call__(self, factor: Factorization, optimal_lower: float | None) -> Assessment:
        if self.exact:
            lower = upper = spectral.exact_norm(self.scaled.matrix, factor)
        else:
            self.left /= 2
            lower, upper = spectral.interval(Difference(self.scaled.matrix, factor), self._start(), self.left)
        found = Certificate(
            norm="spectral",
            kind="exact" if self.exact else "bound",
            absolute=upper,
            relative=upper / self.norm if self.norm else 0.0,
            relative_estimate=None if self.exact or not self.norm else lower / self.norm,
            failure_probability=None if self.exact else self.delta,
            probes=None if self.exact else spectral.STARTS,
            optimal_lower=optimal_lower if self.exact else None,
            optimal_upper=upper / self.norm if self.exact and self.norm and optimal_lower is not None else None,
        )
        return Assessment(upper**2, _unscaled(found, self.scaled, self.norm))

    def guess(self, target: float, beyond: float, gains: numpy.ndarray) -> int:
        """For an SVD gains are squared singular values, and the error of rank k is the next one; for other kinds it
        is where to begin."""
        fits = np.flatnonzero(gains <= target / 1.1)
        return max(1, int(fits[0])) if len(fits) else len(gains)


def _unscaled(found: Certificate, scaled: Scaled, norm: float) -> Certificate:
    """The certificate on the scale of the matrix as given; relative numbers stay."""
    absolute = ldexp(found.absolute or 0.0, scaled.exponent)
    return dataclasses.replace(found, absolute=absolute, matrix_norm=ldexp(norm, scaled.exponent))
