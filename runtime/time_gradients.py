"""How far back in time a network learns from: the gradient of its loss at each of its steps."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from .data.batches import Batch
from .objectives.base import Numbers, Objective


def gradient_by_step(
    objective: Objective, batch: Batch, field: str, numbers: Numbers
) -> NDArray[np.float64]:
    """The size of the loss's gradient at each step of a sequence.

    Where it vanishes with the distance from the end, the network can't learn what lies there.

    Args:
        batch: some samples. field: one that holds sequences f32[B, T, ...] in it.
        numbers: the objective's schedules at some step.
    Returns: [T], the root of the mean over samples of |dL/dx_t|^2, L the sum over samples.
    Source: Bengio, Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013, equation 5.
    """
    given = batch.values[field].detach().clone().requires_grad_()
    changed = Batch(batch.raw, {**batch.values, field: given})
    # cuDNN's recurrent kernels have gradients in training mode alone, where dropout draws.
    with torch.backends.cudnn.flags(enabled=False):
        loss = objective.losses(objective.outputs(changed), changed, numbers)["loss"] * batch.size
        (gradient,) = torch.autograd.grad(loss, given)
    squares = gradient.double().flatten(2).square().sum(2).mean(0)
    found: NDArray[np.float64] = squares.sqrt().cpu().numpy()
    return found
