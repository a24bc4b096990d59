"""Norms of a matrix: exact from its entries or from all singular values, else enclosed by the leading ones."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import TYPE_CHECKING

from ..certificates.spectral import affordable
from ..errors import UsageError
from ..lazy import np
from ..matrices.magnitudes import magnitudes
from ..options import check, opt
from . import spectrum_ranks as ranks
from .needs import read_buffers
from .scaling import Scaled, bring_to_scale
from .spectral_interval import interval as spectral_interval
from .spectrum import DEFAULT_COUNT, FAILURE_PROBABILITY, Spectrum, spectrum_of
from .spectrum_needs import needs_of as needs_of_values
from .spectrum_ranks import Interval, exactly

if TYPE_CHECKING:
    from ..matrices.metered import Metered
    from ..matrices.protocols import Matrix
    from ..streams import Streams

ENTRYWISE = ("max", "1", "inf")
SINGULAR = ("spectral", "nuclear")
_KINDS = "fro, spectral, nuclear, schatten:P with P at least 1, max, 1, inf"
_NUMBER = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
GRADIENTS = ("spectral", "decay")
#: Values found for the spectral norm: those near the first must be known to say that none is larger.
LEADING = 4
#: An interval of the spectral norm wider than this ratio of its ends is worth another look.
WIDE = 1.05


@dataclasses.dataclass(frozen=True)
class NormOptions:
    """kind: names of norms with commas between."""

    kind: str = opt("fro,spectral", f"Norms, with commas between: {_KINDS}.")
    gradient: str | None = opt(
        None,
        "Gradient to work out, and to save with -o: spectral, u_1 v_1^H, that of s_1; decay, s_1 u_1 v_1^H, that of "
        "s_1^2 / 2.",
        choices=GRADIENTS,
    )
    effective_ranks: bool = opt(False, "Effective and numeric ranks too.")
    all: bool = opt(False, "All singular values, by a dense decomposition: every norm is exact.")

    def __post_init__(self) -> None:
        check(self)
        parse(self.kind)


def parse(text: str) -> tuple[str, ...]:
    """The norms a text names, as they are called in reports. Raises UsageError for one that is none, or named twice."""
    found = []
    for part in text.split(","):
        name = part.strip().lower()
        if name.startswith("schatten:"):
            name = f"schatten:{exponent(name):.15g}"
        elif name not in ("fro", *SINGULAR, *ENTRYWISE):
            raise UsageError(f"--kind {part.strip()!r} is no norm", hint=f"choose of {_KINDS}")
        if name in found:
            raise UsageError(f"--kind names {name} twice", hint="name each norm once")
        found.append(name)
    return tuple(found)


def exponent(name: str) -> float:
    """p of ``schatten:p``. Raises UsageError unless it is a finite number of at least 1."""
    text = name.partition(":")[2]
    if not _NUMBER.fullmatch(text):
        raise UsageError(f"--kind {name!r} needs a number of at least 1", hint="write it like schatten:4")
    p = float(text)
    if not 1 <= p < math.inf:
        raise UsageError(
            f"--kind {name!r} is no norm: the exponent must be at least 1 and finite",
            hint="the limit of large exponents is --kind spectral",
        )
    return p


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """Norms of ``scaled.matrix`` by name, each with the probability that its interval does not hold (None: it always
    does); spectrum where one was needed."""

    scaled: Scaled
    norms: dict[str, tuple[Interval, float | None]]
    spectrum: Spectrum | None


def measure(matrix: Metered, options: NormOptions, streams: Streams) -> Measured:
    """The norms asked for, each as an interval that is a point where it is exact.

    Frobenius: from the sweep. max, 1, inf: from one pass more. The others from all singular values by LAPACK where
    that is affordable (4 million entries, smaller side of 1000) or asked for; else from a block Krylov basis for the
    leading ones, 4 for the spectral norm and its gradient, 50 for the others. Raises like ``spectrum_of``.
    """
    kinds, asked = parse(options.kind), _values_for(options, matrix.shape)
    found = None if asked is None else spectrum_of(matrix, *asked, streams)
    scaled = bring_to_scale(matrix) if found is None else found.scaled
    made: dict[str, Interval] = {"fro": exactly(math.sqrt(scaled.squares))}
    if any(k in ENTRYWISE for k in kinds):
        seen = magnitudes(scaled.matrix)
        entrywise = seen.largest, float(seen.columns.max()), float(seen.rows.max())
        made |= {name: exactly(value) for name, value in zip(ENTRYWISE, entrywise, strict=True)}
    if found is not None:
        made |= {name: interval for name, interval in ranks.norms(found).items() if name in SINGULAR}
        made |= {k: schatten(found, exponent(k)) for k in kinds if k.startswith("schatten")}
    chance = None if found is None else found.failure_probability
    norms = {k: (made[k], None if made[k].lower == made[k].upper else chance) for k in kinds}
    if "spectral" in kinds and norms["spectral"][0].upper > WIDE * norms["spectral"][0].lower:
        norms["spectral"] = _narrowed(norms["spectral"][0], scaled, streams)
    return Measured(scaled, norms, found)


def _values_for(options: NormOptions, shape: tuple[int, int]) -> tuple[int | None, bool] | None:
    """How many singular values are needed, and whether all; None where none are."""
    kinds = parse(options.kind)
    beyond = options.effective_ranks or any(k == "nuclear" or k.startswith("schatten") for k in kinds)
    if not (beyond or "spectral" in kinds or options.gradient):
        return None
    everything = options.all or affordable(shape)
    return None if everything else min(DEFAULT_COUNT if beyond else LEADING, *shape), everything


def needs_of(matrix: Matrix, options: NormOptions, have: int) -> dict[str, int]:
    """Bytes of memory by component that ``measure`` takes at least."""
    asked = _values_for(options, matrix.shape)
    return {"read buffers": read_buffers(matrix)} if asked is None else needs_of_values(matrix, *asked, have)


def _narrowed(wide: Interval, scaled: Scaled, streams: Streams) -> tuple[Interval, float]:
    """The spectral norm again, by block Lanczos from starts of its own: a basis that converged in a few steps says
    little of what it may have missed."""
    fro = math.sqrt(scaled.squares)
    lower, upper = spectral_interval(scaled.matrix, None, streams.within("norm"), FAILURE_PROBABILITY, fro)
    # the rounding of the products of the basis moves a Ritz value by this
    noise = 4 * math.sqrt(max(scaled.matrix.shape)) * float(np.finfo(scaled.matrix.dtype).eps) * fro
    return Interval(max(wide.lower, lower - noise), min(wide.upper, upper + noise)), 2 * FAILURE_PROBABILITY


def schatten(found: Spectrum, p: float) -> Interval:
    """(sum s^p)^(1/p) of the scaled matrix.

    With only the leading K values: the rest has sum c^2 = t and c <= cap, so sum c^p lies between concentrated and
    spread evenly over p - K places. From below by pinching, which lowers every unitarily invariant norm; from above by
    the triangle inequality with the coupling R of rank K, |R|_p <= K^(1/p - 1/2) |R|_F for p < 2, else |R|_F.
    """
    s, fro = found.values, math.sqrt(found.scaled.squares)
    if not fro or p == 2:
        return exactly(fro)
    first = float(s[0])
    known = float(np.sum((s / first) ** p))
    if found.complete:
        return exactly(first * known ** (1 / p))
    rest = ranks.rest_of(found)
    low, high, cap = rest.low / first, rest.high / first, rest.cap / first

    def spread(length: float) -> float:
        return rest.count * (length / math.sqrt(rest.count)) ** p

    def heaped(length: float) -> float:
        # a cap above s_1 to a large power may overflow: the Frobenius norm is the better bound then
        with np.errstate(over="ignore"):
            return length**2 * float(np.float64(cap) ** (p - 2)) if cap > 0 else 0.0

    least, most = (spread(low), heaped(high)) if p > 2 else (heaped(low), spread(high))
    K = len(s)
    coupling = rest.coupling * (K ** (1 / p - 0.5) if p < 2 else 1.0)
    noise = K ** (1 / p) * rest.rounding
    # of all matrices of this Frobenius norm: one value, or equal ones
    flat = found.full ** (1 / p - 0.5) * fro
    upper = min(first * (known + most) ** (1 / p) + coupling + noise, max(fro, flat) + rest.rounding)
    lower = max(first * (known + least) ** (1 / p) - noise, min(fro, flat) - rest.rounding)
    return Interval(min(lower, upper), upper)
