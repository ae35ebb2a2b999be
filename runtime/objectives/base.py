"""What an objective gives to the trainer: losses. It owns no loop, no optimizer and no device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from ...compiler.objectives.fields import Field
from ...compiler.objectives.schedules import Schedule
from ..data.batches import Batch
from ..distributed.world import World
from ..numbers import Number

Losses = dict[str, Tensor]
"""Name -> a number on the device; `loss` is what is made small, the others are shown."""

Outputs = dict[str, Tensor]


Numbers = Mapping[str, Number]
"""The values of an objective's `schedules` at one step."""


Masses = Mapping[str, Tensor]
"""Name of a schedule -> how much of a batch counts in the loss that it weighs, a number."""

NO_MASSES: Masses = {}


@dataclass(frozen=True)
class Turn:
    """One optimizer's part of a step; an objective with two optimizers takes two turns.

    role: its key in `training.optimizers`; empty where one optimizer trains everything.
    networks: the names of those whose parameters it moves.
    every: it is taken at each `every`-th step: a GAN with 5 discriminator steps to one of the
        generator has a turn with 1 and a turn with 5.
    """

    role: str
    networks: tuple[str, ...]
    every: int = 1


class Meter(Protocol):
    """Sums up the figures of one evaluation, over all processes that take part in it."""

    def update(
        self,
        outputs: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        b: Batch,
        masses: Masses = NO_MASSES,
    ) -> None:
        """Take in one batch.

        masses: what the objective's `masses` says of it.
        """

    def expect(
        self,
        outputs: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        b: Batch,
        masses: Masses = NO_MASSES,
    ) -> None:
        """Make what a batch like this one needs, without counting it."""

    @property
    def is_empty(self) -> bool:
        """Whether no batch was counted."""

    def compute(self, numbers: Numbers | None = None) -> dict[str, float]:
        """`loss`, other losses, and what the objective's `figures` names.

        numbers: the weights of several losses, whose sum is that of their means then.
        """

    def confusion(self) -> list[list[int]] | None:
        """Row: true class, column: predicted class. None where there are no classes to confuse."""


class Objective(Protocol):
    """One recipe, bound to its networks. It owns no loop, no optimizer and no device.

    A turn's losses must come from one call of `step`, which may call networks several times: the
    trainer wraps that call for several processes, compiles or records it.
    """

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Every network by its name in the spec."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The optimizers' turns of one step, in order."""

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """Settings of the objective that change during the run, such as the weights of losses."""

    @property
    def state(self) -> Mapping[str, Tensor]:
        """Tensors beside the networks that steps change in place; checkpoints hold them."""

    @property
    def continues(self) -> bool:
        """Whether each row of a batch goes on where that row of the batch before ended."""

    def begin(self) -> None:
        """The rows of the next training step begin anew."""

    def meter(self, fields: Mapping[str, Field], world: World) -> Meter:
        """A new meter for one evaluation, by the processes of a world."""

    def samples(self, step: int) -> list[str]:
        """What the networks make after a step, for people to look at; often nothing."""

    def step(self, batch: Batch, turn: Turn, numbers: Numbers) -> Losses:
        """The losses of one turn; the networks are in training mode."""

    def outputs(self, batch: Batch) -> Outputs:
        """What evaluation judges; the networks are in evaluation mode."""

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch, numbers: Numbers) -> Losses:
        """The losses of given outputs."""

    def masses(self, batch: Batch) -> Masses:
        """How much of a batch counts in each loss that is a mean over something else than samples,
        such as real elements, by the name of the loss's weight in `schedules`.

        The pieces of a step are put together by these. Empty where every sample counts alike.
        """
