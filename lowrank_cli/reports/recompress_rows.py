"""Lines of a report on recompressed factors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .rows import NORMS, Row, compression, cost, matrix_cells, optimal, status, warnings
from .text import number, safe, shape, size


def rows(report: dict[str, Any], full: bool) -> Iterator[Row]:
    run = report.get("run") or {}
    paths = run.get("input_paths") or [None] * len(report["inputs"])
    for one, path in zip(report["inputs"], paths, strict=True):
        yield Row("factors" if "kind" in one else "matrix", *_input(one, path, full))
    m, n = report["input"]["shape"]
    yield Row("method", f"{safe(report['method'])}, rank {report['rank']}", f"{m} x {n}, {_form(report)}")
    yield status(report)
    yield from errors(report, full)
    yield from optimal(report, full)
    yield from compression(report, full)
    yield from cost(report, run, full)
    yield from warnings(report)


def _input(one: dict[str, Any], path: str | None, full: bool) -> tuple[str, str]:
    if "kind" not in one:
        return matrix_cells(one, path, full)
    facts = f"{safe(one['kind'])}, rank {one['rank']}, {shape(one['shape'])} {safe(one['dtype'])}, "
    return ("" if path is None else safe(path), facts + size(one["bytes"], full))


def _form(report: dict[str, Any]) -> str:
    """What was recompressed, in words."""
    options = report["options"]
    weights, word = options["scale"], "product" if options["product"] else "factorization"
    what = f"one {word}" if len(weights) == 1 else f"the sum of {len(weights)} {word}s"
    return what if all(w == 1 for w in weights) else f"{what}, times {', '.join(number(w, True) for w in weights)}"


def errors(report: dict[str, Any], full: bool) -> Iterator[Row]:
    """The measured error against the factors that went in, and what that leaves of their own claims."""
    error, total = report["error"], report.get("total")
    norm = NORMS.get(error["norm"], safe(error["norm"]))
    yield Row("relative error", number(error["relative"], full), f"{norm} norm, exact: measured against the factors")
    yield Row("absolute error", number(error["absolute"], full), f"{norm} norm")
    if total is None:
        yield Row("total error", "unknown", "Some input claims no error in this norm against its matrix.")
        return
    known = total["relative"] is not None
    note = f"{'relative' if known else 'absolute'}, against the matrices they came from"
    chance = total["failure_probability"]
    if chance is not None:
        note += f"; may fail with probability {number(chance, full)}"
    yield Row("total error", f"<= {number(total['relative' if known else 'absolute'], full)}", note)
