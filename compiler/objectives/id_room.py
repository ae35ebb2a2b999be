"""Layers that look ids up, and how many different ones they have room for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..diagnostics import Label
from ..ir.graph import Graph, Node, Value
from ..ops.class_projection import ClassProjection
from ..ops.conditional_batch_norm import ConditionalBatchNorm
from ..ops.embedding import Embedding, OneHot
from ..source import Key
from .base import Context, Labels


def lookups(graph: Graph) -> dict[str, tuple[int, Node]]:
    """Input of the network -> the layer with the least room that looks its ids up, if one does.

    Returns: the number of different ids, from 0 to below it, and the layer.
    """
    found: dict[str, tuple[int, Node]] = {}
    inputs = {port.name for port in graph.inputs}
    for node in graph.nodes:
        for value, room in _looked_up(node):
            known = found.get(value.name)
            if value.name in inputs and (known is None or room < known[0]):
                found[value.name] = room, node
    return found


def _looked_up(node: Node) -> Iterator[tuple[Value, int]]:
    """The ids that a layer looks up, and how many different ones it has room for."""
    op, reads = node.op, list(node.reads())
    if isinstance(op, Embedding):
        yield reads[0], op.size
    if isinstance(op, OneHot):
        yield reads[0], op.classes
    if isinstance(op, ConditionalBatchNorm | ClassProjection):
        yield reads[1], op.classes


def with_room(
    rules: Mapping[str, Labels], graph: Graph, inputs: Mapping[str, str]
) -> dict[str, Labels]:
    """What losses need of their labels, and layers of the ids that they look up, by data field.

    inputs: input of the network -> data field.
    """
    found = dict(rules)
    for port, (room, _) in lookups(graph).items():
        field = inputs[port]
        found[field] = replace(found.get(field, Labels()), room=room)
    return found


def check_room(graph: Graph, inputs: Mapping[str, str], context: Context, path: Key) -> None:
    """Report fields with more different ids than the layer that looks them up has room for.

    Args:
        inputs: input of the network -> data field. path: leads to the setting that names it.
    """
    for port, (room, node) in lookups(graph).items():
        total = context.fields[inputs[port]].class_total
        if total is not None and total > room:
            context.misfit(
                f"`{node.op.name}` has room for {room} ids, found {total} in the field "
                f"`{inputs[port]}`",
                path,
                f"make room for {total} in the layer",
                also=(Label(node.span, "the layer"),) if node.span else (),
            )
