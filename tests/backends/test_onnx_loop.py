"""The program that every sampler stands on: a loop that applies a network n times."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from netwright.compiler.ir.builder import GraphBuilder
from netwright.compiler.ir.dims import Dim, Poly, Symbol
from netwright.compiler.ir.graph import Graph
from netwright.compiler.ir.shapes import TensorType, parse_type
from netwright.compiler.ir.structure import Call, Loop
from netwright.compiler.ir.verifier import verify
from netwright.compiler.ops.base import Emitter, Handle, Op
from netwright.compiler.passes.pipeline import run_passes

from tests.onnx_tools import close, op, proto_of, random_weights, run, run_proto

STEPS = Poly.of(Symbol("N", min=0))


def network() -> Graph:
    b = GraphBuilder("net")
    hidden = b.add("fc1", op("linear", features=8), b.input("x", "f32[B, 4]"))
    normed = b.add("norm", op("batch_norm"), hidden)
    return b.graph(y=b.add("fc2", op("linear", features=4), b.add("act", op("tanh"), normed)))


def sampler(count: Dim = STEPS) -> Graph:
    """x <- x + 0.1 * net(x) + noise[i], n times; what the network said is stacked."""
    step = GraphBuilder("step")
    step.input("i", "i64[]")
    x, noise = step.input("x", "f32[B, 4]"), step.input("noise", "f32[B, 4]")
    move = step.add("scaled", op("mul", value=0.1), step.add("net", Call(network()), x))
    moved = step.add("moved", op("add"), x, move, noise)
    loop = Loop(step.graph(x=moved, moves=move), carried=1, count=count)
    b = GraphBuilder("sample")
    steps, start = b.input("steps", "i64[]"), b.input("start", "f32[B, 4]")
    noises = b.input("noise", TensorType(start.type.dtype, (count, *start.type.shape)))
    last, moves = b.add_n("loop", loop, steps, start, noises)
    return b.graph(sample=b.add("out", op("tanh"), last), moves=moves)


def reference(weights: dict[str, np.ndarray], feeds: dict[str, Any]) -> tuple[np.ndarray, ...]:
    w = {name.removeprefix("net."): array.astype(np.float64) for name, array in weights.items()}
    x, moves = feeds["start"], []
    for noise in feeds["noise"]:
        hidden = x @ w["fc1.weight"].T + w["fc1.bias"]
        spread = np.sqrt(w["norm.running_var"] + 1e-5)
        normed = (hidden - w["norm.running_mean"]) / spread * w["norm.weight"] + w["norm.bias"]
        moves.append(0.1 * (np.tanh(normed) @ w["fc2.weight"].T + w["fc2.bias"]))
        x = x + moves[-1] + noise
    return np.tanh(x), np.array(moves).reshape(-1, *x.shape)


def feeds_for(steps: int, batch: int) -> dict[str, Any]:
    rng = np.random.default_rng(steps)
    return {
        "steps": np.array(steps),
        "start": rng.normal(size=(batch, 4)).astype(np.float32),
        "noise": rng.normal(size=(steps, batch, 4)).astype(np.float32),
    }


@pytest.mark.parametrize("opset", [18, 20, 22])
def test_a_loop_runs_any_number_of_steps(opset: int) -> None:
    program = sampler()
    verify(program)
    weights = random_weights(program)
    model = proto_of(*run_passes(program, weights), opset=opset).SerializeToString()
    for steps, batch in ((0, 2), (1, 1), (4, 3), (50, 2)):
        feeds = feeds_for(steps, batch)
        got, (sample, moves) = run_proto(model, feeds), reference(weights, feeds)
        assert close(got["sample"], sample)
        assert len(got["moves"]) == steps  # at 0 ONNX Runtime does not say the other sizes
        assert not steps or close(got["moves"], moves, tolerance=1e-4)


def nodes_of(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    found = list(graph.node)
    for node in graph.node:
        for attribute in node.attribute:
            found += nodes_of(attribute.g)
    return found


def test_the_model_does_not_grow_with_the_steps() -> None:
    def size(count: Dim) -> tuple[int, int]:
        program = sampler(count)
        proto = proto_of(*run_passes(program, random_weights(program)))
        return len(nodes_of(proto.graph)), len(proto.graph.initializer)

    assert size(2) == size(1000) == size(STEPS)


def test_a_body_is_one_loop_with_names_of_its_own() -> None:
    program = sampler()
    proto = proto_of(*run_passes(program, random_weights(program)))
    assert [node.op_type for node in proto.graph.node] == ["Loop", "Tanh"]
    names = [node.name for node in nodes_of(proto.graph)]
    values = [value for node in nodes_of(proto.graph) for value in node.output]
    assert {"loop", "loop.net.fc1", "loop.net.fc2", "loop.moved"} <= set(names)
    assert len(set(names)) == len(names)
    assert len(set(values)) == len(values)
    assert not proto.graph.node[0].attribute[0].g.initializer


def test_batch_norm_folds_inside_a_body() -> None:
    program = sampler()
    _, weights = run_passes(program, random_weights(program))
    assert {name for name in weights if "fc1" in name} == {
        "net.fc1.weight.folded",
        "net.fc1.bias.folded",
    }


class Below(Op):
    """Whether the largest element is below a limit; a condition for the test."""

    name = "below"

    def __init__(self, limit: float) -> None:
        self.__dict__["limit"] = limit

    def arguments(self) -> dict[str, Any]:
        return {"limit": self.limit}

    def infer(self, x: TensorType) -> TensorType:
        return parse_type("bool[]")

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Less", e.op("ReduceMax", x, keepdims=0), e.scalar(self.limit))


def test_a_condition_ends_a_loop() -> None:
    step = GraphBuilder("step")
    step.input("i", "i64[]")
    x = step.input("x", "f32[B]")
    doubled = step.add("doubled", op("mul", value=2.0), x)
    go_on = step.add("go_on", Below(20.0), doubled)
    body = step.graph(go_on=go_on, x=doubled, trail=doubled)
    b = GraphBuilder("program")
    n, x = b.input("n", "i64[]"), b.input("x", "f32[B]")
    loop = Loop(body, carried=1, count=Poly.of(Symbol("S")), condition=True)
    last, trail = b.add_n("loop", loop, n, x)
    graph = b.graph(last=last, trail=trail)
    verify(graph)
    start = np.array([1, 3], np.float32)
    for most, steps in ((100, 3), (2, 2), (0, 0)):
        got = run(graph, {}, {"n": np.array(most), "x": start})
        assert got["last"].tolist() == (start * 2**steps).tolist()
        assert len(got["trail"]) == steps


def test_values_that_pass_through_a_body() -> None:
    """Two carried values change places, and a slice is stacked as it is."""
    step = GraphBuilder("swap")
    step.input("i", "i64[]")
    a, b_, item = (step.input(name, "f32[B]") for name in ("a", "b", "item"))
    body = step.graph(a=b_, b=a, items=item, twice=item)
    b = GraphBuilder("program")
    inputs = [b.input("n", "i64[]"), b.input("a", "f32[B]"), b.input("b", "f32[B]")]
    inputs.append(b.input("items", "f32[N, B]"))
    made = b.add_n("loop", Loop(body, carried=2, count=Poly.of(Symbol("N"))), *inputs)
    graph = b.graph(**dict(zip(("first", "second", "all", "again"), made, strict=True)))
    items = np.arange(6, dtype=np.float32).reshape(3, 2)
    one, two = np.array([1, 1], np.float32), np.array([2, 2], np.float32)
    got = run(graph, {}, {"n": np.array(3), "a": one, "b": two, "items": items})
    assert (got["first"].tolist(), got["second"].tolist()) == ([2, 2], [1, 1])
    assert got["all"].tolist() == got["again"].tolist() == items.tolist()


def test_sizes_that_a_body_needs_are_computed_outside() -> None:
    step = GraphBuilder("step")
    step.input("i", "i64[]")
    x = step.input("x", "f32[B, T, 2]")
    flat = step.add("flat", op("reshape", to=[Poly.of(Symbol("T")) * 2]), x)
    body = step.graph(x=step.add("back", op("reshape", to=[Poly.of(Symbol("T")), 2]), flat))
    b = GraphBuilder("program")
    n, x = b.input("n", "i64[]"), b.input("x", "f32[B, T, 2]")
    graph = b.graph(y=b.add("loop", Loop(body, carried=1, count=STEPS), n, x))
    proto = proto_of(graph, {})
    inside = proto.graph.node[-1].attribute[0].g
    assert proto.graph.node[-1].op_type == "Loop"
    assert "Shape" not in {node.op_type for node in inside.node}
    start = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    got = run_proto(proto.SerializeToString(), {"n": np.array(2), "x": start})
    assert got["y"].tolist() == start.tolist()


def test_a_loop_inside_a_loop() -> None:
    inner = GraphBuilder("inner")
    inner.input("i", "i64[]")
    x = inner.input("x", "f32[B]")
    body = inner.graph(x=inner.add("more", op("add", value=1.0), x))
    outer = GraphBuilder("outer")
    outer.input("i", "i64[]")
    x, n = outer.input("x", "f32[B]"), outer.input("n", "i64[]")
    looped = outer.add("loop", Loop(body, carried=1, count=STEPS), n, x)
    b = GraphBuilder("program")
    n, x = b.input("n", "i64[]"), b.input("x", "f32[B]")
    graph = b.graph(
        y=b.add_n("loop", Loop(outer.graph(x=looped, n=n_of(outer)), 2, STEPS), n, x, n)[0]
    )
    verify(graph)
    got = run(graph, {}, {"n": np.array(3), "x": np.zeros(2, np.float32)})
    assert got["y"].tolist() == [9, 9]


def n_of(builder: GraphBuilder) -> Any:
    """The third input of a body: a value that it carries unchanged."""
    return replace(builder.graph()).inputs[2]
