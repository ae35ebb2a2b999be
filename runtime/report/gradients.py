"""How large each layer's gradients were over time: those that vanish or explode stand out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..history import Record
from ..number_text import counted
from .chart import Frame, Series, line_chart
from .markup import Html, element, joined
from .numbers import figure_text
from .pictures import image
from .scales import axis_of, count_axis
from .section import LeftOut, Piece, Section
from .subject import Subject, number

TITLE = "Gradient norms"

ROWS, COLUMNS = 64, 400
"""How many layers and moments the heat map tells apart; more are put together."""

Matrix = NDArray[np.float64]


def gradients(subject: Subject) -> Piece:
    """A heat map by layer and step, and the norm of the whole gradient."""
    records = subject.gradients
    if not records:
        return LeftOut(TITLE, "the run recorded none in `gradients.jsonl`")
    squares = _by_layer(records)
    shown = _thinned(squares)
    norms = {name: np.sqrt(row) for name, row in shown.items()}
    steps = [float(record["step"]) for record in records]
    total = np.sqrt(np.nansum(np.stack(list(squares.values())), axis=0))
    whole = _whole(steps, total, _limit(subject, steps))
    note = (
        f"L2 norms at {counted(len(steps), 'step')}, before clipping, of "
        f"{counted(len(norms), 'layer')}, the first at the top."
    )
    return Section(TITLE, joined([_heat_map(norms, steps), whole]), note)


def _by_layer(records: Sequence[Record]) -> dict[str, Matrix]:
    """Layer -> the squared norm of all its parameters at each record; NaN where there is none."""
    found: dict[str, Matrix] = {}
    for place, record in enumerate(records):
        for name, value in record["norms"].items():
            layer = str(name).rpartition(".")[0] or str(name)
            row = found.setdefault(layer, np.full(len(records), np.nan))
            size = number(value)
            if size is not None:
                row[place] = np.nansum([row[place], size**2])
    return _shortened(found)


def _shortened(layers: dict[str, Matrix]) -> dict[str, Matrix]:
    """Without the network's name where all layers are of one."""
    networks = {name.partition(".")[0] for name in layers}
    if len(networks) > 1 or not all("." in name for name in layers):
        return layers
    return {name.partition(".")[2]: row for name, row in layers.items()}


def _thinned(layers: Mapping[str, Matrix]) -> dict[str, Matrix]:
    """Layers put together by the parts they stand in until there are few enough to show."""
    depth = max(name.count(".") for name in layers) + 1
    while len(layers) > ROWS and depth > 1:
        depth -= 1
        merged: dict[str, list[Matrix]] = {}
        for name, row in layers.items():
            merged.setdefault(".".join(name.split(".")[:depth]), []).append(row)
        layers = {name: np.nansum(np.stack(rows), axis=0) for name, rows in merged.items()}
    return dict(list(layers.items())[:ROWS])


def _heat_map(norms: Mapping[str, Matrix], steps: Sequence[float]) -> Html:
    """Rows of names beside one picture with a row of pixels for each."""
    rows = np.stack(list(norms.values()))[:, :: -(-len(steps) // COLUMNS)]
    positive = rows[np.isfinite(rows) & (rows > 0)]
    if not positive.size:
        return element("p", "Every gradient was zero.", class_="note")
    high, low = float(positive.max()), float(max(positive.min(), positive.max() * 1e-8))
    pixels = _colored(rows, low, high)
    names = joined(element("span", name, title=name) for name in norms)
    drawn = element("div", image(pixels, "gradient norms by layer and step"), class_="cells")
    ends = element("div", element("span", f"step {steps[0]:,.0f}"),
                   element("span", f"step {steps[-1]:,.0f}"), class_="ends")  # fmt: skip
    style = f"--rows:{len(norms)}"
    grid = (element("div", names, class_="names"), drawn, element("span"), ends)
    return joined([_scale(low, high), element("div", *grid, class_="heat", style=style)])


def _colored(rows: Matrix, low: float, high: float) -> NDArray[np.uint8]:
    """Logarithms as colours [rows, columns, 4]; what is no number is transparent."""
    from matplotlib import colormaps

    with np.errstate(divide="ignore", invalid="ignore"):
        places = np.log10(np.clip(rows, low, None) / low) / (np.log10(high / low) or 1.0)
    pixels: Any = colormaps["viridis"](np.nan_to_num(places), bytes=True)
    pixels[~np.isfinite(rows), 3] = 0
    return np.asarray(pixels, np.uint8)


def _scale(low: float, high: float) -> Html:
    """What the colours mean."""
    bar = image(_colored(np.geomspace(low, high, 60)[None] if low < high else np.array([[low]]),
                         low, high), "colour scale")  # fmt: skip
    return element("p", figure_text(low), bar, figure_text(high), class_="scale")


def _limit(subject: Subject, steps: Sequence[float]) -> list[float | None]:
    """The norm to which each gradient was shrunk; none where the spec has no `clip_norm`."""
    clip = subject.compilation.spec.training.clip_norm if subject.compilation else None
    return [clip.at(int(step) - 1) for step in steps] if clip else []


def _whole(steps: Sequence[float], total: Matrix, limit: list[float | None]) -> Html:
    values = [float(value) if np.isfinite(value) else None for value in total]
    lines = [Series("norm", values, 3), *([Series("clip_norm", limit, 1)] if limit else [])]
    shown = [value for line in lines for value in line.values if value is not None]
    frame = Frame(count_axis(steps), axis_of(shown, floor=0.0, may_be_log=True), "step")
    chart = line_chart("whole gradient", steps, lines, frame)
    return element("div", chart, class_="charts")
