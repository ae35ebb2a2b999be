"""The speed of dcgan_fashion and wgan_gp_fashion of the zoo against GANs that are written by hand.

Usage: python benchmarks/gan_reference.py [--jobs NAME ...] [--pairs N] [--rounds N]
           [--fashion FOLDER] [--parts check speed] [--clock cpu]

Two parts. `check`: for some steps from the same weights, order and random numbers, both must
compute the same. `speed`: both train without end in processes of their own that take turns of a
few steps, as in training_speed.py, many fresh ones; asked for is 0.98 of the speed of the code by
hand.

The code by hand is what someone who knows PyTorch writes: images scaled and on the device from the
start, fused Adam, channels_last, activations in place, no gradient for the network that stands
still, no term that nobody reads, and nothing in a step that waits for the device. Generated samples
are drawn anew for the generator's turn on both sides. It is timed as it is, and in a process that
keeps freed memory, which few think of; the latter is what the others are compared with.
"""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from measure import machine
from netwright.compiler.driver import compile_spec
from netwright.runtime.checkpoint import load_weights
from netwright.runtime.data.seeds import ORDER, derive
from netwright.runtime.heap import keep_freed_memory
from references import (
    MeanLosses,
    add_options,
    as_netwright_draws,
    compare_speed,
    distance,
    require_small,
)
from torch import Tensor, nn
from training_jobs import Job, read_fashion
from training_sides import GoesOn, Netwright, device, synchronise

SPECS = Path(__file__).resolve().parents[1] / "specs"
LATENT, WIDTH, BATCH = 64, 32, 64
PENALTY = 10.0
CHECKED_STEPS = 10
LOSS_TOLERANCE = 2e-3
"""How far losses may be apart then; weights that begin 1e-7 apart make 1e-3 of it."""

PARTS = ("check", "speed")


# The networks


class Game(nn.Module, ABC):
    """Two networks and what they play for.

    rate, betas: of both Adams. every: steps of the discriminator to one of the generator.
    """

    rate: ClassVar[float]
    betas: ClassVar[tuple[float, float]]
    every: ClassVar[int] = 1

    generator: nn.Module
    discriminator: nn.Module

    def made(self, count: int) -> Tensor:
        """Generated images f32[count, 1, 28, 28]."""
        images: Tensor = self.generator(torch.randn(count, LATENT, device=device()))
        return images

    @abstractmethod
    def discriminator_loss(self, real: Tensor) -> Tensor:
        """real: f32[B, 1, 28, 28] in [-1, 1]."""

    @abstractmethod
    def generator_loss(self, count: int) -> Tensor:
        """Of so many generated images."""


def generator(*, bias: bool) -> nn.Sequential:
    """Codes f32[B, 64] -> images f32[B, 1, 28, 28]; bias: in the last layer."""
    return nn.Sequential(
        nn.Unflatten(1, (LATENT, 1, 1)),
        nn.ConvTranspose2d(LATENT, 4 * WIDTH, 7, bias=False),
        nn.BatchNorm2d(4 * WIDTH),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(4 * WIDTH, 2 * WIDTH, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * WIDTH),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(2 * WIDTH, 1, 4, 2, 1, bias=bias),
        nn.Tanh(),
    )


class Dcgan(Game):
    """With batch norm in both, and the non-saturating loss. Source: Radford et al. 2016."""

    rate, betas = 2e-4, (0.5, 0.999)

    def __init__(self) -> None:
        super().__init__()
        self.generator = generator(bias=False)
        self.discriminator = nn.Sequential(
            nn.Conv2d(1, WIDTH, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(WIDTH, 2 * WIDTH, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * WIDTH),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * WIDTH, 1, 7, bias=False),
        )

    def discriminator_loss(self, real: Tensor) -> Tensor:
        with torch.no_grad():
            fake = self.made(len(real))
        of_real = F.softplus(-self.discriminator(real)).mean()
        return of_real + F.softplus(self.discriminator(fake)).mean()

    def generator_loss(self, count: int) -> Tensor:
        return F.softplus(-self.discriminator(self.made(count))).mean()


class WganGp(Game):
    """Five steps of a critic under a gradient penalty to one of the generator.

    Source: Gulrajani et al. 2017, algorithm 1.
    """

    rate, betas, every = 5e-4, (0.0, 0.9), 5

    def __init__(self) -> None:
        super().__init__()
        self.generator = generator(bias=True)
        self.discriminator = nn.Sequential(
            nn.Conv2d(1, WIDTH, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(WIDTH, 2 * WIDTH, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Flatten(),
            nn.Linear(2 * WIDTH * 49, 1),
        )

    def discriminator_loss(self, real: Tensor) -> Tensor:
        with torch.no_grad():
            fake = self.made(len(real))
        # Both in one pass took longer: twice as large tensors need memory from the system anew.
        distance = self.discriminator(real).mean() - self.discriminator(fake).mean()
        return PENALTY * self._penalty(real, fake) - distance

    def _penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        share = torch.rand(len(real), 1, 1, 1, device=device())
        between = torch.lerp(real, fake, share).requires_grad_()
        scores = self.discriminator(between)
        (gradient,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
        return (gradient.flatten(1).norm(dim=1) - 1).square().mean()

    def generator_loss(self, count: int) -> Tensor:
        return -self.discriminator(self.made(count)).mean()


def job(name: str, module: type[Game], chunk: int) -> Job:
    return Job(
        name=name,
        spec=SPECS / f"{name}.yaml",
        unit="images",
        samples=60_000,
        batch=BATCH,
        chunk=chunk,
        module=module,
        read=read_fashion,
    )


JOBS = {
    one.name: one for one in (job("dcgan_fashion", Dcgan, 20), job("wgan_gp_fashion", WganGp, 20))
}


# The sides


class ByHand:
    """A loop over a game.

    total: for other sides; the learning rates here stay as they are.
    losses: of the steps so far, by Netwright's names.
    """

    def __init__(self, job: Job, folder: Path, total: int) -> None:
        if torch.cuda.is_available():
            torch.set_float32_matmul_precision("high")
        torch.manual_seed(0)
        self._job = job
        game = job.module().to(device()).to(memory_format=torch.channels_last)
        assert isinstance(game, Game)
        self.game = game
        self._generator = self._adam(game.generator)
        self._discriminator = self._adam(game.discriminator)
        self._images = scaled(folder)
        self.losses: dict[str, list[Tensor]] = {"discriminator.loss": [], "generator.loss": []}

    def _adam(self, network: nn.Module) -> torch.optim.Optimizer:
        game = self.game
        return torch.optim.Adam(network.parameters(), game.rate, game.betas, fused=True)

    def _batches(self, epoch: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(derive(0, ORDER, epoch))
        order = torch.randperm(len(self._images), generator=generator).to(device())
        for step in range(self._job.steps_per_epoch):
            start = step * self._job.batch
            chosen = order[start : start + self._job.batch]
            yield self._images.index_select(0, chosen).permute(0, 3, 1, 2)

    def train(self, goes_on: GoesOn) -> None:
        epoch = step = 0
        while True:
            for real in self._batches(epoch):
                step += 1
                self._step(real, trains_generator=step % self.game.every == 0)
                if not goes_on():
                    return
            self.losses, epoch = {name: [] for name in self.losses}, epoch + 1

    def _step(self, real: Tensor, *, trains_generator: bool) -> None:
        loss = self.game.discriminator_loss(real)
        self._move(self._discriminator, self.game.discriminator, loss, "discriminator.loss")
        if not trains_generator:
            return
        self.game.discriminator.requires_grad_(False)
        loss = self.game.generator_loss(len(real))
        self._move(self._generator, self.game.generator, loss, "generator.loss")
        self.game.discriminator.requires_grad_(True)

    def _move(
        self, optimizer: torch.optim.Optimizer, moved: nn.Module, loss: Tensor, name: str
    ) -> None:
        # Not by the samples of the penalty, which took 4% of a step.
        loss.backward(inputs=list(moved.parameters()))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        self.losses[name].append(loss.detach())

    def synchronise(self) -> None:
        synchronise()

    def accuracy(self) -> float:
        """None: the losses of two adversaries say little of how good they are."""
        return float("nan")


class KeepsMemory(ByHand):
    """The same in a process that keeps freed memory, as Netwright's do (runtime/heap.py)."""

    def __init__(self, job: Job, folder: Path, total: int) -> None:
        keep_freed_memory()
        super().__init__(job, folder, total)


class OfSpec(Netwright):
    """`netwright train`, which has no accuracy either."""

    def accuracy(self) -> float:
        return float("nan")


def scaled(folder: Path) -> Tensor:
    """The training images f32[N, 28, 28, 1] on the device, from -1 to 1."""
    images = torch.from_numpy(read_fashion(folder, "train").inputs.reshape(-1, 28, 28, 1).copy())
    return (images.float() / 127.5 - 1).to(device())


# Whether both compute the same


def joined(job: Job, run: Path, step: int) -> list[Tensor]:
    """What a run learnt, in the order of the module by hand."""
    graphs, stored = compile_spec(job.spec).graphs, load_weights(run, step)
    networks = ("generator", "discriminator")
    return [stored[network][name] for network in networks for name in graphs[network].tensors()]


def check(job: Job, folder: Path) -> None:
    """Take the same steps on both sides. Raises: SystemExit: they differ."""
    observed, steps = MeanLosses(), iter(range(1, CHECKED_STEPS + 1))
    ours = OfSpec(job, folder, 4 * CHECKED_STEPS, observer=observed)
    ours.train(lambda: next(steps) < CHECKED_STEPS)
    first, last = (joined(job, ours.run, step) for step in (0, CHECKED_STEPS))
    theirs = replayed(job, folder, first)
    found = [tensor.cpu() for tensor in theirs.game.state_dict().values()]
    weights = distance(last, found) / distance(last, first)
    loss = max(
        abs(float(torch.stack(losses).mean()) / observed.last[name] - 1)
        for name, losses in theirs.losses.items()
    )
    print(
        f"{job.name}, after {CHECKED_STEPS} steps: losses {loss:.1e} apart, weights {weights:.1e} "
        "of their way",
        flush=True,
    )
    require_small(loss, weights, tolerance=LOSS_TOLERANCE)


def replayed(job: Job, folder: Path, weights: list[Tensor]) -> ByHand:
    """The side by hand after its steps from given weights, with Netwright's random numbers."""
    side = ByHand(job, folder, 0)
    for tensor, value in zip(side.game.state_dict().values(), weights, strict=True):
        tensor.copy_(value)
    side.train(as_netwright_draws(CHECKED_STEPS))
    return side


SIDES: dict[str, Any] = {
    "netwright": OfSpec,
    "by hand, glibc as it comes": ByHand,
    "by hand": KeepsMemory,
}


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    add_options(parser, pairs=15, rounds=9)
    return parser.parse_args()


def main() -> None:
    options = read_options()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    print(f"{machine()}, {torch.get_num_threads()} threads{gpu}\n", flush=True)
    for name in options.jobs:
        if "check" in options.parts:
            check(JOBS[name], options.fashion)
        if "speed" in options.parts:
            compare_speed(SIDES, JOBS[name], options)


if __name__ == "__main__":
    main()
