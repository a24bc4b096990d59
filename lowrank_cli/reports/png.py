"""A figure as PNG, by matplotlib, an optional package: on light ground, the same bytes for the same figure."""

from __future__ import annotations

import io
from typing import Any

from ..errors import DependencyError
from .figure import Figure
from .layout import FILLS, GROUND, HEIGHT, STROKES, WIDTH, Dot, Shape, Stroke, shapes

#: Pixels of the paper an inch, of which a point of matplotlib is one 72nd; and pixels drawn for each.
_INCH, _SHARPNESS = 100, 2
_POINT = 72 / _INCH
_SIDES = {"start": "left", "middle": "center", "end": "right"}


def draw(figure: Figure) -> bytes:
    """The figure. Raises DependencyError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Sheet
    except ImportError as error:
        raise DependencyError(
            "a picture as .png needs matplotlib", hint="pip install 'lowrank-cli[plot]', or name a .svg"
        ) from error
    sheet = Sheet(figsize=(WIDTH / _INCH, HEIGHT / _INCH), dpi=_INCH * _SHARPNESS, facecolor=GROUND[0])
    FigureCanvasAgg(sheet)
    paper = sheet.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    paper.set_axis_off()
    for shape in shapes(figure):
        _put(paper, shape)
    sink = io.BytesIO()
    sheet.savefig(sink, format="png", metadata={"Software": None})
    return sink.getvalue()


def _put(paper: Any, shape: Shape) -> None:
    if isinstance(shape, Stroke):
        ink = STROKES[shape.kind][0]
        dashes = {"dashes": (4, 2.7)} if shape.dashed else {}
        paper.plot(*zip(*shape.points, strict=True), color=ink, linewidth=shape.width * _POINT, **dashes)
        return
    ink = FILLS[shape.kind][0]
    if isinstance(shape, Dot):
        size = 2 * shape.radius * _POINT
        paper.plot([shape.x], [shape.y], "o", color=ink, markersize=size, markeredgewidth=0)
        return
    paper.text(
        shape.x,
        shape.y,
        shape.text,
        color=ink,
        fontsize=(16 if shape.title else 12) * _POINT,
        fontweight="bold" if shape.title else "normal",
        ha=_SIDES[shape.anchor],
        va="baseline",
        rotation=90 if shape.turned else 0,
        rotation_mode="anchor",
        parse_math=False,
    )
