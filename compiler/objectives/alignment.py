"""Whether augmentations leave the pixels of a sample where those of its target are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..diagnostics import Code
from .base import Context
from .fields import Field
from .problem import Problem


def check_alignment(read: Iterable[str], targets: Sequence[str], context: Context) -> None:
    """Report augmentations that move pixels of one field of a sample and not those of another.

    A field that is both read and a target is augmented once, so that it stays in line with itself.

    Args:
        read: the fields that networks read. targets: those that outputs are compared with.
    """
    read = [name for name in dict.fromkeys(read) if name in context.fields]
    for name in dict.fromkeys((*read, *targets)):
        partner = _left_behind(name, read, targets, context)
        if partner is not None:
            _report(name, partner, context)


def _left_behind(
    name: str, read: Sequence[str], targets: Sequence[str], context: Context
) -> str | None:
    """What a field would be moved away from, in words; None where there is no such field."""
    fields = context.fields
    for target in targets if name in read else ():
        # A target with places of any kind, such as the corners of boxes, is said of the pixels.
        if target != name and target in fields and fields[target].rank > 2:
            return f"its target `{target}`"
    for other in read if name in targets and name in fields else ():
        if other != name and _of_the_same_places(fields[other], fields[name]):
            return f"`{other}`, which it is made of"
    return None


def _of_the_same_places(one: Field, other: Field) -> bool:
    """Whether two fields are images or masks of one size. A text beside an image has no pixels."""
    sizes, others = one.shape or [], other.shape or []
    return min(one.rank, other.rank) > 2 and sizes[-2:] == others[-2:]


def _report(name: str, partner: str, context: Context) -> None:
    field = context.fields.get(name)
    for index, augmentation in enumerate(field.augment if field else ()):
        if augmentation.moves_pixels:
            problem = Problem(
                Code.O502,
                f"`{augmentation.name}` moves the pixels of `{name}` but not those of {partner}",
                help=f"remove `{augmentation.name}`; `noise` leaves pixels in place",
            )
            context.report(problem, ("data", "fields", name, "augment", index))
