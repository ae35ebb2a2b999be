"""L904."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..diagnostics import Code, Diagnostic, Fix, Label
from ..ir.graph import Graph, Node
from ..objectives.encoder_decoder import EncoderDecoder
from ..objectives.endings import last_change
from ..objectives.supervised import Supervised
from ..source import Key
from .base import LintContext, warning
from .edits import remove_layer

APPLIED_INSIDE = {
    "cross_entropy": ("softmax", "log_softmax"),
    "bce_logits": ("sigmoid", "hardsigmoid"),
}
"""Loss -> activations that it contains itself, or that undo its purpose."""


def activation_before_logits_loss(context: LintContext) -> Iterator[Diagnostic]:
    """An activation that the loss applies once more.

    What it does: finds outputs of a `softmax` or `log_softmax` that `cross_entropy` judges, and
    those of a `sigmoid` or `hardsigmoid` that `bce_logits` or `likelihood: bernoulli` judges.

    Why it is bad: these losses take logits and apply the activation themselves, in a way that
    does not overflow. Applied twice, the scores are squeezed into [0, 1], gradients nearly
    vanish and the loss cannot come near 0. A decoder then makes nothing darker than 0.5. The
    exported program adds probabilities by itself.

    Example:

        - flatten
        - linear: 10
        - softmax

    Use instead:

        - flatten
        - linear: 10
    """
    seen = set[str]()
    for judged in _judged(context):
        node = last_change(judged.graph, judged.output)
        if node is None or node.op.name not in APPLIED_INSIDE.get(judged.loss, ()):
            continue
        if node.path not in seen:
            seen.add(node.path)
            yield _finding(context, judged, node)


@dataclass(frozen=True)
class Judged:
    """An output and what judges it.

    loss: its name in the table above. title: what messages call it. place: where it stands.
    result: what programs give without the activation.
    """

    graph: Graph
    output: str
    loss: str
    title: str
    place: Key
    result: str


def _judged(context: LintContext) -> Iterator[Judged]:
    objective = context.objective
    if isinstance(objective, Supervised):
        graph = context.graphs[objective.network.network]
        result = "`predict` gives probabilities beside the logits"
        for index, item in enumerate(objective.losses):
            loss = item.loss.name
            of_loss = ("objective", objective.name, "losses", index, loss)
            yield Judged(graph, item.loss.output, loss, f"`{loss}`", of_loss, result)
    if isinstance(objective, EncoderDecoder) and objective.gives_logits:
        graph = objective.decoder_graph(context.graphs)
        place = ("objective", objective.name, objective.judge)
        made, title = objective.made_output(graph), objective.judged_by
        result = "programs make probabilities of the logits"
        # A Bernoulli likelihood is the binary cross-entropy by another name.
        yield Judged(graph, made, "bce_logits", title, place, result)


def _finding(context: LintContext, judged: Judged, node: Node) -> Diagnostic:
    return warning(
        Code.L904,
        f"{judged.title} applies its own activation to `{judged.output}`, which `{node.op.name}` "
        "made already",
        node.span,
        also=(Label(context.located.span(judged.place), "takes logits"),),
        help=f"remove `{node.op.name}`; {judged.result}",
        fix=_fix(context, judged.graph, node),
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
