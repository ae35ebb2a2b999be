"""Random changes of training samples; runtime/data applies them to the network's input.

Images are [B, C, H, W]. Nothing is augmented outside training, nor in an exported program.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from .numbers import IN_FLOAT32
from .section import Section


class Augmentation(Section):
    """A random change of each training sample, after `scale` or `normalize`."""

    name: ClassVar[str]
    moves_pixels: ClassVar[bool] = True
    """Whether it needs images and moves their pixels."""


class Flip(Augmentation):
    """Mirror each image with probability 1/2. W: left to right; H: top to bottom."""

    name: ClassVar[str] = "flip"
    title: ClassVar[str] = "the augmentation `flip`"

    axis: Literal["W", "H"] = Field(
        default="W", description="The axis to mirror: W (left to right) or H (top to bottom)."
    )


class Shift(Augmentation):
    """Move each image by a random number of pixels along both axes; edges are repeated."""

    name: ClassVar[str] = "shift"
    title: ClassVar[str] = "the augmentation `shift`"
    expects: ClassVar[str] = "a number or a map"

    pixels: int = Field(ge=1, description="The largest move along each axis, in pixels.")

    @classmethod
    def desugar(cls, data: Any) -> Any:
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        return {"pixels": data} if is_number else super().desugar(data)


class Noise(Augmentation):
    """Add normal noise to every element."""

    name: ClassVar[str] = "noise"
    title: ClassVar[str] = "the augmentation `noise`"
    expects: ClassVar[str] = "a number or a map"
    moves_pixels: ClassVar[bool] = False

    std: Annotated[float, Field(gt=0), IN_FLOAT32] = Field(
        description="Standard deviation, in units of the network's input."
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        return {"std": data} if is_number else super().desugar(data)


AUGMENTATIONS: dict[str, type[Augmentation]] = {cls.name: cls for cls in (Flip, Shift, Noise)}
