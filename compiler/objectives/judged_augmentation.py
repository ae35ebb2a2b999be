"""What a discriminator sees of samples, real and generated; runtime/adversarial/augment.py does it.

Augmenting real samples alone would teach the generator to make augmented ones. Changing both before
each look, by operations that gradients pass, keeps a discriminator from learning the training
samples by heart, which is what breaks GANs of few data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field as Setting

from ..diagnostics import Code
from .numbers import Range
from .problem import Problem, repeats
from .schedules import Schedule
from .section import Section, listed

Kind = Literal["color", "translation", "cutout"]

PROBABILITY = "augment"
"""What the probability is called among losses, schedules and in checkpoints."""


class Adaptive(Section):
    """Raise the probability while the discriminator is too sure of real samples, else lower it.

    After each of its steps the probability moves by batch / `samples`, up where the mean sign of
    the scores of real samples is above `target`. Source: Karras et al. 2020a, section 3.
    """

    title: ClassVar[str] = "`adaptive`"

    target: float = Setting(
        default=0.6, gt=0, lt=1, description="The mean sign of the scores of real samples."
    )
    samples: int = Setting(
        default=500_000, ge=1, description="Real samples in which it goes from 0 to 1."
    )


class JudgedAugmentation(Section):
    """Change images at random before the discriminator sees them, real and generated ones alike.

    `augment: [color, translation, cutout]` does all of it always, `probability` each of it for some
    images. color: brightness by up to 0.5 either way, saturation by a factor of 0 to 2, contrast by
    one of 0.5 to 1.5. translation: by up to an eighth along both axes. cutout: a square of half the
    size. What comes in is 0, as networks see images.

    Source: Zhao et al. 2020, differentiable augmentation, with its numbers.
    """

    title: ClassVar[str] = "`augment`"
    expects: ClassVar[str] = "a list of kinds or a map"

    kinds: list[Kind] = Setting(min_length=1, description="What is done, in this order.")
    probability: Annotated[Schedule, Range(ge=0, le=1)] = Setting(
        default=Schedule.constant(1.0), description="Of each kind, for each image."
    )
    adaptive: Adaptive | None = Setting(
        default=None, description="Let training find the probability, from 0 on."
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        return {"kinds": data} if isinstance(data, list) else listed(data, "kinds")

    def problems(self) -> Iterator[Problem]:
        if self.adaptive and "probability" in self.model_fields_set:
            yield Problem(
                Code.O502,
                "`probability` and `adaptive` exclude each other, found both",
                ("adaptive",),
                help="keep one of them",
            )
        for index, _ in repeats(self.kinds):
            yield Problem(
                Code.O502,
                f"`augment` expects each kind once, found `{self.kinds[index]}` again",
                ("kinds", index),
                help="remove one of them",
            )
