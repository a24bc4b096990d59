"""A matrix sign for people: what was done, and how near the result is to what it should be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .rows import NORMS, Row, cost, matrix_cells
from .text import number, safe

_STATUS = {
    "converged": "Every singular value of X is 0 or 1, to rounding.",
    "passes_spent": "The steps are spent: singular values of X are on their way to 1.",
    "stagnated": "Singular values of A below the resolved ones are part of the way.",
}
_MUON = "Muon's polynomial has no fixed point at 1: singular values end in 0.682 to 1.134, with more steps too."


def rows(report: dict[str, Any], full: bool) -> Iterator[Row]:
    """The lines of the report of ``msign``."""
    run = report.get("run") or {}
    yield Row("matrix", *matrix_cells(report["input"], run.get("input_path"), full))
    steps = report["iterations"]
    iterations = {0: "", 1: ", 1 iteration"}.get(steps, f", {steps} iterations")
    yield Row("method", f"{safe(report['method'])}{iterations}, rank {report['rank']}")
    muon = report["method"] == "muon" and report["rank"] > 0
    note = _MUON if muon else _STATUS.get(report["status"], "")
    yield Row("status", safe(report["status"]), note, "good" if report["status"] == "converged" else "warning")
    yield Row("orthogonality", number(report["orthogonality"], full), "|X^H X - P|, Frobenius norm, measured")
    yield from _values(report, full)
    yield Row("backward error", number(report["backward_error"], full), "|A - X H| / |A|, H = X^H A made Hermitian")
    yield from _distance(report, full)
    yield from _resolved(report, full)
    yield from cost(report, run, full)
    yield from _warnings(report)


def _values(report: dict[str, Any], full: bool) -> Iterator[Row]:
    values = report["singular_values"]
    if values["least"] is not None:
        ends = f"{number(values['least'], full)} to {number(values['largest'], full)}"
        yield Row("s of X", ends, "those that should be 1")
    if report["rank"] < min(report["input"]["shape"]):
        yield Row("s of X, rest", f"at most {number(values['beyond'], full)}", "those that should be 0")


def _distance(report: dict[str, Any], full: bool) -> Iterator[Row]:
    apart = report["distance"]
    if apart is None:
        return
    shown = ", ".join(f"{number(apart[norm], full)} {NORMS[norm]}" for norm in ("fro", "spectral"))
    moved = f"Rounding of the entries moves that by {apart['rounding']:.2g}."
    yield Row("distance", shown, f"from the polar factor by LAPACK. {moved}")


def _resolved(report: dict[str, Any], full: bool) -> Iterator[Row]:
    if report["condition"] is not None:
        shown = number(report["condition"], full)
        yield Row("condition", shown, f"s_1 over s_{report['numeric_rank']}, the last above max(m, n) eps s_1")
    if report["rank"]:
        away = report["deviation"]
        note = f"These come to within {away:.3g} of 1, rounding aside." if away else "These come to 1, rounding aside."
        yield Row("resolved", f"s >= {number(report['resolved'], full)}", note)


def _warnings(report: dict[str, Any]) -> Iterator[Row]:
    rank, known = report["rank"], report["numeric_rank"]
    if known is not None and rank < known:
        yield Row("WARNING", "", f"X keeps {rank} of the {known} directions of the matrix.", "warning")
    if known is not None and rank > known:
        said = f"The matrix has numeric rank {known}; {rank - known} directions of X come from its rounding."
        yield Row("WARNING", "", said, "warning")
