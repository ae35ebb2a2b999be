"""Which layer, or copy of a repeated one, a `share` names."""

from __future__ import annotations

from ..diagnostics import Code
from .frames import Bound, Frame
from .layers import Layer
from .wiring import Wirer, is_copy


def shared_layer(frame: Frame, layer: Layer) -> Bound | None:
    """What the value of `share` stands for, with its recipe; None where a mistake was reported.

    The mistake may be the shared layer's own.
    """
    place = (*layer.path, "share")
    wirer = Wirer(frame, layer.path, "`share`")
    head, *rest = layer.value.split(".")
    bound = wirer.named(head, place)
    if bound and bound.copies is not None and is_copy(rest):
        number, *rest = rest
        bound, head = wirer.copy(bound, head, int(number), place), f"{head}.{number}"
    if bound is None or bound.is_unknown:
        return None
    if bound.recipe and not rest:
        return bound
    message, step = _why_not(layer.value, head, rest, bound)
    frame.scope.report(Code.G301, message, place, help=step)
    return None


def _why_not(value: str, head: str, rest: list[str], bound: Bound) -> tuple[str, str]:
    """Why a path cannot be shared whose beginning, `head`, is a name; and the next step."""
    recipe, whole = bound.recipe, f"write `share: {head}`"
    if bound.copies == ():
        return f"`{head}` has no copies here to share", "share another layer"
    if recipe is None:
        step = "share a layer above this one that `when` keeps"
        return f"`{head}` is not a layer whose weights can be shared", step
    if bound.copies:
        have = f"`{head}` has the copies 0 to {len(bound.copies) - 1}"
        step = f"{whole} for all copies, or `share: {head}.0` for one"
        return f"`share` names a layer or a copy of one, found `{value}`; {have}", step
    if rest[0] in bound.ports:
        return f"`share` names a layer, `{value}` is one of its results", whole
    if recipe.layer.operation == "layers" or recipe.layer.is_block:
        what = "block" if recipe.layer.is_block else "group"
        return (
            f"`share` names a layer that is visible here, `{value}` is inside the {what} `{head}`",
            f"{whole} for the whole {what}, or move the layer out of it",
        )
    return f"`share` names a layer, found `{value}`; `{head}` is one operator", whole
