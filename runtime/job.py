"""From a compiled spec and its data to what a trainer or an evaluation works on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from ..compiler.diagnostics import Code, failure
from ..compiler.driver import Compilation
from ..compiler.ir.graph import Graph
from ..compiler.objectives.batch_size import lone_layer
from ..compiler.objectives.source import Source
from .data.batches import Batches
from .data.columns import Columns
from .data.dataset import Dataset, Part, open_source
from .data.homes import choose_home
from .data.orders import Order, Streams, usual_order
from .data.seeds import STAGE, derive
from .distributed.world import ALONE, World
from .goal import Goal, Patience
from .judging.judge import SampleJudge
from .objectives.base import Objective
from .objectives.registry import bind
from .opening import objective_of
from .plan import Plan
from .stepper import Job


def make_job(
    compilation: Compilation,
    dataset: Dataset,
    device: torch.device,
    folder: Path,
    plan: Plan,
    world: World = ALONE,
    judge: SampleJudge | None = None,
) -> Job:
    """Networks with fresh weights drawn by the spec's seed, and the data where the plan says.

    Of a stage of a run that grows they are drawn by its number too. Only the last stage follows
    figures: those of other networks would be compared with them.

    Raises: NetwrightError: R905: more processes than the objective, or a layer, can be trained by.
    """
    layout = plan.layout
    torch.manual_seed(_seed(compilation))
    rows = min(compilation.spec.training.batch, dataset.size("train"))
    objective = bind(compilation, device, layout, rows)
    if objective.continues and not world.is_alone:
        raise failure(
            Code.R905,
            f"expected one process, as each batch goes on from the one before; found {world.size}",
            help="set `carry: false` in the objective, or train in one process",
        )

    graphs = {name: compilation.graphs[name] for name in objective.networks}
    _check_rows(graphs, rows // compilation.spec.training.accumulate, world)

    def batches(part: Part) -> Batches | None:
        columns = dataset.parts[part]
        if not dataset.has(part):
            return None
        home = plan.data if part == "train" else choose_home(columns, device)
        return Batches(
            columns,
            dataset.fields,
            device,
            layout,
            home=home,
            workers=plan.workers_of(home),
            order=_order(objective, columns),
        )

    grow, stage = compilation.spec.training.grow, compilation.stage or 0
    end = grow.end(stage) if grow and compilation.stage is not None else None
    train = batches("train")
    assert train is not None, "splits leave training samples"
    return Job(
        objective=objective,
        graphs=graphs,
        settings=compilation.spec.training,
        train=train,
        validation=batches("validation"),
        test=batches("test"),
        figures=lambda: objective.meter(compilation.fields, world),
        goal=None if end else _goal(compilation),
        patience=None if end else _patience(compilation),
        folder=folder,
        device=device,
        plan=plan,
        world=world,
        other=lambda source: _other(source, compilation, dataset, device, plan),
        judge=judge,
        stage=stage,
        begin=grow.begin(stage) if grow else 0,
        end=end,
        settled=grow.settled(stage) if grow else 0,
    )


def _seed(compilation: Compilation) -> int:
    """What draws the weights: another one for each stage of a run that grows."""
    seed, stage = compilation.spec.training.seed, compilation.stage
    return derive(seed, STAGE, stage) if stage else seed


def _check_rows(graphs: Mapping[str, Graph], rows: int, world: World) -> None:
    """Refuse processes that each train on one sample at a time, where a layer compares samples.

    rows: at a time, over all processes. That of a single process is checked with the spec.
    """
    found = lone_layer(graphs) if not world.is_alone and rows // world.size == 1 else None
    if found is not None:
        raise failure(
            Code.R905,
            f"{found.message}, found 1 in each of {world.size} processes",
            help=f"train in fewer processes, raise `batch`, or {found.instead}",
        )


def _other(
    source: Source, compilation: Compilation, dataset: Dataset, device: torch.device, plan: Plan
) -> Batches:
    """The samples of another source as the spec's fields: its test samples, where it has some.

    Raises: NetwrightError: F601, F602.
    """
    other = open_source(source, dataset.fields, compilation.spec.dims, dataset.folder)
    home = choose_home(other, device)
    return Batches(other, dataset.fields, device, plan.layout, home=home)


def _order(objective: Objective, columns: Columns) -> Order:
    """Rows that go on from batch to batch, or samples as they are best put together."""
    return Streams() if objective.continues else usual_order(columns)


def _goal(compilation: Compilation) -> Goal | None:
    figure = compilation.spec.training.checkpoint.best
    return None if figure is None else _goal_of(compilation, figure)


def _patience(compilation: Compilation) -> Patience | None:
    settings = compilation.spec.training.early_stopping
    if settings is None:
        return None
    goal = _goal_of(compilation, settings.figure)
    return Patience(goal, settings.patience, settings.min_delta)


def _goal_of(compilation: Compilation, figure: str) -> Goal:
    return Goal(figure, objective_of(compilation).figures().get(figure, False))
