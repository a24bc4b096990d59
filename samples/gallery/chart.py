"""Charts and grey pictures as SVG text, readable on light and on dark ground. The same data give the same text."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 78, 20, 64, 54
#: (light ground, dark ground): blue, orange, green, purple, red, grey.
COLOURS = (
    ("#0969da", "#4493f8"),
    ("#bc4c00", "#f0883e"),
    ("#1a7f37", "#3fb950"),
    ("#8250df", "#ab7df8"),
    ("#cf222e", "#ff7b72"),
    ("#57606a", "#9198a1"),
)


@dataclasses.dataclass(frozen=True)
class Series:
    """One curve: points of it are joined by a line, or marked, or both. dashed: what theory says, for example."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    line: bool = True
    marks: bool = False
    dashed: bool = False


def chart(
    title: str, x_label: str, y_label: str, series: Sequence[Series], log_x: bool = False, log_y: bool = False
) -> str:
    """Curves over common axes; points that a log axis cannot show are left out."""
    shown = [
        [(float(x), float(y)) for x, y in zip(s.x, s.y, strict=True) if (x > 0 or not log_x) and (y > 0 or not log_y)]
        for s in series
    ]
    xs = _Axis([x for points in shown for x, _ in points], log_x, LEFT, WIDTH - RIGHT)
    ys = _Axis([y for points in shown for _, y in points], log_y, HEIGHT - BOTTOM, TOP)
    body = [*_grid(xs, ys), *_words(title, x_label, y_label)]
    for number, (one, points) in enumerate(zip(series, shown, strict=True)):
        body += _curve(one, [(xs.at(x), ys.at(y)) for x, y in points], number)
    body += _legend(series)
    return _document(title, WIDTH, HEIGHT, body)


def bars(title: str, x_label: str, rows: Sequence[tuple[str, float]], log_x: bool = False) -> str:
    """A bar and its number for each row."""
    height = TOP + 34 * len(rows) + BOTTOM
    left = 230
    low = min(value for _, value in rows)
    axis = _Axis([low if log_x else 0.0, *(value for _, value in rows)], log_x, left, WIDTH - 90)
    body = [f'<text class="ink title" x="16" y="26">{escape(title)}</text>']
    for number, (name, value) in enumerate(rows):
        y = TOP + 34 * number
        width = max(2.0, axis.at(value) - left)
        body += [
            f'<text class="ink" x="{left - 10}" y="{y + 16}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="fill0" x="{left}" y="{y}" width="{width:.1f}" height="22"/>',
            f'<text class="faint" x="{left + width + 8:.1f}" y="{y + 16}">{value:.4g}</text>',
        ]
    body.append(
        f'<text class="ink" x="{(left + WIDTH) // 2}" y="{height - 16}" text-anchor="middle">{escape(x_label)}</text>'
    )
    return _document(title, WIDTH, height, body)


def tiles(title: str, pictures: Sequence[Sequence[Sequence[float]]], across: int, pixel: int = 6, gap: int = 6) -> str:
    """Small grey pictures in rows; black is the least value of all, white the greatest."""
    values = [v for picture in pictures for row in picture for v in row]
    low, high = min(values), max(values)
    side_y, side_x = len(pictures[0]) * pixel + gap, len(pictures[0][0]) * pixel + gap
    body = [f'<text class="ink title" x="16" y="26">{escape(title)}</text>']
    for number, picture in enumerate(pictures):
        x0, y0 = 16 + number % across * side_x, 44 + number // across * side_y
        for i, row in enumerate(picture):
            for j, value in enumerate(row):
                grey = round(255 * (value - low) / (high - low)) if high > low else 0
                place = f'x="{x0 + j * pixel}" y="{y0 + i * pixel}" width="{pixel}" height="{pixel}"'
                body.append(f'<rect {place} fill="#{grey:02x}{grey:02x}{grey:02x}"/>')
    height = 44 + -(-len(pictures) // across) * side_y + 10
    return _document(title, max(32 + across * side_x, 480), height, body)


class _Axis:
    """Values to places on the paper, and the values worth a mark."""

    def __init__(self, values: Sequence[float], log: bool, start: float, stop: float):
        self.log, self.start, self.stop = log, start, stop
        scaled = [self._scaled(v) for v in values] or [0.0, 1.0]
        self.low, self.high = min(scaled), max(scaled)
        room = 0.04 * (self.high - self.low) or 0.5
        self.low, self.high = self.low - room, self.high + room

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def at(self, value: float) -> float:
        share = (self._scaled(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)

    def marks(self) -> list[float]:
        if self.log:
            step = max(1, math.ceil((self.high - self.low) / 8))
            decades = [d for d in range(math.floor(self.low), math.ceil(self.high) + 1) if d % step == 0]
            digits = (1, 2, 5) if self.high - self.low < 3 else (1,)
            return [f * 10.0**d for d in decades for f in digits if self.low <= d + math.log10(f) <= self.high]
        size = 10.0 ** math.floor(math.log10((self.high - self.low) / 4))
        size *= max(m for m in (1, 2, 5) if m * size <= (self.high - self.low) / 4 * 1.0001)
        first = math.ceil(self.low / size)
        return [i * size for i in range(first, first + 12) if i * size <= self.high]


def _grid(xs: _Axis, ys: _Axis) -> Iterator[str]:
    for value in ys.marks():
        y = ys.at(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="faint" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>'
    for value in xs.marks():
        x = xs.at(value)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        yield f'<text class="faint" x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{value:.4g}</text>'


def _words(title: str, x_label: str, y_label: str) -> Iterator[str]:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    yield f'<text class="ink title" x="{LEFT}" y="26">{escape(title)}</text>'
    across = (LEFT + WIDTH - RIGHT) // 2
    yield f'<text class="ink" x="{across}" y="{HEIGHT - 14}" text-anchor="middle">{escape(x_label)}</text>'
    yield (
        f'<text class="ink" x="18" y="{middle:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 18 {middle:.0f})">{escape(y_label)}</text>'
    )


def _curve(series: Series, points: list[tuple[float, float]], number: int) -> Iterator[str]:
    if series.line and len(points) > 1:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dash = ' stroke-dasharray="6 4"' if series.dashed else ""
        yield f'<polyline class="line{number % len(COLOURS)}" points="{path}" fill="none"{dash}/>'
    if series.marks or not series.line:
        for x, y in points:
            yield f'<circle class="fill{number % len(COLOURS)}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'


def _legend(series: Sequence[Series]) -> Iterator[str]:
    """In one row between the title and the frame, where no curve can run."""
    x = float(LEFT)
    for number, one in enumerate(series):
        colour = number % len(COLOURS)
        dash = ' stroke-dasharray="6 4"' if one.dashed else ""
        if one.line:
            yield f'<line class="line{colour}" x1="{x:.0f}" x2="{x + 22:.0f}" y1="46" y2="46"{dash}/>'
        if one.marks or not one.line:
            yield f'<circle class="fill{colour}" cx="{x + 11:.0f}" cy="46" r="3"/>'
        yield f'<text class="ink" x="{x + 28:.0f}" y="50">{escape(one.name)}</text>'
        x += 44 + 6.8 * len(one.name)


def _document(title: str, width: int, height: int, body: list[str]) -> str:
    lines = "".join(
        f".line{i} {{ stroke: {light}; stroke-width: 1.8 }} .fill{i} {{ fill: {light} }}\n"
        for i, (light, _) in enumerate(COLOURS)
    )
    dark = "".join(f".line{i} {{ stroke: {d} }} .fill{i} {{ fill: {d} }}\n" for i, (_, d) in enumerate(COLOURS))
    style = (
        ".ground { fill: #ffffff } .ink { fill: #1f2328 } .faint { fill: #57606a } .grid { stroke: #d8dee4 }\n"
        ".title { font-size: 16px; font-weight: 600 }\n"
        f"{lines}@media (prefers-color-scheme: dark) {{\n"
        ".ground { fill: #0d1117 } .ink { fill: #e6edf3 } .faint { fill: #9198a1 } .grid { stroke: #30363d }\n"
        f"{dark}}}\n"
    )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="13" role="img">'
    )
    ground = f'<rect class="ground" width="{width}" height="{height}"/>'
    return (
        "\n".join([head, f"<title>{escape(title)}</title>", f"<style>\n{style}</style>", ground, *body, "</svg>"])
        + "\n"
    )
