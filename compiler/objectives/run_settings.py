"""Checks the sections `training` and `export` against the objective and the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..diagnostics import Code, Sink
from ..suggest import did_you_mean, listing
from .base import Context, Objective, trained_graphs
from .batch_size import batch_problems
from .data import Data
from .export import Export
from .obstacles import check_plan
from .parameter_checks import check_parameters
from .problem import Problem
from .training import Training
from .watching import following


def check_training(
    training: Training, objective: Objective | None, data: Data | None, context: Context
) -> None:
    """Report settings of `training` that exclude each other, or that do not fit the rest."""
    for problem in training.problems():
        context.report(problem, ("training",))
    for problem in _against(training, objective, data) if objective else ():
        context.report(problem, ("training",))
    for problem in check_plan(training, objective, context):
        context.report(problem, ("training",))
    for problem in batch_problems(training, trained_graphs(objective, context) or {}):
        context.report(problem, ("training",))
    _check_rules(training, objective, context)


def _check_rules(training: Training, objective: Objective | None, context: Context) -> None:
    """What is said of single parameters; a stage may lack those that the last stage has."""
    if not context.is_stage:
        check_parameters(training, objective, context)
        return
    found = Sink()
    check_parameters(training, objective, replace(context, sink=found))
    for diagnostic in found:
        if diagnostic.code is not Code.G301:
            context.sink.report(diagnostic)


def check_export(export: Export, objective: Objective | None, context: Context) -> None:
    """Report requests of `export` that cannot be met."""
    for problem in export.problems(objective.program_names if objective else None):
        context.report(problem, ("export",))


def _against(training: Training, objective: Objective, data: Data | None) -> Iterator[Problem]:
    yield from _roles(training, objective)
    yield from _fade(training, objective)
    yield from _form(training)
    yield from _measuring(training, data)
    for path, figure in training.followed():
        yield from _watched(path, figure, objective, data)


def _roles(training: Training, objective: Objective) -> Iterator[Problem]:
    """Whether the optimizers are those that the objective has."""
    roles = objective.optimizer_roles
    if training.optimizers and not roles:
        yield Problem(
            Code.O502,
            f"{objective.title} has one optimizer, found `optimizers`",
            ("optimizers",),
            help="write `optimizer: {adamw: {lr: 1e-3}}`",
        )
    if roles and set(training.optimizers) != set(roles):
        wanted = ", ".join(f"`{role}`" for role in roles)
        found = ", ".join(f"`{role}`" for role in training.optimizers) or "none"
        given = ", ".join(f"{role}: {{adam: {{lr: 2e-4}}}}" for role in roles)
        yield Problem(
            Code.O502,
            f"{objective.title} expects `optimizers` for {wanted}, found {found}",
            ("optimizers",),
            help=f"write `optimizers: {{{given}}}`",
        )


def _fade(training: Training, objective: Objective) -> Iterator[Problem]:
    """Whether the objective gives networks the fade of a stage."""
    if training.grow and training.grow.fade and not objective.takes_fade:
        yield Problem(
            Code.O502,
            f"`fade` belongs to the objective `gan`, found {objective.title}",
            ("grow", "fade"),
            help="remove it: what a stage adds is there at once then",
        )


def _form(training: Training) -> Iterator[Problem]:
    """Whether torch has the optimizers in the form that the plan asks for."""
    form = training.plan.optimizer
    for _, optimizer in training.all_optimizers():
        if form is not None and form not in optimizer.implementations:
            yield Problem(
                Code.O502,
                f"`plan.optimizer` expects a form that `{optimizer.name}` has, found `{form}`",
                ("plan", "optimizer"),
                help=f"choose one of {listing(optimizer.implementations)}, or remove it",
            )


def _measuring(training: Training, data: Data | None) -> Iterator[Problem]:
    """Whether there is something to measure as often as `validation` says."""
    if data and not data.split.validation and training.validation.model_fields_set:
        yield Problem(
            Code.O502,
            "`validation` says how often validation samples are measured, and the split has none",
            ("validation",),
            help="add `split: {validation: 0.1}` to `data`, or remove it",
        )


def _watched(
    path: tuple[str, ...], figure: str, objective: Objective, data: Data | None
) -> Iterator[Problem]:
    """Whether a setting that follows a figure of the validation samples can do so."""
    key = following(path)
    if data and not data.split.validation:
        yield Problem(
            Code.O502,
            f"`{key}` follows `{figure}` on validation samples, and the split has none",
            path,
            help="add `split: {validation: 0.1}` to `data`",
        )
        return
    figures = ["loss", *objective.figures()]
    if figure not in figures:
        yield Problem(
            Code.O501,
            f"`{key}` expects `loss` or a metric of the objective, found `{figure}`",
            path,
            help=did_you_mean(figure, figures, "metric"),
        )
