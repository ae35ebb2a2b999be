"""Whether Netwright and the best loop by hand compute the same: same weights, order and chance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from netwright.compiler.driver import compile_spec
from netwright.runtime.data.seeds import ORDER, STEP, derive
from netwright.runtime.device import seed_generators
from netwright.runtime.observer import Observer, Progress
from safetensors.torch import load_file
from torch import Tensor
from training_jobs import Job
from training_sides import Best, Netwright, device

STEPS = 8
SEED = 0
"""That of the specs."""

LOSS_TOLERANCE, WEIGHT_TOLERANCE = 1e-4, 0.02


@dataclass(frozen=True)
class Difference:
    """How far two sides are apart after some steps.

    loss: of their mean losses, relative. weights: of their weights, relative to how far these went.
    """

    loss: float
    weights: float

    def __str__(self) -> str:
        return f"mean loss {self.loss:.1e}, weights {self.weights:.1e} of their way"

    @property
    def is_small(self) -> bool:
        return self.loss < LOSS_TOLERANCE and self.weights < WEIGHT_TOLERANCE


class _Losses(Observer):
    """Keeps the mean loss of the epoch so far."""

    last = float("nan")

    def progress(self, progress: Progress) -> None:
        self.last = progress.losses["loss"]


def difference(job: Job, folder: Path) -> Difference:
    """Train both sides of a job for a few steps, and compare them."""
    losses = _Losses()
    ours = Netwright(job, folder, 4 * STEPS, observer=losses)
    counted = iter(range(1, STEPS + 1))
    ours.train(lambda: next(counted) < STEPS)
    names = list(compile_spec(job.spec).graphs["classifier"].tensors())
    first, last = (_weights(ours.run, step, names) for step in (0, STEPS))
    theirs = _by_hand(job, folder, first)
    found = [tensor.cpu() for tensor in theirs.module.state_dict().values()]
    way = _distance(last, first)
    return Difference(abs(theirs.losses[-1] / losses.last - 1), _distance(last, found) / way)


def _by_hand(job: Job, folder: Path, weights: list[Tensor]) -> Best:
    """The hand-written side after its steps from given weights, with Netwright's random numbers."""
    side = Best(job, folder, 4 * STEPS)
    for tensor, value in zip(side.module.state_dict().values(), weights, strict=True):
        tensor.copy_(value)
    generator = torch.Generator().manual_seed(derive(SEED, ORDER, 0))
    order = torch.randperm(job.samples, generator=generator)
    side.order = lambda epoch: order  # type: ignore[method-assign]
    step = 0

    def goes_on() -> bool:
        nonlocal step
        step += 1
        seed_generators(derive(SEED, STEP, step), device())
        return step < STEPS

    seed_generators(derive(SEED, STEP, 0), device())
    side.train(goes_on)
    return side


def _weights(run: Path, step: int, names: list[str]) -> list[Tensor]:
    """The tensors of a checkpoint in this order, which is that of the network's layers."""
    path = run / "checkpoints" / f"{step:08d}" / "weights" / "classifier.safetensors"
    tensors = load_file(path)
    return [tensors[name] for name in names]


def _distance(a: list[Tensor], b: list[Tensor]) -> float:
    squares = [(x.double() - y.double()).square().sum() for x, y in zip(a, b, strict=True)]
    return float(torch.stack(squares).sum().sqrt())
