"""`training.stop_if`: what a run must come to. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping

from ..compiler.diagnostics import Code, NetwrightError, failure
from ..compiler.objectives.watching import Gate
from .number_text import figure_text


def gate_error(
    gates: Mapping[str, Gate], figures: Mapping[str, float], step: int, total_steps: int
) -> NetwrightError | None:
    """R909 where a figure ends the run; None where all may go on.

    figures: of the validation samples after `step` steps; none where nothing was measured.
    """
    for name, gate in gates.items():
        if name not in figures or step < gate.after:
            continue
        if why := gate.stops(figures[name]):
            return failure(
                Code.R909,
                f"`stop_if` ends the run at step {step:,} of {total_steps:,}: `{name}` is "
                f"{figure_text(figures[name])}, which is {why}",
                notes=["its state is saved, and `netwright report` shows how it came there"],
                help="change the spec and begin anew, or move the gate",
            )
    return None
