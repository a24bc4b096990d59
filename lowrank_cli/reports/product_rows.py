"""The lines of a comparison of products: one a way to approximate X Y, and what they say of sampling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .rows import Row, matrix_cells
from .text import number, safe, size

_HEADER = ("rank", "predicted", "error", "bytes", "flops", "")


def rows(report: dict[str, Any], full: bool, asked: str) -> Iterator[Row]:
    """The lines of one comparison with a second factor; asked: the request in words."""
    run = report.get("run") or {}
    yield Row("matrix", *matrix_cells(report["input"], run.get("input_path"), full))
    yield Row("times", *matrix_cells(report["times"], run.get("times_path"), full))
    yield Row("asked", asked)
    exact = report["exact_flops"]
    lines = [_HEADER, *(_cells(row, exact, full) for row in report["rows"])]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_HEADER))]
    names = ["", *(safe(row["structure"]).removeprefix("cr ") for row in report["rows"])]
    tones = ["", *(_tone(row, exact) for row in report["rows"])]
    for name, line, tone in zip(names, lines, tones, strict=True):
        value = "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        yield Row(name, value.rstrip(), "", tone)
    yield Row(
        "",
        "",
        "*: no other is as small and as accurate. flops: to find the factors and to multiply them, over those of the "
        "exact product.",
    )
    for sentence in report["advice"]:
        yield Row("advice", "", safe(sentence))
    for row in report["rows"]:
        if row["status"] != "converged":
            yield Row(safe(row["structure"]), safe(row["status"]), "The tolerance asked for was not met.", "warning")
    for one in report["skipped"]:
        yield Row(safe(one["structure"]), "does not apply", safe(one["reason"]))


def _total(row: dict[str, Any]) -> float:
    return row["flops"]["find"] + row["flops"]["multiply"]


def _cells(row: dict[str, Any], exact: int, full: bool) -> tuple[str, ...]:
    predicted, share = row["method_facts"].get("predicted_relative"), _total(row) / exact if exact else 0.0
    return (
        str(row["rank"]),
        "" if predicted is None else number(predicted, full),
        number(row["error"]["relative"], full),
        size(row["compression"]["bytes_out"], full),
        number(share, full) if full else f"{share:.2g} x",
        "*" if row["pareto"] else "",
    )


def _tone(row: dict[str, Any], exact: int) -> str:
    if row["status"] != "converged" or _total(row) >= exact or row["error"]["relative"] >= 1:
        return "warning"
    return "good" if row["pareto"] else ""
