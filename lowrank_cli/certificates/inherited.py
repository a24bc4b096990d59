"""What is known of the matrices that factors came from, and what is left of it when the factors change."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Inherited:
    """|A - F| is at most ``absolute`` for the matrix A that factors F stand for, except with failure_probability.

    norm_lower: |A| is at least this; None where only |F| tells.
    """

    absolute: float
    failure_probability: float = 0.0
    norm_lower: float | None = None

    def scaled(self, weight: float) -> Inherited:
        """Of weight A."""
        lower = None if self.norm_lower is None else abs(weight) * self.norm_lower
        return Inherited(abs(weight) * self.absolute, self.failure_probability, lower)


#: Of a matrix that is its own factor.
EXACT = Inherited(0.0)


def of_report(report: Mapping[str, Any], norm: str) -> Inherited | None:
    """What the stored report of factors claims of their error in this norm; None where it claims nothing.

    Of factors that were recompressed: what is known against the first matrix. A Frobenius bound is a spectral one too.
    """
    error = report.get("total") if report.get("command") == "recompress" else report.get("error")
    if not isinstance(error, Mapping) or error.get("kind") not in ("exact", "bound") or error.get("absolute") is None:
        return None
    if error.get("norm") not in (norm, "fro"):
        return None
    relative, absolute = error.get("relative"), float(error["absolute"])
    size = absolute / float(relative) if relative and error.get("norm") == norm else None
    return Inherited(absolute, error.get("failure_probability") or 0.0, size)


def of_product(first: Inherited | None, second: Inherited | None, sizes: tuple[float, float]) -> Inherited | None:
    """Of A_1 A_2 for F_1 F_2: e_1 |F_2|_2 + |F_1|_2 e_2 + e_1 e_2. sizes: |F_1|_2 and |F_2|_2."""
    if first is None or second is None:
        return None
    e, f = first.absolute, second.absolute
    crossed = sum(a * b for a, b in ((e, sizes[1]), (sizes[0], f), (e, f)) if a and b)
    return Inherited(crossed, first.failure_probability + second.failure_probability)


def total(parts: Sequence[Inherited | None], norm: str, size: float, error: float | None) -> dict[str, Any] | None:
    """The error of G against the sum of the matrices behind the parts, by the triangle inequality: |F - G| = error,
    |F| = size. None where a part claims nothing."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or error is None:
        return None
    inherited = math.fsum(part.absolute for part in known)
    chance = math.fsum(part.failure_probability for part in known)
    lower = size - inherited
    if len(known) == 1 and known[0].norm_lower is not None:
        lower = max(lower, known[0].norm_lower)
    absolute = inherited + error
    return {
        "norm": norm,
        "relative": absolute / lower if lower > 0 else (0.0 if absolute == 0 else None),
        "absolute": absolute,
        "kind": "bound",
        "failure_probability": chance or None,
    }
