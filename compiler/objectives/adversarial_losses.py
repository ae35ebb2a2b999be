"""What a generator and a discriminator play for; runtime/objectives/adversarial_losses.py has it.

D is the discriminator's output, a score that no `sigmoid` has squeezed; x are real samples and y
generated ones. Means are taken over everything that the discriminator gives.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field as Setting

from .numbers import Positive, Range
from .schedules import Schedule
from .section import Section

SMOOTHING, CLIP = "smoothing", "clip"
"""The numbers of losses that may change."""


class AdversarialLoss(Section):
    """The losses of both networks."""

    name: ClassVar[str]

    wants_scores: ClassVar[bool] = True
    """Whether a discriminator that ends in a probability makes no sense."""

    has_middle: ClassVar[bool] = False
    """Whether a score above 0 takes a sample for real, and one below it for generated."""

    def schedules(self) -> dict[str, Schedule]:
        """Its numbers that may change during the run."""
        return {}


class Smoothed(AdversarialLoss):
    """One that takes the discriminator's score for the logit of a sample being real."""

    has_middle: ClassVar[bool] = True

    smoothing: Annotated[Schedule, Range(ge=0, lt=0.5)] = Setting(
        default=Schedule.constant(0.0),
        description="What real samples lack to 1 in the discriminator's answer: one-sided label "
        "smoothing (Salimans et al. 2016, section 3.4).",
    )

    def schedules(self) -> dict[str, Schedule]:
        return {SMOOTHING: self.smoothing}


class NonSaturating(Smoothed):
    """The discriminator tells real from generated; the generator wants to be taken for real.

    Discriminator: mean softplus(-D(x)) + mean softplus(D(y)). Generator: mean softplus(-D(y)).
    Where both are equal, the discriminator's loss is 2 ln 2. Source: Goodfellow et al. 2014.
    """

    name: ClassVar[str] = "non_saturating"
    title: ClassVar[str] = "the loss `non_saturating`"


class Minimax(Smoothed):
    """The same, where the generator makes large what the discriminator makes small.

    Generator: -mean softplus(D(y)), whose gradient vanishes where the discriminator is sure.
    Source: Goodfellow et al. 2014, equation 1.
    """

    name: ClassVar[str] = "minimax"
    title: ClassVar[str] = "the loss `minimax`"


class LeastSquares(AdversarialLoss):
    """The discriminator answers 1 to real samples and 0 to generated ones, by squared errors.

    Discriminator: (mean (D(x) - 1)^2 + mean D(y)^2) / 2. Generator: mean (D(y) - 1)^2 / 2.
    Source: Mao et al. 2017, equation 9.
    """

    name: ClassVar[str] = "least_squares"
    title: ClassVar[str] = "the loss `least_squares`"
    wants_scores: ClassVar[bool] = False


class Wasserstein(AdversarialLoss):
    """The distance between both distributions, by a critic whose weights are clipped.

    Critic: mean D(y) - mean D(x). Generator: -mean D(y). After each of its steps, the critic's
    trained weights are brought into [-clip, clip]. Source: Arjovsky et al. 2017, algorithm 1.
    """

    name: ClassVar[str] = "wasserstein"
    title: ClassVar[str] = "the loss `wasserstein`"

    clip: Positive = Setting(
        default=Schedule.constant(0.01), description="The largest weight of the critic."
    )

    def schedules(self) -> dict[str, Schedule]:
        return {CLIP: self.clip}


class WassersteinGp(AdversarialLoss):
    """The same distance; the critic is held smooth by a gradient penalty, and not by clipping.

    Give it the regularizer `gradient_penalty`, with `center: 1`. Source: Gulrajani et al. 2017.
    """

    name: ClassVar[str] = "wasserstein_gp"
    title: ClassVar[str] = "the loss `wasserstein_gp`"


class Hinge(AdversarialLoss):
    """Only scores within a margin of 1 move the discriminator.

    Discriminator: mean relu(1 - D(x)) + mean relu(1 + D(y)). Generator: -mean D(y).
    Source: Lim and Ye 2017; Miyato et al. 2018.
    """

    name: ClassVar[str] = "hinge"
    title: ClassVar[str] = "the loss `hinge`"
    has_middle: ClassVar[bool] = True


class Relativistic(AdversarialLoss):
    """Each generated sample is judged beside a real one.

    Discriminator: mean softplus(D(y) - D(x)). Generator: mean softplus(D(x) - D(y)).
    Source: Jolicoeur-Martineau 2019, the relativistic pairing GAN; with R1 and R2: Huang et al.
    2024.
    """

    name: ClassVar[str] = "relativistic"
    title: ClassVar[str] = "the loss `relativistic`"


ADVERSARIAL_LOSSES: dict[str, type[AdversarialLoss]] = {
    cls.name: cls
    for cls in (
        NonSaturating,
        Minimax,
        LeastSquares,
        Wasserstein,
        WassersteinGp,
        Hinge,
        Relativistic,
    )
}
