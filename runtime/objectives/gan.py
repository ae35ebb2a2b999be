"""The training steps of `gan`: the discriminator's turn, and the generator's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...compiler.driver import Compilation
from ...compiler.objectives.adversarial_losses import CLIP
from ...compiler.objectives.fields import Field
from ...compiler.objectives.gan import DISCRIMINATOR, GENERATOR, TRUNCATION
from ...compiler.objectives.gan import Gan as Settings
from ...compiler.objectives.gan_checks import LATENT
from ...compiler.objectives.gradient_penalties import R1, R2
from ...compiler.objectives.judged_augmentation import PROBABILITY
from ..adversarial.augment import AdaptiveProbability, augment
from ..adversarial.pictures import GanPictures
from ..data.batches import Batch, Batches
from ..data.restore import as_stored
from ..distributed.world import World
from ..numbers import Number
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
        self.schedules = settings.schedules()
        self._settings, self._device = settings, device
        self._generator, self._discriminator = (
            networks[names[role]] for role in (GENERATOR, DISCRIMINATOR)
        )
        self._generator_sources = tuple(settings.generator_sources(graphs).values())
        self._discriminator_fields = tuple(settings.discriminator_fields(graphs).values())
        self._code = [int(str(size)) for size in settings.latent_type(graphs).shape[1:]]
        self._game = game(settings.loss)
        self._augment, self._chance = settings.augment, None
        if settings.augment and settings.augment.adaptive:
            self._chance = AdaptiveProbability(settings.augment.adaptive, rows, device)
            self.state = self._chance.state
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

    def seen(self, samples: Tensor, batch: Batch, numbers: Numbers) -> Tensor:
        """The scores of samples as training shows them to the discriminator: augmented."""
        if self._augment is None:
            return self.scored(samples, batch)
        chance = self._chance.value.clone() if self._chance else numbers[PROBABILITY]
        return self.scored(augment(self._augment, samples, chance), batch)

    # Training

    def step(self, batch: Batch, turn: Turn, numbers: Numbers) -> Losses:
        if turn.role == GENERATOR:
            return self._generator_losses(batch, numbers)
        return self._discriminator_losses(batch, numbers)

    def _generator_losses(self, batch: Batch, numbers: Numbers) -> Losses:
        fake = self.seen(self.generated(batch), batch, numbers).float()
        if not self._game.needs_real:
            return {"loss": self._game.generator(None, fake)}
        real = self.seen(batch.values[self.real], batch, numbers).float()
        return {"loss": self._game.generator(real, fake)}

    def _discriminator_losses(self, batch: Batch, numbers: Numbers) -> Losses:
        with torch.no_grad():
            made = self.generated(batch)
        penalties = [one for one in self._settings.regularizers if is_due(numbers[one.name])]
        critic = partial(self.seen, batch=batch, numbers=numbers)
        needs = {kind: need_gradients(penalties, kind) for kind in (R1, R2)}
        real = watched(batch.values[self.real], critic, needed=needs[R1])
        fake = watched(made, critic, needed=needs[R2])
        loss = self._game.discriminator(real.scores, fake.scores, numbers)
        terms = {REAL: real.scores.mean(), FAKE: fake.scores.mean()}
        for settings in penalties:
            terms[settings.name] = penalty(settings, critic, real, fake)
            loss = loss + numbers[settings.name] * terms[settings.name]
        if self._chance:
            self._chance.watch(real.scores)
            terms[PROBABILITY] = self._chance.value.clone()
        return {"loss": loss, **terms}

    def moved(self, turn: Turn, numbers: Numbers) -> None:
        if turn.role != DISCRIMINATOR:
            return
        if self._chance:
            self._chance.move()
        if CLIP in numbers:
            self._clip(numbers)

    def _clip(self, numbers: Numbers) -> None:
        most: Any = numbers[CLIP]  # a number, or a tensor of one
        with torch.no_grad():
            for parameter in self._discriminator.parameters():
                if parameter.requires_grad:
                    parameter.clamp_(-most, most)

    # Measuring

    def outputs(self, batch: Batch) -> Outputs:
        return {
            REAL: self.scored(batch.values[self.real], batch).float(),
            FAKE: self.scored(self.generated(batch), batch).float(),
        }

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch, numbers: Numbers) -> Losses:
        return losses_of(self._game, outputs, numbers)

    def meter(self, fields: Mapping[str, Field], world: World) -> Meter:
        return Means(self._device, world)

    def made(self, batch: Batch, generator: torch.Generator) -> Tensor:
        noise = self.programs.noise("generate", {"B": batch.size}, generator)
        whole = torch.ones(batch.size, device=self._device)
        given = {**batch.raw, **noise, TRUNCATION: whole}
        made = self.programs.run("generate", given)[self.real]
        return as_stored(made, self.fields[self.real])

    def pictures(self, shown: Batches) -> dict[str, bytes]:
        return GanPictures(self, shown).all()


def is_due(weight: Number) -> bool:
    """Whether a penalty is computed. Its weight is no tensor where some steps leave it out."""
    return isinstance(weight, Tensor) or weight != 0


def losses_of(played: Game, scores: Mapping[str, Tensor], numbers: Numbers) -> Losses:
    """What both networks play for, without penalties, by the names that it has in training.

    scores: of `REAL` and `FAKE` samples.
    """
    real, fake = scores[REAL], scores[FAKE]
    return {
        f"{DISCRIMINATOR}.loss": played.discriminator(real, fake, numbers),
        f"{GENERATOR}.loss": played.generator(real, fake),
        f"{DISCRIMINATOR}.{REAL}": real.mean(),
        f"{DISCRIMINATOR}.{FAKE}": fake.mean(),
    }
