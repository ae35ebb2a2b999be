"""Draws a confusion matrix: as SVG with names and counts, and as pixels where it is large."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .chart import picture
from .markup import Html, element, joined
from .pictures import image

COUNTED, NAMED = 20, 60
"""Up to how many classes each cell says its count, and the axes name the classes."""

CELL, SMALL = 34.0, 11.0
"""Sizes of cells: with counts written in, and without."""

LONGEST, LETTER = 14, 6.4
"""How much of a name is shown, and how wide a letter of it is."""

RIGHT, WRONG = (59, 130, 246), (240, 105, 30)
"""Colours of pixels, for light and dark pages alike."""

Counts = Sequence[Sequence[int]]
"""[K][K]: rows are true classes, columns predicted ones."""


def draw_matrix(counts: Counts, names: Sequence[str]) -> Html:
    """Shades are shares of a row, right ones in another colour than wrong ones."""
    if len(counts) > NAMED:
        return _pixels(counts)
    grid = _Grid(names)
    label = f"confusion matrix of {len(counts)} classes"
    drawn = picture(joined([*_cells(counts, grid), *_axes(grid)]), label, grid.whole, grid.whole)
    smallest = f";min-width:{min(grid.whole, 620):.0f}px" if len(names) > 12 else ""
    return element("div", drawn, style=f"width:{grid.whole:.0f}px{smallest}", class_="fitted")


def shade(share: float) -> float:
    """How opaque a share is drawn: small ones are to be seen too."""
    return 0.12 + 0.88 * math.sqrt(share)


def _pixels(counts: Counts) -> Html:
    """A pixel for each cell, as an image."""
    matrix = np.asarray(counts, np.float64)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(counts), dtype=bool)[..., None]
    pixels = np.zeros((*matrix.shape, 4), np.uint8)
    pixels[..., :3] = np.where(right, RIGHT, WRONG)
    pixels[..., 3] = np.where(matrix > 0, 255 * np.vectorize(shade)(shares), 0)
    told = element("p", "Rows are true classes, columns predicted ones.", class_="note")
    drawn = image(pixels, f"confusion matrix of {len(counts)} classes")
    return joined([element("div", drawn, class_="pixels"), told])


@dataclass(frozen=True)
class _Grid:
    """Where the cells of a matrix stand: right of and above the names of its classes."""

    names: Sequence[str]

    @property
    def cell(self) -> float:
        return CELL if len(self.names) <= COUNTED else SMALL

    @property
    def edge(self) -> float:
        """The room for names, left of the cells and below them."""
        return LETTER * min(LONGEST, max(map(len, self.names))) + 26

    @property
    def bottom(self) -> float:
        return 4 + len(self.names) * self.cell

    @property
    def whole(self) -> float:
        return self.edge + self.bottom


def _cells(counts: Counts, grid: _Grid) -> Iterator[Html]:
    size = grid.bottom - 4
    yield element("rect", class_="empty", x=grid.edge, y=4.0, width=size, height=size, rx=3.0)
    for row, line in enumerate(counts):
        for column, count in enumerate(line):
            if count:
                yield _cell(row, column, count, sum(line), grid)


def _cell(row: int, column: int, count: int, total: int, grid: _Grid) -> Html:
    told = f"{grid.names[row]} taken for {grid.names[column]}: {count:,} of {total:,}"
    x, y, size = grid.edge + column * grid.cell, 4 + row * grid.cell, grid.cell
    opacity = shade(count / total)
    box = element(
        "rect", element("title", told), class_="right" if row == column else "wrong",
        x=x + 0.5, y=y + 0.5, rx=2.0, width=size - 1, height=size - 1, fill_opacity=opacity,
    )  # fmt: skip
    if size < CELL:
        return box
    inverse = " inverse" if opacity > 0.55 else ""
    shown = f"{count}" if count < 10_000 else f"{count / 1000:.0f}k"
    middle = element("text", shown, class_=f"count{inverse}", x=x + size / 2, y=y + size / 2 + 4)
    return joined([box, middle])


def _axes(grid: _Grid) -> Iterator[Html]:
    middle, low = (grid.edge + grid.whole) / 2, grid.whole - 6
    turned = f"translate(11 {grid.bottom / 2:.1f}) rotate(-90)"
    yield element("text", "predicted", class_="tick middle faint", x=middle, y=low)
    yield element("text", "true", class_="tick middle faint", transform=turned)
    for place, name in enumerate(grid.names):
        shown = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
        at = place * grid.cell + grid.cell / 2
        yield element("text", shown, class_="tick end", x=grid.edge - 6, y=8 + at)
        yield _below(shown, grid, at)


def _below(name: str, grid: _Grid, at: float) -> Html:
    """The name of a column; turned where names are long."""
    x, y = grid.edge + at, grid.bottom
    if max(map(len, grid.names)) <= 3 and grid.cell == CELL:
        return element("text", name, class_="tick middle", x=x, y=y + 14)
    turn = f"translate({x + 3:.1f} {y + 8:.1f}) rotate(-45)"
    return element("text", name, class_="tick end", transform=turn)
