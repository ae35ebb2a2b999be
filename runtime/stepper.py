"""Takes the steps of a run, each of them determined by the seed, the spec and its number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..compiler.ir.graph import Graph
from ..compiler.objectives.source import Source
from ..compiler.objectives.training import Training
from . import checkpoint
from .averages import Averages
from .data.batches import Batch, Batches, Share
from .data.seeds import REWIND, STEP, derive
from .device import seed_generators
from .distributed.exchange import changing_tensors, shared_tensors
from .distributed.world import ALONE, World
from .goal import Goal, Patience
from .gradients import Norms
from .grouping import Freezing
from .judging.judge import Maker, SampleJudge, Verdict
from .measure import evaluating, seeded
from .numbers import Scheduled
from .objectives.base import Meter, Objective, Parts
from .plan import Plan
from .snapshot import Parts as Tensors
from .snapshot import State, give_back, take_snapshot
from .worker import Piece, Worker


@dataclass(frozen=True)
class Job:
    """What a run works on.

    validation, test: None where nothing is set aside. goal: None to keep the last state only.
    patience: None where the run goes on to its end. figures: makes the metrics of one evaluation.
    other: opens another source of data, with the same fields.
    judge: compares samples that the networks make with real ones; None where nothing does.
    stage: its number in a run that grows. begin: the steps that were done before it.
    end: those that are done when the next one begins; None of the last stage.
    settled: those after which figures are followed: networks that fade in are others than exported.
    """

    objective: Objective
    graphs: Mapping[str, Graph]
    settings: Training
    train: Batches
    validation: Batches | None
    test: Batches | None
    figures: Callable[[], Meter]
    goal: Goal | None
    patience: Patience | None
    folder: Path
    device: torch.device
    plan: Plan
    world: World = ALONE
    other: Callable[[Source], Batches] | None = None
    judge: SampleJudge | None = None
    stage: int = 0
    begin: int = 0
    end: int | None = None
    settled: int = 0

    def closing(self, judged: Batches) -> dict[str, float]:
        """The figures of a part of the data that are measured once, at the end."""
        assert self.other, "a job that is measured can open data"
        parts = Parts(judged, self.train, 2 * self.settings.batch, self.other, self.world)
        with evaluating(self.objective.networks.values()), torch.inference_mode():
            seeded(self.device, self.world.rank)
            return self.objective.closing(parts)

    def judged(self, part: Batches, *, ends: bool = False) -> Verdict:
        """What the judge says of samples that the networks make; nothing where there is none.

        ends: whether it also looks at what takes long. One process does it for all.
        """
        judge, size, maker = self.judge, 2 * self.settings.batch, self.objective
        if judge is None:
            return Verdict({})
        assert isinstance(maker, Maker), "only objectives that make samples have a judge"

        def look() -> dict[str, Any]:
            with evaluating(self.objective.networks.values()), torch.inference_mode():
                if ends:
                    return judge.closing(maker, part, self.train, size).as_json()
                return judge.judged(maker, part, size).as_json()

        return Verdict(**self.world.lead(look))

    @property
    def share(self) -> Share:
        """This process's part of every batch."""
        return Share(self.world.rank, self.world.size, self.settings.accumulate)

    @property
    def batch(self) -> int:
        """Samples in a step, over all processes."""
        return min(self.settings.batch, self.train.size)

    def close(self) -> None:
        """End the processes that read data, if there are any."""
        for batches in (self.train, self.validation, self.test):
            if batches is not None:
                batches.close()


class Stepper:
    """The networks and optimizers of a run at one of its steps."""

    def __init__(self, job: Job) -> None:
        self.job, self.state = job, State()
        settings, objective = job.settings, job.objective
        self.per_epoch = settings.steps_per_epoch(job.train.size)
        self.total = settings.total_steps(job.train.size)
        self._freezing = Freezing(settings.parameters, job.graphs, objective.networks)
        self._freezing.at(0)
        self._changing = changing_tensors(job.graphs, objective)
        self._workers = [
            Worker(
                turn,
                objective,
                job.graphs,
                settings,
                job.plan,
                job.device,
                job.world,
                varies=job.train.varies,
            )
            for turn in objective.turns
        ]
        averages = Averages(settings.ema, job.graphs, objective.networks) if settings.ema else None
        self.parts = Tensors(job.graphs, objective, self._workers, averages)
        recorded = job.device if job.plan.reads_numbers else None
        self._numbers = Scheduled(objective.schedules, recorded)

    @property
    def epoch(self) -> int:
        """The number of the current epoch, from 1."""
        return max(0, self.state.step - 1) // self.per_epoch + 1

    @property
    def lr(self) -> float:
        """The first optimizer's learning rate in the last step."""
        return self._workers[0].lr(max(0, self.state.step - 1), self.total)

    def batches(self) -> Iterator[list[Batch]]:
        """What is left of the current epoch, by steps."""
        epoch, done = divmod(self.state.step, self.per_epoch)
        job = self.job
        return job.train.training(
            self._seed, epoch, job.settings.batch, done, self.state.step, job.share
        )

    @property
    def _seed(self) -> int:
        """The seed of order and chance: another one after each rewind."""
        seed = self.job.settings.seed
        return derive(seed, REWIND, self.state.rewinds) if self.state.rewinds else seed

    def step(self, batches: Sequence[Batch], norms: Norms | None = None) -> dict[str, Tensor]:
        """Take one step.

        Args:
            batches: this process's part of the step's batch, in micro-batches.
            norms: takes in the sizes of the gradients.
        Returns: the losses by name, on the device.
        """
        step = self.state.step
        self._freeze(step)
        self._begin(batches)
        self.seed()
        pieces, numbers = self.pieces(batches), self._numbers.at(step)
        losses: dict[str, Tensor] = {}
        for worker in self._workers:
            if worker.is_due(step):
                losses |= worker.step(pieces, numbers, step, self.total, norms)
        self.job.world.match(self._changing)
        if step == self.job.begin:
            self.match()  # layers that begin with their first batch saw another one in each process
        if self.parts.averages:
            self.parts.averages.update(step + 1)
        self.state.step += 1
        return losses

    def match(self) -> None:
        """Begin with the tensors of rank 0 in every process."""
        self.job.world.match(shared_tensors(self.job.objective))

    def _freeze(self, step: int) -> None:
        if self._freezing.at(step):
            for worker in self._workers:
                worker.renew()

    def _begin(self, batches: Sequence[Batch]) -> None:
        if batches[0].begins:
            self.job.objective.begin()

    def seed(self) -> None:
        """Begin the random numbers of the current step, which no other step has."""
        rank = self.job.world.rank
        seed_generators(derive(self._seed, STEP, self.state.step, rank), self.job.device)

    def pieces(self, batches: Sequence[Batch]) -> list[Piece]:
        """The micro-batches of a step with their weights in its loss."""
        if len(batches) == 1 and self.job.world.is_alone:
            return [Piece(batches[0])]
        scale = self.job.world.size / self.job.batch
        return [Piece(batch, batch.size * scale) for batch in batches]

    def probe(self, batches: Sequence[Batch]) -> Iterator[None]:
        """Repeat the forward passes of the next step, turn by turn, and take each turn after it.

        For a look at the layers while they run; the weights afterwards are of no use.
        """
        step = self.state.step
        self._freeze(step)
        self._begin(batches)
        self.seed()
        pieces, numbers = self.pieces(batches), self._numbers.at(step)
        for worker in self._workers:
            if worker.is_due(step):
                before = {name: x.clone() for name, x in self.job.objective.state.items()}
                worker.forward(pieces, numbers)
                for name, tensor in self.job.objective.state.items():
                    tensor.copy_(before[name])
                yield
                worker.step(pieces, numbers, step, self.total)

    def fit(self) -> None:
        """Set what the objective does not learn by gradients, the same in all processes."""
        job = self.job
        if not job.objective.fitted:
            return
        with self.averaged(), evaluating(job.objective.networks.values()), torch.inference_mode():
            seeded(job.device)
            job.world.lead(lambda: job.objective.fit(job.train))
            job.world.match(job.objective.fitted)

    def averaged(self) -> AbstractContextManager[None]:
        """Within, the networks hold their moving averages, where these are kept."""
        return self.parts.averages.applied() if self.parts.averages else nullcontext()

    def snapshot(self) -> checkpoint.Checkpoint:
        """Everything that is needed to go on from here."""
        return take_snapshot(self.parts, self.state)

    def restore(self, saved: checkpoint.Checkpoint) -> None:
        """Go to where a checkpoint was written.

        Raises: NetwrightError: R902: it has other weights. Damaged: it lacks something.
        """
        self.state = give_back(self.parts, saved)
        self.slow_down()

    def slow_down(self) -> None:
        """Set the learning rates to what the rewinds so far leave of them."""
        factor = self.job.settings.on_divergence.lr_factor**self.state.rewinds
        for worker in self._workers:
            worker.lr_factor = factor
