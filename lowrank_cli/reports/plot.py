"""Which picture a report has, one function a command; and the forms a picture is written in."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import UsageError
from ..registry import Entry
from .figure import Edge, Figure, Series
from .text import number, safe, size

#: suffix -> draw(figure) -> the picture, as text or bytes.
FORMS: Mapping[str, Entry] = {
    ".svg": Entry("lowrank_cli.reports.svg:draw", "text that any browser shows, on light and on dark ground"),
    ".png": Entry("lowrank_cli.reports.png:draw", "pixels, with matplotlib"),
}
_KINDS = {"fro": "Frobenius", "spectral": "spectral"}


def figure(report: dict[str, Any]) -> Figure | None:
    """The picture of a report; None when its command has none, or when it holds nothing to draw."""
    made = _FIGURES.get(report["command"])
    return None if made is None else made(report)


def form(name: str) -> str:
    """The form that the name of a file asks for. Raises UsageError when there is none."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in FORMS:
        raise UsageError(
            f"a picture is written as {' or '.join(FORMS)}", where=name, hint="let the name of the picture end so"
        )
    return suffix


def picture(drawn: Figure, suffix: str = ".svg") -> bytes:
    """The file of a picture. Raises DependencyError where a form needs a package that is missing."""
    made = FORMS[suffix].load()(drawn)
    return made if isinstance(made, bytes) else made.encode()


def _spectrum(report: dict[str, Any]) -> Figure:
    """s_i against i, and the threshold of the numeric rank where it shows."""
    m, n = report["input"]["shape"]
    values = report["values"]
    stable = number(report["effective_ranks"]["stable"], False)
    facts = [f"{m} x {n}", f"{len(values)} of {report['count']} values", f"stable rank {stable}"]
    zeros = sum(value <= 0 for value in values)
    if zeros:
        facts.append(f"{zeros} of them zero, not shown")
    words = "max(m, n) eps s_1" if report["numeric_rank"] is None else f"numeric rank {report['numeric_rank']}"
    threshold = report["gap"]["threshold"]
    edges = [Edge("y", threshold, words)] if threshold else []
    return _values(f"Singular values of {_name(report)}", facts, values, edges)


def _approximation(report: dict[str, Any]) -> Figure | None:
    """The singular values that the method saw, and the rank at which it cut."""
    values = (report.get("run") or {}).get("singular_values")
    if not values:
        return None
    m, n = report["input"]["shape"]
    error = report["error"]["relative"]
    facts = [f"{m} x {n}", safe(report["method"])]
    if error is not None:
        sign = "<= " if report["error"]["kind"] == "bound" else ""
        facts.append(f"relative error {sign}{number(error, False)}, {_KINDS.get(report['error']['norm'], '')} norm")
    rank = report["rank"]
    edge = Edge("x", rank + 0.5, f"rank {rank}")
    return _values(f"Approximation of {_name(report)}", facts, values, [edge], rank)


def _values(title: str, facts: list[str], values: list[float], edges: list[Edge], kept: int | None = None) -> Figure:
    points: list[tuple[float, float]] = list(enumerate(values, 1))
    curves = [Series("" if kept is None else "kept", points[:kept], marks=True)]
    if kept is not None and points[kept:]:
        # of a Krylov basis these are estimates from below
        curves.append(Series("left out, at least", points[kept:], line=False, marks=True, faint=True))
    return Figure(
        title, ", ".join(facts), "index i", "singular value s_i", curves, log_y=True, units=("count", ""), edges=edges
    )


def _plan(report: dict[str, Any]) -> Figure:
    """Error against rank and the answers on it; of a header alone, bytes against rank."""
    curve, ends = report["curve"], report["break_even"]["bytes_rank"]
    m, n = report["input"]["shape"]
    facts = [f"{m} x {n}, {size(report['input']['bytes'], False)}"]
    edges = [Edge("x", ends, f"break-even, rank {ends}")] if ends else []
    if report["kind"] == "none":
        points = [(point["rank"], point["bytes"]) for point in curve]
        edges.append(Edge("y", report["input"]["bytes"], "the matrix"))
        label, unit = "size of the factors", "bytes"
        answers = [(a["rank"], a["bytes"], a) for a in report["answers"] if a["rank"]]
    else:
        points = [(point["rank"], point["error"]) for point in curve]
        label, unit = "relative error", ""
        answers = [(a["rank"], a["error"], a) for a in report["answers"] if a["rank"] and a["error"] is not None]
        if any(error == 0 for _, error in points):
            facts.append("an error of zero is not shown")
    named = [f"{_asked(answer)}: rank {answer['rank']}, {size(answer['bytes'], False)}" for *_, answer in answers]
    series = [
        Series("", points, marks=len(points) <= 50),
        Series("", [(x, y) for x, y, _ in answers], line=False, marks=True, names=named),
    ]
    title = f"Ranks for {_name(report)}"
    units = ("count", unit)
    return Figure(title, ", ".join(facts), "rank k", label, series, log_y=not unit, units=units, edges=edges)


def _asked(answer: dict[str, Any]) -> str:
    value = size(answer["value"], False) if answer["asked"] == "bytes" else number(answer["value"], False)
    return value if answer["asked"] == "bytes" else f"{answer['asked']} {value}"


def _compare(report: dict[str, Any]) -> Figure:
    """Error against bytes, one point a structure, those that no other beats joined by a line."""
    rows = [row for row in report["rows"] if row["error"]["relative"] is not None]
    points = {row["structure"]: (row["compression"]["bytes_out"], row["error"]["relative"]) for row in rows}
    best = sorted((points[row["structure"]], row["structure"]) for row in rows if row["pareto"])
    others = [(points[row["structure"]], row["structure"]) for row in rows if not row["pareto"]]
    shape = " x ".join(map(str, report["input"]["shape"]))
    facts = [f"{shape}, {size(report['input']['bytes'], False)}"]
    exact = [safe(row["structure"]) for row in rows if row["error"]["relative"] == 0]
    if exact:
        facts.append(f"exact and not shown: {', '.join(exact)}")
    series = [
        _named("no other is as small and as accurate", best, line=True),
        _named("others", others, line=False),
    ]
    return Figure(
        f"Structures for {_name(report)}",
        ", ".join(facts),
        "size of the factors",
        "relative error",
        [one for one in series if one.points],
        log_x=True,
        log_y=True,
        units=("bytes", ""),
    )


def _named(name: str, points: list[tuple[tuple[float, float], str]], line: bool) -> Series:
    """Structures of about one size and error are one point with all their names."""
    gathered: dict[tuple[str, str], tuple[tuple[float, float], list[str]]] = {}
    for (count, error), structure in points:
        place = f"{count:.3g}", f"{error:.3g}"
        gathered.setdefault(place, ((count, error), []))[1].append(safe(structure))
    names = [", ".join(those) for _, those in gathered.values()]
    return Series(name, [point for point, _ in gathered.values()], line, True, faint=not line, names=names)


def _name(report: dict[str, Any]) -> str:
    """What the picture is of: the end of a long name says more than its start."""
    path = (report.get("run") or {}).get("input_path") or "a matrix"
    item = report["input"]["item"]
    name = safe(path if item is None or path.endswith(f":{item}") else f"{path}:{item}")
    return name if len(name) <= 60 else "..." + name[-57:]


_FIGURES: Mapping[str, Callable[[dict[str, Any]], Figure | None]] = {
    "spectrum": _spectrum,
    "approx": _approximation,
    "plan": _plan,
    "compare": _compare,
}
