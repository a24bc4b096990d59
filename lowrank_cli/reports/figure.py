"""A picture as plain data: curves over two axes. What draws it knows no report; what makes it, no file format."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from .text import size


@dataclasses.dataclass(frozen=True)
class Series:
    """One curve: points of it are joined by a line, or marked, or both. names: of the single points, written beside
    them. faint: points that matter less."""

    name: str
    points: Sequence[tuple[float, float]]
    line: bool = True
    marks: bool = False
    dashed: bool = False
    faint: bool = False
    names: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Edge:
    """A straight line across the picture, at one value of an axis, "x" or "y", and the words beside it."""

    axis: str
    at: float
    words: str


@dataclasses.dataclass(frozen=True)
class Figure:
    """Curves over common axes. caption: a line of facts under the title. units of x and of y: "count", "bytes", ""."""

    title: str
    caption: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    log_x: bool = False
    log_y: bool = False
    units: tuple[str, str] = ("", "")
    edges: Sequence[Edge] = ()

    def shows(self, point: tuple[float, float]) -> bool:
        """Whether an axis has a place for the point: a log axis has none for zero."""
        return all(
            math.isfinite(value) and (value > 0 or not log)
            for value, log in zip(point, (self.log_x, self.log_y), strict=True)
        )

    def shown(self, series: Series) -> list[tuple[float, float]]:
        return [point for point in series.points if self.shows(point)]


#: Decades below the largest value that a log axis reaches at most.
_DECADES = 20
#: Decades by which an axis is made longer to show an edge.
_NEAR = 2


class Axis:
    """Values to shares of a side, 0 to 1, and the values worth a mark."""

    def __init__(self, values: Sequence[float], log: bool, edges: Sequence[float] = (), unit: str = ""):
        self.log, self.unit = log, unit
        scaled = [self._scaled(v) for v in values] or [0.0, 1.0]
        low, high = min(scaled), max(scaled)
        self.ends = min(values, default=0.0), max(values, default=1.0)
        near = _NEAR if log else 0.25 * (high - low)
        for edge in edges:
            place = self._scaled(edge) if edge > 0 or not log else low
            low, high = (place if low > place > low - near else low), (place if high < place < high + near else high)
        if log:
            low = max(low, high - _DECADES)
        room = 0.03 * (high - low)
        if not log:
            room = room or 0.5 * abs(high) or 0.5
        elif room < 0.15:
            room = 0.15
        self.low, self.high = low - room, high + room

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def holds(self, value: float) -> bool:
        return (value > 0 or not self.log) and self.low < self._scaled(value) < self.high

    def share(self, value: float) -> float:
        return min(max((self._scaled(value) - self.low) / (self.high - self.low), 0.0), 1.0)

    def ticks(self) -> list[float]:
        """Values to mark: decades, or 1, 2 and 5 of each when there are few, or else round numbers evenly apart."""
        if self.unit == "count" and not self.log:
            return _counted(*self.ends)
        if not self.log:
            return _evenly(self.low, self.high)
        decades = range(math.floor(self.low), math.floor(self.high) + 1)
        step = max(1, math.ceil(len(decades) / 10))
        digits = (1, 2, 5) if len(decades) <= 4 else (1,)
        marks = [digit * _power(e) for e in decades if e % step == 0 for digit in digits]
        inside = [m for m in marks if 0 < m < math.inf and self.low <= math.log10(m) <= self.high]
        return inside if len(inside) >= 3 else _evenly(_power(self.low), _power(self.high))

    def words(self, value: float) -> str:
        """What stands at a mark."""
        if self.unit == "bytes":
            return size(round(value), False)
        return f"{value:.0f}" if self.unit == "count" and value < 1e6 else f"{value:.4g}"


def _counted(first: float, last: float) -> list[float]:
    """The first, the last, and round numbers between that do not crowd them."""
    if last - first < 8:
        return [float(i) for i in range(math.ceil(first), math.floor(last) + 1)]
    step = 10.0 ** math.floor(math.log10((last - first) / 5))
    step *= max(m for m in (1, 2, 5) if m * step <= (last - first) / 5)
    step = max(step, 1.0)
    round_ones = [i * step for i in range(math.floor(first / step), math.ceil(last / step))]
    return [first, *(value for value in round_ones if first + step / 4 < value < last - step / 2), last]


def _evenly(low: float, high: float) -> list[float]:
    """Round numbers between two values, three to about ten of them."""
    if not 0 < high - low < math.inf:
        return []
    step = 10.0 ** math.floor(math.log10((high - low) / 3))
    step *= max(m for m in (1, 2, 5) if m * step <= (high - low) / 3 * 1.0001)
    first = math.ceil(low / step)
    return [i * step for i in range(first, first + 12) if low <= i * step <= high]


def _power(exponent: float) -> float:
    return 10.0**exponent if exponent < 308.25 else math.inf


def axes(figure: Figure) -> tuple[Axis, Axis]:
    """The two axes of a figure: as long as its points need, a little longer where that shows an edge."""
    points = [point for series in figure.series for point in figure.shown(series)]
    edges = {which: [e.at for e in figure.edges if e.axis == which] for which in "xy"}
    x = Axis([p[0] for p in points], figure.log_x, edges["x"], figure.units[0])
    return x, Axis([p[1] for p in points], figure.log_y, edges["y"], figure.units[1])
