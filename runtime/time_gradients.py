"""How far back in time a network learns from: the gradient of its loss at each of its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .data.batches import Batch
from .objectives.base import Numbers, Objective


def gradient_by_step(
    objective: Objective,
    batch: Batch,
    field: str,
    numbers: Numbers,
    lengths: Tensor | None = None,
) -> NDArray[np.float64]:
    """The size of the loss's gradient at each step of a sequence.

    Where it vanishes with the distance from the end, the network can't learn what lies there.

    Args:
        batch: some samples. field: one that holds sequences f32[B, T, ...] in it.
        numbers: the objective's schedules at some step.
        lengths: i[B], how many steps of each sample are real, where they differ.
    Returns: [T], the last one that of each sample's own last step: the root of the mean over
        samples of |dL/dx_t|^2, L the sum over samples.
    Source: Bengio, Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013, equation 5.
    """
    given = batch.values[field].detach().clone().requires_grad_()
    changed = Batch(batch.raw, {**batch.values, field: given})
    # cuDNN's recurrent kernels have gradients in training mode alone, where dropout draws.
    with torch.backends.cudnn.flags(enabled=False):
        loss = objective.losses(objective.outputs(changed), changed, numbers)["loss"] * batch.size
        (gradient,) = torch.autograd.grad(loss, given)
    return _by_step(gradient, lengths)


def gradient_of_last(
    layer: nn.Module, loss_of_last: Callable[[], Tensor]
) -> NDArray[np.float64] | None:
    """The size of the gradient of the last step's loss at each step of what a layer gives.

    Args:
        layer: gives f32[B, T, C] of the tokens that a network reads.
        loss_of_last: runs the network; the sum over samples of the loss of their last step.
    Returns: [T], as of `gradient_by_step`; None where the network did not use the layer.
    """
    given: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        given.append(output.detach().requires_grad_())
        return given[-1]

    hook = layer.register_forward_hook(keep)
    try:
        with torch.backends.cudnn.flags(enabled=False):
            loss = loss_of_last()
            if not given:
                return None
            (gradient,) = torch.autograd.grad(loss, given[0])
    finally:
        hook.remove()
    return _by_step(gradient)


def _by_step(gradient: Tensor, lengths: Tensor | None = None) -> NDArray[np.float64]:
    """[T] of [B, T, ...]: the root of the mean over samples of the squared length."""
    squares = gradient.double().flatten(2).square().sum(2)
    found: NDArray[np.float64] = _mean_from_the_end(squares, lengths).sqrt().cpu().numpy()
    return found


def _mean_from_the_end(values: Tensor, lengths: Tensor | None) -> Tensor:
    """The mean over those samples that have a step so far from their end: [T] of [B, T]."""
    if lengths is None:
        return values.mean(0)
    size = int(lengths.max())
    places = lengths[:, None] - size + torch.arange(size, device=values.device)
    there = places >= 0
    moved = values.gather(1, places.clamp(min=0)) * there
    return moved.sum(0) / there.sum(0)
