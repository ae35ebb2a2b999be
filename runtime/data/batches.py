"""Samples on the device, in batches; no worker processes, no copies per sample.

The order of an epoch depends on the seed and the epoch alone, and augmentation on the seed and the
step, so that a run can go on at any step without replaying what came before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...compiler.objectives.fields import Field
from .augment import augment
from .preprocess import Preprocess

DEVICE_SHARE = 0.5
"""The part of the free memory of a GPU that the data may take."""


@dataclass(frozen=True)
class Batch:
    """Some samples, on the device.

    raw: field -> tensor as stored. values: the same after `scale` or `normalize`, and augmented in
    training: what the network sees.
    """

    raw: Mapping[str, Tensor]
    values: Mapping[str, Tensor]

    @property
    def size(self) -> int:
        return len(next(iter(self.raw.values())))


class Batches:
    """One part of the data as tensors.

    Args:
        arrays: field -> [N, ...], N >= 1. fields: how each is preprocessed and augmented.
        memory_format: of images [B, C, H, W].
    """

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        fields: Mapping[str, Field],
        device: torch.device,
        memory_format: torch.memory_format,
    ) -> None:
        self.device, self.fields, self._format = device, fields, memory_format
        size = sum(array.nbytes for array in arrays.values())
        home = device if _fits(size, device) else torch.device("cpu")
        self._tensors = {name: _tensor(array).to(home) for name, array in arrays.items()}
        self._preprocess = {name: Preprocess(field, device) for name, field in fields.items()}
        self.size = len(next(iter(self._tensors.values())))

    def training(self, seed: int, epoch: int, batch: int, start: int, step: int) -> Iterator[Batch]:
        """The batches of one epoch, shuffled and augmented.

        A last batch smaller than `batch` is left out, since batch norm can't use a batch of one;
        the next epoch's order leaves out others.

        Args:
            start: how many batches of the epoch are done already.
            step: the number of the first step, from which the augmentation is drawn.
        """
        size = min(batch, self.size)
        order = self._order(seed, epoch)
        for index in range(start, self.size // size):
            picked = self._pick(order[index * size : (index + 1) * size])
            yield self._augmented(picked, seed, step + index - start)

    def in_order(self, batch: int) -> Iterator[Batch]:
        """Every sample once, in the order stored, not augmented."""
        for start in range(0, self.size, batch):
            raw = {
                name: tensor[start : start + batch].to(self.device)
                for name, tensor in self._tensors.items()
            }
            yield self._prepared(raw)

    def _order(self, seed: int, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive(seed, 0, epoch))
        home = next(iter(self._tensors.values())).device
        return torch.randperm(self.size, generator=generator).to(home)

    def _pick(self, indices: Tensor) -> Batch:
        raw = {
            name: tensor.index_select(0, indices).to(self.device, non_blocking=True)
            for name, tensor in self._tensors.items()
        }
        return self._prepared(raw)

    def _prepared(self, raw: dict[str, Tensor]) -> Batch:
        values = {name: self._formatted(self._preprocess[name](x)) for name, x in raw.items()}
        return Batch(raw, values)

    def _formatted(self, x: Tensor) -> Tensor:
        return x.contiguous(memory_format=self._format) if x.ndim == 4 else x

    def _augmented(self, batch: Batch, seed: int, step: int) -> Batch:
        chosen = {name: field.augment for name, field in self.fields.items() if field.augment}
        if not chosen:
            return batch
        generator = torch.Generator(self.device).manual_seed(derive(seed, 1, step))
        values = dict(batch.values)
        for name, augmentations in chosen.items():
            for settings in augmentations:
                values[name] = augment(settings, values[name], generator)
            values[name] = self._formatted(values[name])
        return Batch(batch.raw, values)


def derive(seed: int, stream: int, index: int) -> int:
    """A seed of its own for each stream of random numbers and each index of it, below 2^63."""
    state = np.random.SeedSequence([seed, stream, index]).generate_state(1, np.uint64)
    return int(state[0]) >> 1


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def _fits(size: int, device: torch.device) -> bool:
    """Whether this many bytes of data may live on the device."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return size <= free * DEVICE_SHARE
