"""In which units a program gives an output: the raw ones of the field that it was compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..diagnostics import Code
from ..source import Key
from .base import Context
from .fields import Field
from .losses import Loss, WeightedLoss
from .problem import Problem

Rule = list[tuple[float, float]]
"""shift and factor for each channel, or one pair for all of them."""

IDENTITY: Rule = [(0.0, 1.0)]


def raw_field(loss: Loss, fields: Mapping[str, Field]) -> Field | None:
    """The field whose `scale` or `normalize` turns the output of a loss into raw numbers.

    None for scores, which have no units, and where the network's numbers are raw ones already.
    """
    field = fields[loss.target]
    scaled = field.is_rescaled and (field.awaits_data or _rule(field) != IDENTITY)
    return field if loss.kind == "values" and scaled else None


def check_units(
    losses: Sequence[WeightedLoss], kept: Iterable[str], context: Context, path: Key
) -> None:
    """Report outputs that two losses give different units.

    Args:
        losses: those that fit their outputs and targets, apart from targets with mistakes.
        kept: the outputs that the program gives. path: leads to the objective.
    """
    for output in kept:
        judged = [(i, item.loss) for i, item in enumerate(losses) if item.loss.output == output]
        known = [(i, loss) for i, loss in judged if loss.target in context.fields]
        for index, loss in known[1:]:
            first, other = known[0]
            if loss.target == other.target and loss.kind == other.kind:
                continue
            if not _alike(raw_field(loss, context.fields), raw_field(other, context.fields)):
                context.report(
                    _two_units(output, (first, other), (index, loss), context.fields), path
                )


def _two_units(
    output: str, first: tuple[int, Loss], second: tuple[int, Loss], fields: Mapping[str, Field]
) -> Problem:
    (earlier, one), (later, other) = first, second
    return Problem(
        Code.O502,
        f"the program gives `{output}` in raw units and expects those of one target, found "
        f"`{one.target}` and `{other.target}`",
        ("losses", later, other.name),
        _scaling(other, fields),
        help="give each target an output of its own, or both the same `scale` or `normalize`",
        also=(("losses", earlier, one.name), _scaling(one, fields)),
    )


def _scaling(loss: Loss, fields: Mapping[str, Field]) -> str:
    if loss.kind != "values":
        return f"scores of `{loss.name}` have no units"
    field = fields[loss.target]
    if not field.is_rescaled:
        return f"`{loss.target}` is not scaled"
    return f"`{loss.target}` has `{'scale' if field.scale else 'normalize'}`"


def _rule(field: Field | None) -> Rule:
    return list(zip(*field.affine(), strict=True)) if field else IDENTITY


def _alike(one: Field | None, other: Field | None) -> bool:
    """Whether two fields have the same rule; one pair of constants stands for every channel."""
    if any(field is not None and field.awaits_data for field in (one, other)):
        return one is other
    a, b = _rule(one), _rule(other)
    count = max(len(a), len(b))
    return (a * count if len(a) == 1 else a) == (b * count if len(b) == 1 else b)
