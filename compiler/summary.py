"""The summary table of a network: what each layer makes, keeps and costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .ir.dims import Dim, Symbol, evaluate, symbols
from .ir.graph import Graph, Node, Scope, Value
from .ir.shapes import DType, elements, shape_text
from .ops.base import Op
from .ops.receptive_field import View, receptive_fields

BYTES = {
    DType.F64: 8,
    DType.I64: 8,
    DType.F32: 4,
    DType.I32: 4,
    DType.F16: 2,
    DType.BF16: 2,
    DType.U8: 1,
    DType.BOOL: 1,
}

_SPATIAL, _LENGTH = 224, 128
"""Sizes for height and width and for other symbols, where their bounds allow them."""


@dataclass(frozen=True)
class Row:
    """One layer, or (with `operator` in the words `block`, `group`, `repeat`) a part with layers.

    depth: how many parts it stands in. shape: of its outputs, as text. flops: for one sample.
    field: how many input elements one output place sees along each spatial axis; `all` where it
    sees everything, empty where the input has no spatial axes.
    """

    path: str
    depth: int
    operator: str
    shape: str
    parameters: int
    flops: int
    field: str = ""


@dataclass(frozen=True)
class Totals:
    """Sums over a network. activations: bytes of all values that layers make, for one sample."""

    parameters: int
    buffers: int
    flops: int
    activations: int


def reference_sizes(graph: Graph) -> dict[str, int]:
    """A size for each symbol of the graph's inputs: one sample, images of 224, lengths of 128.

    A symbol's bounds and divisibility win over these numbers.
    """
    found: dict[str, int] = {}
    for value in graph.inputs:
        for symbol in sorted(value.type.symbols(), key=str):
            wanted = _SPATIAL if symbol.name in ("H", "W") else _LENGTH
            found[symbol.name] = 1 if symbol.name == "B" else _allowed(symbol, wanted)
    return found


def _allowed(symbol: Symbol, wanted: int) -> int:
    size = max(symbol.min, wanted if symbol.max is None else min(symbol.max, wanted))
    step = symbol.multiple_of
    down = size // step * step
    return down if down >= symbol.min else -(-symbol.min // step) * step


def summarize(graph: Graph, sizes: Mapping[str, int] | None = None) -> list[Row]:
    """Every part and layer of a network in order; a part's numbers are the sums of its layers'.

    Args:
        sizes: symbol -> size for the FLOPs; `reference_sizes` unless given.
    """
    known = {**reference_sizes(graph), **(sizes or {})}
    views = receptive_fields(graph)
    items: Sequence[Scope | Node] = graph.root.items if graph.root else graph.nodes
    return [row for item in items for row in _rows(item, "", 0, known, views)]


def totals(graph: Graph, sizes: Mapping[str, int] | None = None) -> Totals:
    """Sums over the network, for one sample."""
    known = {**reference_sizes(graph), **(sizes or {})}
    kept = graph.tensors().values()
    made = (value for node in graph.nodes for value in node.outputs)
    return Totals(
        sum(p.elements for p in kept if p.trainable),
        sum(p.elements for p in kept if not p.trainable),
        sum(_flops(node, known) for node in graph.nodes),
        sum(BYTES[v.type.dtype] * _number(elements(v.type.shape), known) for v in made),
    )


def _rows(
    item: Scope | Node,
    base: str,
    depth: int,
    sizes: Mapping[str, int],
    views: Mapping[str, View | None],
) -> Iterator[Row]:
    name = item.path[len(base) + 1 :] if base and item.path.startswith(f"{base}.") else item.path
    if isinstance(item, Node):
        shape = _shapes(item.outputs)
        field = _field(views.get(item.outputs[0].name)) if item.outputs else ""
        yield Row(name, depth, item.op.name, shape, _parameters([item]), _flops(item, sizes), field)
        return
    nodes = list(item.nodes())
    if not nodes:
        return
    made = {value.name for node in nodes for value in node.outputs}
    results = tuple(value for value in item.outputs.values() if value.name in made)
    flops = sum(_flops(node, sizes) for node in nodes)
    title = item.block or item.kind
    field = _field(views.get(results[0].name)) if results else ""
    yield Row(name, depth, title, _shapes(results), _parameters(nodes), flops, field)
    for inner in item.items:
        yield from _rows(inner, item.path, depth + 1, sizes, views)


def _parameters(nodes: Sequence[Node]) -> int:
    return sum(
        parameter.elements
        for node in nodes
        for parameter in node.declared()
        if parameter.trainable and node.owns(parameter)
    )


def _flops(node: Node, sizes: Mapping[str, int]) -> int:
    if not isinstance(node.op, Op):
        return 0
    return _number(node.op.flops(*node.input_types), sizes)


def _number(dim: Dim, sizes: Mapping[str, int]) -> int:
    return evaluate(dim, {**{symbol.name: symbol.min for symbol in symbols(dim)}, **sizes})


def _shapes(values: Sequence[Value]) -> str:
    return ", ".join(shape_text(value.type.shape) for value in dict.fromkeys(values))


def _field(view: View | None) -> str:
    if view is None:
        return "all"
    seen = view.elements()
    return str(seen[0]) if len(set(seen)) == 1 else "x".join(map(str, seen))


_HEADINGS = ("layer", "operator", "output", "parameters", "FLOPs", "field")


def summary_table(graph: Graph) -> str:
    """The summary as text with aligned columns and a footer of totals; ends with a line break."""
    known = reference_sizes(graph)
    cells = [_cells(row) for row in summarize(graph, known)]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *cells, strict=True)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [
        f"network {graph.name}: {_signature(graph)}",
        "",
        _line(_HEADINGS, widths),
        rule,
        *(_line(row, widths) for row in cells),
        rule,
        *_footer(totals(graph, known), known),
    ]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    return (
        "  " * row.depth + row.path,
        row.operator,
        row.shape,
        f"{row.parameters:,}" if row.parameters else "",
        short_number(row.flops) if row.flops else "",
        row.field,
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    left = (f"{cell:<{width}}" for cell, width in zip(cells[:3], widths, strict=False))
    right = (f"{cell:>{width}}" for cell, width in zip(cells[3:], widths[3:], strict=True))
    return "  ".join((*left, *right)).rstrip()


def _signature(graph: Graph) -> str:
    inputs = ", ".join(f"{value.name} {value.type}" for value in graph.inputs)
    outputs = ", ".join(f"{port} {value.type}" for port, value in graph.outputs.items())
    return f"{inputs} -> {outputs}"


def _footer(sums: Totals, sizes: Mapping[str, int]) -> Iterator[str]:
    at = ", ".join(f"{name} = {size}" for name, size in sizes.items())
    yield f"parameters   {sums.parameters:,} trained, {sums.buffers:,} in buffers"
    yield f"FLOPs        {short_number(sums.flops)} at {at} (a multiply-add counts as two)"
    yield f"activations  {short_number(sums.activations)}B at {at}"
    yield "field        input elements that one output place sees along each spatial axis"


def short_number(number: int) -> str:
    """`1234567` -> `1.23 M`, and `12` -> `12 `: a unit may follow."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number} "
