"""Random changes of training samples, a whole batch at once on its device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
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
    """Take row h of the result from row h + offset, and beyond the edge from the edge."""
    most, device = settings.pixels, x.device
    batch, _, height, width = x.shape
    offsets = torch.randint(-most, most + 1, (2, batch, 1), generator=generator, device=device)
    rows = (offsets[0] + torch.arange(height, device=device)).clamp_(0, height - 1)
    columns = (offsets[1] + torch.arange(width, device=device)).clamp_(0, width - 1)
    return picked(x, rows, columns)


def picked(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Images whose pixel (h, w) is that of the row and the column which each image has for h and w.

    Pixels are picked as rows of one long list, which is four times as fast as indexing images by
    three coordinates.

    Args: x: [B, C, H, W]. rows: i64[B, H], which are overwritten. columns: i64[B, W].
    """
    batch, channels, height, width = x.shape
    begins = torch.arange(0, batch * height, height, device=x.device)
    places = (rows.add_(begins[:, None]).mul_(width)[:, :, None] + columns[:, None, :]).flatten()
    pixels = x.permute(0, 2, 3, 1).reshape(-1, channels)
    moved = pixels.index_select(0, places).view(batch, height, width, channels)
    return moved.permute(0, 3, 1, 2)


def _noise(settings: Any, x: Tensor, generator: Generator) -> Tensor:
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return x + float(settings.std) * noise


_AUGMENTATIONS: dict[type[Augmentation], Callable[[Any, Tensor, Generator], Tensor]] = {
    Flip: _flip,
    Shift: _shift,
    Noise: _noise,
}
