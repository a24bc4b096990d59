"""Every structure side by side on one matrix: how large, how good, and how near to the best there can be."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import algorithms
from ..budget import Budget
from ..errors import LowrankError, UsageError
from ..lazy import np
from ..options import described
from ..streams import STREAM

if TYPE_CHECKING:
    from ..algorithms.outcome import Outcome
    from ..formats.loaded import Loaded

#: The method whose factor bounds what any other can reach.
BEST = "svd"


@dataclasses.dataclass(frozen=True)
class Structure:
    """One form an approximation may take: a method, and the options that choose among its forms."""

    name: str
    method: str
    options: Any


def structures() -> list[Structure]:
    """All forms of all methods that approximate one matrix and need no other, from the table of methods; the best comes
    first. What is the SVD in a narrower type is no structure of its own.

    A method whose options have a field ``axis`` has one form for each of its choices.
    """
    found = []
    for name, method in sorted(algorithms.TABLE.loaded(), key=lambda pair: pair[0] != BEST):
        if method.of_product or method.of_gram or method.companions or method.narrow:
            continue
        axis = described(method.options).get("axis")
        if axis is None or axis[1].choices is None:
            found.append(Structure(name, name, method.options()))
        else:
            found += [Structure(f"{name} {c}", name, method.options(axis=c)) for c in axis[1].choices]
    return found


def compare(
    matrix: Loaded, budget: Budget, *, seed: int = 0, threads: int = 1, blas_pinned: bool = False
) -> dict[str, Any]:
    """The report of a comparison: ``rows``, one report of each structure at the rank or tolerance asked for.

    Beside what ``approx`` reports a row has ``structure``; ``optimal``, the interval of the best possible error at its
    rank, from the SVD, for every structure; ``optimality_ratio``, its error over the lower end; ``pareto``, whether no
    other row is at least as good in error and bytes and better in one; and ``run.seconds``. Structures that do not
    apply to the matrix are listed under ``skipped`` with the reason. All work on one sweep and one Krylov basis, grown
    by the first that asks; each row says what it would cost alone, and its seconds what it took here.

    Raises what the SVD raises, and UsageError for a budget that measures no Frobenius error. Cost: that of the methods
    less the bases they share, and with a tolerance one more SVD, at the largest rank of the rows.
    """
    from .. import api
    from ..engines.threads import engine_for

    budget = budget.with_defaults()
    if budget.certify not in (None, "exact"):
        raise UsageError(f"--certify {budget.certify} gives no errors to compare", hint="leave --certify out")
    if budget.norm != "fro":
        raise UsageError("structures are compared by their Frobenius errors", hint="leave --norm out")
    known: dict[str, Any] = {"seed": seed, "threads": threads, "blas_pinned": blas_pinned, "shared": {}}
    rows, skipped, best = [], [], None
    ranks: dict[str, int] = {}
    for structure in structures():
        try:
            within = algorithms.TABLE[structure.method].load().within(budget)
            outcome, row = _run(matrix, within, structure, **known)
        except LowrankError as error:
            # what the SVD refuses is wrong with the request or with the matrix
            if best is None:
                raise
            skipped.append({"structure": structure.name, "method": structure.method, "reason": error.what})
            continue
        best = best or outcome
        rows.append(row)
        if outcome.factor.bounded:
            ranks[structure.name] = min(row["rank"], *matrix.shape)
    assert best is not None
    highest = max(ranks.values())
    if highest > best.factor.rank:
        at_most = dataclasses.replace(budget, rank=highest, rtol=None, atol=None)
        best = _run(matrix, at_most, structures()[0], **known)[0]
    _enclose(rows, ranks, best)
    for row, mark in zip(rows, pareto([_point(row) for row in rows]), strict=True):
        row["pareto"] = mark
    about = api.described(matrix, api.tiled(matrix, engine_for(threads)), True)
    return _report(about, rows, skipped, budget, seed)


def _run(
    matrix: Loaded,
    budget: Budget,
    structure: Structure,
    *,
    seed: int,
    threads: int,
    blas_pinned: bool,
    shared: dict[Any, Any],
) -> tuple[Outcome, dict[str, Any]]:
    from .. import api

    job = api.Job("approx", structure.method, budget, structure.options, seed)
    started = time.perf_counter()
    outcome, report = api.run(job, matrix, threads=threads, blas_pinned=blas_pinned, digests=False, shared=shared)
    seconds = round(time.perf_counter() - started, 6)
    return outcome, {"structure": structure.name, **report, "run": {"seconds": seconds, "threads": threads}}


def _enclose(rows: list[dict[str, Any]], ranks: dict[str, int], best: Outcome) -> None:
    """Put the interval of the best possible error into every row, and its own error over the lower end; ranks: of those
    structures whose rank bounds that of the matrix they stand for, the others have no such interval.

    Ritz values never exceed singular values and the factor of rank K of the SVD is one approximation among all, so
    best_k^2 lies between lower_K^2 + t and error_K^2 + t with t the sum of s_j^2 over k < j <= K.
    """
    found = best.certificate
    s = best.factor.arrays()["s"].astype(np.float64)
    norm = found.matrix_norm or 0.0
    gains = np.square(s / norm) if 0 < norm < math.inf else np.zeros(len(s))
    tails = np.append(np.cumsum(gains[::-1])[::-1], 0.0)
    known = norm < math.inf
    for row in rows:
        if row["structure"] not in ranks:
            row["optimality_ratio"] = None
            continue
        t, error = float(tails[ranks[row["structure"]]]), row["error"]["relative"]
        ends = (found.optimal_lower, found.optimal_upper)
        low, high = (None if end is None or not known else math.sqrt(end**2 + t) for end in ends)
        # rounding, and a structure that came out better than the SVD's own basis
        high = None if high is None else min(high, error)
        low = None if low is None or high is None else min(low, high)
        chance = found.optimal_failure_probability
        row["optimal"] = {"relative_lower": low, "relative_upper": high, "failure_probability": chance}
        row["optimality_ratio"] = error / low if low else (1.0 if error == 0 else None)


def _point(row: dict[str, Any]) -> tuple[float, int]:
    return row["error"]["relative"], row["compression"]["bytes_out"]


def pareto(points: Sequence[tuple[float, int]]) -> list[bool]:
    """Of each (error, bytes): whether no other is at most as large in both and smaller in one."""
    return [not any(a <= error and b <= size and (a, b) != (error, size) for a, b in points) for error, size in points]


def _report(
    matrix: dict[str, Any], rows: list[dict[str, Any]], skipped: list[dict[str, Any]], budget: Budget, seed: int
) -> dict[str, Any]:
    from .. import __version__
    from ..reports.facts import plain, started

    report = started("compare") | {"input": matrix, "rows": rows, "skipped": skipped}
    for row in rows:
        row["input"] = matrix
    report |= {"options": dataclasses.asdict(budget), "seed": seed}
    return plain(report | {"versions": {"lowrank": __version__, "numpy": np.__version__, "stream": STREAM}})
