"""The text form of a graph: stable, for goldens and `--print-after`.

    graph classifier
      inputs
        %image: f32[B, 1, 28, 28]
      nodes
        %conv1 = conv2d(%image) {channels: 32, kernel: [3, 3]} : f32[B, 32, 28, 28]  # line 12
        repeat layer1
          block layer1.0: Residual {channels: 32}  # line 14
            %layer1.0.relu_1 = relu(%conv1) : f32[B, 32, 28, 28]  # line 8
      weights
        conv1.weight: f32[32, 1, 3, 3]
      outputs
        logits = %layer1.0.relu_1

A tensor that a layer does not own stands at its node: `<weight = tokens.weight transposed>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..source import Span
from .graph import Graph, Node, Parameter, Scope, TensorRef
from .shapes import TensorType
from .structure import Loop


def print_graph(graph: Graph) -> str:
    """The whole graph as text that ends with a line break."""
    return "\n".join(_graph_lines(graph, "graph")) + "\n"


def _graph_lines(graph: Graph, word: str) -> Iterator[str]:
    yield f"{word} {graph.name}"
    yield from _section("inputs", (str(value) for value in graph.inputs))
    items = graph.root.items if graph.root else graph.nodes
    yield from _section("nodes", (line for item in items for line in _item_lines(item)))
    yield from _section("weights", _weight_lines(graph))
    results = (f"{port} = %{value.name}" for port, value in graph.outputs.items())
    yield from _section("outputs", results)
    behind = (f"%{state} = {port} of the chunk before" for state, port in graph.states.items())
    yield from _section(f"states along {graph.time}", behind)


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    body = list(_indented(lines, 2))
    if body:
        yield f"  {title}"
        yield from body


def _indented(lines: Iterable[str], levels: int = 1) -> Iterator[str]:
    return ("  " * levels + line for line in lines)


def _item_lines(item: Scope | Node) -> Iterator[str]:
    if isinstance(item, Node):
        yield from _node_lines(item)
        return
    yield _scope_title(item)
    yield from _indented(line for inner in item.items for line in _item_lines(inner))


def _scope_title(scope: Scope) -> str:
    block = f": {scope.block}" if scope.block else ""
    return f"{scope.kind} {scope.path}{block}{_arguments(scope.arguments)}{_line(scope.span)}"


def _node_lines(node: Node) -> Iterator[str]:
    made = ", ".join(f"%{value.name}" for value in node.outputs)
    reads = ", ".join(f"%{value.name}" if value else "none" for value in node.inputs)
    types = ", ".join(str(value.type) for value in node.outputs)
    path = "" if node.outputs and node.outputs[0].name == node.path else f" @{node.path}"
    yield (
        f"{made} = {node.op.name}({reads}){_arguments(node.op.arguments())}{_foreign(node)}"
        f" : {types}{path}{_line(node.span)}"
    )
    if isinstance(node.op, Loop):
        yield from _indented(_graph_lines(node.op.body, "body"))


def _foreign(node: Node) -> str:
    refs = [
        f"{parameter.key or 'tensor'} = {_reference(node.weights[parameter.key])}"
        for parameter in node.declared()
        if not node.owns(parameter)
    ]
    return f" <{', '.join(refs)}>" if refs else ""


def _reference(ref: TensorRef) -> str:
    return f"{ref.stored}{' transposed' if ref.transpose else ''}"


def _weight_lines(graph: Graph) -> Iterator[str]:
    seen: set[str] = set()
    for node in graph.nodes:
        for parameter in node.declared():
            ref = node.weights[parameter.key]
            if ref.stored not in seen:
                seen.add(ref.stored)
                yield _weight_line(ref, parameter)


def _weight_line(ref: TensorRef, parameter: Parameter) -> str:
    shape = parameter.shape[::-1] if ref.transpose else parameter.shape
    kind = "" if parameter.trainable else " buffer"
    return f"{ref.stored}: {TensorType(parameter.dtype, shape)}{kind}"


def _arguments(arguments: Mapping[str, Any]) -> str:
    if not arguments:
        return ""
    return f" {{{', '.join(f'{name}: {_text(value)}' for name, value in arguments.items())}}}"


def _text(value: Any) -> str:
    """A value as the spec language writes it: `[3, 3]`, `true`, `none`."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_text(item)}' for key, item in value.items())}}}"
    return str(value)


def _line(span: Span | None) -> str:
    return f"  # line {span.line}" if span else ""
