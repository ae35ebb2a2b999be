"""The typed graph: values, nodes and the tree of scopes that they came from.

Everything here is immutable. A pass builds a new graph from the nodes of an old one; values are
matched by their name, which is unique within a graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal, Protocol

from ..source import Span
from .dims import Dim
from .shapes import DType, TensorType


@dataclass(frozen=True)
class Value:
    """A tensor that flows along an edge of the graph."""

    name: str
    type: TensorType

    def __str__(self) -> str:
        return f"%{self.name}: {self.type}"


class Ema(StrEnum):
    """What an exponential moving average of a network does with a tensor."""

    AVERAGE = "average"
    COPY = "copy"
    CONSTANT = "constant"


@dataclass(frozen=True)
class Parameter:
    """A tensor that an operator keeps: trained, or a buffer.

    key: its name below the layer's path; empty for a bare tensor at the path itself.
    """

    key: str
    shape: tuple[int, ...]
    dtype: DType = DType.F32
    trainable: bool = True
    ema: Ema = Ema.AVERAGE

    @property
    def elements(self) -> int:
        count = 1
        for size in self.shape:
            count *= size
        return count


class Operator(Protocol):
    """What the IR knows of an operator; the classes stand in compiler/ops."""

    @property
    def name(self) -> str: ...

    def arguments(self) -> Mapping[str, Any]:
        """The arguments that differ from their defaults, for the printer."""

    def output_ports(self) -> tuple[str, ...]: ...

    def declared(self, inputs: tuple[TensorType | None, ...]) -> tuple[Parameter, ...]:
        """The tensors the operator keeps when it reads inputs of these types."""

    def inferred(self, inputs: tuple[TensorType | None, ...]) -> tuple[TensorType, ...]:
        """The types of the outputs, in the order of the ports."""


@dataclass(frozen=True)
class TensorRef:
    """Which stored tensor a layer uses for one of its parameters.

    name: the tensor's name in its network: `layer1.0.conv1.weight`.
    network: the owner where that is another network (a `tie` across networks).
    transpose: the tensor is used with its two axes exchanged.
    """

    name: str
    network: str | None = None
    transpose: bool = False

    @property
    def stored(self) -> str:
        """The tensor's name among the tensors of all networks, where the owner is another."""
        return f"{self.network}.{self.name}" if self.network else self.name


@dataclass(frozen=True, eq=False)
class Node:
    """One operator applied.

    path: the ids from the network inwards; unique in the graph.
    inputs: in the order of the operator's ports; None for an optional port that is not given.
    weights: parameter key -> the tensor that holds it. Its own tensors are at `path.key`.
    shares: the path of the layer whose weights these are, for `share`.
    network: the network that holds that layer, where it is another graph than the node's own.
    """

    path: str
    op: Operator
    inputs: tuple[Value | None, ...]
    outputs: tuple[Value, ...]
    weights: Mapping[str, TensorRef] = field(default_factory=dict)
    shares: str | None = None
    span: Span | None = None
    network: str | None = None

    @property
    def input_types(self) -> tuple[TensorType | None, ...]:
        return tuple(value.type if value else None for value in self.inputs)

    def declared(self) -> tuple[Parameter, ...]:
        return self.op.declared(self.input_types)

    def owns(self, parameter: Parameter) -> bool:
        """Whether the parameter is this layer's own tensor, not a shared or tied one."""
        ref = self.weights[parameter.key]
        return ref.network is None and ref.name == tensor_name(self.path, parameter.key)

    def reads(self) -> Iterator[Value]:
        return (value for value in self.inputs if value is not None)


ScopeKind = Literal["network", "block", "group", "repeat"]


@dataclass(frozen=True, eq=False)
class Scope:
    """A part of a network that became a module of its own: where its nodes came from.

    items: nodes and inner scopes in the order they were written.
    inputs: port -> value from outside. outputs: port -> value that is seen outside.
    block: the block's name, with its evaluated `arguments` and the `dims` it bound.
    shares: the path of the scope whose weights these are, for `share`.
    """

    kind: ScopeKind
    path: str
    items: tuple[Scope | Node, ...]
    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    block: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    dims: Mapping[str, Dim] = field(default_factory=dict)
    span: Span | None = None
    shares: str | None = None

    def nodes(self) -> Iterator[Node]:
        """Every node below, in order."""
        for item in self.items:
            if isinstance(item, Scope):
                yield from item.nodes()
            else:
                yield item


@dataclass(frozen=True, eq=False)
class Graph:
    """A network, a program or the body of a loop.

    root: the tree of scopes; None once a pass has changed the nodes.
    time: the size along which it runs one chunk at a time; empty where it runs on the whole.
    states: input -> the output that it becomes for the next chunk. Each begins as zeros.
    """

    name: str
    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: Mapping[str, Value]
    root: Scope | None = None
    time: str = ""
    states: Mapping[str, str] = field(default_factory=dict)

    def producers(self) -> dict[str, Node]:
        """Value name -> the node that makes it."""
        return {value.name: node for node in self.nodes for value in node.outputs}

    def users(self) -> dict[str, list[Node]]:
        """Value name -> the nodes that read it, in order."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for value in node.reads():
                found.setdefault(value.name, []).append(node)
        return found

    def tensors(self) -> dict[str, Parameter]:
        """Tensor name -> declaration, of every tensor that this graph's layers own, in order."""
        return {
            node.weights[parameter.key].name: parameter
            for node in self.nodes
            for parameter in node.declared()
            if node.owns(parameter)
        }

    def parameter_count(self) -> int:
        """How many numbers are trained; shared tensors count once."""
        return sum(p.elements for p in self.tensors().values() if p.trainable)

    def with_nodes(self, nodes: tuple[Node, ...], outputs: Mapping[str, Value]) -> Graph:
        """What a pass returns: other nodes, the same inputs, no tree of scopes."""
        return replace(self, nodes=nodes, outputs=outputs, root=None)


def tensor_name(path: str, key: str) -> str:
    """The name of a layer's tensor; a bare tensor (key "") is named by the path alone."""
    return f"{path}.{key}" if key else path


def own_weights(path: str, parameters: tuple[Parameter, ...]) -> dict[str, TensorRef]:
    """The weights of a layer that shares none."""
    return {p.key: TensorRef(tensor_name(path, p.key)) for p in parameters}
