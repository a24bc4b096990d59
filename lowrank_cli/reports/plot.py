"""A spectrum as an SVG picture: log axis, readable on light and on dark ground; made of text alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape

from .text import number, safe

WIDTH, HEIGHT = 800, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 24, 56, 56
#: More values than this are drawn as a line alone.
_MARKED = 200
#: Points of the line: more would not show.
_POINTS = 1600
#: Decades below the largest value that the axis reaches at most.
_DECADES = 20
#: Decades by which the axis is made longer to show the threshold of the numeric rank.
_NEAR = 2
# each colour is written twice: as an attribute for programs that know no style sheets, and as a variable for both
# grounds for those that do
_STYLE = """
  .ground { fill: #ffffff } .ink { fill: #1f2328 } .faint { fill: #57606a }
  .grid { stroke: #d0d7de; stroke-width: 1 } .frame { stroke: #57606a; stroke-width: 1; fill: none }
  .line { stroke: #0969da; stroke-width: 1.5; fill: none; stroke-linejoin: round } .mark { fill: #0969da }
  .edge { stroke: #bc4c00; stroke-width: 1.25; stroke-dasharray: 6 4 } .note { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } .ink { fill: #e6edf3 } .faint { fill: #9198a1 }
    .grid { stroke: #30363d } .frame { stroke: #9198a1 }
    .line { stroke: #4493f8 } .mark { fill: #4493f8 }
    .edge { stroke: #f0883e } .note { fill: #f0883e }
  }
"""


def spectrum_svg(report: dict[str, Any]) -> str:
    """The picture of the report of ``spectrum``: s_i against i, and the threshold of the numeric rank where it shows.

    Zeros have no place on a log axis: the line ends before them, and a note counts them. The same report gives the
    same text.
    """
    values = report["values"]
    positive = [v for v in values if v > 0]
    body = [*_captions(report, len(values), len(values) - len(positive))]
    if positive:
        scale = _Scale(positive, len(values), report["gap"]["threshold"])
        body += [*_grid(scale), *_threshold(scale, report), *_curve(scale, positive)]
    body.append(
        f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{WIDTH - _LEFT - _RIGHT}" '
        f'height="{HEIGHT - _TOP - _BOTTOM}" fill="none" stroke="#57606a"/>'
    )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="13" role="img">'
    )
    title = f"<title>{_text(_name(report))}: singular values</title>"
    ground = f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    return "\n".join([head, title, f"<style>{_STYLE}</style>", ground, *body, "</svg>"]) + "\n"


class _Scale:
    """Where a value and an index lie on the paper."""

    def __init__(self, positive: Sequence[float], count: int, threshold: float | None):
        top, bottom = math.log10(max(positive)), math.log10(min(positive))
        if threshold and bottom > math.log10(threshold) > bottom - _NEAR:
            bottom = math.log10(threshold)
        bottom = max(bottom, top - _DECADES)
        room = max(0.03 * (top - bottom), 0.15)
        self.top, self.bottom, self.count = top + room, bottom - room, count
        self.steps = _ticks(self.bottom, self.top)

    def x(self, index: float) -> float:
        share = 0.5 if self.count == 1 else (index - 1) / (self.count - 1)
        return _LEFT + 8 + share * (WIDTH - _LEFT - _RIGHT - 16)

    def y(self, value: float) -> float:
        share = (math.log10(value) - self.bottom) / (self.top - self.bottom)
        return HEIGHT - _BOTTOM - min(max(share, 0.0), 1.0) * (HEIGHT - _TOP - _BOTTOM)


def _ticks(bottom: float, top: float) -> list[float]:
    """Values to mark: decades, or 1, 2 and 5 of each when there are few, or else round numbers evenly apart."""
    decades = range(math.floor(bottom), math.floor(top) + 1)
    step = max(1, math.ceil(len(decades) / 10))
    digits = (1, 2, 5) if len(decades) <= 4 else (1,)
    marks = [digit * _power(e) for e in decades if e % step == 0 for digit in digits]
    inside = [mark for mark in marks if 0 < mark < math.inf and bottom <= math.log10(mark) <= top]
    if len(inside) >= 3:
        return inside
    low, high = _power(bottom), _power(top)
    if not 0 < high - low < math.inf:
        return []
    size = 10.0 ** math.floor(math.log10((high - low) / 3))
    size *= max(m for m in (1, 2, 5) if m * size <= (high - low) / 3 * 1.0001)
    first = math.ceil(low / size)
    return [i * size for i in range(first, first + 12) if low <= i * size <= high and i]


def _power(exponent: float) -> float:
    return 10.0**exponent if exponent < 308.25 else math.inf


def _grid(scale: _Scale) -> Iterator[str]:
    for value in scale.steps:
        y = f"{scale.y(value):.1f}"
        yield f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#d0d7de"/>'
        yield _label(_LEFT - 8, scale.y(value) + 4, f"{value:.4g}", "end", "faint")
    for index in _indices(scale.count):
        x = f"{scale.x(index):.1f}"
        ends = f'y1="{HEIGHT - _BOTTOM}" y2="{HEIGHT - _BOTTOM + 5}"'
        yield f'<line class="frame" x1="{x}" x2="{x}" {ends} stroke="#57606a"/>'
        yield _label(scale.x(index), HEIGHT - _BOTTOM + 20, str(index), "middle", "faint")


def _indices(count: int) -> list[int]:
    """1, the last, and round numbers between that do not crowd them."""
    if count <= 8:
        return list(range(1, count + 1))
    size = 10 ** int(math.log10(count / 5))
    size *= max(m for m in (1, 2, 5) if m * size <= count / 5)
    return [1, *(i for i in range(size, count, size) if count - i > size / 2 and i > size / 4 + 1), count]


def _threshold(scale: _Scale, report: dict[str, Any]) -> Iterator[str]:
    threshold = report["gap"]["threshold"]
    if not threshold or not scale.bottom < math.log10(threshold) < scale.top:
        return
    y = scale.y(threshold)
    yield (
        f'<line class="edge" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#bc4c00" '
        'stroke-dasharray="6 4"/>'
    )
    words = "max(m, n) eps s_1" if report["numeric_rank"] is None else f"numeric rank {report['numeric_rank']}"
    # on the right, where values that fall below the line have left room above it
    yield _label(WIDTH - _RIGHT - 10, y - 6, words, "end", "note")


def _curve(scale: _Scale, positive: Sequence[float]) -> Iterator[str]:
    last = len(positive) - 1
    chosen = sorted({round(i * last / (_POINTS - 1)) for i in range(_POINTS)}) if last >= _POINTS else range(last + 1)
    points = [(scale.x(i + 1), scale.y(positive[i])) for i in chosen]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    yield f'<polyline class="line" points="{path}" fill="none" stroke="#0969da" stroke-width="1.5"/>'
    if len(positive) <= _MARKED:
        for x, y in points:
            yield f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="#0969da"/>'


def _captions(report: dict[str, Any], listed: int, zeros: int) -> Iterator[str]:
    m, n = report["input"]["shape"]
    yield _label(_LEFT, 24, f"Singular values of {_name(report)}", "start", "ink", 'font-size="16" font-weight="600"')
    facts = [f"{m} x {n}", f"{listed} of {report['count']} values", f"stable rank {_short(report, 'stable')}"]
    if zeros:
        facts.append(f"{zeros} of them zero, not shown")
    yield _label(_LEFT, 44, ", ".join(facts), "start", "faint")
    yield _label((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 14, "index i", "middle", "ink")
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    turned = f'transform="rotate(-90 18 {middle:.0f})"'
    yield _label(18, middle, "singular value s_i", "middle", "ink", turned)


def _short(report: dict[str, Any], name: str) -> str:
    return number(report["effective_ranks"][name], False)


def _name(report: dict[str, Any]) -> str:
    """What the picture is of: the end of a long name says more than its start."""
    path = (report.get("run") or {}).get("input_path") or "a matrix"
    item = report["input"]["item"]
    name = safe(path if item is None or path.endswith(f":{item}") else f"{path}:{item}")
    return name if len(name) <= 60 else "..." + name[-57:]


_INKS = {"ink": "#1f2328", "faint": "#57606a", "note": "#bc4c00"}


def _label(x: float, y: float, words: str, anchor: str, kind: str, more: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place} fill="{_INKS[kind]}"{" " + more if more else ""}>{_text(words)}</text>'


def _text(words: str) -> str:
    return escape(words)
