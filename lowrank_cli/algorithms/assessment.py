"""Ways to say how large an error is: measured, bounded, or not at all. All speak of the scaled matrix."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Protocol

from ..budget import Budget
from ..certificates import probes, residual, spectral
from ..certificates.certificate import Certificate
from ..factors.base import Approximation
from ..lazy import np
from ..matrices.facts import ldexp
from ..streams import Streams
from .scaling import Scaled, at_scale, bring_to_scale
from .spectral_interval import interval
from .tolerance import Assessment, Judge, Settled, bracket, rank_for, search, settle

if TYPE_CHECKING:
    import numpy

    from ..factors.base import Factorization
    from ..matrices.metered import Metered


class Assessor(Protocol):
    """Judges factors, again and again; a bound that may fail divides its probability over the calls.

    norm: that of the scaled matrix, in the norm of the tolerance. margin: how far below the target the squared
    Frobenius error should be expected before a call is worth while. trust: the share of a basis whose Ritz values are
    taken for singular values.
    """

    norm: float
    margin: float
    trust: float

    def __call__(self, factor: Approximation, optimal_lower: float | None) -> Assessment: ...

    def guess(self, target: float, beyond: float, gains: numpy.ndarray) -> int:
        """The first rank to try; more than len(gains) when none will do."""
        ...

    def find(self, guess: int, cap: int, target: float, gains: numpy.ndarray, judge: Judge, capped: bool) -> Settled:
        """The smallest rank that can be shown to meet the target."""
        ...


def swept(matrix: Metered, budget: Budget, streams: Streams, single: bool = False) -> tuple[Scaled, Assessor | None]:
    """``bring_to_scale`` and ``assessor`` in one: probes, where the budget asks for them, are taken as the pass sweeps.

    Where entries are so large or small that the matrix is scaled, they are taken in one pass more. single: see
    ``bring_to_scale``.
    """
    if budget.certify != "probes":
        scaled = bring_to_scale(matrix, single=single)
        return scaled, assessor(scaled, budget, streams)
    # for a relative spectral error others: the factor depends on that norm, and must not have seen those that judge it
    names = ["certificate", "norm"] if budget.norm == "spectral" else ["certificate"]
    blocks = [probes.drawn(matrix, streams, name) for name in names]
    facts = matrix.shared.get(("facts", False))
    if facts is None:
        with np.errstate(over="ignore", invalid="ignore"):
            facts, *products = matrix.together((matrix, "sweep", False), *((matrix, "matmat", G) for G in blocks))
        matrix.shared["facts", False] = facts
    else:
        # another run has swept the matrix: charged as if this one had
        matrix.ledger.passes += 1
        products = [matrix.matmat_in_sweep(G) for G in blocks]
    scaled = at_scale(matrix, facts)
    if scaled.exponent:
        products = matrix.together(*((scaled.matrix, "matmat", G) for G in blocks))
    stored = [probes.StoredProbes(G, AG) for G, AG in zip(blocks, products, strict=True)]
    leading = stored[1].spectral_lower(scaled.matrix) if len(stored) > 1 else None
    return scaled, Probed(scaled, budget, streams, stored[0], leading)


def assessor(scaled: Scaled, budget: Budget, streams: Streams) -> Assessor | None:
    """The way the budget asks for; None for certify "none". Stored probes are taken now."""
    if budget.certify == "none":
        return None
    if budget.certify == "probes":
        return Probed(scaled, budget, streams)
    return Spectral(scaled, budget, streams) if budget.norm == "spectral" else Measured(scaled)


class Measured:
    """The exact Frobenius error, one pass a call."""

    margin = trust = 1.0

    def __init__(self, scaled: Scaled):
        self.scaled = scaled
        self.norm = math.sqrt(scaled.squares)

    def __call__(self, factor: Approximation, optimal_lower: float | None) -> Assessment:
        error = residual.residual(self.scaled.matrix, _as_stored(factor, self.scaled))
        found = residual.exact(error, self.scaled.work_facts, optimal_lower)
        square = float(np.ldexp(error.squares, 2 * error.exponent))
        return Assessment(square, _unscaled(found, self.scaled, self.norm))

    def guess(self, target: float, beyond: float, gains: numpy.ndarray) -> int:
        return rank_for(target, beyond, gains)

    def find(self, guess: int, cap: int, target: float, gains: numpy.ndarray, judge: Judge, capped: bool) -> Settled:
        return settle(guess, cap, target, gains, judge, capped)


class ByNorms:
    """The exact Frobenius error of a projection of rank k: |A|^2 - s_1^2 - ... - s_k^2, no pass; ``otherwise`` where
    that difference has lost more than six of sixteen digits."""

    margin = trust = 1.0

    def __init__(self, scaled: Scaled, squares: numpy.ndarray, otherwise: Assessor):
        self.scaled, self.squares, self.otherwise = scaled, squares, otherwise
        self.norm = math.sqrt(scaled.squares)

    def __call__(self, factor: Factorization, optimal_lower: float | None) -> Assessment:
        square = self.scaled.squares - float(np.sum(self.squares[: factor.rank]))
        if not square > residual.CANCELLED * self.scaled.squares:
            return self.otherwise(factor, optimal_lower)
        relative = math.sqrt(square) / self.norm
        found = Certificate(
            norm="fro",
            kind="exact",
            absolute=math.sqrt(square),
            relative=relative,
            optimal_lower=None if optimal_lower is None else min(optimal_lower, relative),
            optimal_upper=None if optimal_lower is None else relative,
        )
        return Assessment(square, _unscaled(found, self.scaled, self.norm))

    def guess(self, target: float, beyond: float, gains: numpy.ndarray) -> int:
        return rank_for(target, beyond, gains)

    def find(self, guess: int, cap: int, target: float, gains: numpy.ndarray, judge: Judge, capped: bool) -> Settled:
        return settle(guess, cap, target, gains, judge, capped)


class Probed:
    """A bound of the Frobenius or the spectral error from probes stored before; no pass.

    A relative spectral error is that over a lower bound of the spectral norm of the matrix, |A^H Q|_2 for Q a basis
    of A times other probes: always true, and one more pass. stored and leading: probes that were taken already, and a
    lower bound of the spectral norm that has not seen them.
    """

    trust = 0.5

    def __init__(
        self,
        scaled: Scaled,
        budget: Budget,
        streams: Streams,
        stored: probes.StoredProbes | None = None,
        leading: float | None = None,
    ):
        self.scaled, self.kind = scaled, budget.norm
        self.delta = self.left = budget.failure_probability
        self.stored = stored or probes.store(scaled.matrix, streams)
        self.complex = self.stored.G.dtype.kind == "c"
        self.norm = math.sqrt(scaled.squares)
        if budget.norm == "spectral" and leading is not None:
            self.norm = leading
        elif budget.norm == "spectral":
            # other probes: the factor depends on this norm, and must not have seen those that judge it
            self.norm = probes.store(scaled.matrix, streams, "norm").spectral_lower(scaled.matrix)
        # as if this were the fourth call: each has half the probability of the one before
        self.margin = probes.chi_square_quantile(self.delta / 16, probes.COUNT, self.complex) / probes.COUNT

    def __call__(self, factor: Approximation, optimal_lower: float | None) -> Assessment:
        self.left /= 2
        square = self.stored.residual_square(_as_stored(factor, self.scaled))
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

    def find(self, guess: int, cap: int, target: float, gains: numpy.ndarray, judge: Judge, capped: bool) -> Settled:
        return search(guess, cap, target, judge)


class Spectral:
    """The spectral error, relative to the spectral norm: exact where the matrix is small enough to decompose, else an
    upper bound over a lower bound."""

    margin, trust = 1.0, 0.5

    def __init__(self, scaled: Scaled, budget: Budget, streams: Streams):
        self.scaled, self.streams = scaled, streams
        self.delta = self.left = budget.failure_probability
        self.calls = 0
        self.exact = spectral.affordable(scaled.matrix.shape)
        if self.exact:
            self.norm = self.norm_upper = float(np.linalg.norm(scaled.matrix.whole(), 2))
        else:
            self.norm, self.norm_upper = self._interval(None, self.delta)

    def _interval(self, factor: Approximation | None, delta: float) -> tuple[float, float]:
        self.calls += 1
        streams = self.streams.within(f"spectral {self.calls}")
        return interval(self.scaled.matrix, factor, streams, delta, math.sqrt(self.scaled.squares))

    def __call__(self, factor: Approximation, optimal_lower: float | None) -> Assessment:
        if self.exact:
            lower = upper = spectral.exact_norm(self.scaled.matrix, _as_stored(factor, self.scaled))
        else:
            self.left /= 2
            lower, upper = self._interval(_as_stored(factor, self.scaled), self.left)
        best = None
        if optimal_lower is not None and self.norm_upper:
            # given over the lower bound of |A|_2: over the upper one it is below the best relative error
            best = min(optimal_lower * (self.norm / self.norm_upper), self._relative(upper))
        elif optimal_lower is not None:
            best = 0.0
        found = Certificate(
            norm="spectral",
            kind="exact" if self.exact else "bound",
            absolute=upper,
            relative=self._relative(upper),
            relative_estimate=None if self.exact else self._relative(lower),
            failure_probability=None if self.exact else self.delta,
            probes=None if self.exact else spectral.STARTS,
            optimal_lower=best,
            optimal_upper=None if best is None else self._relative(upper),
            optimal_failure_probability=None if self.exact or best is None else self.delta,
        )
        return Assessment(upper**2, _unscaled(found, self.scaled, self.norm))

    def _relative(self, absolute: float) -> float:
        return absolute / self.norm if self.norm else 0.0

    def guess(self, target: float, beyond: float, gains: numpy.ndarray) -> int:
        """For an SVD gains are squared singular values, and the error of rank k is the next one; for other kinds it
        is where to begin."""
        fits = np.flatnonzero(gains <= (target if self.exact else target / 1.1))
        return max(1, int(fits[0])) if len(fits) else len(gains) + 1

    def find(self, guess: int, cap: int, target: float, gains: numpy.ndarray, judge: Judge, capped: bool) -> Settled:
        return (bracket if self.exact else search)(guess, cap, target, judge)


def _as_stored(factor: Approximation, scaled: Scaled) -> Approximation:
    """A factor of the scaled matrix with the digits it keeps on the scale of the matrix as given, which are fewer where
    that is among the subnormal numbers. Columns and rows of the matrix itself lose none."""
    if scaled.exponent > np.finfo(scaled.matrix.dtype).minexp:
        return factor
    kept = factor.scaled(scaled.exponent)
    return kept.scaled(-scaled.exponent) if type(kept) is type(factor) else factor


def _unscaled(found: Certificate, scaled: Scaled, norm: float) -> Certificate:
    """The certificate on the scale of the matrix as given; relative numbers stay."""
    absolute = ldexp(found.absolute or 0.0, scaled.exponent)
    return dataclasses.replace(found, absolute=absolute, matrix_norm=ldexp(norm, scaled.exponent))
