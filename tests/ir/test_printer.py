from __future__ import annotations

from textwrap import dedent

from netwright.compiler.ir.builder import GraphBuilder
from netwright.compiler.ir.dims import Poly, Symbol
from netwright.compiler.ir.graph import Graph, Scope, TensorRef
from netwright.compiler.ir.printer import print_graph
from netwright.compiler.ir.structure import Call, Loop
from netwright.compiler.ops.activations import Relu
from netwright.compiler.ops.linear import Linear
from netwright.compiler.source import SourceFile, Span


def test_a_network_with_scopes_a_tie_and_lines() -> None:
    b = GraphBuilder("auto")
    x = b.input("x", "f32[B, 4]")
    code = b.add("encoder.fc", Linear(features=2, bias=False), x)
    tied = {"weight": TensorRef("encoder.fc.weight", transpose=True)}
    y = b.add("decoder", Linear(features=4), b.add("relu_1", Relu(), code), weights=tied)
    graph = b.graph(y=y)
    span = Span(SourceFile("spec.yaml", ""), 7, 9, 7, 12)
    inner = Scope("block", "encoder", graph.nodes[:1], {}, {}, "Encoder", {"width": 2}, span=span)
    root = Scope("network", "", (inner, *graph.nodes[1:]), {}, {})
    assert print_graph(Graph("auto", graph.inputs, graph.nodes, graph.outputs, root)) == dedent(
        """\
        graph auto
          inputs
            %x: f32[B, 4]
          nodes
            block encoder: Encoder {width: 2}  # line 7
              %encoder.fc = linear(%x) {features: 2, bias: false} : f32[B, 2]
            %relu_1 = relu(%encoder.fc) : f32[B, 2]
            %decoder = linear(%relu_1) {features: 4} <weight = encoder.fc.weight transposed> \
: f32[B, 4]
          weights
            encoder.fc.weight: f32[2, 4]
            decoder.bias: f32[4]
          outputs
            y = %decoder
        """
    )


def test_a_program_with_a_loop() -> None:
    step = GraphBuilder("step")
    step.input("i", "i64[]")
    y = step.input("y", "f32[B, 4]")
    net = GraphBuilder("net")
    net_graph = net.graph(y=net.add("relu_1", Relu(), net.input("x", "f32[C, 4]")))
    called = step.add("net", Call(net_graph), y)
    body = step.graph(y=called, trail=called)
    b = GraphBuilder("sample")
    n, x = b.input("n", "i64[]"), b.input("x", "f32[B, 4]")
    last, trail = b.add_n("loop", Loop(body, 1, Poly.of(Symbol("N"))), n, x)
    assert print_graph(b.graph(last=last, trail=trail)) == dedent(
        """\
        graph sample
          inputs
            %n: i64[]
            %x: f32[B, 4]
          nodes
            %loop.y, %loop.trail = loop(%n, %x) {body: step, carried: 1, condition: false} \
: f32[B, 4], f32[N, B, 4] @loop
              body step
                inputs
                  %i: i64[]
                  %y: f32[B, 4]
                nodes
                  %net = call(%y) {network: net} : f32[B, 4]
                outputs
                  y = %net
                  trail = %net
          outputs
            last = %loop.y
            trail = %loop.trail
        """
    )


def test_printing_is_stable() -> None:
    b = GraphBuilder("net")
    graph = b.graph(y=b.add("fc", Linear(features=2), b.input("x", "f32[B, H, 4]")))
    assert print_graph(graph) == print_graph(graph)
