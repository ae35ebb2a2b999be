"""What nothing reads is not computed: nodes are left out, and optional outputs not asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from netwright.compiler.ir.builder import GraphBuilder
from netwright.compiler.ir.graph import Graph
from netwright.compiler.ir.shapes import TensorType
from netwright.compiler.ir.structure import Loop
from netwright.compiler.ops.base import Emitter, Handle, Op

from tests.onnx_tools import op, proto_of, random_weights, run

KINDS = {"rnn": ("sequence", "last", "hidden"), "gru": ("sequence", "last", "hidden")}
KINDS["lstm"] = (*KINDS["rnn"], "cell")
ASKED = {"sequence": 0, "last": 1, "hidden": 1, "cell": 2}
"""Output of a layer -> that of the ONNX node which it is made of."""


def recurrent(kind: str, *read: str, **arguments: Any) -> Graph:
    """A recurrent layer of which these outputs are read."""
    b = GraphBuilder("net")
    layer = op(kind, hidden=3, **arguments)
    made = dict(
        zip(layer.output_ports(), b.add_n("r", layer, b.input("x", "f32[B, T, 2]")), strict=True)
    )
    return b.graph(**{f"out_{port}": made[port] for port in read})


def nodes_of(graph: Graph, **options: Any) -> list[onnx.NodeProto]:
    return list(proto_of(graph, random_weights(graph), **options).graph.node)


@pytest.mark.parametrize("opset", [18, 20, 22])
@pytest.mark.parametrize(
    ("kind", "read"), [(k, port) for k, ports in KINDS.items() for port in ports]
)
def test_a_recurrent_node_is_asked_for_what_is_read(kind: str, read: str, opset: int) -> None:
    nodes = nodes_of(recurrent(kind, read), opset=opset)
    (node,) = (node for node in nodes if node.op_type == kind.upper())
    assert [index for index, name in enumerate(node.output) if name] == [ASKED[read]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_values_are_those_of_all_outputs(kind: str, bidirectional: bool) -> None:
    whole = recurrent(kind, *KINDS[kind], layers=2, bidirectional=bidirectional)
    weights = random_weights(whole)
    feeds = {"x": np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float32)}
    expected = run(whole, weights, feeds)
    for port in KINDS[kind]:
        part = recurrent(kind, port, layers=2, bidirectional=bidirectional)
        (found,) = run(part, weights, feeds).values()
        np.testing.assert_allclose(found, expected[f"out_{port}"], atol=1e-6)


@pytest.mark.parametrize(
    ("read", "arguments", "expected"),
    [
        ("last", {}, "Transpose LSTM Squeeze"),
        ("hidden", {}, "Transpose LSTM"),
        ("sequence", {}, "Transpose LSTM Transpose Reshape"),
        ("last", {"layers": 2}, "Transpose LSTM Squeeze LSTM Squeeze"),
        ("cell", {"layers": 2}, "Transpose LSTM Squeeze LSTM Concat"),
        ("sequence", {"bidirectional": True}, "Transpose LSTM Transpose Reshape"),
        ("last", {"bidirectional": True}, "Transpose LSTM Transpose Reshape"),
    ],
)
def test_the_nodes_of_an_lstm(read: str, arguments: dict[str, Any], expected: str) -> None:
    nodes = nodes_of(recurrent("lstm", read, **arguments))
    assert [node.op_type for node in nodes] == expected.split()


class Wasteful(Op):
    """x + 1, beside what nothing reads: a sum with a constant, its square, and an odd half."""

    def infer(self, x: TensorType) -> TensorType:
        return x

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        unread = e.op("Add", x, e.array(np.full(5, 7, np.float32)))
        e.op("Mul", unread, unread)
        half, _ = e.op_n("Split", 2, e.op("Concat", x, x, axis=1), axis=1, num_outputs=2)
        return e.op("Add", half, e.scalar(1.0))


def test_nodes_and_constants_that_lead_nowhere_are_left_out() -> None:
    """An output that an operator must give stays, read or not."""
    b = GraphBuilder("net")
    graph = b.graph(y=b.add("it", Wasteful(), b.input("x", "f32[B, 5]")))
    proto = proto_of(graph, {})
    assert [node.op_type for node in proto.graph.node] == ["Concat", "Split", "Add"]
    assert all(proto.graph.node[1].output)
    assert len(proto.graph.initializer) == 1
    np.testing.assert_array_equal(run(graph, {}, {"x": np.ones((2, 5), np.float32)})["y"], 2)


def test_bodies_of_loops_are_looked_at_too() -> None:
    step = GraphBuilder("step")
    step.input("i", "i64[]")
    moved = step.add("it", Wasteful(), step.input("x", "f32[B, 5]"))
    loop = Loop(step.graph(x=moved), carried=1, count=3)
    b = GraphBuilder("net")
    count, start = b.input("n", "i64[]"), b.input("start", "f32[B, 5]")
    graph = b.graph(y=b.add_n("loop", loop, count, start)[0])
    (node,) = (node for node in nodes_of(graph) if node.op_type == "Loop")
    (body,) = (a.g for a in node.attribute if a.name == "body")
    assert "Mul" not in {inner.op_type for inner in body.node}
    feeds = {"n": np.array(3), "start": np.zeros((2, 5), np.float32)}
    np.testing.assert_array_equal(run(graph, {}, feeds)["y"], 3)
