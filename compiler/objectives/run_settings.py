"""Checks the sections `training` and `export` against the objective and the data."""

from __future__ import annotations

from collections.abc import Iterator

from ..diagnostics import Code
from ..suggest import did_you_mean
from .base import Context, Objective
from .data import Data
from .export import Export
from .problem import Problem
from .training import Training


def check_training(
    training: Training, objective: Objective | None, data: Data | None, context: Context
) -> None:
    """Report settings of `training` that exclude each other, or that do not fit the rest."""
    for problem in training.problems():
        context.report(problem, ("training",))
    for problem in _against(training, objective, data) if objective else ():
        context.report(problem, ("training",))


def check_export(export: Export, objective: Objective | None, context: Context) -> None:
    """Report requests of `export` that cannot be met."""
    for problem in export.problems(objective.program_names if objective else None):
        context.report(problem, ("export",))


def _against(training: Training, objective: Objective, data: Data | None) -> Iterator[Problem]:
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
        yield Problem(
            Code.O502,
            f"{objective.title} expects `optimizers` for {wanted}, found {found}",
            ("optimizers",),
        )
    best = training.checkpoint.best
    if best is None:
        return
    figures = ["loss", *objective.figures()]
    if best not in figures:
        yield Problem(
            Code.O501,
            f"`best` expects `loss` or a metric of the objective, found `{best}`",
            ("checkpoint", "best"),
            help=did_you_mean(best, figures, "metric"),
        )
    if data and not data.split.validation:
        yield Problem(
            Code.O502,
            f"`best: {best}` is chosen on validation samples, and the split has none",
            ("checkpoint", "best"),
            help="add `split: {validation: 0.1}` to `data`",
        )
