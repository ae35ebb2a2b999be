"""The training steps of `gan`: the discriminator's turn, and the generator's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...compiler.driver import Compilation
from ...compiler.objectives.adversarial_losses import CLIP
from ...compiler.objectives.density import NOISE
from ...compiler.objectives.fields import Field
from ...compiler.objectives.gan import DISCRIMINATOR, GENERATOR
from ...compiler.objectives.gan import Gan as Settings
from ...compiler.objectives.gan_checks import LATENT
from ...compiler.objectives.gradient_penalties import R1, R2
from ...compiler.objectives.growing import FADE
from ...compiler.objectives.judged_augmentation import PROBABILITY
from ...compiler.objectives.schedules import Schedule
from ..adversarial.augment import AdaptiveProbability, augment
from ..adversarial.pictures import GanPictures
from ..data.batches import Batch, Batches
from ..data.restore import Restore, as_stored
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
        self.schedules: dict[str, Schedule] = settings.schedules()
        self.state: dict[str, Tensor] = {}
        self._settings, self._device = settings, device
        self._generator, self._discriminator = (
            networks[names[role]] for role in (GENERATOR, DISCRIMINATOR)
        )
        self._generator_sources = tuple(settings.generator_sources(graphs).values())
        self._discriminator_sources = tuple(settings.discriminator_sources(graphs).values())
        self._code = [int(str(size)) for size in settings.latent_type(graphs).shape[1:]]
        self._game = game(settings.loss)
        self._augment, self._chance = settings.augment, None
        if settings.augment and settings.augment.adaptive:
            self._chance = AdaptiveProbability(settings.augment.adaptive, rows, device)
            self.state |= self._chance.state
        self._begin_fade(compilation)
        self.real, self.fields = settings.real, compilation.fields
        self.programs = Programs(settings, compilation, networks, device)

    def _begin_fade(self, compilation: Compilation) -> None:
        """Keep the fade of `training.grow`, where the networks take it, as it is before a step."""
        grow, self._shown = compilation.spec.training.grow, None
        if self._settings.fade is None or grow is None:
            return
        stage = grow.last if compilation.stage is None else compilation.stage
        self.schedules[FADE] = fading = grow.fading(stage)
        self._shown = torch.tensor(fading.at(grow.begin(stage)), device=self._device)
        self.state[FADE] = self._shown

    def succeed(self, before: Objective) -> None:
        fade = None if self._shown is None else self._shown.clone()
        super().succeed(before)
        if self._shown is not None and fade is not None:
            self._shown.copy_(fade)  # a stage has a fade of its own

    # Running the networks

    def latent(self, count: int) -> Tensor:
        """Latent codes [count, ...]."""
        if self._settings.latent == "normal":
            return torch.randn((count, *self._code), device=self._device)
        return 2 * torch.rand((count, *self._code), device=self._device) - 1

    def generated(self, batch: Batch) -> Tensor:
        """As many samples as a batch has, with its conditions, as networks see them."""
        return self._made_of(self.latent(batch.size), batch.values)

    def drawn(self, noise: Tensor, values: Mapping[str, Tensor]) -> Tensor:
        """Samples in raw units, as `generate` makes them, but with the fade as it is now.

        noise: what the program takes, [count, ...]. values: conditions, as networks see them.
        """
        code = noise if self._settings.latent == "normal" else (noise - 0.5) * 2
        made, field = self._made_of(code, values), self.fields[self.real]
        return Restore(field, self._device)(made) if field.is_transformed else made

    def _made_of(self, code: Tensor, values: Mapping[str, Tensor]) -> Tensor:
        given = {**values, **self._faded(len(code)), LATENT: code}
        made = self._generator(*[given[name] for name in self._generator_sources])
        assert isinstance(made, Tensor)
        return made

    def _faded(self, count: int) -> dict[str, Tensor]:
        """What the input takes that brings in a stage little by little, if there is one."""
        if self._shown is None or self._settings.fade is None:
            return {}
        return {self._settings.fade: self._shown.expand(count)}

    def scored(self, samples: Tensor, batch: Batch) -> Tensor:
        """The discriminator's scores of samples with the conditions of a batch."""
        given = {**batch.values, **self._faded(len(samples)), self.real: samples}
        scores = self._discriminator(*[given[name] for name in self._discriminator_sources])
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
        if self._shown is not None:
            self._shown.fill_(numbers[FADE])
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
        return as_stored(self.drawn(noise[NOISE], batch.values), self.fields[self.real])

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
