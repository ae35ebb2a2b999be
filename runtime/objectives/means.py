"""Sums up means over samples."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..data.batches import Batch
from ..distributed.world import ALONE, World
from .base import NO_MASSES, Masses, Meter, Numbers


class Means(Meter):
    """The mean of each loss over all samples, which count alike; heirs add figures of their own."""

    def __init__(self, device: torch.device, world: World = ALONE) -> None:
        self._world, self._device = world, device
        self._names: tuple[str, ...] = ()
        self._sums: Tensor | None = None

    @property
    def extra_names(self) -> tuple[str, ...]:
        """The names of what `extra` gives."""
        return ()

    def extra(self, outputs: Mapping[str, Tensor], b: Batch) -> list[Tensor]:
        """Further figures of a batch, each the sum over its samples."""
        return []

    def update(
        self,
        outputs: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        b: Batch,
        masses: Masses = NO_MASSES,
    ) -> None:
        """Take in one batch."""
        self.expect(outputs, losses, b, masses)
        whole = [loss.detach().double() * b.size for loss in losses.values()]
        count = torch.full_like(whole[0], b.size)
        assert self._sums is not None
        parts = [part.double() for part in self.extra(outputs, b)]
        self._sums += torch.stack([count, *whole, *parts])

    def expect(
        self,
        outputs: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        b: Batch,
        masses: Masses = NO_MASSES,
    ) -> None:
        if self._sums is None:
            self._names = (*losses, *self.extra_names)
            total = 1 + len(self._names)
            self._sums = torch.zeros(total, dtype=torch.float64, device=self._device)

    @property
    def is_empty(self) -> bool:
        return self._sums is None

    def compute(self, numbers: Numbers | None = None) -> dict[str, float]:
        """The mean of each."""
        assert self._sums is not None
        count, *sums = self._world.total(self._sums).tolist()
        return {name: x / max(count, 1) for name, x in zip(self._names, sums, strict=True)}
