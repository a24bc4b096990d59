"""A spectrum for people: a picture, the values that matter, and every number with its interval or its definition."""

from __future__ import annotations

import decimal
import math
from collections.abc import Iterator, Sequence
from typing import Any

from .rows import Row, cost, matrix_cells
from .text import number, safe

#: Columns of the picture: it fits beside its label in 80.
WIDTH = 48
#: How many of the largest values are spelt out.
FIRST = 5
_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = ".:-=+*#@"
_SHARES = (0.9, 0.99, 0.999)
NAMES = {
    "stable": "stable rank",
    "participation": "participation",
    "energy_entropy": "energy entropy",
    "renyi_inf": "Renyi inf",
    "renyi_2": "Renyi 2",
    "entropy": "entropy rank",
}
METHODS = {"lapack": "LAPACK", "block krylov": "block Krylov", "zero": "a zero matrix, nothing to compute"}


def spectrum_rows(report: dict[str, Any], full: bool) -> Iterator[Row]:
    """The lines of the report of ``spectrum``."""
    run = report.get("run") or {}
    yield Row("matrix", *matrix_cells(report["input"], run.get("input_path"), full))
    method = METHODS.get(report["method"], safe(report["method"]))
    yield Row("method", method, f"{report['known']} of {report['count']} singular values computed")
    if report["status"] != "converged":
        yield Row("status", safe(report["status"]), "The values are less certain than intended.", "warning")
    yield from _values(report, full)
    yield from _energy(report)
    yield from _norms(report, full)
    for name, label in NAMES.items():
        value = enclosed(report["effective_ranks"][name], report["intervals"][name], full)
        yield Row(label, value, report["definitions"][name])
    yield from numeric(report, full)
    if report["failure_probability"] is not None:
        chance = number(report["failure_probability"], full)
        yield Row("may fail", chance, "Probability that an interval does not hold.")
    yield from cost(report, run, full)


def _values(report: dict[str, Any], full: bool) -> Iterator[Row]:
    values, radii = report["values"], report["radii"]
    drawn = bars(values)
    if drawn is not None:
        yield drawn
    more = ", ..." if len(values) > FIRST else ""
    rest = ", ".join(number(v, full) for v in values[1:FIRST])
    yield Row("s_1", number(values[0], full), f"then {rest}{more}" if rest else "")
    if len(values) > FIRST:
        which = "the smallest" if len(values) == report["count"] else "the last one listed"
        yield Row(f"s_{len(values)}", number(values[-1], full), which)
    share = max(radii) / values[0] if values[0] else 0.0
    yield Row("certain to", number(max(radii), full), f"A true value lies this close to each, {share:.1g} of s_1.")


def _energy(report: dict[str, Any]) -> Iterator[Row]:
    """How many values hold most of the squared norm."""
    held = []
    for share in _SHARES:
        count = next((i for i, e in enumerate(report["energy"], 1) if e >= share), None)
        held.append(f"{100 * share:.4g} % in {count if count else 'more than ' + str(len(report['values']))}")
    yield Row("energy", "; ".join(held), "Shares of the squared norm, and how many values hold each.")


def _norms(report: dict[str, Any], full: bool) -> Iterator[Row]:
    for name, label in (("fro", "Frobenius norm"), ("spectral", "spectral norm"), ("nuclear", "nuclear norm")):
        note = "exact" if name == "fro" else ""
        yield Row(label, enclosed(report["norms"][name], report["intervals"][name], full), note)
    if "condition" in report["intervals"]:
        value = enclosed(report["condition"], report["intervals"]["condition"], full)
        yield Row("condition", value, "s_1 over the smallest value")


def numeric(report: dict[str, Any], full: bool) -> Iterator[Row]:
    """The numeric rank, and what decides it."""
    gap, (low, high) = report["gap"], report["intervals"]["numeric"]
    value = str(low) if low == high else f"{low} to {high}"
    note = f"values above {number(gap['threshold'], full)} = max(m, n) eps s_1"
    known = [side for side in ("above", "below") if gap[side] is not None]
    sides = [f"{number(gap[side], full)} {side} it" for side in known if low == high or len(known) == 2]
    yield Row("numeric rank", value, "; ".join([note, *sides]))
    if low == high and gap["ratio"] is not None and gap["ratio"] < 10:
        yield Row("WARNING", "", f"No clear gap decides the numeric rank: a factor {gap['ratio']:.2g}.", "warning")


def enclosed(value: float | None, interval: Sequence[float | None], full: bool) -> str:
    """A number where it is known, else its interval; ends are rounded outward, so that it still holds."""
    if value is not None:
        return number(value, full)
    low, high = _rounded(interval[0], decimal.ROUND_FLOOR, full), _rounded(interval[1], decimal.ROUND_CEILING, full)
    if interval[1] is None:
        return "unknown" if interval[0] is None else f"at least {low}"
    return f"{low} to {high}"


def _rounded(value: float | None, rounding: str, full: bool) -> str:
    if value is None or full:
        return number(value, full)
    return number(float(decimal.Context(prec=4, rounding=rounding).create_decimal_from_float(value)), full)


def lowest(values: Sequence[float]) -> float | None:
    """The smallest positive value; None when there is none."""
    return min((v for v in values if v > 0), default=None)


def bars(values: Sequence[float], cut: int | None = None) -> Row | None:
    """The values as a picture of one line; None when all are zero. cut: how many are kept."""
    low = lowest(values)
    if low is None:
        return None
    note = f"from {number(values[0], False)} down to {number(low, False)}"
    if cut is not None and cut < len(values):
        note += "; kept | left out, at least"
    return Row("log plot", picture(values, _BARS, cut), note).in_ascii(picture(values, _ASCII_BARS, cut))


def picture(values: Sequence[float], bars: str, cut: int | None = None) -> str:
    """The values as bars on a log scale from the smallest positive one to the largest, at most WIDTH of them, and a
    stroke after the first ``cut`` values."""
    low = lowest(values)
    if low is None:
        return ""
    count = min(len(values), WIDTH)
    chosen = [i * len(values) // count for i in range(count - 1)] + [len(values) - 1]
    bottom, span = math.log10(low), math.log10(values[0]) - math.log10(low)
    made = []
    for i in chosen:
        value = values[i]
        height = 0.0 if value <= 0 else (math.log10(value) - bottom) / span if span > 0 else 1.0
        made.append(bars[min(int(height * len(bars)), len(bars) - 1)])
    if cut is not None and cut < len(values):
        made.insert(sum(i < cut for i in chosen), "|")
    return "".join(made)
