"""Norms for people: each with its interval and how it is known, the gradient, effective and energy ranks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .rows import Row, cost, matrix_cells
from .spectrum_rows import METHODS, NAMES, enclosed, numeric
from .text import number, safe

_LABELS = {
    "fro": "Frobenius norm",
    "spectral": "spectral norm",
    "nuclear": "nuclear norm",
    "max": "largest |entry|",
    "1": "1-norm",
    "inf": "inf-norm",
}
_NOTES = {"nuclear": "sum of singular values", "1": "largest column sum of |entries|", "inf": "largest row sum"}


def rows(report: dict[str, Any], full: bool) -> Iterator[Row]:
    """The lines of the report of ``norm``."""
    run = report.get("run") or {}
    yield Row("matrix", *matrix_cells(report["input"], run.get("input_path"), full))
    method = {**METHODS, "entries": "sums over the entries"}.get(report["method"], safe(report["method"]))
    yield Row("method", method)
    for row in report["norms"]:
        yield from _norm(row, full)
    if report.get("gradient"):
        yield from _gradient(report["gradient"], full)
    if report.get("effective_ranks"):
        yield from _ranks(report, full)
    yield from cost(report, run, full)


def _norm(row: dict[str, Any], full: bool) -> Iterator[Row]:
    name = row["norm"]
    label = _LABELS.get(name, f"Schatten {safe(name.partition(':')[2])}")
    said = [_NOTES[name]] if name in _NOTES else []
    if row["kind"] == "exact":
        yield Row(label, number(row["value"], full), ", ".join([*said, "exact"]))
        return
    ends = enclosed(None, (row["lower"], row["upper"]), full)
    if row["failure_probability"] is not None:
        said.append(f"fails with probability {number(row['failure_probability'], full)} at most")
    if row["value"] is None:
        yield Row(label, ends, ", ".join(said))
    else:
        yield Row(label, number(row["value"], full), ", ".join([ends, *said]))


def _gradient(facts: dict[str, Any], full: bool) -> Iterator[Row]:
    what = {"s_1": "u_1 v_1^H", "s_1^2 / 2": "s_1 u_1 v_1^H"}.get(facts["of"], "")
    yield Row("gradient of", safe(facts["of"]), f"{what}, of rank one")
    yield Row("s_1, s_2", f"{number(facts['s_1'], full)}, {number(facts['s_2'], full)}")
    known = facts["uncertainty"] is not None
    if known:
        yield Row("gap", number(facts["gap"], full), "s_1 minus the largest other value, at least")
        note, chance = "relative, Frobenius norm", facts["failure_probability"]
        if chance is not None:
            note += f", fails with probability {number(chance, full)} at most"
        yield Row("gradient off by", f"<= {number(facts['uncertainty'], full)}", note)
    if facts["warning"]:
        yield Row("WARNING", "", safe(facts["warning"][:1].upper() + facts["warning"][1:]) + ".", "warning")


def _ranks(report: dict[str, Any], full: bool) -> Iterator[Row]:
    for name, label in NAMES.items():
        value = enclosed(report["effective_ranks"][name], report["intervals"][name], full)
        yield Row(label, value, safe(report["definitions"][name]))
    held = [f"{100 * float(s):.4g} % in {count or 'more'}" for s, count in report["energy_ranks"].items()]
    yield Row("energy ranks", "; ".join(held), "Shares of the squared norm, and how many values hold each.")
    yield from numeric(report, full)
