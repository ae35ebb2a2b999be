"""Takes steps by different plans in turn, and says how long each takes.

Every candidate has networks, an optimizer and batches of its own, made as those of a run are and
thrown away afterwards: a run that begins later is as if nothing had been timed.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ...compiler.driver import Compilation
from ..data.batches import Batch
from ..data.columns import take
from ..data.dataset import Dataset
from ..job import make_job
from ..plan import Plan
from ..stepper import Stepper

WARM_UP = 5
"""Steps that are not timed: they compile, record, and fill caches."""

WARM_UP_SECONDS = 2.0
"""After which 2 of them must do, unless they are to be recorded."""

ROUNDS, FEWEST_ROUNDS = 9, 3
"""How often each candidate has its turn, and how often if that takes too long."""

ROUND_SECONDS = 0.1
"""How long a turn is at least: short steps are timed many together."""

MOST_SECONDS = 20.0
"""What a comparison takes at most, except for its fewest rounds."""

BATCHES = 64
"""How many batches candidates take in turn where samples lie on the device, to spare its memory."""

ENDLESS = 1_000_000_000
"""The steps of a run that is never finished."""


class Candidate:
    """A plan at work.

    warm_up: seconds of the steps that were not timed. times: seconds of a step, in each round.
    """

    def __init__(
        self, compilation: Compilation, dataset: Dataset, device: torch.device, plan: Plan
    ) -> None:
        self.plan, self._device = plan, device
        some = _some(dataset, compilation.spec.training.batch, plan)
        job = make_job(compilation, some, device, Path(), plan)
        settings = job.settings.model_copy(update={"steps": ENDLESS, "epochs": None})
        self._stepper = Stepper(replace(job, settings=settings))
        self._batches = self._endless()
        self.period = math.lcm(*(turn.every for turn in job.objective.turns))
        self.times: list[float] = []
        self.warm_up = self._warm_up()

    def _endless(self) -> Generator[list[Batch]]:
        while True:
            yield from self._stepper.batches()

    def _warm_up(self) -> float:
        taken = 0.0
        for count in range(WARM_UP):
            if count >= 2 and taken > WARM_UP_SECONDS and not self.plan.graphs:
                break
            taken += self.take(self.period)
        return taken

    def take(self, count: int) -> float:
        """Take steps. Returns: how many seconds they took together."""
        start = time.perf_counter()
        for _ in range(count):
            self._stepper.step(next(self._batches))
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter() - start

    def seconds_a_step(self) -> float:
        """About how long a step takes now."""
        return self.take(self.period) / self.period

    @property
    def median(self) -> float:
        """Seconds of a step."""
        return statistics.median(self.times)

    def against(self, other: Candidate) -> list[float]:
        """How many times as long a step takes as the other's, in each round."""
        return [own / base for own, base in zip(self.times, other.times, strict=True)]

    def close(self) -> None:
        """End the loader's processes."""
        self._batches.close()
        self._stepper.job.train.close()


def _some(dataset: Dataset, batch: int, plan: Plan) -> Dataset:
    """The samples that candidates need: only training ones, and few where they are copied."""
    train = dataset.parts["train"]
    most = BATCHES * batch
    if plan.data == "device" and dataset.size("train") > most:
        train = take(train, np.arange(most))
    return replace(dataset, parts={"train": train, "validation": {}, "test": {}})


def compare(candidates: Sequence[Candidate]) -> None:
    """Time candidates in turn, so that a machine that slows down does so for all of them."""
    for candidate in candidates:
        candidate.times = []
    first, start = candidates[0], time.perf_counter()
    period = first.period
    count = period * max(1, math.ceil(ROUND_SECONDS / first.take(period)))
    for index in range(ROUNDS):
        for candidate in candidates if index % 2 == 0 else candidates[::-1]:
            candidate.times.append(candidate.take(count) / count)
        if index + 1 >= FEWEST_ROUNDS and time.perf_counter() - start > MOST_SECONDS:
            break
