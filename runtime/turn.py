"""One turn of an objective as a module: what is compiled."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from .data.batches import Batch
from .objectives.base import Losses, Numbers, Objective, Turn


class TurnModule(nn.Module):
    """Calls an objective's `step` for one turn.

    moved: the networks that the turn moves; `Exchange` averages the gradients of these alone.
    """

    def __init__(self, objective: Objective, turn: Turn) -> None:
        super().__init__()
        self.moved = nn.ModuleDict({name: objective.networks[name] for name in turn.networks})
        self._take = objective.step
        self._turn = turn

    def forward(
        self, raw: Mapping[str, Tensor], values: Mapping[str, Tensor], numbers: Numbers
    ) -> Losses:
        """raw, values: the fields of a batch. Returns: losses by name."""
        return self._take(Batch(raw, values), self._turn, numbers)
