"""The losses in torch: in float32, whatever precision the network ran in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...compiler.objectives.losses import L1, BceLogits, CrossEntropy, Huber, Loss, Mse

Compute = Callable[[Tensor, Tensor], Tensor]
"""(output, target) -> their loss, a number, averaged over all elements."""

NO_LABEL = -100
"""torch's default of a label that is left out."""


def make_loss(settings: Loss, device: torch.device) -> Compute:
    """The function of a loss, with its constants on the device."""
    return _MAKERS[type(settings)](settings, device)


def _cross_entropy(settings: Any, device: torch.device) -> Compute:
    weights = settings.class_weights
    weight = None if weights is None else torch.tensor(weights, device=device)
    ignored = NO_LABEL if settings.ignore is None else settings.ignore

    def compute(output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            output.float(),
            target.long(),
            weight,
            ignore_index=ignored,
            label_smoothing=settings.smoothing,
        )

    return compute


def _bce_logits(settings: Any, device: torch.device) -> Compute:
    more = settings.pos_weight
    pos_weight = None if more is None else torch.tensor(more, device=device)

    def compute(output: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            output.float(), target.float(), pos_weight=pos_weight
        )

    return compute


def _mse(settings: Any, device: torch.device) -> Compute:
    return lambda output, target: F.mse_loss(output.float(), target.float())


def _l1(settings: Any, device: torch.device) -> Compute:
    return lambda output, target: F.l1_loss(output.float(), target.float())


def _huber(settings: Any, device: torch.device) -> Compute:
    return lambda output, target: F.huber_loss(output.float(), target.float(), delta=settings.delta)


_MAKERS: dict[type[Loss], Callable[[Any, torch.device], Compute]] = {
    CrossEntropy: _cross_entropy,
    BceLogits: _bce_logits,
    Mse: _mse,
    L1: _l1,
    Huber: _huber,
}
