"""Judging samples that a network makes beside real ones; compiler/objectives/judge.py says how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from ...compiler.objectives.judge import Judge
from ..data.batches import Batch, Batches
from .distances import frechet_distance, kernel_distance
from .names import MADE, REAL
from .neighbours import Manifold, agreement, manifold, nearest, own_nearest, twins
from .seeing import Seen, Sight, joined

SEED = 11
"""Of the noise of samples that are judged, the same in each measurement."""

PRESENT = 0.2
"""A class is covered by as much of its share among real samples."""

RESEMBLING = 16
"""How many samples that are like training samples are kept for people to look at."""


@runtime_checkable
class Maker(Protocol):
    """Makes samples, in torch or as a bundle."""

    def made(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """As many new samples as a batch has and with its conditions, as data would hold them.

        generator: of the CPU, which draws the noise.
        """


@dataclass(frozen=True)
class Real:
    """Real samples of a part of the data, and their manifold."""

    seen: Seen
    manifold: Manifold


@dataclass(frozen=True)
class Made:
    """Samples that were made, as data holds them [N, ...], and as they are compared."""

    raw: Tensor
    seen: Seen
    manifold: Manifold


@dataclass(frozen=True)
class Resembling:
    """Those of the samples that are nearest to training samples, the nearest first.

    made: as data holds them, [N, ...]. indices: of the training samples, i64 [N] on the CPU.
    """

    made: Tensor
    indices: Tensor


@dataclass(frozen=True)
class Verdict:
    """Figures by name, and rows of numbers behind them."""

    figures: dict[str, float]
    details: dict[str, list[float]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What processes tell each other."""
        return {"figures": self.figures, "details": self.details}


class SampleJudge:
    """Compares samples of one field; what it has seen of real ones it keeps.

    resembling: what `closing` found last; None before.
    """

    def __init__(self, settings: Judge, name: str, sight: Sight) -> None:
        self.settings, self.name, self.sight = settings, name, sight
        self._real: dict[Batches, Real] = {}
        self._all: dict[Batches, Tensor] = {}
        self.resembling: Resembling | None = None

    def judged(self, maker: Maker, part: Batches, size: int) -> Verdict:
        """The figures that are measured while training.

        part: the real samples; size: samples at a time. Networks are in evaluation mode.
        """
        return self._verdict(self._real_of(part, size), self._made(maker, part, size))

    def closing(self, maker: Maker, part: Batches, train: Batches, size: int) -> Verdict:
        """The same, and those that all training samples are looked at for."""
        real, made = self._real_of(part, size), self._made(maker, part, size)
        verdict = self._verdict(real, made)
        further = {"duplicates": twins(own_nearest(made.manifold), own_nearest(real.manifold))}
        if part is not train:  # whose samples are their own nearest ones
            learnt = self._features(train, size)
            usual, _ = nearest(real.seen.features, learnt)
            found, which = nearest(made.seen.features, learnt)
            further["memorised"] = twins(found, usual)
            self.resembling = _resembling(made, found, which)
        return Verdict({**verdict.figures, **further}, verdict.details)

    def _verdict(self, real: Real, made: Made) -> Verdict:
        figures = {
            **agreement(real.manifold, made.manifold),
            "frechet_distance": frechet_distance(real.seen.features, made.seen.features),
            "kernel_distance": kernel_distance(real.seen.features, made.seen.features),
        }
        if real.seen.classes is None or made.seen.classes is None:
            return Verdict(figures)
        count = len(self.sight.classes)
        wanted, found = (_shares(seen.classes, count) for seen in (real.seen, made.seen))
        return Verdict(
            {**figures, **of_classes(wanted, found)},
            {REAL: wanted.tolist(), MADE: found.tolist()},
        )

    # Samples

    def _pieces(self, part: Batches, size: int) -> Iterator[Batch]:
        return part.spread(self.settings.samples, size)

    def _real_of(self, part: Batches, size: int) -> Real:
        if part not in self._real:
            pieces = self._pieces(part, size)
            seen = joined([self.sight(batch.raw[self.name]) for batch in pieces])
            self._real[part] = Real(seen, manifold(seen.features, self.settings.k))
        return self._real[part]

    def _made(self, maker: Maker, part: Batches, size: int) -> Made:
        """As many samples as there are real ones, with their conditions."""
        generator = torch.Generator().manual_seed(SEED)
        raw, seen = [], []
        for batch in self._pieces(part, size):
            made = maker.made(batch, generator)
            raw.append(made)
            seen.append(self.sight(made))
        whole = joined(seen)
        return Made(torch.cat(raw), whole, manifold(whole.features, self.settings.k))

    def _features(self, part: Batches, size: int) -> Tensor:
        """Those of all samples of a part [N, D]."""
        if part not in self._all:
            seen = [self.sight(batch.raw[self.name]) for batch in part.in_order(size)]
            self._all[part] = joined(seen).features
        return self._all[part]


def _resembling(made: Made, distances: Tensor, which: Tensor) -> Resembling:
    order = distances.argsort()[:RESEMBLING]
    return Resembling(made.raw[order.to(made.raw.device)], which[order].cpu())


def _shares(classes: Tensor | None, count: int) -> Tensor:
    """The share of each class, [count]."""
    assert classes is not None
    return torch.bincount(classes, minlength=count).double() / len(classes)


def of_classes(real: Tensor, made: Tensor) -> Mapping[str, float]:
    """How the shares of classes [C] among made samples agree with those among real ones."""
    present = (made >= PRESENT * real) & (real > 0)
    return {
        "classes_covered": float(present.sum()),
        "class_distance": float((made - real).abs().sum() / 2),
    }
