"""Predicted numbers against true ones."""

from __future__ import annotations

from collections.abc import Iterator

from ..number_text import counted
from .answers import Array
from .chart import Frame, point_chart
from .markup import Html, element, joined
from .probe import Probe, Sweep
from .scales import axis_of
from .section import Piece, Section
from .state import after_step

POINTS = 1000
"""How many samples are drawn."""

CHARTS = 6
"""How many numbers of an output have a chart of their own."""


def scatter(probe: Probe, sweep: Sweep) -> list[Piece]:
    """A chart for each number that a regression predicts; nothing for other objectives."""
    charts = [chart for name in sweep.outputs for chart in _charts(sweep, name)]
    if not charts:
        return []
    drawn = min(POINTS, len(sweep.indices))
    note = (
        f"{counted(drawn, f'{probe.part} sample')}, in the units of the data; on the line, "
        f"prediction and truth are equal. The network is that {after_step(probe.step)}."
    )
    return [Section("Predicted and true", element("div", joined(charts), class_="charts"), note)]


def _charts(sweep: Sweep, name: str) -> Iterator[Html]:
    every = -(-len(sweep.indices) // POINTS)
    pair = (sweep.outputs[name][::every], sweep.targets[name][::every])
    predicted, true = (x.reshape(len(x), -1) for x in pair)
    for column in range(min(CHARTS, true.shape[1])):
        title = name if true.shape[1] == 1 else f"{name}[{column}]"
        yield _chart(title, true[:, column], predicted[:, column])


def _chart(title: str, true: Array, predicted: Array) -> Html:
    x, y = true.astype(float).tolist(), predicted.astype(float).tolist()
    frame = Frame(axis_of(x), axis_of(y), "true", "predicted")
    return point_chart(title, list(zip(x, y, strict=True)), frame)
