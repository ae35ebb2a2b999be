"""Batches of samples on the device, preprocessed, and in training shuffled and augmented.

The order of an epoch (orders.py) depends on the seed and the epoch alone, and augmentation on the
seed, the step and the place in the batch, so that a run can go on at any step without replaying
what came before, and any number of processes sees the same samples in each step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from ...compiler.objectives.fields import Field
from ..planning.layout import formatted
from .augment import augment
from .columns import Columns, count, vary
from .errors import too_few
from .homes import Home, Loader, Raw, Resident, Source, cut
from .orders import SHUFFLED, Order
from .preprocess import Preprocess
from .seeds import AUGMENTATION, derive


@dataclass(frozen=True, slots=True)
class Batch:
    """Some samples, on the device.

    raw: field -> tensor as stored. values: the same after `scale` or `normalize`, and augmented in
    training: what the network sees.
    begins: whether its rows begin anew; else each goes on where that row of the batch before ended.
    """

    raw: Mapping[str, Tensor]
    values: Mapping[str, Tensor]
    begins: bool = True

    @property
    def size(self) -> int:
        return len(next(iter(self.raw.values())))


@dataclass(frozen=True)
class Share:
    """Which samples of each batch are this process's, and in how many pieces it takes them.

    rank, world: this process and how many there are. pieces: micro-batches of a step.
    """

    rank: int = 0
    world: int = 1
    pieces: int = 1

    def cuts(self, size: int) -> list[int]:
        """Where the pieces of this process begin and end in a batch: `pieces + 1` positions.

        Sizes differ by at most one sample.
        """
        total = self.world * self.pieces
        first = self.rank * self.pieces
        return [size * index // total for index in range(first, first + self.pieces + 1)]


ALONE = Share()


class Batches:
    """One part of the data as batches.

    Args:
        columns: field -> [N, ...], N >= 1. fields: how each is preprocessed and augmented.
        memory_format: of images [B, C, H, W].
        home: keep the part on the device, or bring each batch there.
        workers: processes that read batches ahead, for `loader`; 0 reads in this process.
        order: how samples make up batches.

    varies: whether batches differ in length.
    """

    def __init__(
        self,
        columns: Columns,
        fields: Mapping[str, Field],
        device: torch.device,
        memory_format: torch.memory_format,
        *,
        home: Home = "device",
        workers: int = 0,
        order: Order = SHUFFLED,
    ) -> None:
        self.device, self.size, self._format = device, count(columns), memory_format
        self._order, self.varies = order, vary(columns)
        self._source: Source
        if home == "device":
            self._source = Resident(columns, device, memory_format)
        else:
            self._source = Loader(columns, device, memory_format, workers)
        self._preprocess = {name: Preprocess(field, device) for name, field in fields.items()}
        self._augment = {name: field.augment for name, field in fields.items() if field.augment}
        self._generator = torch.Generator(device)

    def close(self) -> None:
        """End the loader's processes; no batches can be had afterwards."""
        self._source.close()

    def training(
        self, seed: int, epoch: int, batch: int, start: int, step: int, share: Share = ALONE
    ) -> Iterator[list[Batch]]:
        """One epoch, augmented: for each step, this process's pieces of the batch.

        A last batch smaller than `batch` is left out, since batch norm can't use a batch of one;
        where epochs are shuffled, the next one leaves out others.

        Args:
            batch: samples in a step, over all processes.
            start: how many steps of the epoch are done already; their samples are not read.
            step: the number of the first step, from which the augmentation is drawn.
        Raises: NetwrightError: F601: there are fewer samples than pieces. F602: a sample can't
            be read. R906: a process of the loader was ended.
        """
        size = min(batch, self.size)
        cuts = share.cuts(size)
        if size < share.world * share.pieces:
            raise too_few(size, share.world, share.pieces)
        steps = self._order.epoch(self.size, size, seed, epoch)
        own = steps[start:, cuts[0] : cuts[-1]].reshape(-1)
        inner = [cut - cuts[0] for cut in cuts]
        for index, found in enumerate(self._batches(own, inner[-1], begins=start == 0)):
            pieces = [found] if share.pieces == 1 else _cut(found, inner)
            if self._augment:
                first = share.rank * share.pieces
                pieces = [
                    self._augmented(piece, derive(seed, AUGMENTATION, step + index, first + place))
                    for place, piece in enumerate(pieces)
                ]
            yield pieces

    def in_order(self, batch: int, share: Share = ALONE) -> Iterator[Batch]:
        """Every sample of this process's part once, not augmented."""
        start, stop = (self.size * rank // share.world for rank in (share.rank, share.rank + 1))
        for indices, size, begins in self._order.whole(start, stop, batch):
            yield from self._batches(indices, size, begins=begins)

    def spread(self, count: int, batch: int) -> Iterator[Batch]:
        """So many samples at even distances, not augmented; the first may all be of one class."""
        chosen = min(count, self.size)
        indices = torch.arange(chosen) * self.size // chosen
        yield from self._batches(indices, batch, begins=True)

    def chosen(self, indices: Tensor, batch: int) -> Iterator[Batch]:
        """Some samples, not augmented. indices: i64[M] on the CPU."""
        yield from self._batches(indices, batch, begins=True)

    def _batches(self, indices: Tensor, size: int, *, begins: bool) -> Iterator[Batch]:
        """The samples of the indices, i64[M] on the CPU, `size` at a time.

        begins: whether the rows of the first batch begin anew; those of others do where the order
            does not continue them.
        """
        for raw in self._source.blocks(indices, size) if len(indices) else ():
            values = {
                name: formatted(self._preprocess[name](x), self._format) for name, x in raw.items()
            }
            for found in _split(raw, values, size):
                yield replace(found, begins=begins) if self._order.continues else found
                begins = False

    def _augmented(self, batch: Batch, seed: int) -> Batch:
        generator = self._generator.manual_seed(seed)
        values = dict(batch.values)
        for name, augmentations in self._augment.items():
            for settings in augmentations:
                values[name] = augment(settings, values[name], generator)
            values[name] = formatted(values[name], self._format)
        return replace(batch, values=values)


def _split(raw: Raw, values: Raw, size: int) -> Iterator[Batch]:
    """A block as batches; what is the same tensor in both stays the same one."""
    raws = {name: cut(x, size) for name, x in raw.items()}
    others = {name: raws[name] if x is raw[name] else cut(x, size) for name, x in values.items()}
    names, kept = list(raws), list(others)
    stored = zip(*raws.values(), strict=True)
    shown = zip(*others.values(), strict=True)
    for a, b in zip(stored, shown, strict=True):
        yield Batch(dict(zip(names, a, strict=True)), dict(zip(kept, b, strict=True)))


def _cut(batch: Batch, cuts: list[int]) -> list[Batch]:
    """The pieces of a batch between these positions."""
    return [
        replace(
            batch,
            raw={name: x[start:stop] for name, x in batch.raw.items()},
            values={name: x[start:stop] for name, x in batch.values.items()},
        )
        for start, stop in pairwise(cuts)
    ]
