"""Sources of points whose distribution is known."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field as Setting

from .fields import Field
from .numbers import IN_FLOAT32
from .sequence_sources import Drawn


class Ring(Drawn):
    """Points around the corners of a regular polygon: the classic test of mode collapse.

    Each point is drawn from one of `modes` normal distributions, every one as likely as the others,
    whose means lie at even distances on a circle around 0, the first at (radius, 0).

    Fields: `point` float32 [B, 2]; `mode` int64 [B], the number of its distribution.
    Source: Metz et al. 2017, section 3.1.
    """

    name: ClassVar[str] = "ring"
    title: ClassVar[str] = "the source `ring`"

    modes: int = Setting(default=8, ge=1, le=100_000, description="How many distributions.")
    radius: Annotated[float, Setting(gt=0), IN_FLOAT32] = Setting(
        default=2.0, description="Of the circle."
    )
    std: Annotated[float, Setting(gt=0), IN_FLOAT32] = Setting(
        default=0.02, description="The deviation of each distribution, in both directions."
    )

    def known_fields(self) -> dict[str, Field]:
        return {
            "point": Field(shape=["B", 2], dtype="float32"),
            "mode": Field(shape=["B"], dtype="int64", below=self.modes),
        }
