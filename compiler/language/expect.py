"""D405: the assertions of `expect` against the compiled networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..diagnostics import Code, Sink
from ..ir.dims import Dim, Symbol, evaluate
from ..ir.graph import Graph
from ..ir.shapes import parse_type
from ..source import Key, Located
from ..suggest import did_you_mean
from .schema import ExpectModel


def check_expectations(
    expect: ExpectModel,
    graphs: Mapping[str, Graph | None],
    dims: Mapping[str, Symbol],
    located: Located,
    sink: Sink,
) -> None:
    """Report every assertion that does not hold; networks with mistakes are passed over."""
    checker = _Checker(graphs, dims, located, sink)
    for name, count in expect.parameters.items():
        checker.number("parameters", name, count, "trained parameters")
    for name, count in expect.flops.items():
        checker.number("flops", name, count, "operations a sample")
    for name, text in expect.outputs.items():
        checker.output(name, text)


def flops(graph: Graph) -> int | None:
    """Operations for one sample, a multiply-add counted as two; None where sizes are symbolic."""
    total: Dim = 0
    for node in graph.nodes:
        operator: Any = node.op
        total = total + operator.flops(*node.input_types)
    try:
        return evaluate(total, {"B": 1})
    except KeyError:
        return None


class _Checker:
    def __init__(
        self,
        graphs: Mapping[str, Graph | None],
        dims: Mapping[str, Symbol],
        located: Located,
        sink: Sink,
    ) -> None:
        self.graphs, self.dims, self.located, self.sink = graphs, dims, located, sink

    def _graph(self, section: str, name: str, key: str) -> Graph | None:
        if name not in self.graphs:
            self.sink.add(
                Code.G301,
                f"`expect` names the unknown network `{name}`",
                self.located.key(("expect", section, key)),
                help=did_you_mean(name, self.graphs, "network"),
            )
        return self.graphs.get(name)

    def number(self, section: str, name: str, wanted: int, what: str) -> None:
        graph = self._graph(section, name, name)
        if graph is None:
            return
        found = graph.parameter_count() if section == "parameters" else flops(graph)
        if found != wanted:
            counted = "an unknown number (sizes are symbolic)" if found is None else f"{found:,}"
            self._differs(
                ("expect", section, name), f"`{name}` has {wanted:,} {what}, found {counted}"
            )

    def output(self, key: str, text: str) -> None:
        name, _, port = key.partition(".")
        graph = self._graph("outputs", name, key)
        if graph is None:
            return
        path: Key = ("expect", "outputs", key)
        if port not in graph.outputs:
            self.sink.add(
                Code.G301,
                f"network `{name}` has no output `{port}`",
                self.located.key(path),
                help=did_you_mean(port, graph.outputs, "output"),
            )
            return
        try:
            wanted = parse_type(text, self.dims)
        except ValueError as error:
            self.sink.add(Code.S102, str(error), self.located.span(path))
            return
        found = graph.outputs[port].type
        if found != wanted:
            self._differs(path, f"`{key}` is {wanted}, found {found}")

    def _differs(self, path: Key, message: str) -> None:
        self.sink.add(
            Code.D405,
            f"expected that {message}",
            self.located.span(path),
            help="correct the layers, or the figure if it is the figure that is wrong",
        )
