"""Builds graphs node by node: programs, bodies of loops and tests are written with it."""

from __future__ import annotations

from collections.abc import Mapping

from .graph import Graph, Node, Operator, TensorRef, Value, own_weights
from .shapes import TensorType, parse_type


class GraphBuilder:
    """A graph under construction; its values are named by the paths of their nodes.

    >>> b = GraphBuilder("head")
    >>> x = b.input("x", "f32[B, 8]")
    >>> graph = b.graph(y=b.add("fc", Linear(features=2), x))
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._inputs: list[Value] = []
        self._nodes: list[Node] = []

    def input(self, name: str, type_: TensorType | str) -> Value:
        """Declare the next input; a type given as text makes unbounded symbols."""
        value = Value(name, parse_type(type_) if isinstance(type_, str) else type_)
        self._inputs.append(value)
        return value

    def add(
        self,
        path: str,
        op: Operator,
        *inputs: Value | None,
        weights: Mapping[str, TensorRef] | None = None,
    ) -> Value:
        """Apply an operator with one output.

        weights: the tensors that are not the layer's own.
        """
        (result,) = self.add_n(path, op, *inputs, weights=weights)
        return result

    def add_n(
        self,
        path: str,
        op: Operator,
        *inputs: Value | None,
        weights: Mapping[str, TensorRef] | None = None,
    ) -> tuple[Value, ...]:
        """Apply an operator; several outputs are named `path.port`."""
        types = tuple(value.type if value else None for value in inputs)
        made, ports = op.inferred(types), op.output_ports()
        names = [path] if len(made) == 1 else [f"{path}.{port}" for port in ports]
        outputs = tuple(Value(name, type_) for name, type_ in zip(names, made, strict=True))
        refs = own_weights(path, op.declared(types)) | dict(weights or {})
        self._nodes.append(Node(path, op, inputs, outputs, refs))
        return outputs

    def graph(self, **outputs: Value) -> Graph:
        """The finished graph, with its outputs by port, in this order."""
        return Graph(self.name, tuple(self._inputs), tuple(self._nodes), outputs)
