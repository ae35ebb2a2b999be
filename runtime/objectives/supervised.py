"""The training step of `supervised`: a network's outputs are compared with data fields."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...compiler.ir.graph import Graph
from ...compiler.objectives.fields import Field
from ...compiler.objectives.losses import Loss, WeightedLoss
from ...compiler.objectives.pairs import NO_PAIRS, Pair, Pairs, pair_of
from ...compiler.objectives.schedules import Schedule
from ...compiler.objectives.supervised import Supervised as Settings
from ..data.batches import Batch
from ..distributed.world import World
from ..generated import by_name
from ..metrics import Figures
from ..numbers import Number
from .base import Losses, Masses, Meter, Numbers, Objective, Outputs, Turn
from .losses import make_loss, real_steps


class Supervised(Objective):
    """See compiler/objectives/supervised.py for the settings."""

    def __init__(
        self,
        settings: Settings,
        graphs: Mapping[str, Graph],
        networks: Mapping[str, nn.Module],
        device: torch.device,
        pairs: Pairs = NO_PAIRS,
    ) -> None:
        name = settings.network.network
        graph = graphs[name]
        self.networks = {name: networks[name]}
        self.turns = (Turn("", (name,)),)
        self._network = networks[name]
        self._inputs = tuple(settings.inputs(graph).values())
        self._ports = tuple(graph.outputs)
        self._judge = Judge(settings, device, pairs)
        self._settings, self._device, self._pairs = settings, device, pairs
        self.schedules = weights_of(settings)

    def meter(self, fields: Mapping[str, Field], world: World) -> Meter:
        return Figures(self._settings, fields, self._device, world, self._pairs)

    def step(self, batch: Batch, turn: Turn, numbers: Numbers) -> Losses:
        return self.losses(self.outputs(batch), batch, numbers)

    def outputs(self, batch: Batch) -> Outputs:
        """Output of the network -> tensor."""
        results = self._network(*[batch.values[field] for field in self._inputs])
        return by_name(results, self._ports)

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch, numbers: Numbers) -> Losses:
        return self._judge(outputs, batch, numbers)

    def masses(self, batch: Batch) -> Masses:
        return self._judge.masses(batch)


def weights_of(settings: Settings) -> dict[str, Schedule]:
    """The schedule of each loss's weight, by the loss's title."""
    return {title: item.weight for item, title in _titled(settings.losses)}


class Judge:
    """The losses of outputs, wherever these come from."""

    def __init__(self, settings: Settings, device: torch.device, pairs: Pairs = NO_PAIRS) -> None:
        self._terms = [
            _Term(item, title, device, pair_of(item.loss, pairs))
            for item, title in _titled(settings.losses)
        ]

    def __call__(self, outputs: Mapping[str, Tensor], batch: Batch, numbers: Numbers) -> Losses:
        """`loss`, the weighted sum, and each term without its weight where there are several."""
        values = {term.title: term(outputs, batch) for term in self._terms}
        parts = [_weighted(value, numbers[title]) for title, value in values.items()]
        if len(parts) == 1:
            return {"loss": parts[0]}
        return {"loss": torch.stack(parts).sum(), **values}

    def masses(self, batch: Batch) -> Masses:
        """How much counts in each term, by its title; nothing where samples count alike in all."""
        found = {term.title: term.mass(batch) for term in self._terms}
        known = [mass for mass in found.values() if mass is not None]
        if not known:
            return {}
        alike = torch.full_like(known[0], batch.size)
        return {title: alike if mass is None else mass for title, mass in found.items()}


def _weighted(value: Tensor, weight: Number) -> Tensor:
    return value if isinstance(weight, float) and weight == 1.0 else value * weight


class _Term:
    """One loss with its output, target and weight."""

    def __init__(self, item: WeightedLoss, title: str, device: torch.device, pair: Pair) -> None:
        self.title, self._loss, self._lengths = title, item.loss, pair.lengths
        self._compute = make_loss(item.loss, device, pair.axis)

    def __call__(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor:
        target = self._target(batch)
        return self._compute(outputs[self._loss.output], target, self._real(batch, target))

    def mass(self, batch: Batch) -> Tensor | None:
        target = self._target(batch)
        return self._compute.mass(target, self._real(batch, target))

    def _target(self, batch: Batch) -> Tensor:
        fields = batch.raw if self._loss.raw_target else batch.values
        return fields[self._loss.target]

    def _real(self, batch: Batch, target: Tensor) -> Tensor | None:
        """Which elements of the target are real: bool of its shape."""
        if self._lengths is None:
            return None
        steps = real_steps(batch.raw[self._lengths], target.shape[1])
        return steps.view(*steps.shape, *(1,) * (target.ndim - 2)).expand_as(target)


def _titled(losses: list[WeightedLoss]) -> list[tuple[WeightedLoss, str]]:
    """Each loss with what tables call it: its name, with output and target where names repeat."""
    names = [item.loss.name for item in losses]

    def title(loss: Loss) -> str:
        alone = names.count(loss.name) == 1
        return loss.name if alone else f"{loss.name}({loss.output}, {loss.target})"

    return [(item, title(item.loss)) for item in losses]
