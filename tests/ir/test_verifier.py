from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from netwright.compiler.ir.builder import GraphBuilder
from netwright.compiler.ir.dims import Poly, Symbol
from netwright.compiler.ir.graph import Graph, Scope, TensorRef, Value
from netwright.compiler.ir.shapes import parse_type
from netwright.compiler.ir.structure import Call, Loop
from netwright.compiler.ir.verifier import InternalError, verify
from netwright.compiler.ops.activations import Relu
from netwright.compiler.ops.linear import Linear


def network() -> Graph:
    b = GraphBuilder("net")
    x = b.input("x", "f32[B, 4]")
    hidden = b.add("fc1", Linear(features=4), x)
    return b.graph(y=b.add("relu_1", Relu(), hidden))


def body(*, result: str = "f32[B, 4]") -> Graph:
    b = GraphBuilder("step")
    b.input("step", "i64[]")
    x = b.input("x", result)
    b.input("noise", "f32[B, 4]")
    return b.graph(x=b.add("relu_1", Relu(), x))


def looping(inner: Graph, *, noise: str = "f32[N, B, 4]", trips: str = "i64[]") -> Graph:
    b = GraphBuilder("sample")
    inputs = (b.input("n", trips), b.input("x", "f32[B, 4]"), b.input("noise", noise))
    loop = Loop(inner, carried=1, count=Poly.of(Symbol("N")))
    return b.graph(x=b.add("loop", loop, *inputs))


def test_sound_graphs_pass() -> None:
    verify(network())
    verify(looping(body()))


def with_node(change: Callable[..., object], index: int = 0) -> Graph:
    graph = network()
    nodes = list(graph.nodes)
    nodes[index] = change(nodes[index])
    return replace(graph, nodes=tuple(nodes))


def swapped() -> Graph:
    graph = network()
    return replace(graph, nodes=graph.nodes[::-1])


def wrong_output() -> Graph:
    return replace(network(), outputs={"y": Value("gone", parse_type("f32[B, 4]"))})


def shared_by_another_shape() -> Graph:
    b = GraphBuilder("net")
    x = b.input("x", "f32[B, 4]")
    own, shared = b.add("fc1", Linear(features=4), x), {"weight": TensorRef("fc1.weight")}
    return b.graph(y=own, z=b.add("fc2", Linear(features=9), x, weights=shared))


def wrong_scopes() -> Graph:
    graph = network()
    return replace(graph, root=Scope("network", "", graph.nodes[:1], {}, {}))


def typed(node: object, text: str) -> object:
    value = node.outputs[0]
    return replace(node, outputs=(replace(value, type=parse_type(text)),))


def capturing() -> Graph:
    inner = body()
    stranger = replace(inner.nodes[0], inputs=(Value("n", parse_type("f32[B, 4]")),))
    return looping(replace(inner, nodes=(stranger,)))


def broken_network() -> Graph:
    b = GraphBuilder("program")
    x = b.input("x", "f32[B, 4]")
    return b.graph(y=b.add("net", Call(swapped()), x))


FAULTS = {
    "before it is made": swapped,
    "value of graph `net` named `x` exists 2 times": lambda: with_node(
        lambda node: replace(node, outputs=(replace(node.outputs[0], name="x"),)), 1
    ),
    "path of graph `net` named `fc1` exists 2 times": lambda: with_node(
        lambda node: replace(node, path="fc1"), 1
    ),
    "expected f32[B, 4] for %relu_1": lambda: with_node(lambda n: typed(n, "f32[B, 5]"), 1),
    "but it was made as f32[B, 4]": lambda: with_node(
        lambda node: replace(node, inputs=(Value("fc1", parse_type("f32[B, 5]")),)), 1
    ),
    "`linear` cannot infer its types": lambda: with_node(lambda n: replace(n, inputs=())),
    "no tensor is given for 'weight', 'bias'": lambda: with_node(lambda n: replace(n, weights={})),
    "`fc1.weight` is read as [9, 4] and [4, 4]": shared_by_another_shape,
    "outputs of graph `net`: reads %gone": wrong_output,
    "do not hold its nodes once: relu_1": wrong_scopes,
    "`relu_1` of graph `step`: reads %n before": capturing,
    "results of the body: expected f32[B, 4], found f32[B, 9]": lambda: looping(
        replace(body(), outputs={"x": Value("x", parse_type("f32[B, 9]"))})
    ),
    "inputs of the body": lambda: looping(body(), noise="f32[N, B, 5]"),
    "expected N steps along axis 0": lambda: looping(body(), noise="f32[M, B, 4]"),
    "trip count": lambda: looping(body(), trips="i32[]"),
    "`relu_1` of graph `net`": broken_network,
    "does not carry on: %x: f32[B, 4] and next = None": lambda: replace(
        network(), states={"x": "next"}
    ),
}


@pytest.mark.parametrize("text", FAULTS)
def test_each_fault_is_an_internal_error(text: str) -> None:
    with pytest.raises(InternalError) as caught:
        verify(FAULTS[text]())
    assert text in str(caught.value)
    assert "a fault of Netwright, not of the spec" in str(caught.value)


def test_equal_sizes_may_be_written_differently() -> None:
    graph = network()
    first = graph.nodes[0]
    assert typed(first, "f32[B, 4]") != first
    verify(with_node(lambda node: typed(node, "f32[B, 2 + 2]")))


def test_a_call_that_does_not_fit_its_network() -> None:
    b = GraphBuilder("program")
    x = b.input("x", "f32[B, 4]")
    graph = b.graph(y=b.add("net", Call(network()), x))
    node = replace(graph.nodes[0], inputs=())
    with pytest.raises(InternalError, match="expected 1 inputs, found 0"):
        verify(replace(graph, nodes=(node,)))
