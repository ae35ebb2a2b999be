"""L907."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..diagnostics import Code, Diagnostic, Label
from ..ir.graph import Graph, Node
from ..objectives.encoder_decoder import EncoderDecoder
from ..objectives.endings import last_change
from ..objectives.fields import Interval
from ..objectives.gan import Gan
from ..objectives.supervised import Supervised
from ..source import Key, Span
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

SQUEEZING = ("sigmoid", "hardsigmoid")
"""Activations that make probabilities of scores, as a Bernoulli likelihood does by itself."""

SLACK = 1e-6


def output_range(context: LintContext) -> Iterator[Diagnostic]:
    """An output that cannot reach the values it is compared with.

    What it does: compares the range of the last activation (`tanh`, `sigmoid`, `relu`, ...) with
    the range of the target of `mse`, `l1` or `huber`, of a `gaussian` likelihood or of a decoder's
    `loss`, where the data tells it: by `dtype`, `range`, `scale`, `normalize`, `below`. A `sigmoid`
    before a `gaussian` likelihood is found in any case.

    Why it is bad: a `tanh` ends at 1. If the data goes to 255, or below 0 behind a `relu`, the
    network is pushed to where its gradient vanishes and stays wrong. A normal distribution has no
    ends: black and white pixels pull the mean of a `sigmoid` to 0 and 1, which it never reaches.

    Example: for a target with `dtype: uint8, scale: [0, 255]`

        - conv2d: {channels: 1, kernel: 3}
        - tanh

    Use instead no activation, or give the field `scale: [-1, 1]` for `tanh` and `scale: [0, 1]`
    for `sigmoid`; with a likelihood, `bernoulli` in place of a `sigmoid`.
    """
    for judged in _judged(context):
        node = last_change(judged.graph, judged.output)
        if node is None or node.op.name not in RANGES:
            continue
        wanted = context.fields[judged.target].interval()
        normal = judged.likelihood if node.op.name in SQUEEZING else None
        if not _unknown(wanted) and not _inside(wanted, RANGES[node.op.name]):
            yield _too_narrow(context, judged, node, wanted, may_scale=normal is None)
        elif normal is not None:
            yield _normal(node, wanted, context.located.span(normal))


@dataclass(frozen=True)
class Judged:
    """An output and the field that it is compared with.

    place: of what compares them. likelihood: where a normal distribution stands whose mean the
    output is.
    """

    graph: Graph
    output: str
    target: str
    place: Key
    likelihood: Key | None = None


def _judged(context: LintContext) -> Iterator[Judged]:
    objective = context.objective
    if isinstance(objective, Supervised):
        graph = context.graphs[objective.network.network]
        for index, item in enumerate(objective.losses):
            loss = item.loss
            of_loss = ("objective", objective.name, "losses", index, loss.name)
            if loss.kind == "values":
                yield Judged(graph, loss.output, loss.target, of_loss)
    if isinstance(objective, Gan):
        graph = objective.generator_graph(context.graphs)
        made, place = next(iter(graph.outputs)), ("objective", objective.name, "real")
        yield Judged(graph, made, objective.real, place)
    if isinstance(objective, EncoderDecoder) and objective.gives_values:
        graph = objective.decoder_graph(context.graphs)
        path = ("objective", objective.name)
        made, target = objective.made_output(graph), objective.target
        normal = (*path, objective.judge) if objective.has_density else None
        yield Judged(graph, made, target, (*path, "target"), normal)


def _too_narrow(
    context: LintContext, judged: Judged, node: Node, wanted: Interval, *, may_scale: bool
) -> Diagnostic:
    given, name = RANGES[node.op.name], judged.target
    scaled = f", or give the field `{name}` `scale: {_text(given)}`"
    return warning(
        Code.L907,
        f"`{node.op.name}` gives values in {_text(given)}, but the target `{name}` is in "
        f"{_text(wanted)}",
        node.span,
        also=(Label(context.located.span(judged.place), f"`{name}` is in {_text(wanted)}"),),
        help=f"remove `{node.op.name}`" + (scaled if may_scale and _bounded(given) else ""),
    )


def _normal(node: Node, wanted: Interval, likelihood: Span) -> Diagnostic:
    name, is_unit = node.op.name, not _unknown(wanted)
    bernoulli = "; for values near 0 and 1 choose `likelihood: bernoulli` too, which has one inside"
    return warning(
        Code.L907,
        f"the likelihood `gaussian` expects a mean without limits, found that of `{name}` in "
        f"{_text(RANGES[name])}",
        node.span,
        "its gradient vanishes towards both ends",
        also=(Label(likelihood, "a normal distribution has no ends"),),
        help=f"remove `{name}`" + (bernoulli if is_unit else ""),
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
