"""Data fields that a spec describes and nothing reads."""

from __future__ import annotations

from ..diagnostics import Code
from .base import Context, Objective, trained_graphs
from .data import Data
from .problem import Problem


def check_unread(objective: Objective, data: Data, context: Context) -> None:
    """Report fields that no network and no loss reads; G303, and O502 where they are augmented.

    What a source knows by itself may stay unread: digits have labels, whoever asks for them. Where
    a network has mistakes nothing is said: what it reads is not known.
    """
    if trained_graphs(objective, context) is None:
        return
    read = objective.reads(context)
    for name, given in data.fields.items():
        if name in read or name not in context.fields:
            continue
        if given.augment:
            context.report(_augmented(name), ("data", "fields", name, "augment"))
        else:
            context.report(_unused(name), ("data", "fields", name))


def _augmented(name: str) -> Problem:
    return Problem(
        Code.O502,
        f"`augment` expects a field that a network or a loss reads, found `{name}`",
        help="move it to the field that the network reads",
    )


def _unused(name: str) -> Problem:
    return Problem(
        Code.G303,
        f"data field `{name}` is never used",
        help="remove it, or read it in a network or a loss",
    )
