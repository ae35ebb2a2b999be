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


DTYPES = {
    "uint8": torch.uint8,
    "int32": torch.int32,
    "int64": torch.int64,
    "bool": torch.bool,
    "float16": torch.float16,
    "float32": torch.float32,
    "float64": torch.float64,
}


def as_stored(raw: Tensor, field: Field) -> Tensor:
    """Numbers in the raw units of a field as data would hold them: rounded, and in its range."""
    dtype = DTYPES[field.dtype or "float32"]
    if not dtype.is_floating_point:
        raw = raw.round()
    if field.raw_range is not None:
        raw = raw.clamp(*field.raw_range)
    return raw.to(dtype)
