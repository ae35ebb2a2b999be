"""Programs as PyTorch: calls, loops, and agreement with the same program in ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from netwright.compiler.backends.torch_source import generate
from netwright.compiler.ir.builder import GraphBuilder
from netwright.compiler.ir.dims import Poly, Symbol
from netwright.compiler.ir.graph import Graph
from netwright.compiler.ir.shapes import TensorType, parse_type
from netwright.compiler.ir.structure import Call, Loop
from netwright.compiler.ops.base import Construct, Emitter, Handle, Op, Torch
from netwright.compiler.passes.pipeline import run_passes
from netwright.runtime.generated import build_networks, build_program
from torch import Tensor, nn

from tests.backends.test_onnx_loop import feeds_for, network, sampler
from tests.onnx_tools import close, op, proto_of, random_weights, run, run_proto
from tests.torch_tools import shapes

STEPS = Poly.of(Symbol("N", min=0))


def source_of(program: Graph, *networks: Graph) -> str:
    graphs = {graph.name: graph for graph in networks}
    return generate(graphs, {program.name: program}, title="a program", origin="test.yaml")


def built(program: Graph, *networks: Graph, weights: dict[str, Any] | None = None) -> nn.Module:
    """The program in evaluation mode, its networks filled with ONNX's weights by name."""
    source = source_of(program, *networks)
    modules = build_networks(source, [graph.name for graph in networks])
    for name, module in modules.items():
        own = {key: torch.from_numpy(a) for key, a in (weights or {}).items()}
        found = {k.removeprefix(f"{name}."): v for k, v in own.items() if k.startswith(f"{name}.")}
        if found:
            module.load_state_dict(found)
    return build_program(source, program.name, modules).eval()


def tensors(feeds: dict[str, Any]) -> list[Tensor]:
    return [torch.from_numpy(np.asarray(value)) for value in feeds.values()]


def test_a_sampler_agrees_with_onnx() -> None:
    program = sampler()
    weights = random_weights(program)
    model = proto_of(*run_passes(program, weights)).SerializeToString()
    module = built(program, network(), weights=weights)
    for steps, batch in ((0, 2), (1, 1), (5, 3)):
        feeds = feeds_for(steps, batch)
        with torch.no_grad():
            sample, moves = module(*tensors(feeds))
        expected = run_proto(model, feeds)
        assert close(sample.numpy(), expected["sample"])
        assert moves.shape == (steps, batch, 4)
        assert not steps or close(moves.numpy(), expected["moves"])


def test_the_loop_is_a_for_loop() -> None:
    source = source_of(sampler(), network())
    body = """
        x = start
        all_moves = []
        for i in range(int(steps)):
            noise_i = noise[i]
            y = self.net(x)
            scaled = y * 0.1
            x = x + scaled + noise_i
            all_moves.append(scaled)
"""
    assert body in source
    assert "def __init__(self, net: nn.Module) -> None:" in source


def test_a_program_keeps_no_tensor_of_its_networks_twice() -> None:
    module = built(sampler(), network())
    assert shapes(module).keys() == {f"net.{name}" for name in network().tensors()}


class Below(Op):
    """Whether the largest element is below a limit."""

    name = "below"

    def __init__(self, limit: float) -> None:
        self.__dict__["limit"] = limit

    def infer(self, x: TensorType) -> TensorType:
        return parse_type("bool[]")

    def torch(self, x: TensorType) -> Torch:
        return Torch(expression="{x}.max() < {limit}", numbers={"limit": self.limit})

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Less", e.op("ReduceMax", x, keepdims=0), e.scalar(self.limit))


class Indexed(Op):
    """An element of a table: what a sampler's schedule is."""

    name = "indexed"

    def infer(self, i: TensorType) -> TensorType:
        return parse_type("f32[]")

    def torch(self, i: TensorType) -> Torch:
        table = Construct("torch.tensor", ([1.0, 10.0, 100.0],))
        return Torch(expression="{self}[{0}]", buffer=table)


def test_a_condition_ends_a_loop() -> None:
    step = GraphBuilder("step")
    step.input("i", "i64[]")
    x = step.input("x", "f32[B]")
    doubled = step.add("doubled", op("mul", value=2.0), x)
    body = step.graph(go_on=step.add("go_on", Below(20.0), doubled), x=doubled, trail=doubled)
    b = GraphBuilder("program")
    n, x = b.input("n", "i64[]"), b.input("x", "f32[B]")
    last, trail = b.add_n("loop", Loop(body, 1, STEPS, condition=True), n, x)
    graph = b.graph(last=last, trail=trail)
    module, start = built(graph), np.array([1, 3], np.float32)
    for most in (100, 2, 0):
        feeds = {"n": np.array(most), "x": start}
        expected = run(graph, {}, feeds)
        last_, trail_ = module(*tensors(feeds))
        assert last_.tolist() == expected["last"].tolist()
        assert len(trail_) == len(expected["trail"])


def test_carried_values_may_change_places() -> None:
    step = GraphBuilder("swap")
    step.input("i", "i64[]")
    a, b_, item = (step.input(name, "f32[B]") for name in ("a", "b", "item"))
    b = GraphBuilder("program")
    inputs = [b.input("n", "i64[]"), b.input("a", "f32[B]"), b.input("b", "f32[B]")]
    inputs.append(b.input("items", "f32[N, B]"))
    loop = Loop(step.graph(a=b_, b=a, items=item, twice=item), 2, STEPS)
    made = b.add_n("loop", loop, *inputs)
    graph = b.graph(**dict(zip(("first", "second", "all", "again"), made, strict=True)))
    items = torch.arange(6.0).reshape(3, 2)
    result = built(graph)(torch.tensor(3), torch.ones(2), 2 * torch.ones(2), items)
    assert result.first.tolist() == [2, 2]
    assert result.second.tolist() == [1, 1]
    assert torch.equal(result.all, items)
    assert torch.equal(result.again, items)


def test_the_step_is_a_tensor_and_a_body_keeps_tables() -> None:
    step = GraphBuilder("step")
    i, x = step.input("i", "i64[]"), step.input("x", "f32[B]")
    factor = step.add("factor", Indexed(), i)
    body = step.graph(
        x=step.add("add", op("add"), x, step.add("scaled", op("mul", broadcast=True), x, factor))
    )
    b = GraphBuilder("program")
    n, x = b.input("n", "i64[]"), b.input("x", "f32[B]")
    graph = b.graph(y=b.add("loop", Loop(body, 1, STEPS), n, x))
    assert 'self.register_buffer("loop_factor", torch.tensor([1.0, 10.0, 100.0]))' in source_of(
        graph
    )
    module = built(graph)
    assert module(torch.tensor(2), torch.ones(1)).tolist() == [22]
    assert module(torch.tensor(3), torch.ones(1)).tolist() == [22 * 101]


def test_a_loop_inside_a_loop() -> None:
    inner = GraphBuilder("inner")
    inner.input("i", "i64[]")
    x = inner.input("x", "f32[B]")
    body = inner.graph(x=inner.add("more", op("add", value=1.0), x))
    outer = GraphBuilder("outer")
    outer.input("i", "i64[]")
    x, n = outer.input("x", "f32[B]"), outer.input("n", "i64[]")
    looped = outer.add("loop", Loop(body, 1, STEPS), n, x)
    b = GraphBuilder("program")
    n, x = b.input("n", "i64[]"), b.input("x", "f32[B]")
    made = b.add_n("loop", Loop(outer.graph(x=looped, n=n_of(outer)), 2, STEPS), n, x, n)
    assert built(b.graph(y=made[0]))(torch.tensor(3), torch.zeros(2)).tolist() == [9, 9]


def n_of(builder: GraphBuilder) -> Any:
    """The third input of a body: a value that it carries unchanged."""
    return builder.graph().inputs[2]


def two_heads() -> Graph:
    b = GraphBuilder("heads")
    x = b.input("x", "f32[B, 4]")
    heads = {name: b.add(name, op("linear", features=2), x) for name in ("mean", "spread", "aux")}
    return b.graph(**heads)


@pytest.mark.parametrize("kept", [("mean",), ("spread", "aux"), ("mean", "spread", "aux")])
def test_a_program_may_read_some_outputs_of_a_network(kept: tuple[str, ...]) -> None:
    whole = two_heads()
    pruned = Graph("heads", whole.inputs, whole.nodes, {name: whole.outputs[name] for name in kept})
    b = GraphBuilder("predict")
    values = b.add_n("call", Call(pruned), b.input("x", "f32[2*B, 4]"))
    graph = b.graph(**{f"{name}_out": value for name, value in zip(kept, values, strict=True)})
    module, x = built(graph, whole), torch.randn(6, 4)
    result = module(x)
    found = result if isinstance(result, tuple) else (result,)
    for name, tensor in zip(kept, found, strict=True):
        assert torch.equal(tensor, getattr(module.heads, name)(x))


def test_two_programs_call_the_same_network() -> None:
    net = network()
    programs = {}
    for name in ("first", "second"):
        b = GraphBuilder(name)
        y = b.add("call", Call(net), b.input("x", "f32[B, 4]"))
        programs[name] = b.graph(y=b.add("again", Call(net), y))
    source = generate({"net": net}, programs, title="", origin="")
    modules = build_networks(source, ["net"])
    first, second = (build_program(source, name, modules).eval() for name in programs)
    x = torch.randn(3, 4)
    assert first.net is second.net is modules["net"]
    assert torch.equal(first(x), second(x))
