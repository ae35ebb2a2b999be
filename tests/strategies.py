"""Hypothesis: well-typed networks made from the operators' own examples."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import yaml
from hypothesis import strategies as st
from netwright.compiler import ops  # noqa: F401 - fills the registry
from netwright.compiler.ir.builder import GraphBuilder
from netwright.compiler.ir.dims import Poly, Symbol
from netwright.compiler.ir.graph import Graph, Scope, Value
from netwright.compiler.ir.shapes import DType
from netwright.compiler.language.arguments import build
from netwright.compiler.ops.base import REGISTRY, Op, Refusal

BATCH = Poly.of(Symbol("B"))
INPUTS = ("f32[B, 4, 8, 8]", "f32[B, 8, 6, 5]", "f32[B, 6, 12]", "f32[B, 12]")
MERGES = ("add", "sub", "mul", "concat")
LARGEST = 5_000
"""Elements per sample that a value may have."""


@cache
def unary_operators() -> tuple[Op, ...]:
    """Every operator with one required input, with the arguments of each of its examples."""
    found = []
    for cls in REGISTRY.values():
        needed = [port for port in cls.ports if not port.optional]
        if len(needed) == 1 and not needed[0].variadic:
            found += [build(cls, yaml.safe_load(e.arguments)) for e in cls.examples]
    return tuple(found)


@st.composite
def networks(draw: st.DrawFn, longest: int = 6) -> Graph:
    """A chain with a few merges; the batch is symbolic, everything else fixed."""
    b = GraphBuilder("net")
    values = [b.input("image", draw(st.sampled_from(INPUTS)))]
    for index in range(draw(st.integers(1, longest))):
        value = _merged(draw, b, values, index) or _applied(draw, b, values[-1], index)
        if value is not None:
            values.append(value)
    graph = b.graph(y=values[-1])
    inputs = {value.name: value for value in graph.inputs}
    return replace(graph, root=Scope("network", "", graph.nodes, inputs, graph.outputs))


def _merged(draw: st.DrawFn, b: GraphBuilder, values: list[Value], index: int) -> Value | None:
    partners = [v for v in values[:-1] if v.type == values[-1].type]
    if not partners or not draw(st.booleans()):
        return None
    name = draw(st.sampled_from(MERGES))
    op = build(REGISTRY[name], {})
    return b.add(f"{name}_{index}", op, values[-1], draw(st.sampled_from(partners)))


def _applied(draw: st.DrawFn, b: GraphBuilder, value: Value, index: int) -> Value | None:
    fitting = [op for op in unary_operators() if _fits(op, value)]
    if not fitting:
        return None
    op = draw(st.sampled_from(fitting))
    rest = (None,) * (len(op.ports) - 1)
    return b.add_n(f"{op.name}_{index}", op, value, *rest)[0]


def _fits(op: Op, value: Value) -> bool:
    try:
        types = op.inferred((value.type, *(None,) * (len(op.ports) - 1)))
        op.declared((value.type, *(None,) * (len(op.ports) - 1)))
    except Refusal:
        return False
    result = types[0]
    sizes = [size for size in result.shape[1:] if isinstance(size, int)]
    elements = 1
    for size in sizes:
        elements *= size
    batched = result.rank >= 2 and result.shape[0] == BATCH and len(sizes) == result.rank - 1
    return result.dtype is DType.F32 and batched and elements <= LARGEST
