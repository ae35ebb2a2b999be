"""L902."""

from __future__ import annotations

from collections.abc import Iterator

from ..diagnostics import Code, Diagnostic
from ..ir.graph import Graph, Node
from ..objectives.fields import Field
from ..ops.convolution import Convolution
from .base import LintContext, warning

RESHAPING = (
    "unsqueeze",
    "reshape",
    "identity",
    "dropout",
    "batch_norm",
    "conditional_batch_norm",
)
"""Layers behind which the features of a table are still in the order of its columns."""


def convolution_without_order(context: LintContext) -> Iterator[Diagnostic]:
    """A convolution over the columns of a table.

    What it does: finds convolutions that slide along an axis which an `unsqueeze` or `reshape`
    made of a data field [B, F] whose features are certainly separate quantities: `normalize`
    gives each a mean and deviation of its own.

    Why it is bad: a convolution assumes that neighbours belong together. Columns have no order,
    so that the same data with its columns exchanged gives another network.

    Example:

        - unsqueeze: 1                              # [B, 1, F]
        - conv1d: {channels: 16, kernel: 3}

    Use instead `linear` layers, which see all columns alike.
    """
    for graph, bound in context.readers():
        for port, name in bound.items():
            if _is_table(context.fields[name]):
                yield from _sliding(graph, port, name)


def _is_table(field: Field) -> bool:
    """Whether a field holds separate quantities [B, F]."""
    normalize = field.normalize
    return field.rank == 2 and normalize is not None and len(set(normalize.std or ())) > 1


def _sliding(graph: Graph, port: str, name: str) -> Iterator[Diagnostic]:
    features = {port}
    for node in graph.nodes:
        first = node.inputs[0] if node.inputs else None
        if first is None or first.name not in features:
            continue
        if node.op.name in RESHAPING:
            features.add(node.outputs[0].name)
        elif isinstance(node.op, Convolution) and _mixes_neighbours(node):
            yield warning(
                Code.L902,
                f"`{node.op.name}` slides along the columns of the table `{name}`, which have no "
                "order",
                node.span,
                f"its input is {first.type}",
                help="use `linear` layers",
            )


def _mixes_neighbours(node: Node) -> bool:
    assert isinstance(node.op, Convolution)
    assert node.inputs[0] is not None
    sizes = node.inputs[0].type.shape[2:]
    return any(k > 1 and s != 1 for k, s in zip(node.op.kernel, sizes, strict=True))
