"""A figure as SVG: readable on light and on dark ground, made of text alone. The same figure gives the same text."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from .figure import Figure
from .layout import FILLS, GROUND, HEIGHT, STROKES, WIDTH, Dot, Shape, Stroke, shapes


def draw(figure: Figure) -> str:
    """The figure as a document of its own."""
    return document(figure.title, WIDTH, HEIGHT, [_element(shape) for shape in shapes(figure)])


def document(title: str, width: int, height: int, body: Sequence[str]) -> str:
    """A whole SVG around elements whose classes are kinds of shapes."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="13" role="img">'
    )
    ground = f'<rect class="ground" width="{width}" height="{height}" fill="{GROUND[0]}"/>'
    # each colour is written twice: as an attribute for programs that know no style sheets, and here, for both grounds
    style = f"<style>\n{_sheet(0)}@media (prefers-color-scheme: dark) {{\n{_sheet(1)}}}\n</style>"
    return "\n".join([head, f"<title>{escape(title)}</title>", style, ground, *body, "</svg>"]) + "\n"


def _sheet(ground: int) -> str:
    rules = [f".{name} {{ fill: {pair[ground]} }}" for name, pair in {"ground": GROUND, **FILLS}.items()]
    return "\n".join(rules + [f".{name} {{ stroke: {pair[ground]} }}" for name, pair in STROKES.items()]) + "\n"


def _element(shape: Shape) -> str:
    if isinstance(shape, Stroke):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
        dash = ' stroke-dasharray="6 4"' if shape.dashed else ""
        look = f'fill="none" stroke="{STROKES[shape.kind][0]}" stroke-width="{shape.width}" stroke-linejoin="round"'
        return f'<polyline class="{shape.kind}" points="{path}" {look}{dash}/>'
    ink = f'fill="{FILLS[shape.kind][0]}"'
    if isinstance(shape, Dot):
        return f'<circle class="{shape.kind}" cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{shape.radius}" {ink}/>'
    place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" text-anchor="{shape.anchor}"'
    more = ' font-size="16" font-weight="600"' if shape.title else ""
    more += f' transform="rotate(-90 {shape.x:.0f} {shape.y:.0f})"' if shape.turned else ""
    return f'<text class="{shape.kind}" {place} {ink}{more}>{escape(shape.text)}</text>'
