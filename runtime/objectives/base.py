"""What an objective gives to the trainer: losses. It owns no loop, no optimizer and no device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from ..data.batches import Batch

Losses = dict[str, Tensor]
"""Name -> a number on the device; `loss` is what is made small, the others are shown."""

Outputs = dict[str, Tensor]


@dataclass(frozen=True)
class Turn:
    """One optimizer's part of a step; an objective with two optimizers takes two turns.

    role: its key in `training.optimizers`; empty where one optimizer trains everything.
    networks: the names of those whose parameters it moves.
    """

    role: str
    networks: tuple[str, ...]


class Objective(Protocol):
    """One recipe, bound to its networks."""

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Every network by its name in the spec."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The optimizers' turns of one step, in order."""

    def step(self, batch: Batch, turn: Turn, step: int) -> Losses:
        """The losses of one turn; the networks are in training mode.

        step: optimizer steps done, for weights that follow a schedule.
        """

    def outputs(self, batch: Batch) -> Outputs:
        """What evaluation judges; the networks are in evaluation mode."""

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch, step: int) -> Losses:
        """The losses of given outputs."""
