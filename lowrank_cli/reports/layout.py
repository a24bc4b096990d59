"""Where everything of a figure stands on the paper: lines, dots and words, before any file format."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from .figure import Axis, Edge, Figure, Series, axes

WIDTH, HEIGHT = 800, 480
LEFT, RIGHT, TOP, BOTTOM = 84, 24, 56, 56
#: More points than this are drawn as a line alone, and no more than these points of a line: they would not show.
_MARKED, _POINTS = 200, 1600
#: (on light ground, on dark ground): blue, orange, green, purple, red, grey.
COLOURS = (
    ("#0969da", "#4493f8"),
    ("#bc4c00", "#f0883e"),
    ("#1a7f37", "#3fb950"),
    ("#8250df", "#ab7df8"),
    ("#cf222e", "#ff7b72"),
    ("#57606a", "#9198a1"),
)
GROUND = ("#ffffff", "#0d1117")
#: kind of a shape -> its colours: what is filled with them, and what is drawn.
FILLS: Mapping[str, tuple[str, str]] = {
    "ink": ("#1f2328", "#e6edf3"),
    "faint": ("#57606a", "#9198a1"),
    "note": COLOURS[1],
    **{f"fill{i}": colour for i, colour in enumerate(COLOURS)},
}
STROKES: Mapping[str, tuple[str, str]] = {
    "grid": ("#d0d7de", "#30363d"),
    "frame": ("#57606a", "#9198a1"),
    **{f"line{i}": colour for i, colour in enumerate(COLOURS)},
}
#: About how wide a letter is, and how high a line.
_LETTER, _LINE = 7.4, 14.0

Place = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True)
class Stroke:
    """A line through points."""

    kind: str
    points: tuple[Place, ...]
    width: float = 1
    dashed: bool = False


@dataclasses.dataclass(frozen=True)
class Dot:
    """A marker of a point, at (x, y) of the picture."""

    kind: str
    x: float
    y: float
    radius: float


@dataclasses.dataclass(frozen=True)
class Words:
    """A line of text. anchor: "start", "middle" or "end" of it stands at x. turned: read from below."""

    x: float
    y: float
    text: str
    anchor: str
    kind: str
    title: bool = False
    turned: bool = False


Shape = Stroke | Dot | Words


def shapes(figure: Figure) -> list[Shape]:
    """The figure, from back to front. Points that a log axis cannot show are left out."""
    x, y = axes(figure)
    paper = _Paper(x, y)
    drawn: list[Shape] = [*_captions(figure)]
    if any(figure.shown(series) for series in figure.series):
        names = _Names(paper)
        drawn += _grid(paper)
        for number, series in enumerate(figure.series):
            drawn += _curve(paper, figure, series, number)
            names.avoid(paper.places(figure.shown(series)), series.line)
        drawn += _edges(paper, figure.edges, names)
        for series in figure.series:
            drawn += names.beside(figure, series)
        drawn += _legend(figure)
    else:
        middle = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
        drawn.append(Words(*middle, "nothing above zero to show", "middle", "faint"))
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
    return [*drawn, Stroke("frame", ((left, top), (right, top), (right, bottom), (left, bottom), (left, top)))]


class _Paper:
    """Where a point lies on the paper."""

    def __init__(self, x: Axis, y: Axis):
        self.across, self.up = x, y

    def x(self, value: float) -> float:
        return LEFT + self.across.share(value) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - self.up.share(value) * (HEIGHT - TOP - BOTTOM)

    def places(self, points: Sequence[Place]) -> list[Place]:
        return [(self.x(x), self.y(y)) for x, y in points]


def _captions(figure: Figure) -> Iterator[Shape]:
    yield Words(LEFT, 24, figure.title, "start", "ink", title=True)
    if figure.caption:
        yield Words(LEFT, 44, figure.caption, "start", "faint")
    yield Words((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, figure.x_label, "middle", "ink")
    yield Words(18, (TOP + HEIGHT - BOTTOM) / 2, figure.y_label, "middle", "ink", turned=True)


def _grid(paper: _Paper) -> Iterator[Shape]:
    for value in paper.up.ticks():
        y = paper.y(value)
        yield Stroke("grid", ((LEFT, y), (WIDTH - RIGHT, y)))
        yield Words(LEFT - 8, y + 4, paper.up.words(value), "end", "faint")
    last = float(LEFT) - 40
    for value in paper.across.ticks():
        x, words = paper.x(value), paper.across.words(value)
        yield Stroke("frame", ((x, HEIGHT - BOTTOM), (x, HEIGHT - BOTTOM + 5)))
        # a number that would touch the one before it is left out; its mark stays
        if x - last > _LETTER * len(words) + 6:
            last = x
            yield Words(x, HEIGHT - BOTTOM + 20, words, "middle", "faint")


def _edges(paper: _Paper, edges: Sequence[Edge], names: _Names) -> Iterator[Shape]:
    shown = [edge for edge in edges if (paper.across if edge.axis == "x" else paper.up).holds(edge.at)]
    for edge in shown:
        if edge.axis == "y":
            names.avoid([(LEFT, paper.y(edge.at)), (WIDTH - RIGHT, paper.y(edge.at))], True)
    for edge in shown:
        width = _LETTER * len(edge.words)
        if edge.axis == "y":
            y = paper.y(edge.at)
            ends = (LEFT, y), (WIDTH - RIGHT, y)
            # on the right first, where values that fall below the line have left room above it
            tried = [(x, down) for x in (WIDTH - RIGHT - 10 - width, LEFT + 10) for down in (y - 6, y + 16)]
        else:
            x = paper.x(edge.at)
            ends = (x, TOP), (x, HEIGHT - BOTTOM)
            # at the top first, where a falling curve leaves room on the right
            tried = [(side, down) for down in (TOP + 18, HEIGHT - BOTTOM - 10) for side in (x + 6, x - 6 - width)]
        yield Stroke("line1", ends, 1.25, dashed=True)
        left, down = names.first_free(tried, width)
        yield Words(left, down, edge.words, "start", "note")


def _curve(paper: _Paper, figure: Figure, series: Series, number: int) -> Iterator[Shape]:
    points, colour = figure.shown(series), number % len(COLOURS)
    if series.faint:
        colour = len(COLOURS) - 1
    last = len(points) - 1
    if last >= _POINTS:
        points = [points[i] for i in sorted({round(i * last / (_POINTS - 1)) for i in range(_POINTS)})]
    places = paper.places(points)
    if series.line and points:
        yield Stroke(f"line{colour}", tuple(places), 1.5, series.dashed)
    if series.marks and last < _MARKED:
        radius = 2.5 if len(places) > 20 else 3.5
        for x, y in places:
            yield Dot(f"fill{colour}", x, y, radius)


class _Names:
    """Words, each where it covers neither a point nor another word: beside its point if there is room, else farther off
    with a thin line to it."""

    def __init__(self, paper: _Paper):
        self.paper, self.taken = paper, list[Box]()

    def avoid(self, places: Sequence[Place], joined: bool) -> None:
        """Keep off these points, and off the line that joins them."""
        if len(places) <= _MARKED:
            self.taken += [(x - 5, y - 5, x + 5, y + 5) for x, y in places]
        for (x, y), (to_x, to_y) in itertools.pairwise(places[:_MARKED] if joined else []):
            steps = math.ceil(math.hypot(to_x - x, to_y - y) / 12)
            between = [(x + t * (to_x - x) / steps, y + t * (to_y - y) / steps) for t in range(1, steps)]
            self.taken += [(a - 2, b - 2, a + 2, b + 2) for a, b in between]

    def first_free(self, places: Sequence[Place], width: float) -> Place:
        """The first place, left end and foot of a word, where it covers nothing; else the first."""
        boxes = [(x, y - _LINE + 3, x + width, y + 3) for x, y in places]
        box, place = next(((b, p) for b, p in zip(boxes, places, strict=True) if self._free(b)), (boxes[0], places[0]))
        self.taken.append(box)
        return place

    def beside(self, figure: Figure, series: Series) -> Iterator[Shape]:
        named = [(point, name) for point, name in zip(series.points, series.names, strict=False) if figure.shows(point)]
        # from the right: words stand to the right of their points, if they can
        for point, name in sorted(named, reverse=True):
            x, y = self.paper.x(point[0]), self.paper.y(point[1])
            box, anchor = self._place(x, y, _LETTER * len(name))
            self.taken.append(box)
            at = {"start": box[0], "end": box[2], "middle": (box[0] + box[2]) / 2}[anchor]
            near_x, near_y = min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3])
            if abs(near_x - x) + abs(near_y - y) > 16:
                yield Stroke("grid", ((x, y), (near_x, near_y)))
                steps = [(x + t * (near_x - x) / 8, y + t * (near_y - y) / 8) for t in range(8)]
                self.taken += [(a - 2, b - 2, a + 2, b + 2) for a, b in steps]
            yield Words(at, box[3] - 3, name, anchor, "faint" if series.faint else "ink")

    def _place(self, x: float, y: float, width: float) -> tuple[Box, str]:
        first = None
        for away in (8.0, 18.0, 32.0, 50.0, 72.0, 98.0, 128.0):
            for dx, dy in ((1, 0), (1, -1), (-1, 0), (0, -1), (1, 1), (0, 1), (-1, -1), (-1, 1)):
                anchor = {1: "start", -1: "end", 0: "middle"}[dx]
                left = {1: x + away, -1: x - away - width, 0: x - width / 2}[dx]
                middle = y + dy * (away + (_LINE / 2 if dx == 0 else 0))
                box = (left, middle - _LINE / 2, left + width, middle + _LINE / 2)
                first = first or (box, anchor)
                if self._free(box):
                    return box, anchor
        assert first is not None
        return first

    def _free(self, box: Box) -> bool:
        inside = box[0] > LEFT and box[2] < WIDTH - RIGHT and box[1] > TOP and box[3] < HEIGHT - BOTTOM
        return inside and not any(_meet(box, other) for other in self.taken)


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _legend(figure: Figure) -> Iterator[Shape]:
    """On the right of the caption, or of the title where that is too long. One curve alone needs none."""
    named = [(number, one) for number, one in enumerate(figure.series) if one.name]
    if len(named) < 2:
        return
    width = sum(44 + _LETTER * len(one.name) for _, one in named) - 16
    x = max(16.0, WIDTH - RIGHT - width)
    y = 40 if not figure.caption or LEFT + _LETTER * len(figure.caption) + 16 < x else 20
    for number, one in named:
        colour = len(COLOURS) - 1 if one.faint else number % len(COLOURS)
        if one.line:
            yield Stroke(f"line{colour}", ((x, y), (x + 22, y)), 1.5, one.dashed)
        if one.marks:
            yield Dot(f"fill{colour}", x + 11, y, 3.5)
        yield Words(x + 28, y + 4, one.name, "start", "ink")
        x += 44 + _LETTER * len(one.name)
