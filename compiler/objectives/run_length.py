"""Settings of `training` that count steps, epochs or measurements: whether the run has so many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..diagnostics import Code
from ..source import Key
from .problem import Problem
from .schedules import Step

if TYPE_CHECKING:
    from .training import Training

Interval = tuple[Key, int | None]
"""Where a number of steps or epochs stands in `training`, and the number; None if none is given."""


def length_problems(training: Training) -> Iterator[Problem]:
    """Settings that nothing comes of, since the run is over first.

    Warnings but for the warm-up: who tries a spec for one epoch leaves the rest of it as it is.
    A run of epochs has as many steps as its data makes, so that only like is compared with like.
    """
    if training.steps is not None:
        yield from _warmup(training, training.steps)
        yield from _drops(training, training.steps)
        rare = list(_intervals(_steps_between(training), training.steps, "steps"))
    else:
        rare = list(_intervals(_epochs_between(training), training.total_epochs, "epochs"))
    yield from rare or _patience(training)
    if training.steps is not None:
        yield from _gates(training, training.steps)


def late_length_problems(training: Training, steps: int) -> Iterator[Problem]:
    """What `length_problems` can't know of a run of epochs, before its data gives it `steps`."""
    if training.steps is None:
        yield from _warmup(training, steps)
        yield from _drops(training, steps)
        yield from _intervals(_steps_between(training), steps, "steps")
        yield from _gates(training, steps)


def _warmup(training: Training, steps: int) -> Iterator[Problem]:
    warmup = getattr(training.schedule, "warmup", 0)
    if warmup >= steps:
        yield Problem(
            Code.O502,
            f"`warmup` expects less than the {steps} steps of the run, found {warmup}",
            ("schedule", training.schedule.name, "warmup"),
        )


def _drops(training: Training, steps: int) -> Iterator[Problem]:
    schedule = training.schedule
    if isinstance(schedule, Step) and schedule.every >= steps:
        yield Problem(
            Code.G303,
            f"`every` expects less than the {steps} steps of the run, found {schedule.every}: the "
            "rate would never drop",
            ("schedule", schedule.name, "every"),
            help="lower `every`, or write `schedule: constant`",
        )


def _gates(training: Training, steps: int) -> Iterator[Problem]:
    for figure, gate in training.stop_if.items():
        if gate.after >= steps:
            yield Problem(
                Code.G303,
                f"`after` of `stop_if` expects less than the {steps} steps of the run, found "
                f"{gate.after}: the gate would never look",
                ("stop_if", figure, "after"),
                help="lower it",
            )


def _steps_between(training: Training) -> Sequence[Interval]:
    return (
        (("validation", "steps"), training.validation.steps),
        (("checkpoint", "steps"), training.checkpoint.steps),
    )


def _epochs_between(training: Training) -> Sequence[Interval]:
    return (
        (("validation", "epochs"), training.validation.epochs),
        (("checkpoint", "every"), training.checkpoint.every),
    )


def _intervals(intervals: Sequence[Interval], total: int, unit: str) -> Iterator[Problem]:
    for path, value in intervals:
        if value is not None and value > total:
            does = "measures" if path[0] == "validation" else "saves"
            yield Problem(
                Code.G303,
                f"`{path[-1]}` of `{path[0]}` expects at most the {total} {unit} of the run, found "
                f"{value}",
                path,
                help=f"lower or remove it; the end of a run {does} in any case",
            )


def _patience(training: Training) -> Iterator[Problem]:
    """A run can end early only after a first measurement and `patience` worse ones."""
    measurements = _measurements(training)
    if training.early_stopping is None or measurements is None:
        return
    patience = training.early_stopping.patience
    if patience + 2 > measurements:
        yield Problem(
            Code.G303,
            f"a patience of {patience} can end runs of {patience + 2} measurements and more, found "
            f"a run of {measurements}",
            ("early_stopping", "patience"),
            help="lower it, measure more often with `validation`, or remove `early_stopping`",
        )


def _measurements(training: Training) -> int | None:
    """How often a run is measured; None where only its data tells."""
    between = training.validation
    if training.steps is not None:
        return -(-training.steps // between.steps) if between.steps else None
    return None if between.steps else -(-training.total_epochs // (between.epochs or 1))
