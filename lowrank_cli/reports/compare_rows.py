"""The lines of a comparison: one a structure, and what the marks mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import product_rows
from .rows import Row, matrix_cells
from .text import number, safe, size

_HEADER = ("rank", "error", "x best", "bytes", "smaller", "|Z|", "time", "")


def rows(report: dict[str, Any], full: bool) -> Iterator[Row]:
    """The lines of one comparison; see ``reports.rows.rows``."""
    if "times" in report:
        yield from product_rows.rows(report, full, _asked(report["options"], full))
        return
    run = report.get("run") or {}
    yield Row("matrix", *matrix_cells(report["input"], run.get("input_path"), full))
    yield Row("asked", _asked(report["options"], full))
    lines = [_HEADER, *(_cells(row, full) for row in report["rows"])]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_HEADER))]
    names = ["", *(safe(row["structure"]) for row in report["rows"])]
    tones = ["", *(_tone(row) for row in report["rows"])]
    for name, line, tone in zip(names, lines, tones, strict=True):
        value = "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        yield Row(name, value.rstrip(), "", tone)
    yield Row(
        "", "", "*: no other is as small and as accurate. x best: error over the least any rank-k matrix can have."
    )
    yield from _remarks(report)


def _asked(options: dict[str, Any], full: bool) -> str:
    names = ("rank", "rtol", "atol")
    return ", ".join(f"{name} {number(options[name], full)}" for name in names if options.get(name) is not None)


def _cells(row: dict[str, Any], full: bool) -> tuple[str, ...]:
    numbers, largest, seconds = row["compression"], row["method_facts"].get("max_abs_Z"), row["run"]["seconds"]
    ratio = row["optimality_ratio"]
    return (
        str(row["rank"]),
        number(row["error"]["relative"], full),
        "" if ratio is None else number(ratio, True) if full else f"{ratio:.3f}" if ratio < 1000 else f"{ratio:.1e}",
        size(numbers["bytes_out"], full),
        "" if numbers["ratio"] is None else number(numbers["ratio"], full) + " x",
        "" if largest is None else number(largest, full),
        f"{number(seconds, full) if full else f'{seconds:.2f}'} s",
        "*" if row["pareto"] else "",
    )


def _tone(row: dict[str, Any]) -> str:
    if row["status"] != "converged" or (row["compression"]["ratio"] or 1) < 1:
        return "warning"
    return "good" if row["pareto"] else ""


def _remarks(report: dict[str, Any]) -> Iterator[Row]:
    for row in report["rows"]:
        if row["status"] != "converged":
            yield Row(safe(row["structure"]), safe(row["status"]), "The tolerance asked for was not met.", "warning")
        if (row["compression"]["ratio"] or 1) < 1:
            yield Row(safe(row["structure"]), "", "Not worth it: the factors are larger than the matrix.", "warning")
    for one in report["skipped"]:
        yield Row(safe(one["structure"]), "does not apply", safe(one["reason"]))
