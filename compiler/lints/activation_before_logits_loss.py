"""L904."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..diagnostics import Code, Diagnostic, Fix, Label
from ..ir.graph import Graph, Node
from ..objectives.losses import Loss
from ..objectives.supervised import Supervised
from ..source import Key
from .base import LintContext, warning
from .edits import remove_layer

APPLIED_INSIDE = {
    "cross_entropy": ("softmax", "log_softmax"),
    "bce_logits": ("sigmoid",),
}
"""Loss -> activations that it contains itself, or that undo its purpose."""


def activation_before_logits_loss(context: LintContext) -> Iterator[Diagnostic]:
    """An activation that the loss applies once more.

    What it does: finds outputs of a `softmax` or `log_softmax` that `cross_entropy` judges, and
    those of a `sigmoid` that `bce_logits` judges.

    Why it is bad: these losses take logits and apply the activation themselves, in a way that
    does not overflow. Applied twice, the scores are squeezed into [0, 1], gradients nearly
    vanish and the loss cannot come near 0. The exported program adds probabilities by itself.

    Example:

        - flatten
        - linear: 10
        - softmax

    Use instead:

        - flatten
        - linear: 10
    """
    objective = context.objective
    if not isinstance(objective, Supervised):
        return
    graph = context.graphs[objective.network.network]
    producers, seen = graph.producers(), set()
    for index, item in enumerate(objective.losses):
        node = producers.get(graph.outputs[item.loss.output].name)
        if node is None or node.op.name not in APPLIED_INSIDE.get(item.loss.name, ()):
            continue
        if node.path not in seen:
            seen.add(node.path)
            place = ("objective", objective.name, "losses", index, item.loss.name)
            yield _finding(context, graph, node, item.loss, place)


def _finding(context: LintContext, graph: Graph, node: Node, loss: Loss, place: Key) -> Diagnostic:
    return warning(
        Code.L904,
        f"`{loss.name}` applies its own activation to `{loss.output}`, which `{node.op.name}` "
        "made already",
        node.span,
        also=(Label(context.located.span(place), "takes logits"),),
        help=f"remove `{node.op.name}`; `predict` gives probabilities beside the logits",
        fix=_fix(context, graph, node),
    )


def _fix(context: LintContext, graph: Graph, node: Node) -> Fix | None:
    """Remove the layer, if nothing but the network's own label refers to it."""
    path = context.items.get(node.span) if node.span else None
    data = context.located.data
    own_layer = path is not None and path[:-1] == ("networks", graph.name, "layers")
    labelled = isinstance(data["networks"][graph.name].get("outputs"), str)
    if path is None or not own_layer or not labelled or _is_used(graph, node, data, path):
        return None
    edit = remove_layer(context.located, path)
    return Fix(f"remove `{node.op.name}`", (edit,), safe=True) if edit else None


def _is_used(graph: Graph, node: Node, data: Any, path: Key) -> bool:
    layers = data["networks"][graph.name]["layers"]
    item = layers[path[-1]]
    plain = isinstance(item, str) or list(item) == [node.op.name]
    return not plain or node.outputs[0].name in graph.users() or len(layers) == 1
