"""Put the layers of called networks in place of the calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..ir.dims import Dim, Poly, Symbol, substitute
from ..ir.graph import Graph, Node, Operator, TensorRef, Value
from ..ir.shapes import substitute_type
from ..ir.structure import Call, Loop, unify
from ..ops.base import Op
from ..ops.sizes import resized
from .rewriting import in_bodies, reading, results

if TYPE_CHECKING:
    from .rewriting import Weights

Sizes = Callable[[Symbol], Dim] | None
"""What each symbol of a called network stands for in the caller; None where all stay the same."""


def inline_calls(graph: Graph, weights: Weights) -> tuple[Graph, Weights]:
    """Replace every `call` by the nodes of its network, in the bodies of loops too.

    Requires: nothing.
    Establishes: no `call` is left. A layer's path begins with the path of its call, its tensors
    are `<network>.<tensor>`, and the network's symbols are replaced by the caller's sizes.

        %guess = call(%both) {network: unet} : f32[2*B, 8]
    becomes
        %guess.fc = linear(%both) {features: 8} <weight = unet.fc.weight> : f32[2*B, 8]
    """
    return _inlined(graph), weights


def _inlined(graph: Graph) -> Graph:
    graph = in_bodies(graph, _inlined)
    if not any(isinstance(node.op, Call) for node in graph.nodes):
        return graph
    nodes: list[Node] = []
    values: dict[str, Value] = {}
    for old in graph.nodes:
        node = reading(old, values)
        if isinstance(node.op, Call):
            inner, made = _expand(node, node.op)
            nodes += inner
            values.update({out.name: new for out, new in zip(node.outputs, made, strict=True)})
        else:
            nodes.append(node)
    return graph.with_nodes(tuple(nodes), results(graph, values))


def _expand(node: Node, call: Call) -> tuple[list[Node], list[Value]]:
    """The network's nodes as the caller sees them, and the values that its outputs became."""
    network, given = _inlined(call.graph), list(node.reads())
    sizes = _sizes(network, given)
    values = {value.name: new for value, new in zip(network.inputs, given, strict=True)}
    nodes = []
    for inner in network.nodes:
        outputs = tuple(_resized(value, sizes, f"{node.path}.") for value in inner.outputs)
        values.update({old.name: new for old, new in zip(inner.outputs, outputs, strict=True)})
        moved = _specialised(inner, network.name, sizes)
        nodes.append(_moved(moved, node.path, values, outputs))
    return nodes, [values[value.name] for value in network.outputs.values()]


def _sizes(network: Graph, given: list[Value]) -> Sizes:
    binding = unify([value.type for value in network.inputs], [value.type for value in given])

    def sizes(symbol: Symbol) -> Dim:
        return binding.get(symbol.name, Poly.of(symbol))

    symbols = set().union(*(value.type.symbols() for value in network.inputs))
    return None if all(sizes(symbol) == Poly.of(symbol) for symbol in symbols) else sizes


def _moved(node: Node, path: str, values: dict[str, Value], outputs: tuple[Value, ...]) -> Node:
    return replace(
        node,
        path=f"{path}.{node.path}",
        inputs=tuple(value and values[value.name] for value in node.inputs),
        outputs=outputs,
        shares=f"{path}.{node.shares}" if node.shares and not node.network else node.shares,
    )


def _resized(value: Value, sizes: Sizes, prefix: str = "") -> Value:
    return Value(prefix + value.name, substitute_type(value.type, sizes) if sizes else value.type)


def _specialised(node: Node, owner: str, sizes: Sizes) -> Node:
    """The node with its tensors named for the network that owns them, and the caller's sizes."""
    return replace(
        node,
        op=_operator(node.op, owner, sizes),
        weights={key: _owned(ref, owner) for key, ref in node.weights.items()},
    )


def _owned(ref: TensorRef, owner: str) -> TensorRef:
    return ref if ref.network else replace(ref, network=owner)


def _operator(op: Operator, owner: str, sizes: Sizes) -> Operator:
    if isinstance(op, Loop):
        body = _body(op.body, owner, sizes)
        return replace(op, body=body, count=substitute(op.count, sizes) if sizes else op.count)
    return op if sizes is None or not isinstance(op, Op) else resized(op, sizes)


def _body(graph: Graph, owner: str, sizes: Sizes) -> Graph:
    """The body of a loop inside a called network: a namespace of its own, so no prefix."""
    values = {value.name: _resized(value, sizes) for value in graph.inputs}
    nodes = []
    for node in graph.nodes:
        outputs = tuple(_resized(value, sizes) for value in node.outputs)
        values.update((value.name, value) for value in outputs)
        moved = _specialised(node, owner, sizes)
        reads = tuple(value and values[value.name] for value in node.inputs)
        nodes.append(replace(moved, inputs=reads, outputs=outputs))
    made = {port: values[value.name] for port, value in graph.outputs.items()}
    inputs = tuple(values[value.name] for value in graph.inputs)
    return replace(graph.with_nodes(tuple(nodes), made), inputs=inputs)
