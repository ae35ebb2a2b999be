"""The losses in torch: in float32, whatever precision the network ran in.

Each is a mean over what counts: the real elements of a target, and of labels those that are not
ignored, each as much as its class weighs. `mass` says how much that is, so that the parts of a
batch can be put together to the mean of the whole. What the network says of padding reaches neither
the loss nor a gradient, whatever it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ...compiler.objectives.losses import FIRST, L1, Axis, BceLogits, CrossEntropy, Huber, Loss, Mse

NO_LABEL = -100
"""torch's default of a label that is left out."""

LEAST = torch.finfo(torch.float32).tiny
"""What a mass of 0 is replaced by, so that a mean of nothing is 0."""


class Compute(Protocol):
    """A loss of an output and its target.

    real: bool of the target's shape; None where everything is real.
    """

    def __call__(self, output: Tensor, target: Tensor, real: Tensor | None = None) -> Tensor:
        """The mean over what counts, a number; 0 where nothing does."""

    def mass(self, target: Tensor, real: Tensor | None = None) -> Tensor | None:
        """How much counts, a number; None where every sample counts alike."""


def make_loss(settings: Loss, device: torch.device, axis: Axis = FIRST) -> Compute:
    """The function of a loss, with its constants on the device.

    axis: of the classes in scores.
    """
    if isinstance(settings, CrossEntropy):
        return _CrossEntropy(settings, device, axis)
    return _Elementwise(_MAKERS[type(settings)](settings, device))


class _CrossEntropy:
    def __init__(self, settings: CrossEntropy, device: torch.device, axis: Axis) -> None:
        weights = settings.class_weights
        self._weight = None if weights is None else torch.tensor(weights, device=device)
        self._ignored = NO_LABEL if settings.ignore is None else settings.ignore
        self._is_even = weights is None and settings.ignore is None
        self._smoothing, self._axis = settings.smoothing, axis

    def __call__(self, output: Tensor, target: Tensor, real: Tensor | None = None) -> Tensor:
        labels, scores = self._labels(target, real), output.float()
        if self._axis != FIRST:
            scores, labels = scores.flatten(0, -2), labels.flatten()
        if real is not None:
            shown = real.flatten() if self._axis != FIRST else real
            scores = torch.where(shown.unsqueeze(1), scores, 0)
        if self._is_even and real is None:
            return self._loss(scores, labels, "mean")
        total, mass = self._loss(scores, labels, "sum"), self._mass(labels)
        return total / mass.clamp(min=LEAST)

    def mass(self, target: Tensor, real: Tensor | None = None) -> Tensor | None:
        if self._is_even and real is None:
            return None
        return self._mass(self._labels(target, real))

    def _loss(self, scores: Tensor, labels: Tensor, reduction: str) -> Tensor:
        return F.cross_entropy(
            scores,
            labels,
            self._weight,
            ignore_index=self._ignored,
            label_smoothing=self._smoothing,
            reduction=reduction,
        )

    def _labels(self, target: Tensor, real: Tensor | None) -> Tensor:
        """Labels, with one that is ignored in place of padding."""
        labels = target.long()
        return labels if real is None else torch.where(real, labels, self._ignored)

    def _mass(self, labels: Tensor) -> Tensor:
        counted = labels != self._ignored
        if self._weight is None:
            return counted.sum().float()
        return (self._weight[torch.where(counted, labels, 0)] * counted).sum()


class _Elementwise:
    """A loss of each element by itself. of: (output, target, reduction) -> as torch gives it."""

    def __init__(self, of: Callable[[Tensor, Tensor, str], Tensor]) -> None:
        self._of = of

    def __call__(self, output: Tensor, target: Tensor, real: Tensor | None = None) -> Tensor:
        given, wanted = output.float(), target.float()
        if real is None:
            return self._of(given, wanted, "mean")
        each = self._of(torch.where(real, given, 0), torch.where(real, wanted, 0), "none")
        return torch.where(real, each, 0).sum() / real.sum().clamp(min=1)

    def mass(self, target: Tensor, real: Tensor | None = None) -> Tensor | None:
        return None if real is None else real.sum().float()


def _bce_logits(settings: Any, device: torch.device) -> Callable[[Tensor, Tensor, str], Tensor]:
    more = settings.pos_weight
    pos_weight = None if more is None else torch.tensor(more, device=device)
    return lambda output, target, reduction: F.binary_cross_entropy_with_logits(
        output, target, pos_weight=pos_weight, reduction=reduction
    )


def _mse(settings: Any, device: torch.device) -> Callable[[Tensor, Tensor, str], Tensor]:
    return lambda output, target, reduction: F.mse_loss(output, target, reduction=reduction)


def _l1(settings: Any, device: torch.device) -> Callable[[Tensor, Tensor, str], Tensor]:
    return lambda output, target, reduction: F.l1_loss(output, target, reduction=reduction)


def _huber(settings: Any, device: torch.device) -> Callable[[Tensor, Tensor, str], Tensor]:
    return lambda output, target, reduction: F.huber_loss(
        output, target, delta=settings.delta, reduction=reduction
    )


_MAKERS: dict[type[Loss], Callable[[Any, torch.device], Callable[[Tensor, Tensor, str], Tensor]]]
_MAKERS = {BceLogits: _bce_logits, Mse: _mse, L1: _l1, Huber: _huber}


def real_steps(lengths: Tensor, size: int) -> Tensor:
    """Which of `size` steps are real: bool [B, size] of lengths [B]."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]
