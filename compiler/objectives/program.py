"""Builds programs: raw fields in, networks called, results made readable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ir.graph import Graph, Node, Operator, Value
from ..ir.shapes import TensorType
from ..ir.structure import Call
from ..ops.activations import Sigmoid
from ..ops.binarize import Binarize
from ..ops.rescale import Rescale
from ..ops.softmax import Softmax
from .base import Context
from .fields import Field
from .losses import Loss


def fresh(name: str, taken: set[str]) -> str:
    """The name, with underscores behind it until nothing else has it; enters it into `taken`."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


class ProgramBuilder:
    """A program under construction. Values and layers get names that nothing else has."""

    def __init__(self, name: str, context: Context) -> None:
        self.name = name
        self._context = context
        self._inputs: list[Value] = []
        self._nodes: list[Node] = []
        self._taken = {*context.fields, *context.graphs}
        self._states: dict[str, str] = {}

    def field(
        self, name: str, time: str = "", like: Value | None = None, *, called: str = ""
    ) -> Value:
        """What a network reads of a field: the program takes it raw and transforms it.

        time, like: where the network's input `like` has this size, the raw field has it too.
        called: the input's name where the program takes the field twice; else the field's.
        """
        field = self._context.fields[name]
        kind = field.raw_type(self._context.dims)
        for axis, size in enumerate(like.type.shape if like else ()):
            if str(size) == time:
                kind = kind.with_axis(axis, size)
        raw = Value(called or name, kind)
        self._inputs.append(raw)
        return self._converted(field, raw)

    def open_field(self, name: str, like: Value) -> Value:
        """What a network's input `like` reads of a field, with its sizes as open as they are there.

        The program takes the field raw and transforms it.
        """
        field = self._context.fields[name]
        raw = Value(name, TensorType(field.element_type, like.type.shape))
        self._inputs.append(raw)
        return self._converted(field, raw)

    def _converted(self, field: Field, raw: Value) -> Value:
        """What a network reads of a raw field: the field's rule, then its threshold."""
        if not field.is_converted:
            return raw
        seen = f"{raw.name}_input"
        if field.binarize is None:
            return self._add(seen, _rescale(field, field.affine()), raw)
        values = raw
        if field.is_rescaled:  # without a rule raw values are compared, in float32 too
            values = self._add(f"{raw.name}_scaled", _rescale(field, field.affine()), raw)
        return self._add(seen, Binarize(threshold=field.binarize), values)

    def input(self, name: str, kind: TensorType) -> Value:
        """An input that is no data field; the name must be free."""
        value = Value(name, kind)
        self._taken.add(name)
        self._inputs.append(value)
        return value

    def state(self, name: str, kind: TensorType) -> Value:
        """An input that holds what a chunk before left; it gets underscores where it is taken."""
        value = Value(fresh(name, self._taken), kind)
        self._inputs.append(value)
        return value

    def becomes(self, state: Value, name: str) -> str:
        """The output that a state becomes: this name, or one like it."""
        self._states[state.name] = fresh(name, self._taken)
        return self._states[state.name]

    def call(self, graph: Graph, inputs: Sequence[Value]) -> dict[str, Value]:
        """Apply a network: output -> value."""
        call, path = Call(graph), graph.name
        if any(node.path == path for node in self._nodes):
            path = fresh(f"{path}_again", self._taken)
        types = call.inferred(tuple(value.type for value in inputs))
        outputs = {
            port: Value(f"{path}.{port}", type_)
            for port, type_ in zip(graph.outputs, types, strict=True)
        }
        self._nodes.append(Node(path, call, tuple(inputs), tuple(outputs.values())))
        return outputs

    def probabilities(self, loss: Loss, logits: Value, name: str, axis: int) -> Value:
        """Softmax over the axis of the classes, or sigmoid for yes-or-no questions."""
        return self._add(name, Softmax(axis=axis) if loss.kind == "classes" else Sigmoid(), logits)

    def raw(self, field: Field, x: Value, name: str) -> Value:
        """Network numbers in the raw units of a field."""
        return self._add(name, _rescale(field, field.inverse()), x)

    def apply(self, name: str, op: Operator, *inputs: Value) -> tuple[Value, ...]:
        """Apply an operator without tensors; several outputs are named `name.port`."""
        path, ports = fresh(name, self._taken), op.output_ports()
        types = op.inferred(tuple(value.type for value in inputs))
        names = [path] if len(types) == 1 else [f"{path}.{port}" for port in ports]
        made = tuple(Value(n, kind) for n, kind in zip(names, types, strict=True))
        self._nodes.append(Node(path, op, inputs, made))
        return made

    def _add(self, name: str, op: Operator, x: Value) -> Value:
        (result,) = self.apply(name, op, x)
        return result

    def graph(self, outputs: Mapping[str, Value], time: str = "") -> Graph:
        """The finished program, with its outputs by name, in this order.

        time: the size along which it runs one chunk at a time.
        """
        inputs, nodes = tuple(self._inputs), tuple(self._nodes)
        return Graph(self.name, inputs, nodes, outputs, time=time, states=self._states)


def _rescale(field: Field, rule: tuple[list[float], list[float]]) -> Rescale:
    shift, factor = rule
    several = max(len(shift), len(factor)) > 1
    axis = {"axis": field.channel_axis} if several else {}
    return Rescale(shift=tuple(shift), factor=tuple(factor), **axis)
