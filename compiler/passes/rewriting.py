"""What passes share: replacing values, and reaching into the bodies of loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..ir.graph import Graph, Node, Operator, TensorRef, Value
from ..ir.structure import Loop
from ..ir.verifier import InternalError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]
    Weights = Mapping[str, Array]
    """Tensor name -> array; `<network>.<tensor>` for the networks that a program calls."""


def reading(node: Node, values: Mapping[str, Value]) -> Node:
    """The node with the inputs replaced that `values` names."""
    if not any(value.name in values for value in node.reads()):
        return node
    return replace(node, inputs=tuple(v and values.get(v.name, v) for v in node.inputs))


def results(graph: Graph, values: Mapping[str, Value]) -> dict[str, Value]:
    """The outputs of a graph with those replaced that `values` names."""
    return {port: values.get(value.name, value) for port, value in graph.outputs.items()}


def in_bodies(graph: Graph, change: Callable[[Graph], Graph]) -> Graph:
    """Apply a change to the body of every loop; the same graph where nothing changed."""
    nodes = tuple(_in_body(node, change) for node in graph.nodes)
    if all(new is old for new, old in zip(nodes, graph.nodes, strict=True)):
        return graph
    return graph.with_nodes(nodes, graph.outputs)


def _in_body(node: Node, change: Callable[[Graph], Graph]) -> Node:
    if not isinstance(node.op, Loop):
        return node
    body = change(node.op.body)
    return node if body is node.op.body else replace(node, op=replace(node.op, body=body))


def every_node(graph: Graph) -> Iterator[Node]:
    """The nodes of a graph and of the bodies of its loops, each loop before its body."""
    for node in graph.nodes:
        yield node
        if isinstance(node.op, Loop):
            yield from every_node(node.op.body)


def references(graph: Graph) -> Iterator[TensorRef]:
    """Every use of a stored tensor, in the order of the nodes."""
    for node in every_node(graph):
        for parameter in node.declared():
            yield node.weights[parameter.key]


def with_arguments(op: Operator, **changed: Any) -> Operator:
    """The same operator with some arguments replaced."""
    declared: Mapping[str, Any] = type(op).attributes  # type: ignore[attr-defined]
    return type(op)(**{name: getattr(op, name) for name in declared} | changed)


def array_of(ref: TensorRef, tensors: Weights) -> Array:
    """The values of a tensor as a layer reads it.

    Raises: InternalError: there is no such tensor.
    """
    if ref.stored not in tensors:
        raise InternalError(f"no values are given for the tensor `{ref.stored}`")
    array = tensors[ref.stored]
    return array.transpose() if ref.transpose else array


def store(array: Array, name: str, tensors: dict[str, Array]) -> TensorRef:
    """Add what a pass derived; layers that share their tensors share the derived one too."""
    unused, number = name, 2
    while unused in tensors:
        if _same(tensors[unused], array):
            return TensorRef(unused)
        unused, number = f"{name}{number}", number + 1
    tensors[unused] = array
    return TensorRef(unused)


def _same(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
