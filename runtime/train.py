"""Training a compiled spec: data, device, run folder, trainer, and what is left when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..compiler.driver import Compilation
from . import checkpoint
from .memory import enough_memory
from .observer import Begin, Observer
from .opening import check_trainable, read_data
from .runs import check_same_spec, create_run, newest_folder, read_run, remove_leftovers

if TYPE_CHECKING:
    from .trainer import Trainer


@dataclass(frozen=True)
class TrainResult:
    """What a run left.

    step: optimizer steps done; at the end, those of the checkpoint that was tested.
    signal: the number of the signal that stopped it; None where it reached its end.
    metrics: part of the data -> figure -> value; empty where it was stopped.
    files: what was made: `summary`, `curves`, and for classes `confusion`.
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
) -> TrainResult:
    """Train a spec's networks.

    The first SIGINT or SIGTERM ends the run after the current step, with a checkpoint.

    Args:
        output: the run's folder; None for `runs/<name>-<n>`, with `resume` the newest of them.
        resume: go on with a run that was stopped or killed; on a CPU its weights end bit for bit
            as if it had not been.
        device: `auto`, `cpu` or `cuda`; None for what the spec says.
        data_dir: what the data's paths are relative to; None for the spec's folder.
    Raises: NetwrightError: S102: a section is missing. F601, F602: the data. R901, R902: the run
        to go on with. R903: the disk. R904: training diverged. R905: the device or precision.
        R906: memory.
    """
    observer = observer or Observer()
    check_trainable(compilation)
    folder = _folder_to_resume(compilation, output) if resume else None
    data_folder = (data_dir or _recorded_data(folder) or compilation.folder).resolve()
    dataset = read_data(compilation, data_folder)

    from .device import check_precision, choose_device
    from .job import make_job
    from .trainer import Trainer

    settings = compilation.spec.training
    chosen = choose_device(device or settings.device)
    check_precision(settings.precision, chosen)
    if folder is None:
        about = {"data": str(data_folder), "device": str(chosen)}
        folder = create_run(compilation, output, about)
    trainer = Trainer(make_job(compilation, dataset, chosen, folder), observer)
    if resume:
        _restore(trainer, observer)
    return _run(compilation, trainer, observer)


def _folder_to_resume(compilation: Compilation, output: Path | None) -> Path:
    folder = output or newest_folder(compilation.spec.name)
    check_same_spec(folder, compilation)
    remove_leftovers(folder)
    return folder


def _recorded_data(folder: Path | None) -> Path | None:
    recorded = read_run(folder).get("data") if folder else None
    return Path(recorded) if isinstance(recorded, str) else None


def _restore(trainer: Trainer, observer: Observer) -> None:
    saved = checkpoint.newest(trainer.job.folder, observer.warn)
    if saved is None:
        observer.warn("the run was stopped before its first checkpoint; it begins anew")
    trainer.go_on(saved)


def _run(compilation: Compilation, trainer: Trainer, observer: Observer) -> TrainResult:
    observer.begin(_begin(compilation, trainer))
    try:
        stopped = trainer.train()
    finally:
        observer.end()
    if stopped is not None:
        return TrainResult(trainer.job.folder, trainer.state.step, trainer.total, stopped)

    from .results import finish

    step, metrics, files = finish(compilation, trainer)
    return TrainResult(trainer.job.folder, step, trainer.total, None, metrics, files)


def _begin(compilation: Compilation, trainer: Trainer) -> Begin:
    job = trainer.job
    return Begin(
        name=compilation.spec.name,
        folder=job.folder,
        device=str(job.device),
        precision=job.settings.precision,
        parameters=sum(graph.parameter_count() for graph in job.graphs.values()),
        samples=job.train.size,
        epochs=None if job.settings.steps else trainer.total // trainer.per_epoch,
        total_steps=trainer.total,
        steps_per_epoch=trainer.per_epoch,
        step=trainer.state.step,
    )
