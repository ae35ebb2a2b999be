"""Remove the layers that do nothing outside of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ir.graph import Graph, Node, Value
from ..ops.arithmetic import Identity
from ..ops.regularization import Noise
from .rewriting import in_bodies, reading, results

if TYPE_CHECKING:
    from .rewriting import Weights

IDLE = (Identity, Noise)
"""Operators that return their input when a network does not train."""


def remove_dropout(graph: Graph, weights: Weights) -> tuple[Graph, Weights]:
    """Let the users of a dropout, drop path or identity read its input instead.

    Requires: nothing; it stands behind inline_calls to see the layers of networks.
    Establishes: none of these operators is left.

        %dropout_1 = dropout(%relu_1) {p: 0.5} : f32[B, 64]
        %fc = linear(%dropout_1) {features: 10} : f32[B, 10]
    becomes
        %fc = linear(%relu_1) {features: 10} : f32[B, 10]
    """
    return _removed(graph), weights


def _removed(graph: Graph) -> Graph:
    graph = in_bodies(graph, _removed)
    if not any(isinstance(node.op, IDLE) for node in graph.nodes):
        return graph
    kept: list[Node] = []
    values: dict[str, Value] = {}
    for old in graph.nodes:
        node = reading(old, values)
        if isinstance(node.op, IDLE):
            values[node.outputs[0].name] = next(node.reads())
        else:
            kept.append(node)
    return graph.with_nodes(tuple(kept), results(graph, values))
