"""One ONNX graph under construction: the main graph, or the body of a loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import onnx
import onnx_ir as ir

from ..diagnostics import Code, failure
from ..ir.dims import Dim, Symbol
from ..ir.graph import Value
from .onnx_tensors import Names, Tensors, onnx_type


@dataclass
class Scope:
    """The nodes made so far, and where the values of our graph are found in it.

    prefix: stands before the names of what a body of a loop holds, with a dot.
    axes: size as text -> an ONNX value and its axis that has this size.
    multiples: symbol -> (size, factor, offset) of an axis that is factor * symbol + offset.
    computed: size as text -> i64[1] that holds it.
    """

    opset: int
    tensors: Tensors
    value_names: Names
    node_names: Names
    parent: Scope | None = None
    prefix: str = ""
    nodes: list[ir.Node] = field(default_factory=list)
    values: dict[str, ir.Value] = field(default_factory=dict)
    axes: dict[str, tuple[ir.Value, int]] = field(default_factory=dict)
    multiples: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    computed: dict[str, ir.Value] = field(default_factory=dict)

    def inner(self, path: str) -> Scope:
        """The scope of the body of the loop at `path`."""
        return Scope(
            self.opset,
            self.tensors,
            self.value_names,
            self.node_names,
            parent=self,
            prefix=f"{self.prefix}{path}.",
        )

    def chain(self) -> list[Scope]:
        """From the main graph to this one."""
        return [*(self.parent.chain() if self.parent else ()), self]

    def input(self, value: Value, name: str) -> ir.Value:
        """A new input of this graph that stands for a value of ours."""
        kind, shape = onnx_type(value.type)
        made = ir.Value(name=name, type=kind, shape=shape)
        self.bind(value, made)
        return made

    def bind(self, value: Value, made: ir.Value) -> None:
        """Remember which ONNX value holds a value of ours."""
        self.values[value.name] = made
        if made.const_value is None:
            made.type, made.shape = onnx_type(value.type)
        for axis, size in enumerate(value.type.shape):
            self.axes.setdefault(str(size), (made, axis))
            if line := _line(size):
                self.multiples.setdefault(line[0], (str(size), *line[1:]))

    def node(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any],
        *,
        count: int = 1,
    ) -> ir.Node:
        """Append a node that has no name yet, nor have its outputs."""
        given = list(inputs)
        while given and given[-1] is None:
            given.pop()
        declared = _schema(op_type, self.opset)
        typed = [_attribute(op_type, declared, *item) for item in attributes.items()]
        made = ir.Node("", op_type, given, typed, num_outputs=count)
        self.nodes.append(made)
        return made

    def named(
        self, name: str, op_type: str, *inputs: ir.Value | None, **attributes: Any
    ) -> ir.Value:
        """Append a node with one output; both get this name, or one like it."""
        node = self.node(op_type, inputs, attributes)
        self.name(node, name)
        return node.outputs[0]

    def name(self, node: ir.Node, name: str) -> None:
        """Give a node a name, and its outputs that have none names like it."""
        node.name = self.node_names.take(name)
        for index, value in enumerate(node.outputs):
            if value.name is None:
                suffix = f".{index}" if len(node.outputs) > 1 else ""
                value.name = self.value_names.take(node.name + suffix)


def _line(size: Dim) -> tuple[str, int, int] | None:
    """(symbol, factor, offset) of a size like `2*H + 1`; None for any other."""
    if isinstance(size, int):
        return None
    (monomial, factor), *rest = size.terms
    offset = rest[0][1] if rest else 0
    if len(rest) > 1 or (rest and rest[0][0]) or len(monomial) != 1 or monomial[0][1] != 1:
        return None
    atom = monomial[0][0]
    return (atom.name, factor, offset) if isinstance(atom, Symbol) else None


@cache
def _schema(op_type: str, opset: int) -> Mapping[str, Any]:
    """The attributes of an ONNX operator.

    Raises: NetwrightError: X702: the opset has no such operator.
    """
    try:
        return dict(onnx.defs.get_schema(op_type, opset, "").attributes)
    except onnx.defs.SchemaError as error:
        raise failure(
            Code.X702,
            f"ONNX opset {opset} has no operator `{op_type}`",
            help="export with a newer opset, or write the rule with operators that it has",
        ) from error


def _attribute(op_type: str, schema: Mapping[str, Any], name: str, value: Any) -> ir.Attr:
    """An attribute with the type that the operator declares, so that `alpha=1` is a float."""
    if name not in schema:
        raise failure(
            Code.X702,
            f"ONNX `{op_type}` has no attribute `{name}` in this opset",
            help=f"it has {', '.join(sorted(schema)) or 'none'}; choose another opset",
        )
    kind = ir.AttributeType(int(schema[name].type.value))
    return ir.convenience.convert_attribute(name, value, kind)
