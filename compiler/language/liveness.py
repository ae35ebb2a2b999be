"""G303: what a spec defines and nothing uses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ..diagnostics import Code, Sink
from ..ir.graph import Graph, Node
from ..source import Located, Span
from .blocks import Block
from .evaluate import expression_names
from .layers import Layer
from .unused import report_unused


def report_dead_layers(graph: Graph, located: Located, sink: Sink) -> None:
    """Layers whose results reach no output, and inputs that nothing reads.

    Of a dead chain only its end is reported. A layer of a block is dead if it is so in every use.
    """
    live = live_nodes(graph)
    users = graph.users()
    dead_ends: dict[Span, Node] = {}
    alive: set[Span] = set()
    for node in graph.nodes:
        if node.span is None:
            continue
        if node.path in live:
            alive.add(node.span)
        elif not any(value.name in users for value in node.outputs):
            dead_ends.setdefault(node.span, node)
    for span, node in dead_ends.items():
        if span not in alive:
            sink.add(
                Code.G303,
                f"the result of `{node.path}` is never used",
                span,
                help="remove the layer, or read it in a later layer or in `outputs`",
            )
    outputs = {value.name for value in graph.outputs.values()}
    for value in graph.inputs:
        if value.name not in users and value.name not in outputs:
            what = f"input `{value.name}` of network `{graph.name}`"
            path = ("networks", graph.name, "inputs", value.name)
            report_unused(what, path, "read it with `from`", located, sink)


def live_nodes(graph: Graph) -> set[str]:
    """The paths of the nodes that an output depends on."""
    producers = graph.producers()
    waiting = [value.name for value in graph.outputs.values()]
    live: set[str] = set()
    while waiting:
        node = producers.get(waiting.pop())
        if node and node.path not in live:
            live.add(node.path)
            waiting.extend(value.name for value in node.reads())
    return live


def report_unused_params(names: Iterable[str], located: Located, sink: Sink) -> None:
    """Parameters of the spec, of these names, that no expression mentions."""
    used = expression_names(located.data)
    for name in names:
        if name not in used:
            report_unused(
                f"parameter `{name}`", ("params", name), f"use it as `${name}`", located, sink
            )


def report_unused_dims(names: Iterable[str], located: Located, sink: Sink) -> None:
    """Sizes of `dims`, of these names, that no shape and no expression mentions."""
    data = located.data
    used = expression_names(data) | _shapes(data.get("networks")) | _shapes(data.get("data"))
    for name in names:
        if name not in used:
            use = "write it in the shape of an input"
            report_unused(f"size `{name}`", ("dims", name), use, located, sink)


def _shapes(value: Any) -> set[str]:
    """Every name that stands in a `shape` below a value."""
    if isinstance(value, list):
        return set().union(*map(_shapes, value))
    if not isinstance(value, dict):
        return set()
    shape = value.get("shape")
    names = {size for size in shape if isinstance(size, str)} if isinstance(shape, list) else set()
    return names.union(*map(_shapes, value.values()))


def report_unused_imports(
    located: Located,
    imported: Mapping[str, Block],
    own: Mapping[str, Block],
    layers: Mapping[str, tuple[Layer, ...]],
    sink: Sink,
) -> None:
    """Libraries of which no block is named anywhere in the spec."""
    parts = [*layers.values(), *(block.layers for block in own.values())]
    used = {name.partition(".")[0] for part in parts for name in _operations(part) if "." in name}
    for alias in dict.fromkeys(name.partition(".")[0] for name in imported):
        if alias not in used:
            use = f"use a block of it as a layer: `{alias}.<Block>`"
            report_unused(f"import `{alias}`", ("imports", alias), use, located, sink)


def report_unused_blocks(
    own: Mapping[str, Block], layers: Mapping[str, tuple[Layer, ...]], sink: Sink
) -> None:
    """Blocks of the spec itself that no network reaches, directly or through other blocks."""
    reached: set[str] = set()
    waiting = [name for network in layers.values() for name in _operations(network)]
    graph: dict[str, set[str]] = defaultdict(set)
    for name, block in own.items():
        graph[name] = _operations(block.layers)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(graph[name])
    for name, block in own.items():
        if name not in reached:
            sink.add(
                Code.G303,
                f"block `{name}` is never used",
                block.span,
                help="remove it, or use it as a layer",
            )


def _operations(layers: tuple[Layer, ...]) -> set[str]:
    found = {layer.operation for layer in layers}
    return found.union(*(_operations(layer.layers) for layer in layers))
