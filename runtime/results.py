"""What a finished run leaves: the figures of its chosen checkpoint, pictures and a summary."""

from __future__ import annotations

from pathlib import Path

from ..compiler.driver import Compilation
from .checkpoint import load_weights
from .files import write_json
from .history import read_history, rounded
from .measure import measure
from .opening import class_names
from .plots import draw_confusion, draw_curves
from .runs import CONFUSION, CURVES, SUMMARY
from .trainer import Job, Trainer
from .weights import restore

Confusion = list[list[int]] | None


def finish(
    compilation: Compilation, trainer: Trainer
) -> tuple[int, dict[str, dict[str, float]], dict[str, Path]]:
    """Measure the best checkpoint where the spec asks for it, else the last, and write it down.

    Returns: its step; part -> figures; kind -> file.
    Raises: NetwrightError: R901: that checkpoint is damaged. R903: the disk fails.
    """
    job, state = trainer.job, trainer.state
    step = state.step if state.best_step is None else state.best_step
    if step != state.step:
        networks = job.objective.networks
        restore(job.graphs, networks, load_weights(job.folder, step), job.folder)
    metrics, confusion = _measure_parts(job, step)
    write_json(
        job.folder / SUMMARY,
        {
            "name": compilation.spec.name,
            "step": step,
            "chosen": "last" if state.best_step is None else "best",
            "total_steps": trainer.total,
            "seconds": round(state.seconds, 3),
            "metrics": {part: rounded(figures) for part, figures in metrics.items()},
            "confusion": confusion,
        },
    )
    files = _draw(compilation, job, confusion)
    return step, metrics, {"summary": job.folder / SUMMARY, **files}


def _measure_parts(job: Job, step: int) -> tuple[dict[str, dict[str, float]], Confusion]:
    """The figures of every part that was not trained on; the confusion of the last one."""
    metrics: dict[str, dict[str, float]] = {}
    confusion: Confusion = None
    for part, batches in (("validation", job.validation), ("test", job.test)):
        if batches is not None:
            figures, size = job.figures(), 2 * job.settings.batch
            metrics[part] = measure(job.objective, batches, size, figures, step)
            confusion = figures.confusion()
    return metrics, confusion


def _draw(compilation: Compilation, job: Job, confusion: Confusion) -> dict[str, Path]:
    curves = job.folder / CURVES
    draw_curves(read_history(job.folder), compilation.spec.name, curves)
    if confusion is None:
        return {"curves": curves}
    path = job.folder / CONFUSION
    draw_confusion(confusion, class_names(compilation, len(confusion)), path)
    return {"curves": curves, "confusion": path}
