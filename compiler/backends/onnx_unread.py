"""Leaves out what a layer's rule made and nothing reads: ONNX Runtime would compute it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import onnx
import onnx_ir as ir

BODY = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


def without_unread(
    nodes: Iterable[ir.Node], results: Iterable[ir.Value], opset: int
) -> list[ir.Node]:
    """The nodes of a graph that lead to its results, in order; each asks for what is read of it.

    An optional output that nothing reads gets the empty name, ONNX's for one that is not wanted. So
    an LSTM of which `last` alone is read makes no sequence, and no transposed one.

    Requires: the nodes are in no graph yet. Loops stay: the pass prune_dead judges them.
    """
    wanted = {id(value) for value in results}
    kept: list[ir.Node] = []
    for node in reversed(list(nodes)):
        unread = [v for v in node.outputs if id(v) not in wanted and not v.uses()]
        if len(unread) == len(node.outputs) and not _has_body(node):
            for index in range(len(node.inputs)):
                node.replace_input_with(index, None)
            continue
        for value in unread:
            if value.index() in _optional(node.op_type, opset):
                value.name, value.type, value.shape = "", None, None
        kept.append(node)
    return kept[::-1]


def _has_body(node: ir.Node) -> bool:
    return any(attribute.type in BODY for attribute in node.attributes.values())


@cache
def _optional(op_type: str, opset: int) -> frozenset[int]:
    """Which outputs of an ONNX operator need not be asked for."""
    optional = onnx.defs.OpSchema.FormalParameterOption.Optional
    outputs = onnx.defs.get_schema(op_type, opset, "").outputs
    return frozenset(i for i, output in enumerate(outputs) if output.option == optional)
