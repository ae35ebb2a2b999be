"""What an objective gives to the trainer: losses. It owns no loop, no optimizer and no device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...compiler.objectives.fields import Field
from ...compiler.objectives.schedules import Schedule
from ...compiler.objectives.source import Source
from ..data.batches import Batch, Batches
from ..distributed.world import ALONE, World
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
class Parts:
    """What figures at the end are measured on.

    judged: the part of the data whose figures are asked for. train: the training samples.
    size: samples at a time. other: opens another source of data, with the same fields.
    world: the processes that measure, each of which has these parts.
    """

    judged: Batches
    train: Batches
    size: int
    other: Callable[[Source], Batches]
    world: World = ALONE


@dataclass(frozen=True)
class Turn:
    """One optimizer's part of a step; an objective with two optimizers takes two turns.

    role: its key in `training.optimizers`; empty where one optimizer trains everything.
    networks: the names of those whose parameters it moves.
    every: it is taken at each `every`-th step: a GAN with 5 discriminator steps to one of the
        generator has a turn with 1 and a turn with 5.
    differentiates_twice: whether its loss holds gradients by tensors that are no parameters.
    """

    role: str
    networks: tuple[str, ...]
    every: int = 1
    differentiates_twice: bool = False


class Meter(ABC):
    """Sums up the figures of one evaluation, over all processes that take part in it."""

    @abstractmethod
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
        """Make what a batch like this one needs, without counting it; often nothing."""
        return

    @property
    @abstractmethod
    def is_empty(self) -> bool:
        """Whether no batch was counted."""

    @abstractmethod
    def compute(self, numbers: Numbers | None = None) -> dict[str, float]:
        """`loss`, other losses, and what the objective's `figures` names.

        numbers: the weights of several losses, whose sum is that of their means then.
        """

    def confusion(self) -> list[list[int]] | None:
        """Row: true class, column: predicted class. None where there are no classes to confuse."""
        return None

    def details(self) -> dict[str, list[float]]:
        """Rows of numbers behind the figures, such as one for each element of a code."""
        return {}


class Objective(ABC):
    """One recipe, bound to its networks. It owns no loop, no optimizer and no device.

    A turn's losses must come from one call of `step`, which may call networks several times: the
    trainer wraps that call for several processes, compiles or records it. What most objectives
    answer alike has that answer here.
    """

    networks: Mapping[str, nn.Module]
    """Every network by its name in the spec."""

    turns: tuple[Turn, ...]
    """The optimizers' turns of one step, in order."""

    schedules: Mapping[str, Schedule] = {}
    """Settings of the objective that change during the run, such as the weights of losses."""

    state: Mapping[str, Tensor] = {}
    """Tensors beside the networks that steps change in place; checkpoints hold them."""

    fitted: tuple[Tensor, ...] = ()
    """Tensors of the networks that `fit` sets."""

    continues: bool = False
    """Whether each row of a batch goes on where that row of the batch before ended."""

    def succeed(self, before: Objective) -> None:
        """Go on with what the objective of the stage before kept, in a run that grows."""
        with torch.no_grad():
            for name, tensor in self.state.items():
                known = before.state.get(name)
                if known is not None and known.shape == tensor.shape:
                    tensor.copy_(known)

    def begin(self) -> None:
        """The rows of the next training step begin anew."""
        return

    @abstractmethod
    def meter(self, fields: Mapping[str, Field], world: World) -> Meter:
        """A new meter for one evaluation, by the processes of a world."""

    def samples(self, step: int) -> list[str]:
        """What the networks make after a step, for people to look at; often nothing."""
        return []

    def fit(self, train: Batches) -> None:
        """Set what is not learned by gradients, such as a density, before a measurement.

        train: the training samples. The networks are in evaluation mode. It must leave the same
        tensors whenever it is called with the same weights.
        """
        return

    def pictures(self, shown: Batches) -> dict[str, bytes]:
        """PNG files by name, of what the networks make, for people to look at; often nothing.

        shown: samples that training does not see, where there are any. The networks are in
        evaluation mode.
        """
        return {}

    def closing(self, parts: Parts) -> dict[str, float]:
        """Figures of a part of the data that take too long to be measured while training."""
        return {}

    @abstractmethod
    def step(self, batch: Batch, turn: Turn, numbers: Numbers) -> Losses:
        """The losses of one turn; the networks are in training mode."""

    def moved(self, turn: Turn, numbers: Numbers) -> None:
        """The optimizer has moved the networks of a turn: set what their weights must keep to."""
        return

    @abstractmethod
    def outputs(self, batch: Batch) -> Outputs:
        """What evaluation judges; the networks are in evaluation mode."""

    @abstractmethod
    def losses(self, outputs: Mapping[str, Tensor], batch: Batch, numbers: Numbers) -> Losses:
        """The losses of given outputs."""

    def masses(self, batch: Batch) -> Masses:
        """How much of a batch counts in each loss that is a mean over something else than samples,
        such as real elements, by the name of the loss's weight in `schedules`.

        The pieces of a step are put together by these. Empty where every sample counts alike.
        """
        return NO_MASSES
