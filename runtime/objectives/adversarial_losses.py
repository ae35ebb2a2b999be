"""The losses of compiler/objectives/adversarial_losses.py, by the discriminator's scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor

from ...compiler.objectives.adversarial_losses import (
    SMOOTHING,
    AdversarialLoss,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Relativistic,
    Wasserstein,
    WassersteinGp,
)
from .base import Numbers


class Game(ABC):
    """What both networks make small; each a number, of scores in float32.

    real, fake: scores of as many real samples and generated ones. numbers: those of the loss's
    settings that may change.
    """

    needs_real = False
    """Whether the generator's loss looks at the scores of real samples."""

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor, numbers: Numbers) -> Tensor:
        """The loss of the discriminator."""

    @abstractmethod
    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """The loss of the generator. real: given where `needs_real`."""


class NonSaturatingGame(Game):
    """Binary cross-entropy, whose targets are 1 - smoothing and 0."""

    def discriminator(self, real: Tensor, fake: Tensor, numbers: Numbers) -> Tensor:
        # softplus(-s) + smoothing * s is the cross-entropy of the target 1 - smoothing.
        cost = F.softplus(-real).mean() + F.softplus(fake).mean()
        smoothing = numbers[SMOOTHING]
        if isinstance(smoothing, float) and not smoothing:
            return cost
        return cost + smoothing * real.mean()

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return F.softplus(-fake).mean()


class MinimaxGame(NonSaturatingGame):
    """The generator makes large what the discriminator makes small."""

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return -F.softplus(fake).mean()


class LeastSquaresGame(Game):
    """Squared errors of the answers 1 and 0."""

    def discriminator(self, real: Tensor, fake: Tensor, numbers: Numbers) -> Tensor:
        return 0.5 * ((real - 1).square().mean() + fake.square().mean())

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return 0.5 * (fake - 1).square().mean()


class WassersteinGame(Game):
    """The difference of both means."""

    def discriminator(self, real: Tensor, fake: Tensor, numbers: Numbers) -> Tensor:
        return fake.mean() - real.mean()

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return -fake.mean()


class HingeGame(Game):
    """Scores within a margin of 1."""

    def discriminator(self, real: Tensor, fake: Tensor, numbers: Numbers) -> Tensor:
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return -fake.mean()


class RelativisticGame(Game):
    """Each generated sample beside a real one."""

    needs_real = True

    def discriminator(self, real: Tensor, fake: Tensor, numbers: Numbers) -> Tensor:
        return F.softplus(fake - real).mean()

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        assert real is not None
        return F.softplus(real - fake).mean()


GAMES: Mapping[str, Callable[[], Game]] = {
    NonSaturating.name: NonSaturatingGame,
    Minimax.name: MinimaxGame,
    LeastSquares.name: LeastSquaresGame,
    Wasserstein.name: WassersteinGame,
    WassersteinGp.name: WassersteinGame,
    Hinge.name: HingeGame,
    Relativistic.name: RelativisticGame,
}


def game(settings: AdversarialLoss) -> Game:
    """What computes a loss."""
    return GAMES[settings.name]()
