"""What is known of an error: the number, its norm, its kind, and how often it may be wrong."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Certificate:
    """The error of an approximation.

    kind: "exact" (measured against the matrix), "bound" (holds except with failure_probability), "estimate", or
    "none". relative is absolute over the norm of the matrix, 0 for a zero matrix. optimal_lower and optimal_upper
    enclose the best relative error any approximation of this rank can have; None where nothing is known. The lower one
    holds except with optimal_failure_probability; None: always.
    matrix_norm is the Frobenius norm the relative error refers to.
    """

    norm: str = "fro"
    kind: str = "none"
    absolute: float | None = None
    relative: float | None = None
    relative_estimate: float | None = None
    failure_probability: float | None = None
    probes: int | None = None
    optimal_lower: float | None = None
    optimal_upper: float | None = None
    optimal_failure_probability: float | None = None
    matrix_norm: float | None = None
