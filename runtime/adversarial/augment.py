"""What a discriminator sees of images; compiler/objectives/judged_augmentation.py says what it is.

All of it can be differentiated twice, as penalties need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ...compiler.objectives.judged_augmentation import Adaptive, JudgedAugmentation
from ..data.augment import picked
from ..numbers import Number

SHARE, HOLE = 8, 2
"""Images move by one part of so many, and lose a square whose sides are one part of so many."""


def augment(settings: JudgedAugmentation, x: Tensor, probability: Number) -> Tensor:
    """Change images f32[B, C, H, W] at random, by torch's own generator.

    probability: of each kind for each image; a tensor of one number where it is found in training.
    """
    for kind in settings.kinds:
        changed = KINDS[kind](x)
        if isinstance(probability, float) and probability == 1:
            x = changed
        else:
            x = torch.where(_drawn(x) < probability, changed, x)
    return x


def _drawn(x: Tensor) -> Tensor:
    """A number from 0 to below 1 for each image, [B, 1, 1, 1]."""
    return torch.rand(len(x), 1, 1, 1, device=x.device)


def _color(x: Tensor) -> Tensor:
    x = x + (_drawn(x) - 0.5)
    if x.shape[1] > 1:
        grey = x.mean(1, keepdim=True)
        x = grey + (x - grey) * (2 * _drawn(x))
    middle = x.mean((1, 2, 3), keepdim=True)
    return middle + (x - middle) * (_drawn(x) + 0.5)


def _translation(x: Tensor) -> Tensor:
    """Row h of the result is row h + offset, or 0 where there is none; columns likewise."""
    batch, _, height, width = x.shape
    rows, has_row = _moved(batch, height, x.device)
    columns, has_column = _moved(batch, width, x.device)
    inside = has_row[:, None, :, None] & has_column[:, None, None, :]
    return picked(x, rows, columns) * inside


def _moved(batch: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """For each place of the result, [B, size], where it comes from, and whether that exists."""
    most = (size + SHARE // 2) // SHARE
    offsets = torch.randint(-most, most + 1, (batch, 1), device=device)
    places = offsets + torch.arange(size, device=device)
    return places.clamp(0, size - 1), (places >= 0) & (places < size)


def _cutout(x: Tensor) -> Tensor:
    height, width = (_hole(len(x), size, x.device) for size in x.shape[2:])
    return x * ~(height[:, None, :, None] & width[:, None, None, :])


def _hole(batch: int, size: int, device: torch.device) -> Tensor:
    """Which places of an axis lie in the square, [B, size]; its middle may be anywhere."""
    side = (size + 1) // HOLE
    first = torch.randint(0, size + (1 - side % 2), (batch, 1), device=device) - side // 2
    places = torch.arange(size, device=device)
    return (places >= first) & (places < first + side)


KINDS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
}


class AdaptiveProbability:
    """Finds the probability while training, by the scores of real samples.

    state: what a checkpoint holds: the probability, and sums over the scores of a step.
    """

    def __init__(self, settings: Adaptive, batch: int, device: torch.device) -> None:
        self._settings, self._pace = settings, batch / settings.samples
        self.value, self._signs, self._count = (torch.zeros((), device=device) for _ in range(3))
        self.state = {
            "augment.probability": self.value,
            "augment.signs": self._signs,
            "augment.count": self._count,
        }

    @torch.no_grad()
    def watch(self, scores: Tensor) -> None:
        """Take in the scores of real samples of a micro-batch."""
        self._signs += scores.sign().sum()
        self._count += scores.numel()

    @torch.no_grad()
    def move(self) -> None:
        """A step of the discriminator is over. Source: Karras et al. 2020a, equation 1."""
        too_sure = (self._signs / self._count - self._settings.target).sign()
        self.value.add_(self._pace * too_sure).clamp_(0, 1)
        self._signs.zero_()
        self._count.zero_()
