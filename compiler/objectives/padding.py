"""Whether a network that reads a padded field, one with `lengths`, knows how much of it is real."""

from __future__ import annotations

from collections.abc import Mapping

from ..ir.graph import Graph
from .base import Context


def check_padding(graph: Graph, bound: Mapping[str, str], context: Context) -> None:
    """Report fields whose padding a network would take for data.

    A network obeys `lengths` by reading the field that holds them, as an input of its layers (the
    lint L910 looks at single layers); losses leave the padding of targets out by themselves.

    Args:
        bound: input of the network -> field.
    """
    lengths = {name: field.lengths for name, field in context.fields.items() if field.lengths}
    for name in dict.fromkeys(bound.values()):
        if name in lengths and lengths[name] not in bound.values():
            context.misfit(
                f"the network `{graph.name}` reads `{name}` and expects its lengths "
                f"`{lengths[name]}` too, found no input for them: padding would count as data",
                ("data", "fields", name, "lengths"),
                f"give the network the input `{lengths[name]}` and the layers that mix steps too, "
                f"such as `{{from: {{lengths: {lengths[name]}}}, gru: 64}}`; or remove `lengths`",
            )
