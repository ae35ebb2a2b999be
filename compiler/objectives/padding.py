"""Whether those that read a padded field, one with `lengths`, know how much of it is real."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ir.graph import Graph
from ..source import Key
from .base import Context
from .losses import WeightedLoss


def check_padding(
    graph: Graph, bound: Mapping[str, str], losses: Sequence[WeightedLoss], context: Context
) -> None:
    """Report fields whose padding a network or a loss would take for data.

    A network obeys `lengths` by reading the field that holds them, as an input of its layers (the
    lint L910 looks at single layers); no loss leaves padding out.

    Args:
        bound: input of the network -> field.
    """
    lengths = {name: field.lengths for name, field in context.fields.items() if field.lengths}
    for name in dict.fromkeys(bound.values()):
        if name in lengths and lengths[name] not in bound.values():
            context.misfit(
                f"the network `{graph.name}` reads `{name}` and expects its lengths "
                f"`{lengths[name]}` too, found no input for them: padding would count as data",
                _place(name),
                f"give the network the input `{lengths[name]}` and the layers that mix steps too, "
                f"such as `{{from: {{lengths: {lengths[name]}}}, gru: 64}}`; or remove `lengths`",
            )
    for loss in (item.loss for item in losses):
        if loss.target in lengths:
            context.misfit(
                f"`{loss.name}` expects a target without padding, found `{loss.target}` with "
                "`lengths`: padding would count",
                _place(loss.target),
                _without(loss.name),
            )


def _place(field: str) -> Key:
    return ("data", "fields", field, "lengths")


def _without(loss: str) -> str:
    """The next step for a padded target."""
    if loss == "cross_entropy":
        return "remove `lengths`, and give padding a label that the loss leaves out: `ignore: 255`"
    return "remove `lengths` if padding may count"
