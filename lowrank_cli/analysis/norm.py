"""Norms of a matrix with their certainty, the gradient of the spectral norm, and effective ranks: a report."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import InputError, NumericalError
from ..lazy import np
from ..streams import STREAM, Streams
from .spectrum import rank_facts

if TYPE_CHECKING:
    from ..algorithms.leading import Leading
    from ..algorithms.norms import Measured, NormOptions
    from ..algorithms.spectrum import Spectrum
    from ..factors.svd import SVD
    from ..formats.checkpoint import Checkpoint
    from ..formats.loaded import Loaded

#: Shares of the squared norm of which the report says how many singular values hold them.
SHARES = (0.9, 0.99, 0.999)
_OF = {"spectral": "s_1", "decay": "s_1^2 / 2"}


def norm(
    matrix: Loaded,
    options: NormOptions,
    *,
    seed: int = 0,
    threads: int = 1,
    blas_pinned: bool = False,
    digests: bool = True,
    checkpoint: Checkpoint | None = None,
) -> tuple[SVD | None, dict[str, Any]]:
    """(gradient or None, report without its ``run`` block) of a matrix.

    ``norms`` has a row for each asked for, in that order: ``norm``, ``value``, ``lower``, ``upper``, ``kind`` ("exact",
    but for rounding, or "interval"), ``failure_probability`` (null: the interval always holds). ``gradient``: of what,
    the two leading singular values, the gap between them that is certain but for ``failure_probability``, and
    ``uncertainty``, a bound of the relative error of the gradient; null where the gap is not certain.
    ``effective_ranks`` as in ``lowrank spectrum``, and ``energy_ranks``: how many values hold each share of the squared
    norm. checkpoint: as ``api.run`` has it. Raises any LowrankError.
    """
    from ..algorithms.leading import gradient_factor, leading
    from ..algorithms.needs import within
    from ..algorithms.norms import measure, needs_of
    from ..api import described, resumable, tiled
    from ..engines.blas import single_threaded
    from ..engines.threads import engine_for
    from ..matrices.metered import Metered
    from ..reports.facts import plain, started

    engine, asked = engine_for(threads), dataclasses.asdict(options)
    if checkpoint is not None:
        work = {"command": "norm", "options": asked, "seed": seed}
        matrix = resumable(checkpoint, work, {"input": matrix}, engine)["input"]
    A = tiled(matrix, engine)
    if 0 in A.shape:
        raise InputError(f"the matrix is empty, {A.shape[0]}x{A.shape[1]}")
    A.watch.expects(within(lambda have: needs_of(A, options, have), [A], "the norm", matrix.where), None)
    metered, factor, first = Metered(A), None, None
    with single_threaded(blas_pinned):
        found = measure(metered, options, Streams(seed))
        if options.gradient:
            if found.spectrum is not None and found.scaled.squares:
                first = leading(found.spectrum, Streams(seed))
            scale = 1.0 if options.gradient == "spectral" else _ldexp(first.first if first else 0.0, found)
            factor = gradient_factor(first, A.shape, A.dtype, scale, A.engine)
        known = described(matrix, A, digests)
    report = started("norm") | {"method": _method(found), "status": _status(found), "input": known}
    report |= {"norms": _norms(found)}
    if options.gradient:
        report |= {"rank": 1, "gradient": _gradient(first, found, options.gradient)}
    if options.effective_ranks and found.spectrum is not None:
        report |= _ranks(found.spectrum)
    report |= {
        "method_facts": _facts(found),
        "ledger": dataclasses.asdict(metered.ledger),
        "options": asked,
        "seed": seed,
        "versions": {"lowrank": __version__, "numpy": np.__version__, "stream": STREAM},
    }
    return factor, plain(report)


def _method(found: Measured) -> str:
    return "entries" if found.spectrum is None else found.spectrum.method


def _status(found: Measured) -> str:
    from ..algorithms.outcome import Status

    return Status.CONVERGED.value if found.spectrum is None else found.spectrum.status.value


def _facts(found: Measured) -> dict[str, Any]:
    if found.spectrum is not None:
        return found.spectrum.facts
    return {"kernels": [f"sweep {found.scaled.facts.kernel}"]}


def _ldexp(value: float, found: Measured) -> float:
    from ..matrices.facts import ldexp

    return ldexp(value, found.scaled.exponent)


def _norms(found: Measured) -> list[dict[str, Any]]:
    """The rows of ``norms``. value is null where the ends of an interval differ by more than a millionth, but for the
    spectral norm, whose largest Ritz value it is. Raises NumericalError for one that no float64 can hold."""
    rows = []
    for name, (interval, chance) in found.norms.items():
        exact = interval.lower == interval.upper
        value = interval.lower if exact else interval.value
        if name == "spectral" and found.spectrum is not None:
            value = float(found.spectrum.values[0])
        ends = [None if x is None else _ldexp(x, found) for x in (value, interval.lower, interval.upper)]
        if any(x is not None and math.isinf(x) for x in ends):
            raise NumericalError(f"the {name} norm overflows float64", hint="scale the matrix down")
        row = {"norm": name, "value": ends[0], "lower": ends[1], "upper": ends[2]}
        rows.append(row | {"kind": "exact" if exact else "interval", "failure_probability": chance})
    return rows


def _gradient(first: Leading | None, found: Measured, what: str) -> dict[str, Any]:
    """The facts of the gradient, and in words what a reader must not miss."""
    from ..algorithms.leading import NEAR

    if first is None:
        warning = None
        if what == "spectral":
            warning = "s_1 has no gradient at the zero matrix; zero is one of its subgradients"
        zero = {"s_1": 0.0, "s_2": 0.0, "gap": 0.0, "uncertainty": None, "failure_probability": None}
        return {"of": _OF[what], **zero, "warning": warning}
    warning = None
    if first.uncertainty is None:
        warning = (
            "s_1 and s_2 are not told apart, so the gradient is not unique: with U_1, V_1 the vectors of all that "
            "equal s_1, every U_1 H V_1^H with H positive semidefinite of trace 1 is a subgradient"
        )
    elif first.gap < NEAR * first.first:
        share = first.gap / first.first
        warning = f"s_2 is within {share:.2g} of s_1: the gradient turns when A changes by half as much"
    s_1, s_2, gap = (_ldexp(x, found) for x in (first.first, first.second, max(first.gap, 0.0)))
    chance = None if found.spectrum is None else found.spectrum.failure_probability
    facts = {"uncertainty": first.uncertainty, "failure_probability": chance, "warning": warning}
    return {"of": _OF[what], "s_1": s_1, "s_2": s_2, "gap": gap, **facts}


def _ranks(found: Spectrum) -> dict[str, Any]:
    """Effective and numeric ranks as ``lowrank spectrum`` has them, and how many values hold each share of energy."""
    from ..algorithms.spectrum_ranks import energy

    share, _ = energy(found)
    held = {f"{s:g}": next((i for i, e in enumerate(share, 1) if e >= s), None) for s in SHARES}
    facts = rank_facts(found) | {"energy_ranks": held if found.scaled.squares else dict.fromkeys(held, 0)}
    return facts | {"failure_probability": None if found.complete else found.failure_probability}
