"""Charts and grey pictures as SVG text, drawn by the plotting room of lowrank itself, ``lowrank_cli.reports``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from xml.sax.saxutils import escape

from lowrank_cli.reports import figure
from lowrank_cli.reports.svg import document, draw


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
    curves = [
        figure.Series(
            s.name,
            [(float(x), float(y)) for x, y in zip(s.x, s.y, strict=True)],
            s.line,
            s.marks or not s.line,
            s.dashed,
        )
        for s in series
    ]
    return draw(figure.Figure(title, "", x_label, y_label, curves, log_x=log_x, log_y=log_y))


def tiles(title: str, pictures: Sequence[Sequence[Sequence[float]]], across: int, pixel: int = 6, gap: int = 6) -> str:
    """Small grey pictures in rows; black is the least value of all, white the greatest."""
    values = [v for picture in pictures for row in picture for v in row]
    low, high = min(values), max(values)
    side_y, side_x = len(pictures[0]) * pixel + gap, len(pictures[0][0]) * pixel + gap
    body = [f'<text class="ink" x="16" y="26" font-size="16" font-weight="600">{escape(title)}</text>']
    for number, picture in enumerate(pictures):
        x0, y0 = 16 + number % across * side_x, 44 + number // across * side_y
        for i, row in enumerate(picture):
            for j, value in enumerate(row):
                grey = round(255 * (value - low) / (high - low)) if high > low else 0
                place = f'x="{x0 + j * pixel}" y="{y0 + i * pixel}" width="{pixel}" height="{pixel}"'
                body.append(f'<rect {place} fill="#{grey:02x}{grey:02x}{grey:02x}"/>')
    height = 44 + -(-len(pictures) // across) * side_y + 10
    return document(title, max(32 + across * side_x, 480), height, body)
