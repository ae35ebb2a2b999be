"""L911."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..diagnostics import Code, Diagnostic
from ..ir.graph import Graph, Node
from ..objectives.fields import Field
from ..objectives.sequence_sources import SequentialImage
from ..ops.convolution import Kernel
from ..ops.linear import Linear
from ..ops.multi_head import MultiHead
from ..ops.recurrent import Recurrent
from .base import LintContext, warning

COLOURS = (3, 4)
"""Numbers of channels that only images have."""


def recurrence_over_image(context: LintContext) -> Iterator[Diagnostic]:
    """A recurrent layer over the rows or pixels of an image.

    What it does: follows images through the network, and finds recurrent layers that read them as a
    sequence before any convolution, attention or `linear` layer over the whole image. Images are
    data fields [B, C, H, W] of bytes or of 3 or 4 channels, and squares of bytes [B, H, H], whose
    rows are read as they are. The source `sequential_image` is left alone: it says itself that
    sequences are wanted.

    Why it is bad: what lies beside a pixel in the image lies a whole row of steps away in the
    sequence, and each step waits for the one before it. Convolutions see neighbours on all sides at
    once, with fewer weights, and train many times as fast.

    Example: with the field `image: {shape: [B, 1, 28, 28], dtype: uint8, scale: [0, 1]}`

        - squeeze: 1
        - {id: rows, lstm: 128}
        - {from: rows.last, linear: 10}

    Use instead:

        - conv2d: {channels: 32, kernel: 3}
        - relu
        - max_pool2d: 2
        - conv2d: {channels: 64, kernel: 3}
        - relu
        - global_avg_pool
        - linear: 10

    or a recurrent layer behind convolutions, as for lines of text. Where a sequence is the point,
    say so: `lint: {L911: the reason}`.
    """
    found = dict[Node, str]()
    for graph, bound in () if _wants_sequences(context) else context.readers():
        found |= _reading(graph, _images(bound, context.fields))
    for span, nodes in context.sites.items():
        node = next((node for node in nodes if node in found), None)
        if node is not None:
            assert node.inputs[0] is not None
            yield warning(
                Code.L911,
                f"`{node.op.name}` reads the image `{found[node]}` as a sequence of "
                f"{node.inputs[0].type.shape[1]} steps, with no convolution before it",
                span,
                help="use convolutions, which see neighbours on all sides, or put them before it; "
                "where a sequence is the point, say why: `lint: {L911: the reason}`",
            )


def _wants_sequences(context: LintContext) -> bool:
    source = context.located.data.get("data", {}).get("source")
    return isinstance(source, Mapping) and SequentialImage.name in source


def _images(bound: Mapping[str, str], fields: Mapping[str, Field]) -> dict[str, str]:
    """Inputs of the network that are images -> their fields."""
    return {port: name for port, name in bound.items() if _is_image(fields[name])}


def _is_image(field: Field) -> bool:
    sizes = (field.shape or [])[1:]
    if len(sizes) == 3:
        return field.dtype == "uint8" or sizes[0] in COLOURS
    return len(sizes) == 2 and field.dtype == "uint8" and sizes[0] == sizes[1]


def _reading(graph: Graph, images: Mapping[str, str]) -> Iterator[tuple[Node, str]]:
    """The recurrent layers that read an image step by step, each with the field of the image."""
    made = dict(images)
    for node in graph.nodes:
        first = node.inputs[0] if node.inputs else None
        if first is None or first.name not in made:
            continue
        if isinstance(node.op, Recurrent) and first.type.shape[1] != 1:
            yield node, made[first.name]
        if not _sees_neighbours(node):
            made |= dict.fromkeys([value.name for value in node.outputs], made[first.name])


def _sees_neighbours(node: Node) -> bool:
    """Whether what a layer gives is more than the pixels or rows of its input, each by itself."""
    if isinstance(node.op, Linear):
        assert node.inputs[0] is not None
        return node.inputs[0].type.rank == 2
    return isinstance(node.op, Kernel | MultiHead | Recurrent)
