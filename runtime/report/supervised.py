"""The sections of the objective `supervised`: how well the network answers."""

from __future__ import annotations

from ...compiler.diagnostics import NetwrightError
from ...compiler.driver import Compilation
from ..opening import settings_of
from .confusion import confusion
from .section import LeftOut, Pieces, reason
from .subject import Subject

TITLE = "Samples"
"""What the sections about single samples are called where there are none."""


def supervised(subject: Subject, compilation: Compilation) -> Pieces:
    """Confusion matrix, worst mistakes, charts of numbers or forecasts, one of reach in time."""
    tells_classes = any(item.loss.kind == "classes" for item in settings_of(compilation).losses)
    matrix = [confusion(subject, compilation)] if tells_classes else []
    return [*matrix, *_answers(subject, compilation)]


def _answers(subject: Subject, compilation: Compilation) -> Pieces:
    """What needs the network to be run, or why it can't be."""
    step = subject.tested_step
    if step is None:
        return [LeftOut(TITLE, "the run has no checkpoint")]

    from .forecasts import forecasts
    from .mistakes import mistakes
    from .probe import open_probe
    from .reach import reach
    from .scatter import scatter

    try:
        probe = open_probe(subject, compilation, step)
        if probe is None:
            why = "the run was not finished, and only a finished one looks at its test samples"
            return [LeftOut(TITLE, why)]
        sweep = probe.sweep()
        if series := forecasts(probe, sweep):
            return [*series, *reach(probe)]
        return [*scatter(probe, sweep), *reach(probe), mistakes(probe, sweep)]
    except NetwrightError as error:
        return [LeftOut(TITLE, reason(error))]
