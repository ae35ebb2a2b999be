"""How much of a network's input one place of a value depends on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ..ir.graph import Graph, Node
from .base import Op, Window


@dataclass(frozen=True)
class View:
    """What one place of a value sees of the network's input, per spatial axis.

    sizes: in elements of the input. steps: how far two neighbouring places are apart in it.
    """

    sizes: tuple[Fraction, ...]
    steps: tuple[Fraction, ...]

    def through(self, window: Window) -> View:
        """What a place sees behind an operator with this window."""
        pairs = list(zip(window, self.sizes, self.steps, strict=True))
        return View(
            tuple(size + (seen - 1) * step for (seen, _), size, step in pairs),
            tuple(step * stride for (_, stride), _, step in pairs),
        )

    def elements(self) -> tuple[int, ...]:
        """The sizes in whole elements."""
        return tuple(math.ceil(size) for size in self.sizes)


def receptive_fields(graph: Graph) -> dict[str, View | None]:
    """Value -> what one of its places sees; None where that is everything, or not known.

    The values of a network's inputs [B, C, *spatial] see themselves. Values without spatial
    axes that come from such inputs see everything.
    """
    views: dict[str, View | None] = {}
    for value in graph.inputs:
        axes = max(0, value.type.rank - 2)
        views[value.name] = View((Fraction(1),) * axes, (Fraction(1),) * axes)
    for node in graph.nodes:
        view = _behind(node, views)
        views.update((value.name, view) for value in node.outputs)
    return views


def _behind(node: Node, views: Mapping[str, View | None]) -> View | None:
    before = _merged(views[value.name] for value in node.reads())
    if before is None or not isinstance(node.op, Op):
        return None
    window = node.op.window(*node.input_types)
    if window is None:
        return None
    if not window:
        return before
    return before.through(window) if len(window) == len(before.sizes) else None


def _merged(views: Iterable[View | None]) -> View | None:
    """What a node sees that reads several values: the largest view; None if one sees all."""
    found = list(views)
    if any(view is None for view in found):
        return None
    spatial = [view for view in found if view and view.sizes]
    if len({len(view.sizes) for view in spatial}) > 1:
        return None
    if not spatial:
        return View((), ())
    sizes = zip(*(view.sizes for view in spatial), strict=True)
    steps = zip(*(view.steps for view in spatial), strict=True)
    return View(tuple(map(max, sizes)), tuple(map(max, steps)))
