"""L907."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..diagnostics import Code, Diagnostic, Label
from ..ir.graph import Node
from ..objectives.fields import Interval
from ..objectives.supervised import Supervised
from .base import LintContext, warning

RANGES: dict[str, Interval] = {
    "tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "log_softmax": (-math.inf, 0.0),
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, math.inf),
}
"""Where the results of an activation lie."""

SLACK = 1e-6


def output_range(context: LintContext) -> Iterator[Diagnostic]:
    """An output that cannot reach the values it is compared with.

    What it does: compares the range of the last activation (`tanh`, `sigmoid`, `relu`, ...) with
    the range of the target of `mse`, `l1` or `huber`, where the data tells it: by `dtype`,
    `range`, `scale`, `normalize`, `below`.

    Why it is bad: a `tanh` ends at 1. If the data goes to 255, or below 0 behind a `relu`, the
    network is pushed to where its gradient vanishes and stays wrong.

    Example: for a target with `dtype: uint8, scale: [0, 255]`

        - conv2d: {channels: 1, kernel: 3}
        - tanh

    Use instead no activation, or give the field `scale: [-1, 1]` for `tanh` and `scale: [0, 1]`
    for `sigmoid`.
    """
    objective = context.objective
    if not isinstance(objective, Supervised):
        return
    graph = context.graphs[objective.network.network]
    producers = graph.producers()
    for index, item in enumerate(objective.losses):
        loss = item.loss
        node = producers.get(graph.outputs[loss.output].name)
        if loss.kind != "values" or node is None or node.op.name not in RANGES:
            continue
        wanted = context.fields[loss.target].interval()
        if _unknown(wanted) or _inside(wanted, RANGES[node.op.name]):
            continue
        place = ("objective", objective.name, "losses", index, loss.name)
        target = Label(context.located.span(place), f"`{loss.target}` is in {_text(wanted)}")
        yield _finding(node, loss.target, wanted, target)


def _finding(node: Node, name: str, wanted: Interval, target: Label) -> Diagnostic:
    given = RANGES[node.op.name]
    return warning(
        Code.L907,
        f"`{node.op.name}` gives values in {_text(given)}, but the target `{name}` is in "
        f"{_text(wanted)}",
        node.span,
        also=(target,),
        help=f"remove `{node.op.name}`"
        + (f", or give the field `{name}` `scale: {_text(given)}`" if _bounded(given) else ""),
    )


def _unknown(interval: Interval) -> bool:
    return interval == (-math.inf, math.inf)


def _bounded(interval: Interval) -> bool:
    return not any(map(math.isinf, interval))


def _inside(inner: Interval, outer: Interval) -> bool:
    slack = SLACK * max(1.0, *(abs(end) for end in (*inner, *outer) if not math.isinf(end)))
    return inner[0] >= outer[0] - slack and inner[1] <= outer[1] + slack


def _text(interval: Interval) -> str:
    left, right = (
        ("(" if math.isinf(interval[0]) else "["),
        (")" if math.isinf(interval[1]) else "]"),
    )
    return f"{left}{interval[0]:g}, {interval[1]:g}{right}"
