"""Emits one layer: what an operator's `onnx` rule builds with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from ..diagnostics import Code, Label, NetwrightError, failure
from ..ir.dims import Dim
from ..ir.graph import Node
from ..ir.shapes import DType, TensorType
from ..ops.base import Refusal
from .onnx_scope import Scope
from .onnx_sizes import sizes


class LayerEmitter:
    """The `Emitter` of ops/base.py for one layer.

    The node that makes the layer's result is named by the layer's path, the others
    `path/Transpose` and so on; values are named as in our graph.
    """

    def __init__(self, scope: Scope, node: Node) -> None:
        self._scope, self._node = scope, node
        self._path = scope.prefix + node.path
        self._parameters = {parameter.key: parameter for parameter in node.declared()}
        self._made: list[ir.Node] = []

    @property
    def opset(self) -> int:
        return self._scope.opset

    @property
    def inputs(self) -> tuple[TensorType | None, ...]:
        return self._node.input_types

    @property
    def outputs(self) -> tuple[TensorType, ...]:
        return tuple(value.type for value in self._node.outputs)

    def op(self, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        given = {name: value for name, value in attributes.items() if value is not None}
        tensors, at = self._scope.tensors, f"{self._path}/{op_type}"
        folded = tensors.fold(op_type, inputs, given, at)
        return folded if folded is not None else self.op_n(op_type, 1, *inputs, **given)[0]

    def op_n(
        self, op_type: str, count: int, *inputs: ir.Value | None, **attributes: Any
    ) -> tuple[ir.Value, ...]:
        given = {name: value for name, value in attributes.items() if value is not None}
        made = self._scope.node(op_type, inputs, given, count=count)
        self._made.append(made)
        return tuple(made.outputs)

    def weight(self, key: str) -> ir.Value:
        return self._scope.tensors.weight(self._node.weights[key], self._parameters[key])

    def derived(self, letter: str, keys: Sequence[str], make: Callable[..., Any]) -> ir.Value:
        return self._scope.tensors.derived(letter, [self.weight(key) for key in keys], make)

    def ints(self, values: Sequence[int]) -> ir.Value:
        return self.array(np.array(values, np.int64))

    def scalar(self, value: float, dtype: DType | None = None) -> ir.Value:
        return self._scope.tensors.scalar(value, dtype or self._first_dtype())

    def _first_dtype(self) -> DType:
        return next(iter(self._node.reads())).type.dtype

    def array(self, values: Any) -> ir.Value:
        return self._scope.tensors.array(np.asarray(values), f"{self._path}/constant")

    def sizes(self, dims: Sequence[Dim]) -> ir.Value:
        return sizes(self._scope, dims)

    def finish(self, results: Sequence[ir.Value]) -> None:
        """Bind the layer's results, and name what was made."""
        main = results[0].producer()
        for ours, made in zip(self._node.outputs, results, strict=True):
            if made.name is None:
                made.name = self._scope.value_names.take(self._scope.prefix + ours.name)
            self._scope.bind(ours, made)
        for node in self._made:
            name = self._path if node is main else f"{self._path}/{node.op_type}"
            self._scope.name(node, name)


def emit_layer(scope: Scope, node: Node) -> None:
    """Append the ONNX nodes of one layer.

    Raises: NetwrightError: X702: the operator has no ONNX rule or its rule cannot serve this
        layer or opset; another code where the rule itself refuses with it.
    """
    rule: Callable[..., Any] | None = getattr(node.op, "onnx", None)
    if rule is None:
        raise _without_rule(node)
    emitter = LayerEmitter(scope, node)
    inputs = [value and scope.values[value.name] for value in node.inputs]
    try:
        made = rule(emitter, *inputs)
    except Refusal as refusal:
        raise failure(
            refusal.code,
            f"layer `{node.path}`: {refusal.message}",
            span=node.span,
            label=refusal.label,
            help=refusal.help or None,
        ) from refusal
    except NetwrightError as error:
        raise _located(error, node) from error
    results = made if isinstance(made, tuple) else (made,)
    if len(results) != len(node.outputs):
        raise _wrong_count(node, len(results))
    emitter.finish(results)


def _located(error: NetwrightError, node: Node) -> NetwrightError:
    """The same mistake with the layer that it belongs to."""
    first = error.diagnostics[0]
    message = f"layer `{node.path}` ({node.op.name}): {first.message}"
    labels = first.labels or ((Label(node.span),) if node.span else ())
    return failure(
        first.code,
        message,
        span=labels[0].span if labels else None,
        notes=first.notes,
        help=first.help,
    )


def _without_rule(node: Node) -> NetwrightError:
    kind = type(node.op).__name__
    return failure(
        Code.X702,
        f"`{node.op.name}` has no ONNX rule, so layer `{node.path}` cannot be exported",
        span=node.span,
        label="trains, but cannot be deployed as ONNX",
        help=f"add a method `onnx(self, e, x)` to the class `{kind}`; "
        "it builds nodes with `e.op(...)` and returns the result",
    )


def _wrong_count(node: Node, found: int) -> NetwrightError:
    kind = type(node.op).__name__
    return failure(
        Code.X702,
        f"the ONNX rule of `{node.op.name}` returns {found} values at layer `{node.path}`, "
        f"expected {len(node.outputs)}",
        span=node.span,
        help=f"make `{kind}.onnx` return one value for each of its output ports",
    )
