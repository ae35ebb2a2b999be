"""From a compiled spec and its data to what a trainer or an evaluation works on."""

from __future__ import annotations

from pathlib import Path

import torch

from ..compiler.driver import Compilation
from .data.batches import Batches
from .data.dataset import Dataset, Part
from .device import memory_format
from .metrics import Figures
from .objectives.registry import bind
from .opening import settings_of
from .trainer import Goal, Job


def make_job(compilation: Compilation, dataset: Dataset, device: torch.device, folder: Path) -> Job:
    """Networks with fresh weights drawn by the spec's seed, and the data on the device."""
    settings, layout = settings_of(compilation), memory_format(compilation.graphs.values())
    torch.manual_seed(compilation.spec.training.seed)
    objective = bind(compilation, device, layout)

    def batches(part: Part) -> Batches:
        return Batches(dataset.parts[part], dataset.fields, device, layout)

    return Job(
        objective=objective,
        graphs={name: compilation.graphs[name] for name in objective.networks},
        settings=compilation.spec.training,
        train=batches("train"),
        validation=batches("validation") if dataset.has("validation") else None,
        test=batches("test") if dataset.has("test") else None,
        figures=lambda: Figures(settings, device),
        goal=_goal(compilation),
        folder=folder,
        device=device,
    )


def _goal(compilation: Compilation) -> Goal | None:
    figure = compilation.spec.training.checkpoint.best
    if figure is None:
        return None
    return Goal(figure, settings_of(compilation).figures().get(figure, False))
