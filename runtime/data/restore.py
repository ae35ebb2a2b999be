"""From the network's numbers to raw ones: the rule of compiler/objectives/fields.py backwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...compiler.objectives.fields import Field
from .preprocess import Preprocess


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


def compared(raw: NDArray[Any], field: Field) -> NDArray[Any]:
    """Stored values as outputs in raw units are compared with them.

    They are those stored, except of a field with `binarize`: of uint8 with `scale: [0, 1]` and
    `binarize: 0.5`, 200 is compared as 255.
    """
    if field.binarize is None:
        return raw
    cpu = torch.device("cpu")
    seen = Preprocess(field, cpu)(torch.from_numpy(np.asarray(raw)))
    values: NDArray[Any] = Restore(field, cpu)(seen).numpy()
    return values
