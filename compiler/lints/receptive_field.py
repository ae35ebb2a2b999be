"""L909."""

from __future__ import annotations

from collections.abc import Iterator

from ..diagnostics import Code, Diagnostic
from ..ir.graph import Graph, Node, Value
from ..ir.proofs import at_least
from ..objectives.base import Objective
from ..objectives.encoder_decoder import EncoderDecoder
from ..ops.global_pooling import AdaptiveAvgPool2d, GlobalPooling
from ..ops.receptive_field import View, receptive_fields
from .base import LintContext, warning


def receptive_field(context: LintContext) -> Iterator[Diagnostic]:
    """A receptive field smaller than the input, where a global decision is made.

    What it does: follows convolutions and pooling from a network's image or signal to a global
    pooling whose result decides alone, and compares what one place sees there with the input.

    Why it is bad: the pooling averages what small patches say. No place has seen the whole
    object, so that shapes larger than the patch count for nothing.

    Example: on 28x28 images

        - conv2d: {channels: 32, kernel: 3}
        - conv2d: {channels: 64, kernel: 3}     # one place sees 5x5
        - global_avg_pool

    Use instead a stride of 2 or pooling between the convolutions, more layers, dilation, or
    `flatten` and `linear` in place of the pooling.
    """
    for graph in context.graphs.values():
        if graph.name == _decoder(context.objective):
            continue  # each place of a code may tell of the whole sample
        images = [value for value in graph.inputs if value.type.rank > 2]
        if len(images) != 1:
            continue
        views = receptive_fields(graph)
        for node in _decisions(graph):
            view = views[node.inputs[0].name] if node.inputs[0] else None
            if view and _is_smaller(view, images[0]):
                yield _finding(node, view, images[0])


def _decoder(objective: Objective | None) -> str | None:
    """The network that reads a code, which is no image."""
    return objective.decoder.network if isinstance(objective, EncoderDecoder) else None


def _decisions(graph: Graph) -> Iterator[Node]:
    """Global poolings from which no layer goes back to places, as a channel attention does."""
    users = graph.users()
    for node in graph.nodes:
        if _is_global(node) and not _reaches_places(node, users):
            yield node


def _is_global(node: Node) -> bool:
    adaptive = isinstance(node.op, AdaptiveAvgPool2d) and set(node.op.size) == {1}
    return adaptive or isinstance(node.op, GlobalPooling)


def _reaches_places(node: Node, users: dict[str, list[Node]]) -> bool:
    waiting, seen = [node], {node.path}
    while waiting:
        for value in waiting.pop().outputs:
            for user in users.get(value.name, ()):
                if any(_has_places(result) for result in user.outputs):
                    return True
                if user.path not in seen:
                    seen.add(user.path)
                    waiting.append(user)
    return False


def _has_places(value: Value) -> bool:
    return value.type.rank > 2 and any(size != 1 for size in value.type.shape[2:])


def _is_smaller(view: View, image: Value) -> bool:
    sizes = image.type.shape[2:]
    return len(view.sizes) == len(sizes) and any(
        at_least(size, seen + 1) is True for size, seen in zip(sizes, view.elements(), strict=True)
    )


def _finding(node: Node, view: View, image: Value) -> Diagnostic:
    seen = "x".join(map(str, view.elements()))
    whole = "x".join(map(str, image.type.shape[2:]))
    return warning(
        Code.L909,
        f"`{node.op.name}` decides from places that see {seen} of the {whole} input `{image.name}`",
        node.span,
        f"receptive field {seen}",
        help="add layers, strides or pooling before it, or use `flatten` and `linear` instead",
    )
