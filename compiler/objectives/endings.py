"""Which layer an output's numbers come from."""

from __future__ import annotations

from ..ir.graph import Graph, Node

MOVING = (
    "flatten", "reshape", "permute", "transpose", "squeeze", "unsqueeze", "slice", "select",
    "pixel_shuffle", "identity",
)  # fmt: skip
"""Layers that put numbers in other places and change none of them."""


def last_change(graph: Graph, output: str) -> Node | None:
    """The layer that made an output's numbers; those that only move them are passed over.

    None where they are those of an input of the network.
    """
    makers = graph.producers()
    node = makers.get(graph.outputs[output].name)
    while node is not None and node.op.name in MOVING and node.inputs[0] is not None:
        node = makers.get(node.inputs[0].name)
    return node
