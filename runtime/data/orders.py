"""In which order the samples of a part make up batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from .columns import Columns, Indices
from .seeds import ORDER, derive

POOL = 50
"""How many batches are sorted by length together."""


class Run(NamedTuple):
    """Batches of one size, one after the other.

    indices: of their samples, i64[batches * size] on the CPU; the last batch may be smaller.
    begins: whether the rows of the first batch continue none of a batch before.
    """

    indices: Tensor
    size: int
    begins: bool


class Order(Protocol):
    """How samples make up batches."""

    @property
    def continues(self) -> bool:
        """Whether each row of a batch goes on where that row of the batch before ended."""

    def epoch(self, samples: int, batch: int, seed: int, epoch: int) -> Tensor:
        """The samples of each training step, i64[samples // batch, batch] on the CPU.

        It depends on the arguments alone. What would make a smaller last batch is left out.
        """

    def whole(self, start: int, stop: int, size: int) -> Iterator[Run]:
        """Every sample from `start` to before `stop` once, `size` at a time."""


class Shuffled:
    """Every epoch has a random order of its own; whole parts are read as they are stored."""

    continues = False

    def epoch(self, samples: int, batch: int, seed: int, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive(seed, ORDER, epoch))
        order = torch.randperm(samples, generator=generator)
        return order[: samples // batch * batch].view(-1, batch)

    def whole(self, start: int, stop: int, size: int) -> Iterator[Run]:
        yield Run(torch.arange(start, stop), size, begins=True)


class Streams:
    """The samples are one long sequence in pieces; each row of the batches reads a part of it.

    A row goes on in the next batch with the piece that follows, so that a state can be carried
    over. Every epoch is the same.
    """

    continues = True

    def epoch(self, samples: int, batch: int, seed: int, epoch: int) -> Tensor:
        steps = samples // batch
        return torch.arange(steps * batch).view(batch, steps).t().contiguous()

    def whole(self, start: int, stop: int, size: int) -> Iterator[Run]:
        """The last row may be shorter, and is missing in the last batches then."""
        count = stop - start
        if not count:
            return
        steps = -(-count // min(size, count))
        full, rest = divmod(count, steps)
        places = start + torch.arange(full * steps).view(full, steps)
        if not rest:
            yield Run(places.t().reshape(-1), full, begins=True)
            return
        last = start + full * steps + torch.arange(rest)
        together = torch.cat([places[:, :rest], last[None]])
        yield Run(together.t().reshape(-1), full + 1, begins=True)
        if full:
            yield Run(places[:, rest:].t().reshape(-1), full, begins=False)


class ByLength:
    """Batches of samples of similar length, in a random order; another one in every epoch.

    The epoch is shuffled and cut into pools of `POOL` batches; in each pool samples are sorted by
    length and cut into batches, and the batches of all pools are shuffled. So little is padded, and
    every sample is used as often as any other.

    Args:
        lengths: i64[N], how far a batch with the sample is padded.
    Source: the batching of torchtext (BucketIterator) and of fairseq.
    """

    continues = False

    def __init__(self, lengths: Indices) -> None:
        self._lengths = lengths

    def epoch(self, samples: int, batch: int, seed: int, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive(seed, ORDER, epoch))
        steps = samples // batch
        drawn = torch.randperm(samples, generator=generator)[: steps * batch].numpy()
        pools = np.arange(len(drawn)) // (POOL * batch)
        ordered = drawn[np.lexsort((self._lengths[drawn], pools))]
        batches = torch.from_numpy(ordered).view(steps, batch)
        return batches[torch.randperm(steps, generator=generator)]

    def whole(self, start: int, stop: int, size: int) -> Iterator[Run]:
        """Sorted by length."""
        order = np.argsort(self._lengths[start:stop], kind="stable")
        yield Run(torch.from_numpy(start + order), size, begins=True)


SHUFFLED = Shuffled()


def usual_order(columns: Columns) -> Order:
    """By length where samples differ in it, so that little is padded; else shuffled."""
    extents = [column.extent for column in columns.values() if column.extent is not None]
    reaches = [extent.reach for extent in extents if extent.varies]
    return ByLength(np.maximum.reduce(reaches)) if reaches else SHUFFLED
