"""Drop what no output depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ir.graph import Graph
from .rewriting import in_bodies, references

if TYPE_CHECKING:
    from .rewriting import Weights


def prune_dead(graph: Graph, weights: Weights) -> tuple[Graph, Weights]:
    """Drop nodes that no output depends on, and tensors that no node reads.

    Requires: no `call` is left, since a call hides which tensors it reads.
    Establishes: every node leads to an output and every tensor is read. Inputs stay: they are
    what the program's users pass.

        %aux = linear(%relu_1) {features: 2} : f32[B, 2]
        %fc = linear(%relu_1) {features: 10} : f32[B, 10]
      outputs
        logits = %fc
    loses the line of %aux
    """
    graph = _pruned(graph)
    read = {ref.stored for ref in references(graph)}
    return graph, {name: array for name, array in weights.items() if name in read}


def _pruned(graph: Graph) -> Graph:
    graph = in_bodies(graph, _pruned)
    needed = {value.name for value in graph.outputs.values()}
    kept = []
    for node in reversed(graph.nodes):
        if any(value.name in needed for value in node.outputs):
            needed.update(value.name for value in node.reads())
            kept.append(node)
    if len(kept) == len(graph.nodes):
        return graph
    return graph.with_nodes(tuple(reversed(kept)), graph.outputs)
