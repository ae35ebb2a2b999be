"""From the network's numbers to raw ones: the rule of compiler/objectives/fields.py backwards."""

from __future__ import annotations

import torch
from torch import Tensor

from ...compiler.objectives.fields import Field


class Restore:
    """What `scale` or `normalize` of a field did is undone, in float32, per channel."""

    def __init__(self, field: Field, device: torch.device) -> None:
        assert not field.awaits_data, "its mean and deviation are measured first"
        shift, factor = field.inverse()
        shape = field.along_channels(shift)
        self._shift = torch.tensor(shift, device=device).reshape(shape)
        self._factor = torch.tensor(factor, device=device).reshape(shape)

    def __call__(self, x: Tensor) -> Tensor:
        """x: numbers as the network sees them, f32[B, ...]. Returns: raw ones of the same shape."""
        return (x - self._shift) * self._factor
