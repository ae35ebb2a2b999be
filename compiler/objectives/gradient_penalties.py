"""What holds a discriminator smooth; runtime/objectives/gradient_penalties.py computes it.

Each is a function of the gradient of the discriminator's score by the sample, which is taken twice:
the penalty itself has a gradient by the weights. Lazily: Karras et al. 2020, section 3.1.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field as Setting

from .numbers import Range
from .schedules import Lazy, Schedule
from .section import Section

Weight = Annotated[Schedule, Range(ge=0)]


class Penalty(Section):
    """A term of the discriminator's loss."""

    name: ClassVar[str]

    weight: Weight = Setting(description="How much it counts.")
    every: int = Setting(
        default=1,
        ge=1,
        le=1000,
        description="Computed at each so many steps alone, and counts so many times as much there: "
        "lazy regularization, which saves most of its time.",
    )

    def schedule(self) -> Schedule:
        """How much it counts at each step; 0 where it is left out."""
        return Lazy.of(self.weight, self.every)


class R1(Penalty):
    """weight / 2 * mean |grad D(x)|^2 at real samples x. Source: Mescheder et al. 2018."""

    name: ClassVar[str] = "r1"
    title: ClassVar[str] = "the regularizer `r1`"


class R2(Penalty):
    """weight / 2 * mean |grad D(y)|^2 at generated samples y. Source: Mescheder et al. 2018."""

    name: ClassVar[str] = "r2"
    title: ClassVar[str] = "the regularizer `r2`"


class GradientPenalty(Penalty):
    """weight * mean (|grad D(z)| - center)^2 at points z between a real and a generated sample.

    Each point is drawn evenly from the line between both. Source: Gulrajani et al. 2017, equation
    3; centred at 0: Thanh-Tung et al. 2019.
    """

    name: ClassVar[str] = "gradient_penalty"
    title: ClassVar[str] = "the regularizer `gradient_penalty`"

    weight: Weight = Setting(default=Schedule.constant(10.0), description="How much it counts.")
    center: Literal[0, 1] = Setting(default=1, description="The length that gradients are held at.")


PENALTIES: dict[str, type[Penalty]] = {cls.name: cls for cls in (R1, R2, GradientPenalty)}
