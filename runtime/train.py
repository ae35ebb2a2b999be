"""Training a compiled spec: data, device, run folder, trainer, and what is left when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compiler.diagnostics import NetwrightError
from ..compiler.driver import Compilation
from ..compiler.growing import trained
from ..compiler.objectives.parameter_rules import trained_count
from . import checkpoint
from .advice import advice
from .distributed.joining import device_text, launch_name, own_device
from .distributed.world import ALONE, World
from .heap import keep_freed_memory
from .initial_weights.initialise import find, initialise
from .lock import run_lock
from .memory import enough_memory
from .observer import Begin, Observer
from .opening import (
    check_other_sources,
    check_trainable,
    completed,
    measured,
    named,
    read_data,
)
from .outcome import How, Outcome, write_outcome
from .resuming import (
    check_same_data,
    check_same_judge,
    check_same_weights,
    check_shared,
    enter,
    folder_to_resume,
    known_classes,
    known_statistics,
    newest_checkpoint,
    recorded_data,
)
from .runs import CLASSES, FINGERPRINTS, STATISTICS, create_run
from .stages import stage_at

if TYPE_CHECKING:
    from .data.dataset import Dataset
    from .growing import Course
    from .initial_weights.matching import Match
    from .stepper import Job
    from .trainer import Trainer


@dataclass(frozen=True)
class TrainResult:
    """What a run left.

    step: optimizer steps done; at the end, those of the checkpoint that was tested.
    signal: the number of the signal that stopped it; None where it reached its end.
    metrics: part of the data -> figure -> value; empty where it was stopped.
    files: what was made: `summary`, `curves`, for classes `confusion`, where samples are judged
        `nearest`, and where some were drawn at several steps `samples` or `points`.
    """

    folder: Path
    step: int
    total_steps: int
    signal: int | None = None
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


@enough_memory("training")
def train(
    compilation: Compilation,
    *,
    output: Path | None = None,
    resume: bool = False,
    device: str | None = None,
    data_dir: Path | None = None,
    observer: Observer | None = None,
    world: World = ALONE,
) -> TrainResult:
    """Train a spec's networks.

    The first SIGINT or SIGTERM ends the run after the current step, with a checkpoint.

    Args:
        output: the run's folder; None for `runs/<name>-<n>`, with `resume` the newest of them.
        resume: go on with a run that was stopped or killed; on a CPU its weights end bit for bit
            as if it had not been.
        device: `auto`, `cpu` or `cuda`; None for what the spec says.
        data_dir: what the data's paths are relative to; None for the spec's folder.
        world: the processes that train together, each of which calls this.
    Raises: NetwrightError: S102: a section is missing. F601, F602: the data. R901, R902: the run
        to go on with. R903: the disk. R904: training diverged. R905: the device or precision.
        R906: memory.
    """
    observer = observer or Observer()
    check_trainable(compilation)
    folder = folder_to_resume(compilation, output, resume=resume, world=world)
    with ExitStack() as held:
        if folder is not None:
            world.lead(partial(enter, folder, compilation, held, observer.warn))
        data_folder = (data_dir or recorded_data(folder, world) or compilation.folder).resolve()
        compilation = named(compilation, known_classes(folder, world))
        compilation = measured(compilation, known_statistics(folder, world))
        dataset = _data(compilation, data_folder, folder, observer, world)
        compilation = completed(compilation, dataset)
        begins = world.lead(lambda: folder is None or not checkpoint.steps(folder))
        first = stage_at(compilation, 0)
        weights = world.together(lambda: _stored(first, data_folder)) if begins else None

        from .device import choose_device
        from .growing import Course
        from .judging.opening import judge_record, open_judge
        from .planning.kernels import kernels
        from .planning.settle import settle_plan

        word = device or compilation.spec.training.device
        chosen = world.together(lambda: own_device(choose_device(word), world))
        if chosen.type == "cpu":
            keep_freed_memory()
        tellers = observer.warn, world, observer.tell
        judge = world.together(lambda: open_judge(compilation, dataset, chosen))
        if folder is not None:
            world.lead(lambda: check_same_judge(folder, judge_record(judge)))
        plan = settle_plan(compilation, dataset, chosen, folder, *tellers)
        course = Course(compilation, dataset, chosen, plan, world, judge, observer)
        held.callback(course.close)
        job = course.job_at(_newest_step(folder, world), folder or Path())
        begun_with = _initialise(weights, job, observer)
        if folder is None:
            about: dict[str, Any] = {"data": str(data_folder), "device": chosen.type}
            about |= {"launch": launch_name()} if launch_name() else {}
            about |= {**begun_with, **judge_record(judge)}
            begun = _create(compilation, output, about, dataset, job)
            world.lead(lambda: held.enter_context(run_lock(begun, observer.warn)))
            job = replace(job, folder=begun)
        elif begins:
            world.lead(lambda: check_same_weights(folder, begun_with))
        held.enter_context(kernels(plan))
        return _run(course, job, resume=folder is not None)


def _data(
    compilation: Compilation, data: Path, folder: Path | None, observer: Observer, world: World
) -> Dataset:
    """The data of a new run, or what the run in `folder` began with."""
    dataset = world.together(lambda: read_data(compilation, data))
    for note in dataset.notes:
        observer.warn(note)
    if folder is not None:
        world.lead(lambda: check_same_data(folder, dataset, observer.warn))
        return dataset
    world.together(lambda: check_other_sources(compilation, dataset))
    for text in advice(compilation, dataset):
        observer.warn(text)
    return dataset


def _create(
    compilation: Compilation,
    output: Path | None,
    about: dict[str, Any],
    dataset: Dataset,
    job: Job,
) -> Path:
    """Make the folder of a new run, and see that all processes find it."""

    def create() -> str:
        measured = {name: found.model_dump() for name, found in dataset.measured.items()}
        found = {
            FINGERPRINTS: dataset.fingerprints(),
            CLASSES: dict(dataset.found),
            STATISTICS: measured,
        }
        folder = create_run(compilation, output, {**about, **found})
        job.plan.write(folder)
        return str(folder)

    folder = Path(job.world.lead(create))
    check_shared(folder, job.world)
    return folder


def _stored(compilation: Compilation, folder: Path) -> Match | None:
    """What `init_from` names, if the spec has it."""
    settings = compilation.spec.training.init_from
    if settings is None:
        return None
    return find(settings, trained(compilation), folder)


def _initialise(weights: Match | None, job: Job, observer: Observer) -> dict[str, Any]:
    """Put stored weights into the networks. Returns: what `run.json` says of it."""
    if weights is None:
        return {}
    report = initialise(weights, job.objective.networks)
    for line in report.lines():
        observer.tell(line)
    return {"init_from": report.record()}


def _newest_step(folder: Path | None, world: World) -> int:
    """The step of the newest checkpoint of a run to go on with, whether it is whole or not."""
    return world.lead(lambda: next(iter(checkpoint.steps(folder)), 0) if folder else 0)


def _restore(course: Course, trainer: Trainer) -> Trainer:
    """Go on from the newest checkpoint that the run can take back; the user is told of others.

    Returns: the trainer of the stage that it belongs to.
    """
    job, before, observer = trainer.job, None, course.observer
    refused: NetwrightError | None = None
    while saved := newest_checkpoint(job.folder, job.world, observer.warn, before):
        try:
            trainer = _trainer_at(course, trainer, saved.step)
            trainer.go_on(saved)
        except checkpoint.Damaged as reason:
            before, refused = saved.step, checkpoint.broken(saved.folder, reason)
            text = f"the checkpoint of step {before} can't be used ({reason})"
            observer.warn(f"{text}; using the one before it")
        else:
            return trainer
    if refused:
        raise refused
    observer.warn("the run was stopped before its first checkpoint; it begins anew")
    return _trainer_at(course, trainer, 0)


def _trainer_at(course: Course, trainer: Trainer, step: int) -> Trainer:
    """A trainer for the state after a step: this one, unless that belongs to another stage."""
    job = course.job_for(trainer.job, step)
    return trainer if job is trainer.job else type(trainer)(job, course.observer)


def _run(course: Course, job: Job, *, resume: bool) -> TrainResult:
    from .trainer import Trainer

    compilation, observer = course.compilation, course.observer
    trainer = Trainer(job, observer)
    if resume:
        trainer = _restore(course, trainer)
    observer.begin(_begin(compilation, trainer))
    if not trainer.is_over:
        _note(trainer, "running")
    try:
        trainer, stopped = course.train(trainer)
    finally:
        observer.end()
    if stopped is not None:
        _note(trainer, "stopped", stopped)
        return TrainResult(trainer.job.folder, trainer.state.step, trainer.total, stopped)

    from .results import finish

    step, metrics, files = finish(compilation, trainer)
    _note(trainer, "early" if trainer.state.ended else "finished")
    return TrainResult(trainer.job.folder, step, trainer.total, None, metrics, files)


def _note(trainer: Trainer, how: How, signal: int | None = None) -> None:
    """Write down what becomes of the run."""
    job, step = trainer.job, trainer.state.step
    outcome = Outcome(how=how, step=step, total_steps=trainer.total, signal=signal)
    job.world.lead(lambda: write_outcome(job.folder, outcome))


def _begin(compilation: Compilation, trainer: Trainer) -> Begin:
    job = trainer.job
    return Begin(
        name=compilation.spec.name,
        folder=job.folder,
        device=device_text(job.device, job.world),
        precision=job.plan.precision,
        parameters=sum(graph.parameter_count() for graph in job.graphs.values()),
        trained=trained_count(job.settings.parameters, job.graphs),
        samples=job.train.size,
        epochs=None if job.settings.steps else trainer.total // trainer.per_epoch,
        total_steps=trainer.total,
        steps_per_epoch=trainer.per_epoch,
        step=trainer.state.step,
        is_over=trainer.is_over,
    )
