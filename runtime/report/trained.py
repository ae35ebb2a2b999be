"""A run's networks with their weights, and the samples that a report may look at."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...compiler.driver import Compilation
from ..checkpoint import load_whole
from ..data.dataset import Dataset, Part
from ..device import choose_device
from ..objectives.base import Objective
from ..objectives.registry import bind
from ..opening import read_data
from ..planning.layout import memory_format
from ..snapshot import use
from .subject import Subject


@dataclass(frozen=True)
class Trained:
    """Networks in evaluation mode.

    part: the test samples of a finished run; else those of validation, since the test samples are
        looked at once, when training is over.
    """

    objective: Objective
    dataset: Dataset
    part: Part
    device: torch.device


def open_trained(subject: Subject, compilation: Compilation, step: int) -> Trained | None:
    """Read the data and the checkpoint of a run.

    Returns: None where no samples are set aside for what the run is ready for.
    Raises: NetwrightError: F601, F602: the data; R901, R902: the checkpoint; R905: the device;
        R906: memory.
    """
    device = choose_device(subject.device or "auto")
    dataset = read_data(compilation, subject.data_folder)
    part = _part(dataset, finished=subject.finished)
    if part is None:
        return None
    objective = bind(compilation, device, memory_format(compilation.graphs.values()))
    graphs = {name: compilation.graphs[name] for name in objective.networks}
    use(load_whole(subject.folder, step), graphs, objective, subject.folder)
    for network in objective.networks.values():
        network.eval()
    return Trained(objective, dataset, part, device)


def _part(dataset: Dataset, *, finished: bool) -> Part | None:
    if finished and dataset.has("test"):
        return "test"
    return "validation" if dataset.has("validation") else None
