"""The scheduled numbers of a step: floats where steps run one by one, tensors where recorded."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..compiler.objectives.schedules import Schedule

Number = float | Tensor


def numbers_at(schedules: Mapping[str, Schedule], step: int) -> dict[str, Number]:
    """Each schedule's value for an optimizer step; the first step is 0."""
    return {name: schedule.at(step) for name, schedule in schedules.items()}


class Scheduled:
    """Gives the numbers of one step after the other.

    Args:
        schedules: name -> schedule.
        device: where moving numbers lie as tensors that are filled anew, so that a compiled or
            recorded step reads them instead of containing one value; None for plain floats.
    """

    def __init__(self, schedules: Mapping[str, Schedule], device: torch.device | None) -> None:
        self._values: dict[str, Number] = dict(numbers_at(schedules, 0))
        self._moving = {name: s for name, s in schedules.items() if not s.is_constant}
        if device is not None:
            for name in self._moving:
                self._values[name] = torch.tensor(self._values[name], device=device)

    def at(self, step: int) -> Mapping[str, Number]:
        """The numbers of an optimizer step; the mapping is the same object each time."""
        for name, schedule in self._moving.items():
            value = schedule.at(step)
            kept = self._values[name]
            if isinstance(kept, Tensor):
                kept.fill_(value)
            else:
                self._values[name] = value
        return self._values
