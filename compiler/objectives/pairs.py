"""How the output and the target of a loss meet: where classes are, and how much of it is real."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..ir.dims import Symbol
from ..ir.shapes import TensorType
from .fields import Field
from .losses import FIRST, Axis, CrossEntropy, Loss


@dataclass(frozen=True)
class Pair:
    """What a loss, a metric and a page need to know of an output and its target.

    axis: of the classes in scores, `FIRST` or `LAST`.
    lengths: the field with the number of real elements along axis 1 of the target, if there is one.
    """

    axis: Axis = FIRST
    lengths: str | None = None


Pairs = Mapping[tuple[str, str], Pair]
"""By output and target; without an entry, classes are on axis 1 and everything is real."""

PLAIN = Pair()

NO_PAIRS: Pairs = {}


def pair_of(loss: Loss, pairs: Pairs) -> Pair:
    """The pair that a loss compares."""
    return pairs.get((loss.output, loss.target), PLAIN)


def pairs_of(
    losses: Iterable[Loss],
    outputs: Mapping[str, TensorType],
    fields: Mapping[str, Field],
    dims: Mapping[str, Symbol],
) -> dict[tuple[str, str], Pair]:
    """The pairs of losses that fit their outputs and targets.

    outputs: of the network. fields: resolved. dims: every symbolic size by name.
    """
    found = {}
    for loss in losses:
        field, axis = fields[loss.target], FIRST
        if isinstance(loss, CrossEntropy):
            axis = loss.class_axis(outputs[loss.output], field.network_type(dims))
        found[loss.output, loss.target] = Pair(axis, field.lengths)
    return found
