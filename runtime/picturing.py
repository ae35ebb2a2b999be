"""From raw samples of a field to the pixels of pictures."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..compiler.objectives.fields import Field
from .drawing import Images

ACROSS = 8
"""How many images stand in a row."""


class Painter:
    """Turns raw images into pixels from 0 to 1.

    like: real samples, by whose range black and white are chosen where the field tells none.
    """

    def __init__(self, field: Field, like: Tensor) -> None:
        self._low, self._high = _limits(field, like)

    def __call__(self, x: Tensor) -> Images:
        """x: [B, C, H, W]."""
        width = (self._high - self._low) or 1.0
        pixels: Images = ((x.float() - self._low) / width).cpu().numpy()
        return pixels


def is_drawable(field: Field) -> bool:
    """Whether samples of a resolved field are grey or coloured images."""
    shape = field.shape or []
    return len(shape) == 4 and shape[1] in (1, 3) and min(map(_size, shape[2:])) > 1


def in_rows(images: Images) -> list[Images]:
    """Images in rows of `ACROSS`; the last ones that fill none are left out."""
    if len(images) <= ACROSS:
        return [images]
    return [images[i : i + ACROSS] for i in range(0, len(images) - ACROSS + 1, ACROSS)]


def repeated_to(count: int, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Samples again and again, until there are so many."""
    many = -(-count // len(next(iter(raw.values()))))
    return {name: x.repeat(many, *[1] * (x.ndim - 1))[:count] for name, x in raw.items()}


def _size(size: object) -> int:
    return size if isinstance(size, int) else 1


def _limits(field: Field, raw: Tensor) -> tuple[float, float]:
    """What is black and what is white: the field's range, else that of the samples."""
    if field.raw_range is not None:
        return field.raw_range
    return float(raw.min()), float(raw.max())
