"""The matrix sign of a matrix, and a report of how good it is: measured, not believed."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import InputError, NumericalError
from ..lazy import np

if TYPE_CHECKING:
    import numpy

    from ..algorithms.polar import Polar, PolarOptions
    from ..algorithms.scaling import Scaled
    from ..certificates.polar import PolarCheck, PolarDistance
    from ..formats.loaded import Loaded

#: Singular values of X this near to 0 or 1, times sqrt(n) eps, are so to rounding.
_ROUNDING = 64


def msign(
    matrix: Loaded, options: PolarOptions, *, threads: int = 1, blas_pinned: bool = False, digests: bool = True
) -> tuple[numpy.ndarray, dict[str, Any]]:
    """(X, report): the polar factor U_r V_r^H of a matrix in its own dtype, and the report without its ``run`` block.

    ``orthogonality`` is |X^H X - P|_F (rows instead of columns for a wide matrix), P the projection on the ``rank``
    directions that X keeps; ``singular_values`` are those of X; ``backward_error`` is |A - X H|_F / |A|_F, H the
    Hermitian part of X^H A; ``distance`` is that to the polar factor by LAPACK, in double precision, null where it is X
    itself or LAPACK is too dear (over 4 million entries or a smaller side of 1000). ``resolved``: singular values of A
    from here on come to within ``deviation`` of 1 by the steps taken, rounding aside. Raises any LowrankError.
    """
    from ..algorithms.bases import tall
    from ..algorithms.polar import polar
    from ..algorithms.scaling import bring_to_scale
    from ..api import described, tiled
    from ..certificates import polar as certificate
    from ..engines.blas import single_threaded
    from ..engines.threads import engine_for
    from ..matrices.metered import Metered
    from ..memory import require

    A = tiled(matrix, engine_for(threads))
    m, n = A.shape
    if 0 in A.shape:
        raise InputError(f"the matrix is empty, {m}x{n}")
    need = (4 * m * n + 6 * min(m, n) ** 2) * 2 * np.dtype(A.dtype).itemsize
    require(need, f"the polar factor of a {m}x{n} matrix", "use a machine with more memory")
    metered = Metered(A)
    with single_threaded(blas_pinned):
        scaled = bring_to_scale(metered)
        found = polar(scaled, options)
        known = described(matrix, A, digests)
        checked = apart = None
        if scaled.squares:
            # on a ledger of its own: what checks the result is no part of its cost
            upright = np.ascontiguousarray(tall(Metered(scaled.matrix.inner)).whole())
            X = found.X if m >= n else np.ascontiguousarray(found.X.conj().T)
            checked = certificate.check(upright, X, A.engine)
            share = max(m, n) * float(np.finfo(A.dtype).eps)
            if found.method != "svd":
                apart = certificate.distance(upright, X, A.engine, share)
            if not math.isfinite(checked.backward):
                raise NumericalError(f"{found.method} ended in numbers that are not finite", hint="use --method qdwh")
    return found.X, _report(found, scaled, checked, apart, known, options, metered.ledger)


def _report(
    found: Polar,
    scaled: Scaled,
    checked: PolarCheck | None,
    apart: PolarDistance | None,
    known: dict[str, Any],
    options: PolarOptions,
    ledger: Any,
) -> dict[str, Any]:
    from ..algorithms.polar import numeric_rank
    from ..matrices.facts import ldexp
    from ..reports.facts import plain, started

    values = found.values if apart is None else apart.values
    eps = float(np.finfo(scaled.matrix.dtype).eps)
    rank = 0 if checked is None else checked.rank
    truth = 0 if checked is None else None
    if values is not None:
        truth = numeric_rank(values, scaled.matrix.shape, scaled.matrix.dtype)
    condition = float(values[0] / values[truth - 1]) if values is not None and truth else None
    report = started("msign")
    report |= {"method": found.method, "status": _status(found, checked, eps), "rank": rank, "input": known}
    report |= {
        "iterations": len(found.triples),
        "orthogonality": 0.0 if checked is None else checked.orthogonality,
        "singular_values": _summary(checked),
        "backward_error": 0.0 if checked is None else checked.backward,
        "distance": _distance(apart, eps * (condition or 0.0)),
        "numeric_rank": truth,
        "condition": condition,
        "resolved": ldexp(found.lower * found.bound, scaled.exponent),
        "deviation": found.deviation,
        "method_facts": {
            "kernels": [*found.kernels, f"sweep {scaled.facts.kernel}"],
            "lower": found.lower,
            "bound": ldexp(found.bound, scaled.exponent),
            "coefficients": [list(triple) for triple in found.triples],
        },
        "ledger": dataclasses.asdict(ledger),
        "options": dataclasses.asdict(options),
        "versions": {"lowrank": __version__, "numpy": np.__version__},
    }
    return plain(report)


def _distance(apart: PolarDistance | None, rounding: float) -> dict[str, float] | None:
    """rounding: by how much rounding the entries of A moves its polar factor, eps s_1 / s_r."""
    return None if apart is None else {"fro": apart.fro, "spectral": apart.spectral, "rounding": rounding}


def _status(found: Polar, checked: PolarCheck | None, eps: float) -> str:
    """converged: every singular value of X is 0 or 1 to rounding."""
    from ..algorithms.outcome import Status

    if checked is None or checked.orthogonality <= _ROUNDING * len(checked.values) ** 0.5 * eps:
        return Status.CONVERGED.value
    # steps beyond those that were taken would have gone on, or what is left lies below the resolved values
    short = found.method == "muon" or found.deviation > _ROUNDING * eps
    return (Status.PASSES_SPENT if short else Status.STAGNATED).value


def _summary(checked: PolarCheck | None) -> dict[str, float | None]:
    """Of the singular values of X: the least and the largest of those that should be 1, and the largest other one."""
    if checked is None:
        return {"least": None, "largest": None, "beyond": 0.0}
    kept = checked.values[: checked.rank]
    least, largest = (float(kept[-1]), float(kept[0])) if len(kept) else (None, None)
    return {"least": least, "largest": largest, "beyond": checked.beyond}
