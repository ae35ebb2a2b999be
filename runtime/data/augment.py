"""Random changes of training samples, a whole batch at once on its device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ...compiler.objectives.augmentations import Augmentation, Flip, Noise, Shift

AXES = {"H": 2, "W": 3}


def augment(settings: Augmentation, x: Tensor, generator: Generator) -> Tensor:
    """Change each sample of a batch by chance.

    Args:
        x: f32[B, C, H, W], or any shape for noise. generator: on the device of x.
    Returns: a tensor of the same shape.
    """
    return _AUGMENTATIONS[type(settings)](settings, x, generator)


def _flip(settings: Any, x: Tensor, generator: Generator) -> Tensor:
    chosen = torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device) < 0.5
    return torch.where(chosen, x.flip(AXES[settings.axis]), x)


def _shift(settings: Any, x: Tensor, generator: Generator) -> Tensor:
    """Cut each image out of its padded self: row h of the result is row h + offset."""
    most = settings.pixels
    batch, _, height, width = x.shape
    padded: Tensor = F.pad(x, (most, most, most, most), mode="replicate")
    offsets = torch.randint(2 * most + 1, (2, batch, 1), generator=generator, device=x.device)
    rows = offsets[0] + torch.arange(height, device=x.device)
    columns = offsets[1] + torch.arange(width, device=x.device)
    samples = torch.arange(batch, device=x.device)[:, None, None]
    picked = (samples, rows[:, :, None], columns[:, None, :])
    moved: Tensor = padded.permute(0, 2, 3, 1)[picked]
    return moved.permute(0, 3, 1, 2)


def _noise(settings: Any, x: Tensor, generator: Generator) -> Tensor:
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return x + float(settings.std) * noise


_AUGMENTATIONS: dict[type[Augmentation], Callable[[Any, Tensor, Generator], Tensor]] = {
    Flip: _flip,
    Shift: _shift,
    Noise: _noise,
}
