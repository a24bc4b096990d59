"""The spectrum of a matrix as a report: values, how sure each is, norms, effective and numeric ranks."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import InputError, NumericalError
from ..lazy import np
from ..streams import STREAM, Streams

if TYPE_CHECKING:
    from ..algorithms.spectrum import Spectrum
    from ..algorithms.spectrum_ranks import Interval, NumericRank
    from ..formats.checkpoint import Checkpoint
    from ..formats.loaded import Loaded


def spectrum(
    matrix: Loaded,
    *,
    k: int | None = None,
    all: bool = False,
    seed: int = 0,
    threads: int = 1,
    blas_pinned: bool = False,
    digests: bool = True,
    checkpoint: Checkpoint | None = None,
) -> dict[str, Any]:
    """The leading k singular values of a matrix, or all, and what they say of it; a report without its ``run`` block.

    With neither k nor all: all values when a full decomposition is cheap, else the leading 50. ``values`` are listed
    with ``radii`` (a true singular value lies within), ``energy`` (share of the squared norm up to here) and ``tail``
    (relative Frobenius error of the best approximation of this rank). ``effective_ranks``, ``numeric_rank``,
    ``norms`` and ``condition`` are numbers where they are known, null where not; ``intervals`` then encloses them,
    except with ``failure_probability`` (null: they always hold). checkpoint: as ``api.run`` has it. Raises any
    LowrankError.
    """
    from ..algorithms.needs import within
    from ..algorithms.spectrum import spectrum_of
    from ..algorithms.spectrum_needs import needs_of
    from ..api import described, resumable, tiled
    from ..engines.blas import single_threaded
    from ..engines.threads import engine_for
    from ..matrices.metered import Metered

    engine, options = engine_for(threads), {"k": k, "all": all}
    if checkpoint is not None:
        work = {"command": "spectrum", "options": options, "seed": seed}
        matrix = resumable(checkpoint, work, {"input": matrix}, engine)["input"]
    A = tiled(matrix, engine)
    if 0 in A.shape:
        raise InputError(f"the matrix is empty, {A.shape[0]}x{A.shape[1]}")
    A.watch.expects(
        within(lambda have: needs_of(A, k, all, have), [A], "the spectrum", matrix.where, ", or fewer values with -k"),
        None,
    )
    metered = Metered(A)
    with single_threaded(blas_pinned):
        found = spectrum_of(metered, k, all, Streams(seed))
        known = described(matrix, A, digests)
    return _report(found, known, options, seed, metered.ledger)


def _report(found: Spectrum, known: dict[str, Any], options: dict[str, Any], seed: int, ledger: Any) -> dict[str, Any]:
    from ..algorithms import spectrum_ranks as ranks
    from ..reports.facts import plain, started

    exponent, listed = found.scaled.exponent, slice(0, found.listed)
    with np.errstate(over="ignore"):
        values, radii = np.ldexp(found.values, exponent), np.ldexp(found.radii, exponent)
    if not np.all(np.isfinite(values)):
        raise NumericalError("the largest singular value overflows float64", hint="scale the matrix down")
    share, tail = ranks.energy(found)
    counted = rank_facts(found)
    sizes, condition = ranks.norms(found), ranks.condition_number(found)
    sizes = {name: ranks.Interval(_ldexp(i.lower, exponent), _ldexp(i.upper, exponent)) for name, i in sizes.items()}
    intervals = {name: [i.lower, i.upper] for name, i in sizes.items()} | counted["intervals"]
    if condition is not None:
        intervals["condition"] = [condition.lower, condition.upper]
    report = started("spectrum")
    report |= {"method": found.method, "status": found.status.value, "input": known}
    report |= {
        "count": found.full,
        "known": len(values),
        "values": values[listed],
        "radii": radii[listed],
        "energy": share[listed],
        "tail": tail[listed],
        "norms": {name: i.value for name, i in sizes.items()} | {"spectral": values[0]},
        **counted,
        "condition": None if condition is None else _condition(found, condition),
        "intervals": intervals,
        "failure_probability": None if found.complete else found.failure_probability,
        "method_facts": found.facts,
        "ledger": dataclasses.asdict(ledger),
        "options": options,
        "seed": seed,
        "versions": {"lowrank": __version__, "numpy": np.__version__, "stream": STREAM},
    }
    return plain(report)


def rank_facts(found: Spectrum) -> dict[str, Any]:
    """Effective and numeric ranks of a report: values, definitions, the gap that decides, and intervals."""
    from ..algorithms import spectrum_ranks as ranks

    effective, rank = ranks.effective_ranks(found), ranks.numeric_rank(found)
    enclosed: dict[str, Interval | NumericRank] = {**effective, "numeric": rank}
    return {
        "effective_ranks": {name: i.value for name, i in effective.items()} | _leading(found),
        "definitions": ranks.DEFINITIONS,
        "numeric_rank": rank.value,
        "gap": _gap(rank, found.scaled.exponent),
        "intervals": {name: [i.lower, i.upper] for name, i in enclosed.items()},
    }


def _leading(found: Spectrum) -> dict[str, float]:
    """The effective rank that needs only the largest value and the norm, which is exact."""
    if not found.values[0]:
        return {}
    return {"stable": max(1.0, found.scaled.squares / float(found.values[0]) ** 2)}


def _condition(found: Spectrum, interval: Interval) -> float | None:
    """s_1 / s_p, where the last value is known and more than rounding."""
    if math.isinf(interval.upper):
        return None
    return float(found.values[0] / found.values[-1])


def _gap(rank: NumericRank, exponent: int) -> dict[str, float | None]:
    """The values on either side of the threshold of the numeric rank, and how far apart they are."""
    above, below = rank.above, rank.below
    return {
        "threshold": _ldexp(rank.threshold, exponent),
        "above": None if above is None else _ldexp(above, exponent),
        "below": None if below is None else _ldexp(below, exponent),
        "ratio": above / below if above and below else None,
    }


def _ldexp(value: float, exponent: int) -> float:
    from ..matrices.facts import ldexp

    return ldexp(value, exponent)
