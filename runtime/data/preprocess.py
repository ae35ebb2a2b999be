"""From stored values to the network's input: the rule of compiler/objectives/fields.py in torch."""

from __future__ import annotations

import torch
from torch import Tensor

from ...compiler.objectives.fields import Field


class Preprocess:
    """(x - shift) * factor in float32, per channel where the field says so, then its threshold."""

    def __init__(self, field: Field, device: torch.device) -> None:
        assert not field.awaits_data, "its mean and deviation are measured first"
        shift, factor = field.affine()
        shape = field.along_channels(shift)
        self._converts, self._rescales = field.is_converted, field.is_rescaled
        self._shifts = any(shift)
        self._shift = torch.tensor(shift, device=device).reshape(shape)
        self._factor = torch.tensor(factor, device=device).reshape(shape)
        self._threshold = field.binarize

    def __call__(self, x: Tensor) -> Tensor:
        """x: as stored, [B, ...]. Returns: f32 of the same shape, or x itself without a rule."""
        if not self._converts:
            return x
        values = self._rescaled(x) if self._rescales else x.float()
        if self._threshold is None:
            return values
        # Straight into floats: booleans first take ten times as long on a CPU.
        return torch.gt(values, self._threshold, out=torch.empty_like(values))

    def _rescaled(self, x: Tensor) -> Tensor:
        # A copy of our own is changed in place: what the memory takes is most of the time.
        x = x.clone() if x.dtype is torch.float32 else x.float()
        x = x.sub_(self._shift) if self._shifts else x
        return x.mul_(self._factor)
