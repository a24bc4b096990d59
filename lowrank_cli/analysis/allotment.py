"""What a matrix of a batch brings to one budget for all: its error curve, with the price of a rank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..algorithms.allotment import Allotment, Priced
from ..errors import InputError
from ..streams import Streams

if TYPE_CHECKING:
    from ..formats.loaded import Loaded


def priced(
    matrix: Loaded,
    *,
    size: int | None = None,
    rtol: float | None = None,
    rank: int | None = None,
    seed: int = 0,
    threads: int = 1,
    blas_pinned: bool = False,
) -> Priced:
    """The error curve of a matrix as far as factors of ``size`` bytes, a relative error of its own, or a rank goes.

    Raises UsageError (tolerance below rounding), InputError, NumericalError, ResourceError. Cost: one factorization.
    """
    from .. import api
    from ..algorithms.plan import Wanted, trace
    from ..engines.blas import single_threaded
    from ..engines.threads import engine_for
    from ..matrices.metered import Metered
    from .plan import sizes_of

    A = api.tiled(matrix, engine_for(threads))
    if 0 in A.shape:
        raise InputError(f"the matrix is empty, {A.shape[0]}x{A.shape[1]}", where=matrix.where)
    sizes = sizes_of(matrix, A.nnz)
    if size is not None:
        rank = max(1, min(sizes.fitting(size), sizes.break_even["bytes_rank"]))
    wanted = Wanted((rtol,) if rtol is not None else (), (min(rank, min(A.shape)),) if rank is not None else ())
    with single_threaded(blas_pinned):
        curve = trace(Metered(A), wanted, Streams(seed))
    # ranks that only fit rounding are not for sale
    end = curve.useful if curve.exact else curve.reach
    open_ = not (curve.complete or curve.exact)
    return Priced(curve.errors[: end + 1], curve.lower, curve.norm, curve.exponent, sizes.bytes(1), open_)


def total(
    reports: Sequence[dict[str, Any]], matrices: Sequence[Priced], allotted: Allotment, asked: dict[str, Any]
) -> dict[str, Any]:
    """What all matrices of these reports come to as one: ``total`` of the report of a batch.

    The error is the root of the sum of the squares of those measured, relative to all matrices together.
    """
    from ..reports.facts import plain

    absolute = math.hypot(*(report["error"]["absolute"] for report in reports))
    norm = math.hypot(*(math.ldexp(one.norm, one.exponent) for one in matrices))
    relative = absolute / norm if norm else 0.0
    bytes_in = sum(report["compression"]["bytes_in"] for report in reports)
    bytes_out = sum(report["compression"]["bytes_out"] for report in reports)
    met = bytes_out <= asked["bytes"] if "bytes" in asked else relative <= asked["rtol"]
    kind = "exact" if all(report["error"]["kind"] == "exact" for report in reports) else "bound"
    found = {
        "asked": asked,
        "met": met,
        "rank": sum(report["rank"] for report in reports),
        "error": {"norm": "fro", "relative": relative, "absolute": absolute, "kind": kind},
        "optimal": {"relative_lower": min(allotted.best, relative), "relative_upper": relative},
        "compression": {"bytes_in": bytes_in, "bytes_out": bytes_out, "ratio": bytes_in / bytes_out},
    }
    return plain(found)
