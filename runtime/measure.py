"""Evaluating an objective over one part of the data."""

from __future__ import annotations

import torch

from .data.batches import Batches
from .metrics import Figures
from .objectives.base import Objective


def measure(
    objective: Objective, batches: Batches, size: int, figures: Figures, step: int = 0
) -> dict[str, float]:
    """Losses and metrics over every sample, in evaluation mode and float32.

    Args:
        size: samples at a time. figures: fresh; afterwards it also holds the confusion matrix.
        step: for loss weights that follow a schedule.
    Returns: name -> figure; the losses are averaged over the samples.
    """
    for network in objective.networks.values():
        network.eval()
    with torch.inference_mode():
        for batch in batches.in_order(size):
            outputs = objective.outputs(batch)
            figures.update(outputs, objective.losses(outputs, batch, step), batch)
    for network in objective.networks.values():
        network.train()
    return figures.compute()
