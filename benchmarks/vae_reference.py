"""The VAE of specs/mlp_vae.yaml against one that is written by hand: its test ELBO and its speed.

Usage: python benchmarks/vae_reference.py [--epochs N] [--pairs N] [--rounds N] [--fashion FOLDER]
           [--seeds N ...] [--parts check elbo speed] [--clock cpu]

Three parts. `check`: for some steps from the same weights, order and random numbers, both must
compute the same. `elbo`: both are trained for `--epochs` with the same order of samples, each from
weights of its own, and their ELBO on the test images is compared: at most 3% apart. `speed`: both
train without end in processes of their own that take turns of a few steps, as in training_speed.py,
many fresh pairs of them; asked for is 0.98 of the speed of the code by hand.

The code by hand is what someone who knows PyTorch writes: images on the device in black and white
from the start, one layer for mean and logarithm of the variance, losses as sums without terms in
between, fused Adam, and nothing in a step that waits for the device.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from measure import machine
from netwright.compiler.driver import compile_spec
from netwright.runtime.checkpoint import load_weights
from netwright.runtime.data.seeds import ORDER, derive
from netwright.runtime.evaluate import evaluate
from netwright.runtime.train import train
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

PIXELS, HIDDEN, LATENT = 784, 400, 20
RATE = 1e-3
CHECKED_STEPS = 8
ELBO_TOLERANCE = 0.03

PARTS = ("check", "elbo", "speed")


class MlpVae(nn.Module):
    """784-400-20 and back."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT)
        )
        self.decoder = nn.Sequential(
            nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: [B, 784] of 0 and 1. Returns: reconstruction and divergence, sums over the batch."""
        mean, logvar = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        reconstruction = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        return reconstruction, 0.5 * (mean.square() + logvar.exp() - logvar - 1).sum()


def black_and_white(folder: Path, part: str) -> Tensor:
    """The images [N, 784] on the device; 1 where a pixel is above one half."""
    images = torch.from_numpy(read_fashion(folder, part).inputs.reshape(-1, PIXELS).copy())
    return (images > 127).float().to(device())


class ByHand:
    """A loop over that network.

    seed: of the weights, and of the order of the samples, which is Netwright's of the same seed.
    total: for other sides; the learning rate here stays as it is.
    losses: of the steps of the current epoch.
    """

    def __init__(self, job: Job, folder: Path, total: int, *, seed: int = 0) -> None:
        if torch.cuda.is_available():
            torch.set_float32_matmul_precision("high")
        torch.manual_seed(seed)
        self._job, self._folder, self._seed = job, folder, seed
        self.module = MlpVae().to(device())
        self._optimizer = torch.optim.Adam(self.module.parameters(), lr=RATE, fused=True)
        self._images = black_and_white(folder, "train")
        self.losses: list[Tensor] = []

    def _batches(self, epoch: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(derive(self._seed, ORDER, epoch))
        order = torch.randperm(len(self._images), generator=generator).to(device())
        for step in range(self._job.steps_per_epoch):
            start = step * self._job.batch
            yield self._images.index_select(0, order[start : start + self._job.batch])

    def train(self, goes_on: GoesOn) -> None:
        epoch = 0
        while True:
            for x in self._batches(epoch):
                self.losses.append(self._step(x))
                if not goes_on():
                    return
            self.losses, epoch = [], epoch + 1

    def _step(self, x: Tensor) -> Tensor:
        self._optimizer.zero_grad(set_to_none=True)
        reconstruction, kl = self.module(x)
        loss = (reconstruction + kl) / len(x)
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def synchronise(self) -> None:
        synchronise()

    def accuracy(self) -> float:
        """The test ELBO, by one code of each image."""
        images, total = black_and_white(self._folder, "test"), 0.0
        torch.manual_seed(0)
        with torch.inference_mode():
            for x in images.split(2 * self._job.batch):
                total += float(sum(self.module(x)))
        return -total / len(images)


class OfSpec(Netwright):
    """`netwright train`, judged by the test ELBO."""

    def accuracy(self) -> float:
        return evaluate(self.run)["elbo"]


JOB = Job(
    name="mlp_vae",
    spec=Path(__file__).resolve().parents[1] / "specs" / "mlp_vae.yaml",
    unit="images",
    samples=60_000,
    batch=128,
    chunk=60,
    module=MlpVae,
    read=read_fashion,
)


# Whether both compute the same


def joined(run: Path, step: int) -> list[Tensor]:
    """The weights of a run in the order of the module by hand."""
    stored = load_weights(run, step)
    encoder, decoder = stored["encoder"], stored["decoder"]
    names = [f"linear_{index}.{kind}" for index in (0, 1) for kind in ("weight", "bias")]
    return [network[name] for network in (encoder, decoder) for name in names]


def check(folder: Path) -> None:
    """Take the same steps on both sides. Raises: SystemExit: they differ."""
    losses, steps = MeanLosses(), iter(range(1, CHECKED_STEPS + 1))
    ours = OfSpec(JOB, folder, 4 * CHECKED_STEPS, observer=losses)
    ours.train(lambda: next(steps) < CHECKED_STEPS)
    first, last = (joined(ours.run, step) for step in (0, CHECKED_STEPS))
    theirs = replayed(folder, first)
    found = [tensor.cpu() for tensor in theirs.module.state_dict().values()]
    loss = abs(float(torch.stack(theirs.losses).mean()) / losses.last["loss"] - 1)
    weights = distance(last, found) / distance(last, first)
    print(
        f"after {CHECKED_STEPS} steps: losses {loss:.1e} apart, weights {weights:.1e} of their way"
    )
    require_small(loss, weights)


def replayed(folder: Path, weights: list[Tensor]) -> ByHand:
    """The side by hand after its steps from given weights, with Netwright's random numbers."""
    side = ByHand(JOB, folder, 0)
    for tensor, value in zip(side.module.state_dict().values(), weights, strict=True):
        tensor.copy_(value)
    side.train(as_netwright_draws(CHECKED_STEPS))
    return side


# How good both become


@dataclass(frozen=True)
class Quality:
    """Test ELBOs in nats."""

    seed: int
    ours: float
    by_hand: float

    @property
    def apart(self) -> float:
        return self.ours / self.by_hand - 1

    def __str__(self) -> str:
        return f"| {self.seed} | {self.ours:.2f} | {self.by_hand:.2f} | {self.apart:+.2%} |"


def quality(folder: Path, epochs: int, seed: int) -> Quality:
    return Quality(seed, elbo_of_spec(folder, epochs, seed), elbo_by_hand(folder, epochs, seed))


def elbo_of_spec(folder: Path, epochs: int, seed: int) -> float:
    compilation = compile_spec(JOB.spec)
    changes = {"epochs": epochs, "seed": seed}
    training = compilation.spec.training.model_copy(update=changes)
    compilation = replace(compilation, spec=replace(compilation.spec, training=training))
    with tempfile.TemporaryDirectory() as parent:
        result = train(compilation, output=Path(parent) / "run", data_dir=folder)
        return result.metrics["test"]["elbo"]


def elbo_by_hand(folder: Path, epochs: int, seed: int) -> float:
    side, last = ByHand(JOB, folder, 0, seed=seed), epochs * JOB.steps_per_epoch
    steps = iter(range(1, last + 1))
    side.train(lambda: next(steps) < last)
    return side.accuracy()


def compare_quality(folder: Path, epochs: int, seeds: list[int]) -> None:
    """Print a table. Raises: SystemExit: they are too far apart."""
    print(f"\nTest ELBO after {epochs} epochs:\n")
    print("| seed | netwright | by hand | apart |\n|---|---|---|---|", flush=True)
    worst = 0.0
    for seed in seeds:
        found = quality(folder, epochs, seed)
        worst = max(worst, abs(found.apart))
        print(found, flush=True)
    if not worst <= ELBO_TOLERANCE:
        raise SystemExit(f"expected at most {ELBO_TOLERANCE:.0%}, found {worst:.2%}")


SIDES: dict[str, Any] = {"netwright": OfSpec, "by hand": ByHand}


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=compile_spec(JOB.spec).spec.training.epochs)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    add_options(parser, pairs=25, rounds=15)
    return parser.parse_args()


def main() -> None:
    options = read_options()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    print(f"{machine()}, {torch.get_num_threads()} threads{gpu}\n", flush=True)
    if "check" in options.parts:
        check(options.fashion)
    if "elbo" in options.parts:
        compare_quality(options.fashion, options.epochs, options.seeds)
    if "speed" in options.parts:
        compare_speed(SIDES, JOB, options)


if __name__ == "__main__":
    main()
