"""The regularizers of compiler/objectives/gradient_penalties.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...compiler.objectives.gradient_penalties import R1, R2, GradientPenalty, Penalty

Critic = Callable[[Tensor], Tensor]
"""Samples [B, ...] -> their scores."""


@dataclass(frozen=True)
class Judged:
    """Samples [B, ...] that take part in a gradient, and their scores."""

    samples: Tensor
    scores: Tensor


def watched(samples: Tensor, critic: Critic, *, needed: bool) -> Judged:
    """Judge samples; needed: whether the gradient by them will be asked for."""
    x = samples.detach().requires_grad_() if needed else samples
    return Judged(x, critic(x).float())


def gradients(judged: Judged) -> Tensor:
    """The gradient of each sample's score, flat [B, D]; it has a gradient itself.

    The scores of a batch are summed: where layers such as batch norm let samples see each other,
    the gradient is that of all scores by one sample.
    """
    (found,) = torch.autograd.grad(judged.scores.sum(), judged.samples, create_graph=True)
    return found.float().flatten(1)


def penalty(settings: Penalty, critic: Critic, real: Judged, fake: Judged) -> Tensor:
    """A penalty without its weight, the mean over the samples."""
    if isinstance(settings, GradientPenalty):
        between = _between(critic, real.samples, fake.samples)
        lengths: Tensor = torch.linalg.vector_norm(gradients(between), dim=1)
        return (lengths - settings.center).square().mean()
    judged = real if isinstance(settings, R1) else fake
    return 0.5 * gradients(judged).square().sum(1).mean()


def _between(critic: Critic, real: Tensor, fake: Tensor) -> Judged:
    """Points drawn evenly from the lines between pairs of samples."""
    share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    return watched(torch.lerp(real.detach(), fake.detach(), share), critic, needed=True)


def need_gradients(penalties: Sequence[Penalty], kind: type[R1 | R2]) -> bool:
    """Whether one of the penalties asks for gradients by real samples, or by generated ones."""
    return any(isinstance(settings, kind) for settings in penalties)
