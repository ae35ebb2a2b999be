"""Whatever operators can be put together to over a sequence: what runs in chunks, runs right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from netwright.compiler.ir.builder import GraphBuilder
from netwright.compiler.ir.dims import Dim, Poly, Symbol
from netwright.compiler.ir.graph import Graph, Scope, Value
from netwright.compiler.ir.shapes import DType, TensorType
from netwright.compiler.language.arguments import build
from netwright.compiler.ops.base import REGISTRY, Op, Refusal
from netwright.compiler.streaming.stepped import NotStreamable
from netwright.runtime.generated import build_networks

from tests.onnx_tools import random_weights
from tests.strategies import BATCH, unary_operators
from tests.streaming_tools import Chunks

TIME = Symbol("T", 1, 9)
SHAPES: tuple[tuple[Dim, ...], ...] = (
    (BATCH, Poly.of(TIME), 4),
    (BATCH, 4, Poly.of(TIME)),
    (BATCH, 4, Poly.of(TIME), 3),
)
STEPS, SAMPLES = 7, 2
LONGEST = 7


@st.composite
def sequences(draw: st.DrawFn) -> Graph:
    """A chain over a sequence, of which any results may meet again, also those without time."""
    b = GraphBuilder("net")
    x = b.input("x", TensorType(DType.F32, draw(st.sampled_from(SHAPES))))
    axis = x.type.shape.index(Poly.of(TIME))
    last = b.add("last", build(REGISTRY["select"], {"axis": axis, "index": -1}), x)
    values = [last, x]
    for index in range(draw(st.integers(1, LONGEST))):
        if draw(st.integers(0, 3)) == 0:
            values += _merged(draw, b, values, index)
        else:
            values += _applied(draw, b, draw(st.sampled_from(values[-4:])), index)
    graph = b.graph(y=values[-1])
    inputs = {value.name: value for value in graph.inputs}
    return replace(graph, root=Scope("network", "", graph.nodes, inputs, graph.outputs))


def _merged(draw: st.DrawFn, b: GraphBuilder, values: list[Value], index: int) -> list[Value]:
    """Two of the values in one; a vector for each sample gets an axis to meet a sequence."""
    name = draw(st.sampled_from(("add", "mul", "concat", "matmul")))
    op = build(REGISTRY[name], {"broadcast": True} if name in ("add", "mul") else {})
    left, right = draw(st.sampled_from(values)), draw(st.sampled_from(values))
    if (left.type.rank, right.type.rank) == (3, 2):
        axis = draw(st.sampled_from((1, 2)))
        right = b.add(f"wide_{index}", build(REGISTRY["unsqueeze"], {"axis": axis}), right)
    return [b.add(f"{name}_{index}", op, left, right)] if _fits(op, left, right) else []


def _applied(draw: st.DrawFn, b: GraphBuilder, value: Value, index: int) -> list[Value]:
    fitting = [op for op in unary_operators() if _fits(op, value)]
    if not fitting:
        return []
    op = draw(st.sampled_from(fitting))
    rest = (None,) * (len(op.ports) - 1)
    return list(b.add_n(f"{op.name}_{index}", op, value, *rest))


def _fits(op: Op, *values: Value) -> bool:
    rest = (None,) * (len(op.ports) - len(values))
    types = (*(value.type for value in values), *rest)
    try:
        made = op.inferred(types)
        op.declared(types)
    except Refusal:
        return False
    return all(t.dtype is DType.F32 and t.rank >= 2 and _small(t) for t in made)


def _small(kind: TensorType) -> bool:
    """Whether every size is one of the sequence or a small number."""
    known = (BATCH, Poly.of(TIME))
    return all(size <= 16 if isinstance(size, int) else size in known for size in kind.shape)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(sequences())
def test_what_can_run_in_chunks_gives_what_the_whole_gives(graph: Graph) -> None:
    weights = {f"net.{name}": array for name, array in random_weights(graph).items()}
    try:
        chunks = Chunks(graph, TIME, torch.nn.Identity(), weights)
    except NotStreamable:
        assume(False)
    module = build_networks(chunks.source, ["net"])["net"].eval()
    own = {name.removeprefix("net."): torch.from_numpy(a) for name, a in weights.items()}
    module.load_state_dict(own)
    chunks.module = module
    sizes = {"B": SAMPLES, "T": STEPS}
    shape = [sizes.get(str(size), size) for size in graph.inputs[0].type.shape]
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    with torch.no_grad():
        whole = module(torch.from_numpy(x)).numpy()
        shaken = module(torch.from_numpy(np.nextafter(x, np.float32(-np.inf)))).numpy()
    assume(np.isfinite(whole).all())
    # Behind `rescale` numbers near 127.5 have steps of 8e-6, which a normalization brings to light.
    allowed = 2e-5 * max(1e-3, np.abs(whole).max()) + 20 * np.abs(whole - shaken).max()
    for step in (chunks.in_torch, chunks.in_onnx):
        found = chunks.run(step, {"x": x}, sizes)["y"]
        assert found.shape == whole.shape
        assert np.abs(found - whole).max() <= allowed
