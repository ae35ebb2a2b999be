"""The training step of `supervised`: a network's outputs are compared with data fields."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...compiler.ir.graph import Graph
from ...compiler.objectives.fields import Field
from ...compiler.objectives.losses import Loss, WeightedLoss
from ...compiler.objectives.schedules import Schedule
from ...compiler.objectives.supervised import Supervised as Settings
from ..data.batches import Batch
from ..distributed.world import World
from ..metrics import Figures
from ..numbers import Number
from .base import Losses, Meter, Numbers, Outputs, Turn
from .losses import Compute, make_loss


class Supervised:
    """See compiler/objectives/supervised.py for the settings."""

    continues = False

    def __init__(
        self,
        settings: Settings,
        graphs: Mapping[str, Graph],
        networks: Mapping[str, nn.Module],
        device: torch.device,
    ) -> None:
        name = settings.network.network
        graph = graphs[name]
        self.networks: Mapping[str, nn.Module] = {name: networks[name]}
        self.turns = (Turn("", (name,)),)
        self._network = networks[name]
        self._inputs = tuple(settings.inputs(graph).values())
        self._ports = tuple(graph.outputs)
        self._judge = Judge(settings, device)
        self._settings, self._device = settings, device
        self.schedules: Mapping[str, Schedule] = weights_of(settings)
        self.state: Mapping[str, Tensor] = {}

    def begin(self) -> None:
        """Rows of batches have nothing to do with those before."""

    def meter(self, fields: Mapping[str, Field], world: World) -> Meter:
        return Figures(self._settings, fields, self._device, world)

    def samples(self, step: int) -> list[str]:
        return []

    def step(self, batch: Batch, turn: Turn, numbers: Numbers) -> Losses:
        return self.losses(self.outputs(batch), batch, numbers)

    def outputs(self, batch: Batch) -> Outputs:
        """Output of the network -> tensor."""
        results = self._network(*[batch.values[field] for field in self._inputs])
        tensors = results if isinstance(results, tuple) else (results,)
        return dict(zip(self._ports, tensors, strict=True))

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch, numbers: Numbers) -> Losses:
        return self._judge(outputs, batch, numbers)


def weights_of(settings: Settings) -> dict[str, Schedule]:
    """The schedule of each loss's weight, by the loss's title."""
    return {title: item.weight for item, title in _titled(settings.losses)}


class Judge:
    """The losses of outputs, wherever these come from."""

    def __init__(self, settings: Settings, device: torch.device) -> None:
        self._terms = [_Term(item, title, device) for item, title in _titled(settings.losses)]

    def __call__(self, outputs: Mapping[str, Tensor], batch: Batch, numbers: Numbers) -> Losses:
        """`loss`, the weighted sum, and each term without its weight where there are several."""
        values = {term.title: term(outputs, batch) for term in self._terms}
        parts = [_weighted(value, numbers[title]) for title, value in values.items()]
        if len(parts) == 1:
            return {"loss": parts[0]}
        return {"loss": torch.stack(parts).sum(), **values}


def _weighted(value: Tensor, weight: Number) -> Tensor:
    return value if isinstance(weight, float) and weight == 1.0 else value * weight


class _Term:
    """One loss with its output, target and weight."""

    def __init__(self, item: WeightedLoss, title: str, device: torch.device) -> None:
        self.title, self._loss = title, item.loss
        self._compute: Compute = make_loss(item.loss, device)

    def __call__(self, outputs: Mapping[str, Tensor], batch: Batch) -> Tensor:
        fields = batch.raw if self._loss.raw_target else batch.values
        return self._compute(outputs[self._loss.output], fields[self._loss.target])


def _titled(losses: list[WeightedLoss]) -> list[tuple[WeightedLoss, str]]:
    """Each loss with what tables call it: its name, with output and target where names repeat."""
    names = [item.loss.name for item in losses]

    def title(loss: Loss) -> str:
        alone = names.count(loss.name) == 1
        return loss.name if alone else f"{loss.name}({loss.output}, {loss.target})"

    return [(item, title(item.loss)) for item in losses]
