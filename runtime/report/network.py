"""The networks: a diagram of each, and what its layers make, keep and cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ...compiler.diagram import draw_svg
from ...compiler.ir.graph import Graph
from ...compiler.objectives.parameter_rules import ParameterRule, trained_count
from ...compiler.summary import Row, reference_sizes, short_number, summarize, totals
from ..runs import SPEC
from .markup import Html, element, joined, table
from .pictures import data_uri
from .section import LeftOut, Piece, Section
from .subject import Subject

OPEN = 40
"""Tables with more rows than this are folded away."""

NARROW = 460
"""Diagrams narrower than this many pixels stand beside their table."""

SMALLEST = 0.7
"""A diagram that is wider than its place is made smaller down to this, and else scrolls."""

HEAD = ("layer", "operator", "output", "parameters", "FLOPs", "field")


def network(subject: Subject) -> Piece:
    """Diagrams and tables of all networks."""
    if subject.compilation is None:
        return LeftOut("Network", subject.why(SPEC))
    graphs, rules = subject.compilation.graphs, subject.compilation.spec.training.parameters
    title = "Network" if len(graphs) == 1 else "Networks"
    return Section(
        title, joined(part for graph in graphs.values() for part in _parts(graph, rules))
    )


def _parts(graph: Graph, rules: Sequence[ParameterRule]) -> Iterator[Html]:
    sums, sizes = totals(graph), reference_sizes(graph)
    at = ", ".join(f"{name} = {size}" for name, size in sizes.items())
    told = (
        f"{sums.parameters:,} parameters{_trained(graph, rules)} and {sums.buffers:,} numbers in "
        "buffers; "
        f"{short_number(sums.flops)}FLOPs and {short_number(sums.activations)}B of activations "
        f"at {at}. A multiply-add counts as two; field is the receptive field."
    )
    yield element("p", told, class_="note")
    drawn = draw_svg(graph)
    diagram = element("div", _image(drawn, graph.name), class_="diagram")
    beside = _width(drawn) < NARROW
    yield element("div", diagram, _table(graph), class_="beside-table" if beside else None)


def _trained(graph: Graph, rules: Sequence[ParameterRule]) -> str:
    """How many of its parameters are trained, unless all of them are."""
    count = trained_count(rules, {graph.name: graph})
    return "" if count == totals(graph).parameters else f", {count:,} of them trained,"


def _image(drawn: str, name: str) -> Html:
    """As an image of its own, so that neither its styles nor its names meet those of the page."""
    uri = data_uri(drawn.encode(), "image/svg+xml")
    smallest = f"max-width:max(100%,{SMALLEST * _width(drawn):.0f}px)"
    return element("img", src=uri, alt=f"diagram of the network {name}", style=smallest)


def _width(drawn: str) -> float:
    """The width that a drawing says of itself, in pixels."""
    found = re.search(r'width="([0-9.]+)"', drawn)
    return float(found[1]) if found else 0.0


def _table(graph: Graph) -> Html:
    rows = summarize(graph)
    shown = table(HEAD, map(_cells, rows), kind="layers")
    title = element("summary", f"{len(rows)} rows, layer by layer")
    return element("details", title, shown, open=len(rows) <= OPEN)


def _cells(row: Row) -> Iterator[Html]:
    yield element("span", row.path, style=f"padding-left:{row.depth * 1.1:.1f}em")
    yield element("span", row.operator)
    yield element("code", row.shape)
    yield element("span", f"{row.parameters:,}" if row.parameters else "")
    yield element("span", short_number(row.flops) if row.flops else "")
    yield element("span", row.field)
