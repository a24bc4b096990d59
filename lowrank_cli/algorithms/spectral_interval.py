"""The spectral norm of a matrix, or of what an approximation leaves of it, from below and from above."""

from __future__ import annotations

import math
from typing import Any

from ..certificates import spectral
from ..factors.base import Approximation
from ..lazy import np
from ..matrices.adjoint import Adjoint, AdjointOperator
from ..matrices.difference import Difference
from ..matrices.metered import Metered
from ..streams import Streams
from .krylov import BlockKrylov


def interval(
    matrix: Metered,
    factor: Approximation | None,
    streams: Streams,
    delta: float,
    frobenius: float,
    starts: int = spectral.STARTS,
    steps: int = spectral.STEPS,
) -> tuple[float, float]:
    """(lower, upper) for E = A - F, or A: lower <= |E|_2 always, |E|_2 <= upper except with probability delta.

    A block Krylov basis of E on its smaller side: V^H V = I makes every Ritz value a lower bound, and one whose basis
    spans the row space the norm itself. frobenius: that of A, for the rounding of A X - F X, which both ends allow for.
    streams: of this call alone. Cost: 2 steps passes of ``starts`` columns.
    """
    m, n = matrix.shape
    tall: Metered | Adjoint = matrix if m >= n else Adjoint(matrix)
    E: Any = tall if factor is None else Difference(tall, factor if m >= n else AdjointOperator(factor))
    basis = BlockKrylov(E, streams)
    basis.start(min(starts, m, n), fused=False)
    taken = 1
    while taken < steps and not basis.exhausted:
        basis.expand(basis.last, fused=False)
        taken += 1
    if not basis.size:
        return 0.0, 0.0
    found = math.sqrt(float(basis.ritz_squares()[0]))
    noise = 0.0
    if factor is not None:
        noise = 2 * math.sqrt(max(m, n)) * float(np.finfo(E.dtype).eps) * frobenius
    share = 0.0 if basis.exhausted else spectral.slack(min(m, n), starts, taken, delta)
    upper = found / math.sqrt(1 - share) if share < 1 else math.inf
    return max(0.0, found - noise), upper + noise
