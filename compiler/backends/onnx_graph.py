"""Emits the layers of a graph in order; a `loop` becomes one ONNX Loop."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx_ir as ir

from ..ir.graph import Graph, Node, Value
from ..ir.structure import Call, Loop
from ..ir.verifier import GO_ON, InternalError
from .onnx_emitter import emit_layer
from .onnx_scope import Scope
from .onnx_unread import without_unread


def emit_nodes(scope: Scope, graph: Graph) -> None:
    """Append the ONNX nodes of every layer.

    Requires: no `call` is left; the pass inline_calls replaces them.
    """
    for node in graph.nodes:
        if isinstance(node.op, Call):
            raise InternalError(f"`{node.path}` is a call, which passes should have inlined")
        if isinstance(node.op, Loop):
            _emit_loop(scope, node, node.op)
        else:
            emit_layer(scope, node)


def named_output(scope: Scope, value: Value, name: str, taken: Iterable[ir.Value]) -> ir.Value:
    """The ONNX value for an output of a graph, under this very name.

    An input, a constant, a value of an outer graph or one that is an output already cannot be
    renamed, so a copy is made of it. The name must have been reserved.
    """
    made = scope.values[value.name]
    producer = made.producer()
    ours = producer is not None and any(node is producer for node in scope.nodes)
    if not ours or any(other is made for other in taken):
        node = scope.node("Identity", [made], {})
        made = node.outputs[0]
        made.name = name
        scope.name(node, f"{scope.prefix}outputs/{name}")
        scope.bind(value, made)
    made.name = name
    return made


def _emit_loop(scope: Scope, node: Node, loop: Loop) -> None:
    count, *given = (scope.values[value.name] for value in node.reads())
    carried, stacked = given[: loop.carried], given[loop.carried :]
    body = _body(scope.inner(node.path), loop, stacked)
    go_on = scope.tensors.array(np.array(True), "")
    made = scope.node("Loop", [count, go_on, *carried], {"body": body}, count=len(node.outputs))
    for ours, result in zip(node.outputs, made.outputs, strict=True):
        result.name = scope.value_names.take(scope.prefix + ours.name)
        scope.bind(ours, result)
    scope.name(made, scope.prefix + node.path)


def _body(scope: Scope, loop: Loop, stacked: list[ir.Value]) -> ir.Graph:
    """ONNX's form of a body: reads step, condition and carried values; slices it takes itself."""
    names, prefix = scope.value_names, scope.prefix
    step_of_ours, *ours = loop.body.inputs
    step = scope.input(step_of_ours, names.take(prefix + step_of_ours.name))
    go_on = scope.input(Value("", GO_ON), names.take(f"{prefix}go_on"))
    carried = [scope.input(v, names.take(prefix + v.name)) for v in ours[: loop.carried]]
    for value, whole in zip(ours[loop.carried :], stacked, strict=True):
        slice_name = f"{prefix}{value.name}"
        scope.bind(value, scope.named(slice_name, "Gather", whole, step, axis=0))
    emit_nodes(scope, loop.body)
    results: list[ir.Value] = []
    for port, value in loop.body.outputs.items():
        name = names.take(f"{prefix}{port}")
        results.append(named_output(scope, value, name, results))
    if not loop.condition:
        results.insert(0, named_output(scope, Value("", GO_ON), names.take(f"{prefix}again"), ()))
    nodes = without_unread(scope.nodes, results, scope.opset)
    return ir.Graph([step, go_on, *carried], results, nodes=nodes, name=prefix.rstrip("."))
