"""One optimizer at work: its turn of a step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from ..compiler.ir.graph import Graph
from ..compiler.objectives.optimizers import Optimizer
from ..compiler.objectives.training import Training
from .data.batches import Batch
from .device import autocast
from .distributed.exchange import Exchange
from .distributed.world import ALONE, World
from .gradients import Norms
from .grouping import Groups, group_parameters
from .objectives.base import Losses, Numbers, Objective, Turn
from .optimizers import GroupNumbers, make_optimizer, pack_state, unpack_state
from .plan import Plan
from .planning.compiling import compile_module, compiling
from .planning.cuda_graph import CudaRecorder, Recorded
from .turn import TurnModule

Shares = Mapping[str, Tensor]
"""Name of a loss -> the weight of a piece in it, a number on the device."""

LEAST = 1e-30
"""What replaces the mass of a batch in which nothing counts."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A micro-batch. weight: its part of the batch's samples, times the number of processes.

    Each process has the weighted sum of its pieces; their mean over all is that of the batch.
    """

    batch: Batch
    weight: float = 1.0


class Worker:
    """Takes one turn of each step: forward, backward, clipping, update.

    varies: whether batches differ in length.
    names: every parameter that it moves -> `<network>.<parameter>`.
    """

    def __init__(
        self,
        turn: Turn,
        objective: Objective,
        graphs: Mapping[str, Graph],
        settings: Training,
        plan: Plan,
        device: torch.device,
        world: World = ALONE,
        *,
        varies: bool = False,
    ) -> None:
        self._turn, self._plan, self._device = turn, plan, device
        self._settings = settings.optimizers.get(turn.role, settings.optimizer)
        self._schedule, self._clips = settings.schedule, (settings.clip_norm, settings.clip_value)
        groups = _groups(self._settings, settings, graphs, objective, turn)
        self.names, self._parameters = groups.names, groups.parameters
        self._others = _parameters_outside(objective, turn)
        self._optimizer = make_optimizer(
            self._settings, groups.groups, plan.optimizer, recorded=plan.graphs
        )
        self._group_numbers = GroupNumbers(self._optimizer, self._settings)
        self._scaler = torch.amp.GradScaler(device.type, enabled=plan.precision == "fp16")
        self._module = TurnModule(objective, turn)
        if plan.compile:
            compile_module(self._module, varies=varies)
        self._recorded = Recorded(CudaRecorder(device)) if plan.graphs else None
        self._masses, self._moved, self._world = objective.masses, objective.moved, world
        self._exchange = None if world.is_alone else Exchange(self._module.moved, world)
        self._only_own = turn.differentiates_twice and self._exchange is None
        self._prefix = f"{turn.role}." if turn.role else ""
        self._key = f"optimizer/{turn.role}/"
        self.lr_factor = 1.0

    def renew(self) -> None:
        """Take note that other parameters are trained from now on."""
        if self._exchange:
            self._exchange.renew()
        if self._recorded:
            self._recorded.forget()

    def lr(self, step: int, total: int) -> float:
        """The learning rate of one step of `total`."""
        return self._settings.lr.at(step) * self._factor(step, total)

    def _factor(self, step: int, total: int) -> float:
        return self.lr_factor * self._schedule.factor(step, total)

    def is_due(self, step: int) -> bool:
        """Whether the turn is taken at a step; the first is 0."""
        return (step + 1) % self._turn.every == 0

    def step(
        self,
        pieces: Sequence[Piece],
        numbers: Numbers,
        step: int,
        total: int,
        norms: Norms | None = None,
    ) -> dict[str, Tensor]:
        """Move the parameters once.

        Args:
            pieces: the micro-batches of this process.
            norms: takes in the size of each parameter's gradient, before clipping.
        Returns: the losses by name, detached, still on the device.
        """
        self._group_numbers.set(step, self._factor(step, total))
        with compiling() if self._plan.compile else nullcontext():
            if self._recorded is None or norms is not None:
                return self._take(pieces, numbers, step, norms)
            return self._recorded(
                [piece.batch for piece in pieces],
                lambda batches: self._take(_weighted_as(pieces, batches), numbers, step),
            )

    def _take(
        self, pieces: Sequence[Piece], numbers: Numbers, step: int, norms: Norms | None = None
    ) -> dict[str, Tensor]:
        """Forward, backward, clipping and update: what a CUDA graph holds."""
        losses = self._gradients(pieces, numbers)
        self._unscale(needed=norms is not None)
        if norms is not None:
            norms.take(self.names)
        self._clip(step)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._moved(self._turn, numbers)
        self._forget_gradients()
        return {self._prefix + name: value.detach() for name, value in losses.items()}

    def _forget_gradients(self) -> None:
        """As `zero_grad` does, without its marks for torch's profiler: 1% of a step of 0.8 ms."""
        for parameter in self._parameters:
            parameter.grad = None

    def forward(self, pieces: Sequence[Piece], numbers: Numbers) -> None:
        """The forward passes of a turn alone, to look at its layers."""
        with torch.no_grad(), autocast(self._plan.precision, self._device):
            for piece in pieces:
                # `forward`, so that it is not compiled: hooks look at each layer.
                self._module.forward(piece.batch.raw, piece.batch.values, numbers)

    def _gradients(self, pieces: Sequence[Piece], numbers: Numbers) -> Losses:
        """Leave the gradient of the batch in the parameters. Returns: its losses."""
        shares = self._shares(pieces)
        with _frozen(self._others) if self._others else nullcontext():
            found = [
                self._backward(piece, share, numbers, last=piece is pieces[-1])
                for piece, share in zip(pieces, shares, strict=True)
            ]
        if len(found) == 1 and pieces[0].weight == 1.0 and not shares[0]:
            return found[0]
        return {name: self._summed(name, found, pieces, shares) for name in found[0]}

    def _shares(self, pieces: Sequence[Piece]) -> list[Shares]:
        """For each piece, its part of what counts in the batch, times the number of processes.

        By the names of losses; without those where samples count alike, and `Piece.weight` tells.
        """
        nothing: list[Shares] = [{} for _ in pieces]
        if len(pieces) == 1 and self._world.is_alone:
            return nothing
        with torch.no_grad():
            masses = [self._masses(piece.batch) for piece in pieces]
            if not masses[0]:
                return nothing
            own = torch.stack([torch.stack(list(mass.values())).double() for mass in masses])
            whole = self._world.total(own.sum(0)).clamp(min=LEAST)
            parts = own / whole * self._world.size
        return [dict(zip(masses[0], part, strict=True)) for part in parts]

    def _backward(self, piece: Piece, share: Shares, numbers: Numbers, *, last: bool) -> Losses:
        if share:  # each loss has a weight of its own, which the sum of them has then
            numbers = {n: v * share[n] if n in share else v for n, v in numbers.items()}
        weight = 1.0 if share else piece.weight
        with autocast(self._plan.precision, self._device):
            losses: Losses = self._module(piece.batch.raw, piece.batch.values, numbers)
        with self._passing(losses, last=last) as passed:
            loss = passed["loss"] if weight == 1.0 else passed["loss"] * weight
            torch.autograd.backward(self._scaler.scale(loss), inputs=self._wanted())
        return losses

    def _wanted(self) -> list[Tensor] | None:
        """What backward passes are for; None for all that the loss depends on.

        Samples whose gradient a penalty took would get another one, 4% of a step of WGAN-GP. Hooks
        of several processes are promised to work for all alone.
        """
        if not self._only_own:
            return None
        return [p for p in self._parameters if p.requires_grad] or None

    @staticmethod
    def _summed(
        name: str, found: Sequence[Losses], pieces: Sequence[Piece], shares: Sequence[Shares]
    ) -> Tensor:
        """One loss of the batch, from those of its pieces."""
        terms = []
        for losses, piece, share in zip(found, pieces, shares, strict=True):
            is_weighed = name == "loss" and share
            weight = 1.0 if is_weighed else share.get(name, piece.weight)
            terms.append(losses[name].detach() * weight)
        return torch.stack(terms).sum()

    def _passing(self, losses: Losses, *, last: bool) -> AbstractContextManager[Losses]:
        """Within, backward passes end in all processes alike."""
        if self._exchange is None:
            return nullcontext(losses)
        return self._exchange.passing(losses, last=last)

    def _unscale(self, *, needed: bool) -> None:
        """Undo the loss scaling of fp16 where someone looks at the gradients before the update."""
        if self._scaler.is_enabled() and (needed or self._clips != (None, None)):
            self._scaler.unscale_(self._optimizer)

    def _clip(self, step: int) -> None:
        norm, value = self._clips
        if value is not None:
            torch.nn.utils.clip_grad_value_(self._parameters, value.at(step))
        if norm is not None:
            torch.nn.utils.clip_grad_norm_(self._parameters, norm.at(step))

    def memory(self) -> dict[str, Tensor]:
        """The optimizer's state for a checkpoint."""
        packed = pack_state(self._optimizer, self.names)
        return {self._key + key: value for key, value in packed.items()}

    def scaling(self) -> dict[str, float]:
        """The state of fp16's loss scaling; empty without it."""
        return self._scaler.state_dict()

    def remember(self, tensors: Mapping[str, Tensor], scaling: Mapping[str, float]) -> None:
        """Give the optimizer the state that a checkpoint holds.

        Raises: KeyError, ValueError: it lacks something, or was not made by this optimizer.
        """
        own = {key: value for key, value in tensors.items() if key.startswith(self._key)}
        packed = {key.removeprefix(self._key): value for key, value in own.items()}
        unpack_state(self._optimizer, self.names, packed)
        if self._recorded:
            self._recorded.forget()  # the state lies in other tensors now
        if self._scaler.is_enabled():
            self._scaler.load_state_dict(_checked(scaling, self._scaler.state_dict()))


def _checked(scaling: Mapping[str, float], own: Mapping[str, float]) -> dict[str, float]:
    """Stored loss scaling with the types of the scaler's own; torch would fail in the next step."""
    found = {name: type(value)(scaling[name]) for name, value in own.items()}
    if not all(math.isfinite(value) for value in found.values()) or found["scale"] <= 0:
        raise ValueError("its loss scaling is no finite number above 0")
    return found


def _weighted_as(pieces: Sequence[Piece], batches: Sequence[Batch]) -> list[Piece]:
    """Other batches with the weights of these pieces."""
    return [Piece(batch, piece.weight) for piece, batch in zip(pieces, batches, strict=True)]


def _groups(
    optimizer: Optimizer,
    settings: Training,
    graphs: Mapping[str, Graph],
    objective: Objective,
    turn: Turn,
) -> Groups:
    """What the turn's optimizer moves."""
    return group_parameters(
        optimizer,
        settings.parameters,
        {name: graphs[name] for name in turn.networks},
        {name: objective.networks[name] for name in turn.networks},
    )


def _parameters_outside(objective: Objective, turn: Turn) -> list[Tensor]:
    """The parameters of networks that other turns move."""
    return [
        parameter
        for name, network in objective.networks.items()
        if name not in turn.networks
        for parameter in network.parameters()
    ]


@contextmanager
def _frozen(parameters: Sequence[Tensor]) -> Iterator[None]:
    """Within, the gradient of these is not computed: another turn moves them."""
    free = [p for p in parameters if p.requires_grad]
    for parameter in free:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in free:
            parameter.requires_grad_(True)
