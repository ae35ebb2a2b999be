"""Charts as inline SVG that takes its colours from the page: lines over steps, and points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from .markup import Html, element, joined, short
from .numbers import short_text, tick_text
from .scales import Axis

WIDTH, HEIGHT = 360.0, 212.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 12.0, 16.0, 34.0
"""The margins around the plot; a chart stands about as wide on the page as it is drawn."""

DOTTED = 40
"""Up to this many points, each has a dot."""

TOLD = 250
"""Up to this many points, each says its numbers when pointed at."""


@dataclass(frozen=True)
class Series:
    """A line: one value, or None, for each x of the chart. tone: the number of its colour."""

    name: str
    values: Sequence[float | None]
    tone: int


@dataclass(frozen=True)
class Frame:
    """A plot's two axes, and what they measure."""

    x: Axis
    y: Axis
    x_name: str
    y_name: str = ""

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a point in the picture."""
        across = LEFT + self.x.place(x) * (WIDTH - LEFT - RIGHT)
        return across, HEIGHT - BOTTOM - self.y.place(y) * (HEIGHT - TOP - BOTTOM)


def line_chart(
    title: str,
    x: Sequence[float],
    series: Sequence[Series],
    frame: Frame,
    mark: tuple[float, str] | None = None,
    *,
    tells_last: bool = True,
) -> Html:
    """Lines over a common x, as a figure with a legend.

    Args:
        mark: an x that is marked by an upright line, and what it says.
        tells_last: whether the legend tells the last value of each line.
    """
    lines = (part for line in series for part in _line(x, line, frame))
    body = joined([*_grid(frame), *_mark(frame, mark), *lines])
    head = element(
        "figcaption", element("b", title), *(_legend(line, tells_last) for line in series)
    )
    label = f"{title}: {', '.join(line.name for line in series)}"
    return element("figure", head, picture(body, label), class_="chart")


def point_chart(title: str, points: Sequence[tuple[float, float]], frame: Frame) -> Html:
    """Points, and the diagonal on which x and y are equal."""
    ends = (max(frame.x.low, frame.y.low), min(frame.x.high, frame.y.high))
    diagonal = _path([frame.at(end, end) for end in ends], "diagonal") if ends[0] < ends[1] else ""
    dots = (_dot(frame.at(*point), "point") for point in points)
    body = joined([*_grid(frame), Html(diagonal), *dots])
    head = element("figcaption", element("b", title))
    return element("figure", head, picture(body, title), class_="chart")


def picture(body: Html, label: str, width: float = WIDTH, height: float = HEIGHT) -> Html:
    """An SVG that is as wide as its place."""
    view = f"0 0 {short(width)} {short(height)}"
    return element("svg", body, viewBox=view, role="img", aria_label=label)


def _legend(line: Series, tells_last: bool) -> Html:
    swatch = element("i", class_=f"swatch tone{line.tone}")
    if not tells_last:
        return element("span", swatch, line.name, class_="key")
    last = next((value for value in reversed(line.values) if value is not None), None)
    return element("span", swatch, f"{line.name} ", element("b", short_text(last)), class_="key")


def _grid(frame: Frame) -> Iterator[Html]:
    """Lines across at the y ticks, and the names of both axes' ticks."""
    bottom = HEIGHT - BOTTOM
    for tick in frame.y.ticks():
        y = frame.at(frame.x.low, tick)[1]
        yield element("path", class_="rule", d=f"M{short(LEFT)} {short(y)}H{short(WIDTH - RIGHT)}")
        yield element("text", tick_text(tick), class_="tick end", x=LEFT - 6, y=y + 3.5)
    for tick in frame.x.ticks(6):
        x = frame.at(tick, frame.y.low)[0]
        yield element("text", tick_text(tick), class_="tick middle", x=x, y=bottom + 14)
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield element("text", frame.x_name, class_="tick middle faint", x=middle, y=HEIGHT - 5)
    if frame.y_name:
        turned = f"translate(9 {short((TOP + bottom) / 2)}) rotate(-90)"
        yield element("text", frame.y_name, class_="tick middle faint", transform=turned)


def _mark(frame: Frame, mark: tuple[float, str] | None) -> Iterator[Html]:
    if mark is None or not frame.x.low <= mark[0] <= frame.x.high:
        return
    x = frame.at(mark[0], frame.y.low)[0]
    yield element(
        "path", class_="mark", d=f"M{short(x)} {short(TOP - 12)}V{short(HEIGHT - BOTTOM)}"
    )
    side = "end" if x > WIDTH / 2 else "start"
    shift = -4.0 if side == "end" else 4.0
    yield element("text", mark[1], class_=f"tick {side}", x=x + shift, y=TOP - 5)


def _line(x: Sequence[float], line: Series, frame: Frame) -> Iterator[Html]:
    """The line with gaps where it has no values, and its dots."""
    drawn = [(at, value) for at, value in zip(x, line.values, strict=True) if value is not None]
    for whole, run in groupby(zip(x, line.values, strict=True), lambda pair: pair[1] is not None):
        if whole:
            places = [frame.at(at, value) for at, value in run if value is not None]
            yield _path(places, f"line tone{line.tone}")
    if len(drawn) > TOLD:
        return
    kind = f"dot tone{line.tone}" if len(drawn) <= DOTTED else f"dot hidden tone{line.tone}"
    for at, value in drawn:
        told = f"{line.name} {short_text(value)} at {frame.x_name} {short_text(at)}"
        yield _dot(frame.at(at, value), kind, told)


def _path(places: Sequence[tuple[float, float]], kind: str) -> Html:
    steps = "L".join(f"{short(x)} {short(y)}" for x, y in places)
    return element("path", class_=kind, d=f"M{steps}")


def _dot(place: tuple[float, float], kind: str, told: str = "") -> Html:
    content = [element("title", told)] if told else []
    return element("circle", *content, class_=kind, cx=place[0], cy=place[1], r=2.6)


def finite(values: Sequence[float | None]) -> list[float]:
    """The values that can be drawn."""
    return [value for value in values if value is not None and math.isfinite(value)]
