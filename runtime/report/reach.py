"""How far back in time a recurrent network learns from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...compiler.ops.recurrent import Recurrent
from ..number_text import counted
from .answers import Array
from .chart import Frame, Series, line_chart
from .markup import Html, element, joined
from .probe import Probe
from .scales import axis_of, count_axis
from .section import Piece, Section

TITLE = "How far back it learns"

SAMPLES = 256
"""How many samples the gradient is averaged over."""

LEAST = 1e-12
"""What is smaller than this part of the largest is drawn as this part."""


def reach(probe: Probe) -> list[Piece]:
    """A chart of the gradient by the distance from the end, for each sequence of numbers.

    Nothing for networks without recurrent layers, and for ids, which have no gradient.
    """
    if not any(isinstance(node.op, Recurrent) for node in probe.graph.nodes):
        return []
    charts = [
        reach_chart(field, probe.gradient_by_step(field, SAMPLES)) for field in _fields(probe)
    ]
    if not charts:
        return []
    note = (
        f"The size of the loss's gradient at each step of the input, over "
        f"{counted(min(SAMPLES, probe.size), f'{probe.part} sample')}; its largest is 1. What it "
        "does not reach is not learned from."
    )
    return [Section(TITLE, element("div", joined(charts), class_="charts"), note)]


def _fields(probe: Probe) -> Iterator[str]:
    """The fields of inputs f32[B, T, C]."""
    bound = probe.settings.inputs(probe.graph)
    for value in probe.graph.inputs:
        if value.type.rank == 3 and value.type.dtype.is_float:
            yield bound[value.name]


def reach_chart(title: str, sizes: Array) -> Html:
    """sizes: [T], the last step's at the end."""
    backwards = sizes[::-1] / (float(sizes.max()) or 1.0)
    shares = np.maximum(backwards, LEAST).tolist()
    steps = [float(step) for step in range(len(shares))]
    frame = Frame(count_axis(steps), axis_of(shares, may_be_log=True), "steps before the end")
    return line_chart(title, steps, [Series("gradient", shares, 0)], frame)
