"""L906."""

from __future__ import annotations

from collections.abc import Iterator

from ..diagnostics import Code, Diagnostic, Fix, Label
from ..ir.graph import Graph, Node
from ..ops.conditional_batch_norm import BATCH_NORMS
from ..ops.convolution import Kernel
from .base import LintContext, warning
from .edits import set_argument


def bias_before_batch_norm(context: LintContext) -> Iterator[Diagnostic]:
    """A convolution with a bias right before batch norm.

    What it does: finds convolutions whose result only a `batch_norm` or `conditional_batch_norm`
    reads, in every use of the layer, and which keep their default `bias: true`.

    Why it is bad: batch norm subtracts the mean of each channel, and with it any constant. The
    bias has no effect; it costs memory and time, and optimizers with weight decay still move it.

    Example:

        - conv2d: {channels: 64, kernel: 3}
        - batch_norm

    Use instead:

        - conv2d: {channels: 64, kernel: 3, bias: false}
        - batch_norm
    """
    useless = {node for graph in context.graphs.values() for node in _before_batch_norm(graph)}
    for span, nodes in context.sites.items():
        if not all(node in useless for node in nodes):
            continue
        name = nodes[0].op.name
        yield warning(
            Code.L906,
            f"`{name}` has a bias that the batch norm behind it cancels",
            span,
            also=_normalizers(context, nodes[0]),
            help="write `bias: false`",
            fix=_fix(context, nodes[0]),
        )


def _before_batch_norm(graph: Graph) -> Iterator[Node]:
    users = graph.users()
    results = {value.name for value in graph.outputs.values()}
    shared = {node.shares for node in graph.nodes if node.shares}
    for node in graph.nodes:
        if not isinstance(node.op, Kernel) or not node.op.bias:
            continue
        alone = node.shares is None and node.path not in shared
        tied = not all(node.owns(parameter) for parameter in node.declared())
        readers = users.get(node.outputs[0].name, [])
        normalized = readers and all(isinstance(reader.op, BATCH_NORMS) for reader in readers)
        if alone and not tied and normalized and node.outputs[0].name not in results:
            yield node


def _normalizers(context: LintContext, node: Node) -> tuple[Label, ...]:
    """The places of the batch norms behind a layer."""
    name = node.outputs[0].name
    spans = {
        reader.span: None
        for graph in context.graphs.values()
        if node in graph.nodes
        for reader in graph.users().get(name, ())
    }
    return tuple(Label(span, "subtracts it with the mean") for span in spans if span)


def _fix(context: LintContext, node: Node) -> Fix | None:
    assert node.span is not None
    assert isinstance(node.op, Kernel)
    path = context.items.get(node.span)
    if path is None:
        return None  # the layer stands in an imported library
    main = next(name for name, declared in node.op.attributes.items() if declared.main)
    edit = set_argument(context.located, path, node.op.name, main, "bias", "false")
    return Fix("write `bias: false`", (edit,), safe=True) if edit else None
