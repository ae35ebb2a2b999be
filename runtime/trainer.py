"""The one loop: steps, epochs, checkpoints. An objective gives losses; all else is here.

No step waits for the device. Losses stay there and are read together now and then; that is also
when a loss that is not finite is found, and its step named.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ..compiler.diagnostics import Code, NetwrightError, failure
from ..compiler.ir.graph import Graph
from ..compiler.objectives.training import Training
from . import checkpoint
from .data.batches import Batch, Batches
from .history import History
from .measure import measure
from .metrics import Figures
from .objectives.base import Objective
from .observer import EpochEnd, Observer, Progress
from .stopping import Stop
from .weights import collect, restore
from .worker import Worker

LOOK_STEPS = 200
"""After how many steps the losses are read at the latest."""

LOOK_SECONDS = 0.25
"""After how much time they are read, which also paces the display."""

KEPT = 2
"""How many of the newest checkpoints stay: if one is damaged, there is the one before it."""


@dataclass(frozen=True)
class Goal:
    """What decides which epoch is the best: a figure of the validation samples."""

    figure: str
    higher_is_better: bool

    def better(self, value: float, best: float | None) -> bool:
        if best is None:
            return math.isfinite(value)
        return value > best if self.higher_is_better else value < best


@dataclass
class State:
    """Where a run is; everything that no tensor holds.

    sums, counted: losses of the current epoch, as far as they were read.
    """

    step: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    counted: int = 0
    best_step: int | None = None
    best_value: float | None = None


@dataclass(frozen=True)
class Job:
    """What a trainer works on.

    validation, test: None where nothing is set aside. goal: None to keep the last epoch only.
    figures: makes the metrics of one evaluation.
    """

    objective: Objective
    graphs: Mapping[str, Graph]
    settings: Training
    train: Batches
    validation: Batches | None
    test: Batches | None
    figures: Callable[[], Figures]
    goal: Goal | None
    folder: Path
    device: torch.device


class Trainer:
    """Trains an objective's networks in place."""

    def __init__(self, job: Job, observer: Observer) -> None:
        self.job, self.observer, self.state = job, observer, State()
        settings = job.settings
        self.per_epoch = settings.steps_per_epoch(job.train.size)
        self.total = settings.total_steps(job.train.size)
        turns = job.objective.turns
        self._workers = [Worker(turn, job.objective, settings, job.device) for turn in turns]
        self._history = History(job.folder)
        self._pending: list[dict[str, Tensor]] = []
        self._saved: int | None = None
        self._looked = self._began = time.perf_counter()
        self._stepping, self._stepped = 0.0, 0

    def train(self) -> int | None:
        """Run until the end or until a signal asks to stop; the state is saved in both cases.

        Returns: the signal's number, or None at the end.
        Raises: NetwrightError: R904: a loss is not finite. R903: the disk fails.
        """
        self._looked = self._began = time.perf_counter()
        with Stop() as stop:
            while self.state.step < self.total and stop.signal is None:
                self._epoch(stop)
            if self._saved != self.state.step:
                self._save()
        return stop.signal if self.state.step < self.total else None

    @property
    def epoch(self) -> int:
        """The number of the current epoch, from 1."""
        return max(0, self.state.step - 1) // self.per_epoch + 1

    def _epoch(self, stop: Stop) -> None:
        state, settings = self.state, self.job.settings
        epoch, done = divmod(state.step, self.per_epoch)
        batches = self.job.train.training(settings.seed, epoch, settings.batch, done, state.step)
        for batch in batches:
            self._step(batch)
            if stop.signal is not None or state.step == self.total:
                break
        self._look()
        if state.step % self.per_epoch == 0 or state.step == self.total:
            self._end_epoch()

    def _step(self, batch: Batch) -> None:
        for worker in self._workers:
            self._pending.append(worker.step(batch, self.state.step, self.total))
        self.state.step += 1
        late = time.perf_counter() - self._looked > LOOK_SECONDS
        if late or len(self._pending) >= LOOK_STEPS:
            self._look()

    def _look(self) -> None:
        """Read the losses since the last look, tell them, and stop if one is not finite."""
        if not self._pending:
            return
        names = [list(losses) for losses in self._pending]
        stacked = torch.stack([value for losses in self._pending for value in losses.values()])
        values = iter(stacked.tolist())
        turns = len(self._workers)
        first = self.state.step - len(self._pending) // turns
        for index, row in enumerate(names):
            for name in row:
                self._count(name, next(values), first + index // turns + 1)
        self.state.counted += len(self._pending) // turns
        now = time.perf_counter()
        self._stepping += now - self._looked
        self._stepped += len(self._pending) // turns
        self._pending, self._looked = [], now
        self.observer.progress(self._progress())

    def _count(self, name: str, value: float, step: int) -> None:
        if not math.isfinite(value):
            raise self._diverged(f"expected a finite `{name}`, found {value} at step {step}")
        self.state.sums[name] = self.state.sums.get(name, 0.0) + value

    def _diverged(self, message: str) -> NetwrightError:
        last = next(iter(checkpoint.steps(self.job.folder)), None)
        notes = [f"the last good checkpoint is that of step {last}"] if last is not None else []
        return failure(
            Code.R904,
            message,
            notes=notes,
            help="lower `lr`, add `clip_norm: 1.0`, or look for extreme values in the data",
        )

    @property
    def _rate(self) -> float:
        """Samples per second of this process's steps, evaluation left out."""
        samples = min(self.job.settings.batch, self.job.train.size) * self._stepped
        return samples / max(self._stepping, 1e-9)

    def _losses(self) -> dict[str, float]:
        return {name: total / self.state.counted for name, total in self.state.sums.items()}

    def _lr(self) -> float:
        return self._workers[0].lr(max(0, self.state.step - 1), self.total)

    def _progress(self) -> Progress:
        left = (self.total - self.state.step) * self._stepping / max(self._stepped, 1)
        return Progress(self.state.step, self.epoch, self._losses(), self._lr(), self._rate, left)

    def _end_epoch(self) -> None:
        """Evaluate, record, save; then the sums begin anew."""
        state, job = self.state, self.job
        validation = self._validate()
        best = self._note_best(validation)
        state.seconds += time.perf_counter() - self._began
        self._began = time.perf_counter()
        record = EpochEnd(
            step=state.step,
            epoch=self.epoch,
            losses=self._losses(),
            lr=self._lr(),
            rate=self._rate,
            seconds=state.seconds,
            validation=validation,
            best=best,
        )
        self._history.append(record)
        state.sums, state.counted = {}, 0
        ends = state.step == self.total
        if best or ends or self.epoch % job.settings.checkpoint.every == 0:
            self._save()
        self.observer.epoch_end(record)
        self._looked = time.perf_counter()

    def _validate(self) -> dict[str, float]:
        job = self.job
        if job.validation is None:
            return {}
        size = 2 * job.settings.batch
        return measure(job.objective, job.validation, size, job.figures(), self.state.step)

    def _note_best(self, validation: Mapping[str, float]) -> bool:
        goal, state = self.job.goal, self.state
        if goal is None or not goal.better(validation[goal.figure], state.best_value):
            return False
        state.best_step, state.best_value = state.step, validation[goal.figure]
        return True

    def _save(self) -> None:
        """Write a checkpoint, then delete the ones that are no longer needed."""
        weights = collect(self.job.graphs, self.job.objective.networks)
        for network, tensors in weights.items():
            for name, tensor in tensors.items():
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    raise self._diverged(
                        f"expected finite numbers in `{network}.{name}`, found NaN or infinity "
                        f"after step {self.state.step}"
                    )
        tensors = {**self._generators(), **self._optimizers()}
        data = {**vars(self.state), "threads": torch.get_num_threads()}
        checkpoint.save(
            self.job.folder, self.state.step, checkpoint.Checkpoint(weights, tensors, data)
        )
        self._saved = self.state.step
        keep = checkpoint.steps(self.job.folder)[:KEPT]
        best = [] if self.state.best_step is None else [self.state.best_step]
        checkpoint.prune(self.job.folder, [*keep, *best])

    def _optimizers(self) -> dict[str, Tensor]:
        return {key: value for worker in self._workers for key, value in worker.memory().items()}

    def _generators(self) -> dict[str, Tensor]:
        found = {"generator/cpu": torch.get_rng_state()}
        if self.job.device.type == "cuda":
            found["generator/cuda"] = torch.cuda.get_rng_state(self.job.device)
        return found

    def go_on(self, saved: checkpoint.Checkpoint | None) -> None:
        """Continue where a checkpoint was written; without one, begin the folder's run anew.

        Raises: NetwrightError: R902: it has other weights.
        """
        if saved is not None:
            self._restore(saved)
        self._history.cut(self.state.step)

    def _restore(self, saved: checkpoint.Checkpoint) -> None:
        data = dict(saved.data)
        threads = data.pop("threads", None)
        if threads != torch.get_num_threads():
            self.observer.warn(
                f"the run began with {threads} threads and goes on with {torch.get_num_threads()}: "
                "the last digits of its weights may differ from an uninterrupted run's"
            )
        job = self.job
        try:
            self.state = State(**data)
        except TypeError as error:
            raise checkpoint.broken(job.folder / checkpoint.FOLDER, error) from error
        restore(job.graphs, job.objective.networks, saved.weights, job.folder)
        for worker in self._workers:
            worker.remember(saved.tensors)
        torch.set_rng_state(saved.tensors["generator/cpu"])
        if job.device.type == "cuda" and "generator/cuda" in saved.tensors:
            torch.cuda.set_rng_state(saved.tensors["generator/cuda"], job.device)
        self._saved = self.state.step
