"""How large the gradient of each parameter is."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor


class Norms:
    """The L2 norms of the gradients of one step, on the device until they are read."""

    def __init__(self, step: int) -> None:
        self.step = step
        self._names: list[str] = []
        self._values: list[Tensor] = []

    def take(self, names: Mapping[Tensor, str]) -> None:
        """Measure the gradients that parameters hold. names: parameter -> its name."""
        held = [(name, p.grad) for p, name in names.items() if p.grad is not None]
        self._names += [name for name, _ in held]
        self._values += torch._foreach_norm([gradient for _, gradient in held])

    def read(self) -> dict[str, float | None]:
        """Parameter -> norm; None where it is not finite. Waits for the device."""
        if not self._values:
            return {}
        values = torch.stack([value.float() for value in self._values]).tolist()
        return {
            name: float(f"{value:.4g}") if math.isfinite(value) else None
            for name, value in zip(self._names, values, strict=True)
        }
