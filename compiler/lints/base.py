"""What a lint is and what it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..diagnostics import Code, Diagnostic, Fix, Label
from ..ir.graph import Graph, Node
from ..objectives.base import Objective
from ..objectives.encoder_decoder import EncoderDecoder
from ..objectives.encoder_decoder_checks import CODE
from ..objectives.fields import Field
from ..objectives.supervised import Supervised
from ..objectives.training import Training
from ..source import Key, Located, Span


@dataclass(frozen=True)
class LintContext:
    """A spec without errors: its typed networks, and the objective and data if it has them."""

    graphs: Mapping[str, Graph]
    located: Located
    objective: Objective | None
    fields: Mapping[str, Field]
    training: Training

    @cached_property
    def sites(self) -> dict[Span, list[Node]]:
        """Place in a file -> the nodes made there: several for a block's or repeated layer."""
        found: dict[Span, list[Node]] = {}
        for graph in self.graphs.values():
            for node in graph.nodes:
                if node.span is not None:
                    found.setdefault(node.span, []).append(node)
        return found

    @cached_property
    def items(self) -> dict[Span, Key]:
        """Place of each layer's operation in the spec's own file -> the layer's path."""
        located = self.located
        words = {span: path for path, span in located.spans.items() if _is_layer(path)}
        return words | {s: path[:-1] for path, s in located.keys.items() if _is_layer(path[:-1])}

    def readers(self) -> Iterator[tuple[Graph, dict[str, str]]]:
        """Networks whose inputs take data fields as they are, each with input -> field."""
        objective, graphs = self.objective, self.graphs
        if isinstance(objective, Supervised):
            graph = graphs[objective.network.network]
            yield graph, objective.inputs(graph)
        if isinstance(objective, EncoderDecoder):
            yield objective.encoder_graph(graphs), objective.encoder_fields(graphs)
            sources = objective.decoder_sources(graphs).items()
            read = {port: name for port, name in sources if name != CODE}
            yield objective.decoder_graph(graphs), read


def _is_layer(path: Key) -> bool:
    return len(path) > 1 and path[-2] == "layers" and isinstance(path[-1], int)


Lint = Callable[[LintContext], Iterator[Diagnostic]]
"""A lint yields warnings; its docstring is its page of the manual."""


def warning(
    code: Code,
    message: str,
    span: Span | None,
    label: str = "",
    *,
    help: str,  # noqa: A002 - the word of the field it fills
    also: tuple[Label, ...] = (),
    notes: tuple[str, ...] = (),
    fix: Fix | None = None,
) -> Diagnostic:
    """One finding of a lint."""
    labels = ((Label(span, label),) if span else ()) + also
    return Diagnostic(code, message, labels, notes, help, (fix,) if fix else ())
