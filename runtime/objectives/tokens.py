"""What objectives over tokens share: states that begin as zeros, and sums over tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ...compiler.ir.dims import evaluate
from ...compiler.ir.shapes import TensorType
from ..distributed.world import World
from .base import Meter

DTYPES = {"f32": torch.float32, "i64": torch.int64}
"""Of the states of networks."""


def zero_states(
    kinds: Mapping[str, TensorType], rows: int, device: torch.device
) -> dict[str, Tensor]:
    """What states begin with, for so many rows."""
    return {
        name: torch.zeros(
            [evaluate(size, {"B": rows}) for size in kind.shape],
            dtype=DTYPES[kind.dtype.value],
            device=device,
        )
        for name, kind in kinds.items()
    }


class Sums(Meter):
    """The part of a meter that adds up numbers of batches, over all processes.

    Its users add to what they count, in this order: the loss in nats, hits and tokens first.
    """

    def __init__(self, count: int, device: torch.device, world: World) -> None:
        self._world, self._empty = world, True
        self._sums = torch.zeros(count, dtype=torch.float64, device=device)

    def add(self, parts: Iterable[Tensor]) -> None:
        """Count the numbers of one batch; nothing leaves the device."""
        self._sums += torch.stack([part.double() for part in parts])
        self._empty = False

    @property
    def is_empty(self) -> bool:
        return self._empty

    def means(self) -> tuple[dict[str, float], list[float]]:
        """`loss`, `bits` and `accuracy` by tokens, and the sums behind these."""
        loss, hits, tokens, *more = self._world.total(self._sums).tolist()
        mean = loss / max(tokens, 1)
        figures = {"loss": mean, "bits": mean / math.log(2), "accuracy": hits / max(tokens, 1)}
        return figures, more
