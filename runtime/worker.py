"""One optimizer at work: its turn of a step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..compiler.objectives.training import Training
from .data.batches import Batch
from .device import autocast
from .objectives.base import Objective, Turn
from .optimizers import make_optimizer, pack_state, unpack_state


class Worker:
    """Takes one turn of each step: forward, backward, clipping, update.

    names: every parameter that it moves -> `<network>.<parameter>`.
    """

    def __init__(
        self, turn: Turn, objective: Objective, settings: Training, device: torch.device
    ) -> None:
        self._turn, self._objective, self._device = turn, objective, device
        self._settings = settings.optimizers.get(turn.role, settings.optimizer)
        self._clip, self._schedule = settings.clip_norm, settings.schedule
        self._precision = settings.precision
        self._names: dict[Tensor, str] = {
            parameter: f"{network}.{name}"
            for network in turn.networks
            for name, parameter in objective.networks[network].named_parameters()
        }
        self._parameters = list(self._names)
        self._optimizer = make_optimizer(self._settings, self._parameters)
        self._prefix = f"{turn.role}." if turn.role else ""
        self._key = f"optimizer/{turn.role}/"

    def lr(self, step: int, total: int) -> float:
        """The learning rate of one step of `total`."""
        return self._settings.lr * self._schedule.factor(step, total)

    def step(self, batch: Batch, step: int, total: int) -> dict[str, Tensor]:
        """Move the parameters once.

        Returns: the losses by name, detached, still on the device.
        """
        lr = self.lr(step, total)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        with autocast(self._precision, self._device):
            losses = self._objective.step(batch, self._turn, step)
        torch.autograd.backward(losses["loss"])
        if self._clip is not None:
            torch.nn.utils.clip_grad_norm_(self._parameters, self._clip)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return {self._prefix + name: value.detach() for name, value in losses.items()}

    def memory(self) -> dict[str, Tensor]:
        """The optimizer's state for a checkpoint."""
        packed = pack_state(self._optimizer, self._names)
        return {self._key + key: value for key, value in packed.items()}

    def remember(self, tensors: Mapping[str, Tensor]) -> None:
        """Give the optimizer the state that a checkpoint holds."""
        own = {key: value for key, value in tensors.items() if key.startswith(self._key)}
        packed = {key.removeprefix(self._key): value for key, value in own.items()}
        unpack_state(self._optimizer, self._names, packed)
