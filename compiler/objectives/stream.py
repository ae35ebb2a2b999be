"""The setting `stream`: whether a network can run one chunk at a time, and the graph that does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..diagnostics import Code, Label
from ..ir.graph import Graph
from ..source import Key
from ..streaming.stepped import NotStreamable, Stepped
from ..streaming.stream_network import stream_network
from ..suggest import did_you_mean
from .base import Context


def stepped_network(graph: Graph, kept: Sequence[str], size: str, context: Context) -> Stepped:
    """The network for one chunk along a size, with the outputs that a program keeps.

    Raises: NotStreamable: a layer that these outputs need stands in the way.
    """
    outputs = {name: graph.outputs[name] for name in kept}
    return stream_network(replace(graph, outputs=outputs), context.dims[size])


def check_stream(
    graph: Graph,
    kept: Sequence[str],
    size: str,
    bound: Mapping[str, str],
    units: Mapping[str, str],
    context: Context,
    path: Key,
) -> None:
    """Report a size that no input has (O501), or all layers that stand in the way (O503).

    Args:
        bound: input of the network -> field. units: output -> field whose units a program gives.
        path: leads to the setting.
    """
    sizes = {s.name for value in graph.inputs for s in value.type.symbols()} - {"B"}
    if size not in sizes:
        context.misfit(
            f"`stream` expects a size of the inputs of `{graph.name}` that `dims` declares, found "
            f"`{size}`",
            path,
            did_you_mean(size, sorted(sizes), "size") if sizes else NO_SIZE,
        )
        return
    for name in sorted(_both_ways(graph, size, bound)):
        context.misfit(
            f"`stream` expects a field to come in chunks or as a whole, found `{name}` feeding "
            f"inputs with the size `{size}` and without",
            path,
            f"give these inputs of `{graph.name}` the same shape",
        )
        return
    for name in sorted(_steps_apart(graph, size, bound, units, context)):
        context.misfit(
            f"`stream` expects every step of `{name}` to be normalized alike, found numbers for "
            f"each step, on axis {context.fields[name].channel_axis}",
            path,
            "name the axis of the channels: `normalize: {measured: training, axis: 2}`",
            also=context.label(("data", "fields", name, "normalize"), "here"),
        )
        return
    try:
        stepped_network(graph, kept, size, context)
    except NotStreamable as refused:
        asked = f"one chunk of `{size}` at a time, as the program `step` does"
        report_obstacles(refused, asked, f"remove `stream: {size}`", context, path)


def _both_ways(graph: Graph, size: str, bound: Mapping[str, str]) -> set[str]:
    """Fields that feed an input with the size and one without, or along another axis."""
    timed: dict[str, list[bool]] = {}
    pairs = ((bound[v.name], [str(s) == size for s in v.type.shape]) for v in graph.inputs)
    return {name for name, axes in pairs if timed.setdefault(name, axes) != axes}


def _steps_apart(
    graph: Graph, size: str, bound: Mapping[str, str], units: Mapping[str, str], context: Context
) -> set[str]:
    """Fields whose `normalize` has a number for each step, of which chunks have others."""
    read = [(bound[v.name], v.type) for v in graph.inputs if bound[v.name] in context.fields]
    made = [(name, graph.outputs[output].type) for output, name in units.items()]
    known = [(context.fields[name], name, kind) for name, kind in (*read, *made)]
    return {
        name
        for field, name, kind in known
        if len(field.affine()[0]) > 1
        and [str(s) for s in kind.shape[field.channel_axis :][:1]] == [size]
    }


NO_SIZE = "declare `dims: {T: {max: 1000}}`, and give the input the shape `[B, T, ...]`"


def report_obstacles(
    refused: NotStreamable, asked: str, otherwise: str, context: Context, path: Key
) -> None:
    """Report the layers of a network that can't run in chunks (O503).

    Args:
        asked: how it is to run, in words. otherwise: the next step if no layer is to change.
        path: leads to the setting that asks for it.
    """
    first, *others = [*_labels(refused, context), *context.label(path, "asked for here")]
    advice = dict.fromkeys(obstacle.help for obstacle in refused.obstacles if obstacle.help)
    context.sink.add(
        Code.O503,
        f"the network `{refused.network}` can't run {asked}",
        first.span,
        first.text,
        also=others,
        help="; ".join(advice) or f"use other layers in their place, or {otherwise}",
    )


def _labels(refused: NotStreamable, context: Context) -> Iterator[Label]:
    """A label for each place in the spec, which copies of a layer share."""
    seen = set()
    for obstacle in refused.obstacles:
        inputs = ("networks", refused.network, "inputs", obstacle.name)
        span = obstacle.span or context.span(inputs)
        if span and span not in seen:
            seen.add(span)
            yield Label(span, f"`{obstacle.name}` {obstacle.reason}")
