"""The training steps of `gan`: the discriminator's turn, and the generator's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from ...compiler.driver import Compilation
from ...compiler.objectives.adversarial_losses import Wasserstein
from ...compiler.objectives.fields import Field
from ...compiler.objectives.gan import DISCRIMINATOR, GENERATOR
from ...compiler.objectives.gan import Gan as Settings
from ...compiler.objectives.gan_checks import LATENT
from ...compiler.objectives.gradient_penalties import R1, R2
from ..adversarial.pictures import GanPictures
from ..data.batches import Batch, Batches
from ..distributed.world import World
from .adversarial_losses import Game, game
from .base import Losses, Meter, Numbers, Objective, Outputs, Turn
from .gradient_penalties import need_gradients, penalty, watched
from .means import Means
from .programs import Programs

REAL, FAKE = "real", "fake"
"""Among the outputs of an evaluation: scores of real samples, and of generated ones."""


class Gan(Objective):
    """See compiler/objectives/gan.py for the settings."""

    def __init__(
        self,
        settings: Settings,
        compilation: Compilation,
        networks: Mapping[str, nn.Module],
        device: torch.device,
        rows: int,
    ) -> None:
        graphs, names = compilation.graphs, settings.networks()
        self.networks = {name: networks[name] for name in names.values()}
        twice = settings.differentiates_twice
        self.turns = (
            Turn(DISCRIMINATOR, (names[DISCRIMINATOR],), differentiates_twice=twice),
            Turn(GENERATOR, (names[GENERATOR],), settings.discriminator_steps),
        )
        self.schedules = {one.name: one.weight for one in settings.regularizers}
        self._settings, self._device = settings, device
        self._generator, self._discriminator = (
            networks[names[role]] for role in (GENERATOR, DISCRIMINATOR)
        )
        self._generator_sources = tuple(settings.generator_sources(graphs).values())
        self._discriminator_fields = tuple(settings.discriminator_fields(graphs).values())
        self._code = [int(str(size)) for size in settings.latent_type(graphs).shape[1:]]
        self._game = game(settings.loss)
        self._clip = settings.loss.clip if isinstance(settings.loss, Wasserstein) else None
        self.real, self.fields = settings.real, compilation.fields
        self.programs = Programs(settings, compilation, networks, device)

    # Running the networks

    def latent(self, count: int) -> Tensor:
        """Latent codes [count, ...]."""
        if self._settings.latent == "normal":
            return torch.randn((count, *self._code), device=self._device)
        return 2 * torch.rand((count, *self._code), device=self._device) - 1

    def generated(self, batch: Batch) -> Tensor:
        """As many samples as a batch has, with its conditions, as networks see them."""
        code = self.latent(batch.size)
        read = [code if n == LATENT else batch.values[n] for n in self._generator_sources]
        made = self._generator(*read)
        assert isinstance(made, Tensor)
        return made

    def scored(self, samples: Tensor, batch: Batch) -> Tensor:
        """The discriminator's scores of samples with the conditions of a batch."""
        read = [samples if n == self.real else batch.values[n] for n in self._discriminator_fields]
        scores = self._discriminator(*read)
        assert isinstance(scores, Tensor)
        return scores

    # Training

    def step(self, batch: Batch, turn: Turn, numbers: Numbers) -> Losses:
        if turn.role == GENERATOR:
            return self._generator_losses(batch)
        return self._discriminator_losses(batch, numbers)

    def _generator_losses(self, batch: Batch) -> Losses:
        fake = self.scored(self.generated(batch), batch).float()
        if not self._game.needs_real:
            return {"loss": self._game.generator(None, fake)}
        real = self.scored(batch.values[self.real], batch).float()
        return {"loss": self._game.generator(real, fake)}

    def _discriminator_losses(self, batch: Batch, numbers: Numbers) -> Losses:
        with torch.no_grad():
            made = self.generated(batch)
        penalties, critic = self._settings.regularizers, partial(self.scored, batch=batch)
        needs = {kind: need_gradients(penalties, kind) for kind in (R1, R2)}
        real = watched(batch.values[self.real], critic, needed=needs[R1])
        fake = watched(made, critic, needed=needs[R2])
        loss = self._game.discriminator(real.scores, fake.scores)
        terms = {REAL: real.scores.mean(), FAKE: fake.scores.mean()}
        for settings in penalties:
            terms[settings.name] = penalty(settings, critic, real, fake)
            loss = loss + numbers[settings.name] * terms[settings.name]
        return {"loss": loss, **terms}

    def moved(self, turn: Turn) -> None:
        if self._clip is None or turn.role != DISCRIMINATOR:
            return
        with torch.no_grad():
            for parameter in self._discriminator.parameters():
                if parameter.requires_grad:
                    parameter.clamp_(-self._clip, self._clip)

    # Measuring

    def outputs(self, batch: Batch) -> Outputs:
        return {
            REAL: self.scored(batch.values[self.real], batch).float(),
            FAKE: self.scored(self.generated(batch), batch).float(),
        }

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch, numbers: Numbers) -> Losses:
        return losses_of(self._game, outputs)

    def meter(self, fields: Mapping[str, Field], world: World) -> Meter:
        return Means(self._device, world)

    def pictures(self, shown: Batches) -> dict[str, bytes]:
        return GanPictures(self, shown).all()


def losses_of(played: Game, scores: Mapping[str, Tensor]) -> Losses:
    """What both networks play for, without penalties, by the names that it has in training.

    scores: of `REAL` and `FAKE` samples.
    """
    real, fake = scores[REAL], scores[FAKE]
    return {
        f"{DISCRIMINATOR}.loss": played.discriminator(real, fake),
        f"{GENERATOR}.loss": played.generator(real, fake),
        f"{DISCRIMINATOR}.{REAL}": real.mean(),
        f"{DISCRIMINATOR}.{FAKE}": fake.mean(),
    }
