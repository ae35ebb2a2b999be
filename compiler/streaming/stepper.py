"""Builds the graph that runs one chunk: what the `stream` methods of operators call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from ..ir.dims import Poly
from ..ir.graph import Graph, Node, Operator, TensorRef, Value
from ..ir.shapes import DType, TensorType
from ..ops.advance import Advance
from ..ops.base import Op, snake_case
from ..ops.streamed import Streamed, value_of
from ..ops.streaming import unstreamable
from .stepped import State, Stepped

SEEN = "steps_seen"
"""The state that counts steps."""


class Recorder:
    """The stepped graph under construction.

    time: the size of a chunk. longest: the most steps of all chunks together, if it is known.
    """

    def __init__(self, network: Graph, time: Poly, longest: int | None) -> None:
        self.network, self.time, self.longest = network, time, longest
        self.layers = {node.path: node for node in network.nodes}
        self._inputs: list[Value] = []
        self._nodes: list[Node] = []
        self._states: dict[str, State] = {}
        self._behind: dict[str, Value] = {}
        made = (value.name for node in network.nodes for value in node.outputs)
        self._taken = {*self.layers, *made, *(v.name for v in network.inputs), *network.outputs}

    def input(self, value: Value) -> Value:
        self._inputs.append(value)
        return value

    def append(self, node: Node) -> tuple[Value, ...]:
        self._nodes.append(node)
        return node.outputs

    def state(self, name: str, kind: TensorType) -> Value:
        """A new state; its names are `name` and `name_next`, with underscores until unique."""
        given = self._fresh(name)
        self._states[name] = State(given, self._fresh(f"{name}_next"), kind)
        return Value(given, kind)

    def adopt(self, name: str, begin: Value) -> Value:
        """An input of the network as a state of this name; its output is `<input>_next`.

        Raises: Refusal: O503: it is no input, or something else reads it too.
        """
        if begin.name not in {value.name for value in self.network.inputs}:
            raise unstreamable(
                "begins with a state that another layer gives",
                "wire it to an input of the network that nothing else reads",
            )
        if begin not in self._inputs or self._readers(begin) != 1:
            raise unstreamable(f"begins with `{begin.name}`, which something else reads too")
        self._inputs.remove(begin)
        state = State(begin.name, self._fresh(f"{begin.name}_next"), begin.type, given=True)
        self._states[name] = state
        return begin

    def _readers(self, value: Value) -> int:
        """How many ports of layers and outputs of the network read a value."""
        read = [given.name for node in self.network.nodes for given in node.reads()]
        return [*read, *(v.name for v in self.network.outputs.values())].count(value.name)

    def keep(self, name: str, value: Value) -> None:
        assert value.type == self._states[name].type, f"{name}: {value}"
        self._behind[name] = value

    def seen(self) -> Value:
        """The counter of steps, one for all layers."""
        if SEEN in self._states:
            state = self._states[SEEN]
            return Value(state.input, state.type)
        before = self.state(SEEN, TensorType(DType.I64, ()))
        advance = node_of(f"{SEEN}.advance", Advance(by=self.time), (before,))
        self.keep(SEEN, *self.append(advance))
        return before

    def _fresh(self, name: str) -> str:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def finish(self, outputs: Mapping[str, Value]) -> Stepped:
        """The graph, with the states behind its own inputs and outputs."""
        states = tuple(self._states.values())
        behind = {state.output: self._behind[name] for name, state in self._states.items()}
        graph = Graph(
            f"{self.network.name}.step",
            (*self._inputs, *(Value(state.input, state.type) for state in states)),
            tuple(self._nodes),
            {**outputs, **behind},
            time=str(self.time),
            states={state.input: state.output for state in states},
        )
        counter = self._states.get(SEEN)
        return Stepped(graph, states, counter, self.longest if counter else None)


class Stepper:
    """The `Streamer` of ops/base.py for one layer of the network."""

    def __init__(self, recorder: Recorder, node: Node) -> None:
        self._recorder, self._node = recorder, node

    @property
    def time(self) -> Poly:
        return self._recorder.time

    @property
    def longest(self) -> int | None:
        return self._recorder.longest

    def _owner(self) -> Node:
        """The layer that keeps the tensors: itself unless it is a `share`."""
        node = self._node
        while node.shares:
            node = self._recorder.layers[node.shares]
        return node

    @property
    def tied(self) -> bool:
        owner = self._owner()
        return any(not owner.owns(parameter) for parameter in owner.declared())

    def each_step(self, op: Op, *inputs: Streamed | None) -> tuple[Streamed, ...]:
        axes = tuple(x.axis if x else None for x in inputs)
        axis = op.stream_axis(axes, *(x and x.value.type for x in inputs))
        ends = any(x.axis is None and not x.settled for x in inputs if x)
        if axis is not None and ends:
            raise unstreamable("needs the end of the sequence at every step")
        made = self.apply(op, *map(value_of, inputs))
        return tuple(Streamed(value, axis, settled=axis is not None) for value in made)

    def apply(self, op: Op, *inputs: Value | None) -> tuple[Value, ...]:
        network, node = self._recorder.network.name, self._node
        refs = {key: _owned(ref, network) for key, ref in node.weights.items()}
        made = node_of(node.path, op, inputs, refs)
        owner = self._owner().path
        return self._recorder.append(replace(made, shares=owner, network=network, span=node.span))

    def add(self, name: str, op: Op, *inputs: Value | None) -> Value:
        made = node_of(f"{self._node.path}.{name}", op, inputs)
        (value,) = self._recorder.append(replace(made, span=self._node.span))
        return value

    def state(self, name: str, kind: TensorType, begin: Streamed | None = None) -> Value:
        path = self._state_name(name)
        if begin is None:
            return self._recorder.state(path, kind)
        return self._recorder.adopt(path, begin.value)

    def keep(self, name: str, value: Value) -> None:
        self._recorder.keep(self._state_name(name), value)

    def _state_name(self, name: str) -> str:
        path = snake_case(re.sub(r"\W", "_", self._node.path))
        return f"layer_{path}_{name}" if path[:1].isdigit() else f"{path}_{name}"

    def seen(self) -> Value:
        return self._recorder.seen()


def _owned(ref: TensorRef, network: str) -> TensorRef:
    return ref if ref.network else replace(ref, network=network)


def node_of(
    path: str,
    op: Operator,
    inputs: tuple[Value | None, ...],
    weights: Mapping[str, TensorRef] | None = None,
) -> Node:
    """An operator applied; values are named by its path, several as `path.port`."""
    types = op.inferred(tuple(value.type if value else None for value in inputs))
    ports = op.output_ports()
    names = [path] if len(types) == 1 else [f"{path}.{port}" for port in ports]
    outputs = tuple(Value(name, kind) for name, kind in zip(names, types, strict=True))
    return Node(path, op, inputs, outputs, weights or {})
