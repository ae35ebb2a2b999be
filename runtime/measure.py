"""Evaluating an objective over one part of the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from .data.batches import Batch, Batches, Share
from .data.seeds import EVALUATION, derive
from .device import seed_generators
from .distributed.world import ALONE, World
from .numbers import numbers_at
from .objectives.base import Meter, Objective


def measure(
    objective: Objective,
    batches: Batches,
    size: int,
    figures: Meter,
    step: int = 0,
    world: World = ALONE,
) -> dict[str, float]:
    """Losses and metrics over every sample, in evaluation mode and float32.

    Args:
        size: samples at a time. figures: fresh, of the same world; afterwards it also holds the
            confusion matrix.
        step: for loss weights that follow a schedule.
        world: each process measures its part; the figures are those of all samples.
    Returns: name -> figure; the losses are averaged over the samples, or over what counts in them.
    """
    numbers = numbers_at(objective.schedules, step)
    with evaluating(objective.networks.values()), torch.inference_mode():
        seeded(batches.device, world.rank)
        for batch in _part(batches, size, world):
            outputs = objective.outputs(batch)
            losses, masses = objective.losses(outputs, batch, numbers), objective.masses(batch)
            figures.update(outputs, losses, batch, masses)
        if figures.is_empty:  # fewer samples than processes: learn from one what there is to sum up
            batch = next(batches.in_order(1))
            outputs = objective.outputs(batch)
            losses, masses = objective.losses(outputs, batch, numbers), objective.masses(batch)
            figures.expect(outputs, losses, batch, masses)
    return figures.compute(numbers)


def _part(batches: Batches, size: int, world: World) -> Iterator[Batch]:
    return batches.in_order(size, Share(world.rank, world.size))


def seeded(device: torch.device, rank: int = 0) -> None:
    """Begin the random numbers of an evaluation, the same ones in each.

    A measurement is thus a function of the weights, the device and the number of processes. Steps
    of training have seeds of their own.
    """
    seed_generators(derive(0, EVALUATION, 0, rank), device)


@contextmanager
def evaluating(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Within, the networks are in evaluation mode; afterwards each layer is in the one it had."""
    training = [m for network in networks for m in network.modules() if m.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
