"""The lines of a plan: where compression ends, the curve thinned to what a page holds, and the answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .rows import Row, cost, matrix_cells
from .text import number, safe, size

#: Points of the curve a reader is shown; the machine-readable faces have them all.
POINTS = 12
_ENDS = {
    "all ranks": "The curve ends at the full rank.",
    "rounding": "The curve ends where what is left is rounding.",
    "basis": "The curve ends where the basis does; ask for a smaller --rtol or more --bytes to see more.",
    "break-even": "From the header alone: no data were read, so no error is known.",
}
_ASKED = {"rtol": "rtol {}", "bytes": "{} bytes", "ratio": "ratio {}"}


def rows(report: dict[str, Any], full: bool) -> Iterator[Row]:
    """The lines of one plan; see ``reports.rows.rows``."""
    run = report.get("run") or {}
    yield Row("matrix", *matrix_cells(report["input"], run.get("input_path"), full))
    yield from _break_even(report, full)
    yield from _curve(report, full)
    seconds = run.get("predicted_seconds") or [None] * len(report["answers"])
    for i, (answer, guess) in enumerate(zip(report["answers"], seconds, strict=True)):
        yield from _answer(answer, guess, full)
        if run.get("fits") and run["fits"][i] is False:
            takes, have = size(run["takes"][i], full), size(run["memory"], full)
            yield Row("", "", f"Does not fit: takes {takes} of memory, {have} are free or allowed.", "warning")
    if "ledger" in report:
        yield from cost(report, run, full)


def _break_even(report: dict[str, Any], full: bool) -> Iterator[Row]:
    ends = report["break_even"]
    yield Row("break-even rank", number(ends["rank"], full), "m n / (m + n): factors hold as many numbers as a matrix.")
    for key, what in (("bytes_rank", "take fewer bytes"), ("apply_rank", "are cheaper to apply")):
        rank = ends[key]
        value = f"up to rank {rank}" if rank else "at no rank"
        yield Row("pays" if key == "bytes_rank" else "", value, f"factors of the SVD {what}", "" if rank else "warning")


def _curve(report: dict[str, Any], full: bool) -> Iterator[Row]:
    points = _thinned(report["curve"])
    columns = [
        ("rank", [str(p["rank"]) for p in points]),
        ("relative error", [number(p["error"], full) for p in points]),
        ("size", [size(p["bytes"], full) for p in points]),
        ("apply flops", [str(p["apply_flops"]) for p in points]),
    ]
    if report["kind"] == "none":
        del columns[1]
    lines = list(zip(*([name, *cells] for name, cells in columns), strict=True))
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for i, line in enumerate(lines):
        yield Row("curve" if i == 0 else "", "  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)))
    yield Row("", "", _ENDS.get(report["curve_ends"], ""))


def _thinned(curve: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most POINTS points, at ranks in about equal ratios, the first and the last among them."""
    if len(curve) <= POINTS:
        return curve
    last = len(curve) - 1
    picked = {0, last} | {round(len(curve) ** (i / (POINTS - 1))) - 1 for i in range(POINTS)}
    return [curve[i] for i in sorted(picked)]


def _answer(answer: dict[str, Any], seconds: float | None, full: bool) -> Iterator[Row]:
    label = _ASKED.get(answer["asked"], "{}").format(number(answer["value"], full))
    tone = {True: "good", False: "warning"}.get(answer["worth"], "")
    note = answer["note"]
    note = safe(note[:1].upper() + note[1:] + ".") if note else ""
    if answer["rank"] is None:
        yield Row(label, "no rank known", note, tone)
        return
    error = "" if answer["error"] is None else f", error {number(answer['error'], full)}"
    value = f"rank {answer['rank']}{error}, {size(answer['bytes'], full)}"
    yield Row(label, value, f"{number(answer['ratio'], full)} x smaller", tone)
    if note:
        yield Row("", "", note, tone)
    foretold = answer["predicted"]
    passes = foretold["passes"]
    spread = f"usually {passes['usual']}, {passes['least']} to {passes['most']}"
    count = str(passes["usual"]) if passes["least"] == passes["most"] else spread
    time = "" if seconds is None else f", about {seconds:.2g} s on this machine"
    yield Row("", f"{foretold['driver']}, {size(foretold['memory'], full)} of memory", f"passes: {count}{time}")
