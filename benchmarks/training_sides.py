"""The sides of the training benchmarks: Netwright, and loops written by hand in PyTorch.

A side trains one job for `total` steps of a one-cycle schedule. It calls `goes_on()` after each
step and stops where that is False; it may be called once more or less where a library counts so.
"""

from __future__ import annotations

import math
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from training_jobs import LR, Arrays, Job

GoesOn = Callable[[], bool]


class Side(Protocol):
    """One way of training a job."""

    def train(self, goes_on: GoesOn) -> None:
        """Take steps until `goes_on()` says no."""

    def synchronise(self) -> None:
        """Wait until the device has done what was asked of it."""

    def accuracy(self) -> float:
        """The part of the test samples that the network as it is now gets right."""


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def synchronise() -> None:
    if device().type == "cuda":
        torch.cuda.synchronize()


def one_cycle(step: int, total: int) -> float:
    """torch's OneCycleLR with its defaults; the first step is 0."""
    low, least, peak = LR / 25, LR / 25 / 1e4, 0.3 * total - 1
    if step <= peak:
        return _between(low, LR, step / peak)
    return _between(LR, least, min(1.0, (step - peak) / (total - 1 - peak)))


def _between(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def hits(module: nn.Module, batches: Iterator[tuple[Tensor, Tensor]]) -> float:
    """Test accuracy of a module, which is in training mode before and after."""
    module.eval()
    with torch.inference_mode():
        found = [(module(x).argmax(1) == y).float() for x, y in batches]
    module.train()
    return float(torch.cat(found).mean())


class Resident:
    """A part of the data as tensors on the device: normalised, and images with channels last."""

    def __init__(self, job: Job, arrays: Arrays) -> None:
        self._is_last = job.has_images
        inputs = torch.from_numpy(job.normalised(arrays.inputs))
        inputs = inputs.permute(0, 2, 3, 1).contiguous() if self._is_last else inputs
        self._inputs = inputs.to(device())
        self._labels = torch.from_numpy(arrays.labels).to(device())

    def __len__(self) -> int:
        return len(self._labels)

    def batches(self, order: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The samples of an order, the last batch of what is left."""
        order = order.to(device())
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            x = self._inputs.index_select(0, chosen)
            x = x.permute(0, 3, 1, 2) if self._is_last else x
            yield x, self._labels.index_select(0, chosen)


class Best:
    """The loop of someone who knows PyTorch: nothing in a step waits, copies or repeats itself.

    The data lies on the device, normalised once; a batch is one indexing operation. The layout is
    channels_last, AdamW is fused, losses are read once in an epoch.
    """

    def __init__(self, job: Job, folder: Path, total: int, *, compiles: bool = False) -> None:
        self.job, self.total = job, total
        if torch.cuda.is_available():
            torch.set_float32_matmul_precision("high")
        layout = torch.channels_last if job.has_images else torch.contiguous_format
        self.module = job.module().to(device()).to(memory_format=layout)
        self._loss = torch.compile(self._plain_loss) if compiles else self._plain_loss
        self.optimizer = torch.optim.AdamW(self.module.parameters(), lr=LR, fused=True)
        self._train = Resident(job, job.read(folder, "train"))
        self._test = Resident(job, job.read(folder, "test"))
        self.losses: list[float] = []

    def _plain_loss(self, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(self.module(x), y)

    def order(self, epoch: int) -> Tensor:
        """Which samples an epoch takes, and when."""
        size = len(self._train)
        return torch.randperm(size)[: size // self.job.batch * self.job.batch]

    def train(self, goes_on: GoesOn) -> None:
        step, epoch = 0, 0
        while True:
            total, count = torch.zeros((), device=device()), 0
            for x, y in self._train.batches(self.order(epoch), self.job.batch):
                total += self._step(x, y, one_cycle(step, self.total))
                step, count = step + 1, count + 1
                if not goes_on():
                    self.losses.append(float(total) / count)
                    return
            self.losses.append(float(total) / count)
            epoch += 1

    def _step(self, x: Tensor, y: Tensor, lr: float) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(x, y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def synchronise(self) -> None:
        synchronise()

    def accuracy(self) -> float:
        everything = torch.arange(len(self._test))
        return hits(self.module, self._test.batches(everything, 2 * self.job.batch))


class Samples(TorchDataset):
    """Samples as tutorials write them: each is transformed when it is asked for."""

    def __init__(self, job: Job, arrays: Arrays) -> None:
        self._job, self._inputs = job, torch.from_numpy(np.array(arrays.inputs))
        self._labels = arrays.labels.tolist()

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        x = self._inputs[index]
        if self._job.mean is not None:
            x = x.float().div(255).sub(self._job.mean).div(self._job.std)
        return x, self._labels[index]


def loaders(job: Job, folder: Path, workers: int) -> tuple[DataLoader, DataLoader]:
    """The training and test samples in torch's DataLoader."""
    train = DataLoader(
        Samples(job, job.read(folder, "train")),
        job.batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    return train, DataLoader(Samples(job, job.read(folder, "test")), 2 * job.batch)


class Plain:
    """The loop of PyTorch's tutorials."""

    def __init__(self, job: Job, folder: Path, total: int, *, workers: int = 0) -> None:
        self._module = job.module().to(device())
        self._optimizer = torch.optim.AdamW(self._module.parameters(), lr=LR)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, LR, total, cycle_momentum=False
        )
        self._train, self._test = loaders(job, folder, workers)

    def train(self, goes_on: GoesOn) -> None:
        criterion = nn.CrossEntropyLoss()
        while True:
            running = 0.0
            for images, labels in self._train:
                images, labels = images.to(device()), labels.to(device())
                self._optimizer.zero_grad()
                loss = criterion(self._module(images), labels)
                loss.backward()
                self._optimizer.step()
                self._schedule.step()
                running += loss.item()
                if not goes_on():
                    return

    def synchronise(self) -> None:
        synchronise()

    def accuracy(self) -> float:
        return hits(self._module, ((x.to(device()), y.to(device())) for x, y in self._test))


class Watch:
    """Asks `goes_on()` after each step of Netwright's trainer.

    The trainer asks its group of processes whether to stop, before each epoch and after each step;
    a group of one process can say so for reasons of its own.
    """

    def __init__(self, goes_on: GoesOn, steps_per_epoch: int) -> None:
        self._goes_on, self._period, self._calls = goes_on, steps_per_epoch + 1, 0

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return self._calls - -(-self._calls // self._period)

    def signal(self) -> int | None:
        """What the trainer is told: to stop, or nothing."""
        begins_epoch = self._calls % self._period == 0
        self._calls += 1
        return None if begins_epoch or self._goes_on() else signal.SIGTERM

    def world(self) -> Any:
        """The group of processes that the trainer asks."""
        from netwright.runtime.distributed.world import World

        told = self.signal

        class Watched(World):
            def agree(self, signal: int | None, looks: bool) -> tuple[int | None, bool]:
                return told(), looks

        return Watched()


class Netwright:
    """`netwright train` as it is, in this process; checkpoints only where the run begins and ends.

    plan: what the spec's `training.plan` says. saves: leave checkpoints as the spec has them.
    """

    def __init__(
        self,
        job: Job,
        folder: Path,
        total: int,
        *,
        plan: dict[str, Any] | None = None,
        saves: bool = False,
        observer: Any = None,
    ) -> None:
        from netwright.compiler.driver import compile_spec
        from netwright.compiler.objectives.planning import Planning
        from netwright.compiler.objectives.watching import Checkpoint

        compilation = compile_spec(job.spec)
        training = compilation.spec.training
        often = training.checkpoint if saves else Checkpoint(every=10**6)
        changes = {"epochs": None, "steps": total, "plan": Planning(**(plan or {}))}
        training = training.model_copy(update={**changes, "checkpoint": often})
        self._compilation = replace(compilation, spec=replace(compilation.spec, training=training))
        self._data, self._observer, self._steps_per_epoch = folder, observer, job.steps_per_epoch
        self._parent = tempfile.TemporaryDirectory()
        self.run = Path(self._parent.name) / "run"

    def train(self, goes_on: GoesOn) -> None:
        from netwright.runtime.train import train

        watch = Watch(goes_on, self._steps_per_epoch)
        result = train(
            self._compilation,
            output=self.run,
            data_dir=self._data,
            observer=self._observer,
            world=watch.world(),
        )
        assert result.signal is None or result.step == watch.steps, "the trainer asks otherwise"

    def synchronise(self) -> None:
        synchronise()

    def accuracy(self) -> float:
        """Of the state that the run saved when it was stopped."""
        from netwright.runtime.evaluate import evaluate

        return evaluate(self.run)["accuracy"]
