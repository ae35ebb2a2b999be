"""Which sections a page has, in order. An objective adds its own: one line in `OBJECTIVES`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...compiler.driver import Compilation
from ..runs import SPEC
from .codes import codes
from .curves import curves
from .filters import filters
from .gan import gan
from .gradients import gradients
from .language_model import language_model
from .network import network
from .record import environment, plan, spec_text
from .section import LeftOut, Piece, Pieces
from .subject import Subject
from .supervised import supervised
from .translations import translations

OBJECTIVES: dict[str, Callable[[Subject, Compilation], Pieces]] = {
    "supervised": supervised,
    "language_model": language_model,
    "seq2seq": translations,
    **dict.fromkeys(("autoencoder", "vae", "vq_vae"), codes),
    "gan": gan,
}
"""Objective -> its sections: how well what was trained does what it is for."""


def pieces(subject: Subject) -> Iterator[Piece]:
    """Every section of a run, and what stands for those that it has nothing for."""
    yield curves(subject)
    yield from _of_the_objective(subject)
    yield network(subject)
    yield from filters(subject)
    yield gradients(subject)
    yield plan(subject)
    yield environment(subject)
    yield spec_text(subject)


def _of_the_objective(subject: Subject) -> Pieces:
    if subject.compilation is None:
        return [LeftOut("Results", subject.why(SPEC))]
    objective = subject.compilation.spec.objective
    if objective is None or objective.name not in OBJECTIVES:
        name = objective.name if objective else "none"
        return [LeftOut("Results", f"no section is made for the objective `{name}`")]
    return OBJECTIVES[objective.name](subject, subject.compilation)
