"""What a finished run leaves: the figures of its chosen checkpoint, pictures and a summary."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from ..compiler.driver import Compilation
from .animation import animate
from .checkpoint import damage, load_whole
from .drawing import draw_grid
from .files import write_bytes, write_json
from .history import read_history, rounded
from .measure import measure
from .opening import class_names
from .picturing import Painter, in_rows, is_drawable
from .plots import draw_confusion, draw_curves
from .runs import CONFUSION, CURVES, NEAREST, SUMMARY
from .snapshot import use
from .stepper import Job
from .trainer import Trainer

Confusion = list[list[int]] | None


def finish(
    compilation: Compilation, trainer: Trainer
) -> tuple[int, dict[str, dict[str, float]], dict[str, Path]]:
    """Measure the best checkpoint where the spec asks for it, else the last, and write it down.

    The last one stands in for a best one that is lost; a warning says so.

    Returns: its step; part -> figures; kind -> file.
    Raises: NetwrightError: R901: that checkpoint is damaged. R903: the disk fails.
    """
    job, state = trainer.job, trainer.state
    step = _chosen(trainer)
    with _at(trainer, step):
        metrics, confusion, details = _measure_parts(job, step)
    summary = {
        "name": compilation.spec.name,
        "step": step,
        "chosen": "best" if step == state.best_step else "last",
        "total_steps": trainer.total,
        "seconds": round(state.seconds, 3),
        "metrics": {part: rounded(figures) for part, figures in metrics.items()},
        "confusion": confusion,
        "details": {name: _shortened(row) for name, row in details.items()},
    }
    files = job.world.lead(lambda: _write(compilation, job, summary))
    return step, metrics, {kind: job.folder / name for kind, name in files.items()}


def _shortened(row: list[float]) -> list[float | None]:
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in row]


def _chosen(trainer: Trainer) -> int:
    """The step of the best checkpoint, if there is one and it is whole; else the last step."""
    job, last, best = trainer.job, trainer.state.step, trainer.state.best_step
    if best is None or best == last:
        return last
    reason = job.world.lead(lambda: damage(job.folder, best))
    if reason is None:
        return best
    trainer.observer.warn(
        f"the best checkpoint, that of step {best}, can't be used ({reason}); the last one, of "
        f"step {last}, takes its place"
    )
    return last


def _at(trainer: Trainer, step: int) -> AbstractContextManager[None]:
    """Within, the networks hold what a step is used with: the moving averages, where there are any.

    The last step's are there already; an earlier one's stay for good.

    Raises: NetwrightError: R901: its checkpoint is damaged.
    """
    job = trainer.job
    if step == trainer.state.step:
        return trainer.stepper.averaged()
    saved = job.world.together(lambda: load_whole(job.folder, step))
    use(saved, job.graphs, job.objective, job.folder)
    return nullcontext()


def _write(compilation: Compilation, job: Job, summary: dict[str, Any]) -> dict[str, str]:
    """Write the summary and draw the pictures. Returns: kind -> file in the run's folder."""
    write_json(job.folder / SUMMARY, summary)
    drawn = _draw(compilation, job, summary["confusion"])
    return {"summary": SUMMARY, **drawn, **_draw_nearest(compilation, job), **animate(job.folder)}


def _draw_nearest(compilation: Compilation, job: Job) -> dict[str, str]:
    """Draw samples that were made above the training samples that they are like."""
    judge = job.judge
    if judge is None or judge.resembling is None:
        return {}
    field, found = compilation.fields[judge.name], judge.resembling
    if not is_drawable(field):
        return {}
    (batch,) = job.train.chosen(found.indices, len(found.indices))
    paint = Painter(field, batch.raw[judge.name])
    made, learnt = (in_rows(paint(x)) for x in (found.made, batch.raw[judge.name]))
    rows = [row for pair in zip(made, learnt, strict=True) for row in pair]
    write_bytes(job.folder / NEAREST, draw_grid(rows))
    return {"nearest": NEAREST}


def _measure_parts(
    job: Job, step: int
) -> tuple[dict[str, dict[str, float]], Confusion, dict[str, list[float]]]:
    """The figures of every part that was not trained on; the confusion and details of the last."""
    metrics: dict[str, dict[str, float]] = {}
    parts = {"validation": job.validation, "test": job.test}
    found = {name: batches for name, batches in parts.items() if batches is not None}
    confusion, details = None, {}
    for part, batches in found.items():
        figures, size, ends = job.figures(), 2 * job.settings.batch, part == [*found][-1]
        metrics[part] = measure(job.objective, batches, size, figures, step, job.world)
        verdict = job.judged(batches, ends=ends)
        metrics[part] |= {**(job.closing(batches) if ends else {}), **verdict.figures}
        confusion, details = figures.confusion(), {**figures.details(), **verdict.details}
    return metrics, confusion, details


def _draw(compilation: Compilation, job: Job, confusion: Confusion) -> dict[str, str]:
    draw_curves(read_history(job.folder), compilation.spec.name, job.folder / CURVES)
    if confusion is None:
        return {"curves": CURVES}
    names = class_names(compilation, len(confusion))
    draw_confusion(confusion, names, job.folder / CONFUSION)
    return {"curves": CURVES, "confusion": CONFUSION}
