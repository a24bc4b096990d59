"""A pseudo-inverse for people: the rule of its rank, how well it holds, and the solution found with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .rows import Row, cost, matrix_cells
from .text import number

_EQUATIONS = {
    "AXA": ("A A^+ A = A", "|A A^+ A - A| / |A|"),
    "XAX": ("A^+ A A^+ = A^+", "|A^+ A A^+ - A^+| / |A^+|"),
    "AX": ("A A^+ Hermitian", "|A A^+ - (A A^+)^H| / |A A^+|"),
    "XA": ("A^+ A Hermitian", "|A^+ A - (A^+ A)^H| / |A^+ A|"),
}


def pinv_rows(report: dict[str, Any], full: bool) -> Iterator[Row]:
    """The lines of the report of ``pinv``."""
    run = report.get("run") or {}
    yield Row("matrix", *matrix_cells(report["input"], run.get("input_path"), full))
    if "apply" in report:
        yield Row("apply to", *matrix_cells(report["apply"], run.get("apply_path"), full))
    yield from _rank(report, full)
    ridge = report["options"]["ridge"]
    if ridge:
        yield Row("ridge", number(ridge, full), "s / (s^2 + ridge) stands for 1 / s")
    yield Row("norm of A^+", number(report["norms"]["spectral"], full), "spectral norm")
    yield Row("", number(report["norms"]["fro"], full), "Frobenius norm")
    for name, (equation, residual) in _EQUATIONS.items():
        yield Row(equation, number(report["penrose"][name], full), f"{residual}, measured")
    if report["solution"] is not None:
        yield from _solution(report["solution"], report["options"], full)
    yield from cost(report, run, full)
    yield from _warnings(report)


def _rank(report: dict[str, Any], full: bool) -> Iterator[Row]:
    rule, rank = report["rule"], report["rank"]
    side = min(report["input"]["shape"])
    said = f"singular values above {number(rule['threshold'], full)} = rcond s_1, rcond {number(rule['rcond'], full)}"
    if report["options"]["rank"] is not None:
        said += f"; at most {report['options']['rank']}"
    yield Row("rank", f"{rank} of {side}", said)
    if rule["above"] is None:
        return
    yield Row(f"s_{rank}", number(rule["above"], full), "the last that counts")
    if rule["below"] is not None:
        gap = "" if rule["ratio"] is None else f", {number(rule['ratio'], full)} times smaller"
        yield Row(f"s_{rank + 1}", number(rule["below"], full), f"the first that does not{gap}")
    yield Row("condition", number(report["condition"], full), f"s_1 / s_{rank}; rounding may grow that much")


def _solution(found: dict[str, Any], options: dict[str, Any], full: bool) -> Iterator[Row]:
    share = number(found["residual_relative"], full)
    yield Row("|A X - B|", number(found["residual"], full), f"{share} of |B|, Frobenius norm, measured")
    truncated = options["rank"] is not None
    least = "" if truncated or options["ridge"] else ", the least of all that fit as well"
    yield Row("norm of X", number(found["norm"], full), f"Frobenius norm{least}")
    if not truncated:
        term = " - ridge X" if options["ridge"] else ""
        note = f"|A^H (B - A X){term}| / |A| |B|, 0 at the minimum"
        yield Row("gradient", number(found["gradient_relative"], full), note)


def _warnings(report: dict[str, Any]) -> Iterator[Row]:
    ratio, asked = report["rule"]["ratio"], report["options"]["rank"]
    if ratio is not None and ratio < 10 and (asked is None or report["rank"] < asked):
        yield Row("WARNING", "", f"No clear gap decides the rank: a factor {ratio:.2g}.", "warning")
    if not report["rank"]:
        yield Row("WARNING", "", "The matrix is zero, and so is its pseudo-inverse.", "warning")
