"""What the training loop itself takes of a step: a network of one layer, against a loop by hand.

Usage: python benchmarks/loop_overhead.py [ROUNDS] [--profile]

A step of any network takes as much longer than its kernels need. The parts are timed apart: making
batches, taking the step, and what the trainer does around them.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from measure import interleaved, machine
from netwright.compiler.driver import Compilation, compile_spec
from netwright.runtime.generated import build_networks
from netwright.runtime.job import make_job
from netwright.runtime.observer import Observer
from netwright.runtime.opening import read_data
from netwright.runtime.planning.choose import choose_plan
from netwright.runtime.stepper import Job, Stepper
from netwright.runtime.trainer import Trainer

CPU = torch.device("cpu")
SAMPLES, BATCH, STEPS = 32_768, 16, 2_000
LIMIT = 100.0
"""Microseconds that the loop may add to a step."""

SPEC = f"""\
spec: v1
name: one_layer
data:
  source: {{npz: {{path: train.npz, test_path: test.npz}}}}
  fields: {{x: {{shape: [B, 4], dtype: float32}}, y: {{shape: [B, 1], dtype: float32}}}}
networks:
  net: {{inputs: {{x: {{shape: [B, 4]}}}}, layers: [{{linear: 1}}], outputs: y}}
objective:
  supervised: {{network: net, losses: [{{mse: {{output: y, target: y}}}}]}}
training: {{batch: {BATCH}, steps: {STEPS}, optimizer: {{sgd: {{lr: 0.01}}}}, schedule: one_cycle}}
"""


def write_spec(folder: Path) -> Path:
    """The spec, and data for as many steps as are timed at once."""
    generator = np.random.default_rng(0)
    for part, samples in (("train", SAMPLES), ("test", BATCH)):
        x = generator.normal(size=(samples, 4)).astype(np.float32)
        np.savez(folder / f"{part}.npz", x=x, y=x.sum(1, keepdims=True))
    path = folder / "one_layer.yaml"
    path.write_text(SPEC)
    return path


class Sides:
    """What is timed; each takes `STEPS` steps."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._number = folder, count()
        self.compilation: Compilation = compile_spec(write_spec(folder))
        self.dataset = read_data(self.compilation, folder)

    def job(self) -> Job:
        run = self.folder / str(next(self._number))
        run.mkdir()
        plan = choose_plan(self.compilation, self.dataset, CPU)
        return make_job(self.compilation, self.dataset, CPU, run, plan)

    def by_hand(self) -> Callable[[], None]:
        """The loop that a person would write for this spec."""
        network = build_networks(self.compilation.source, ["net"])["net"]
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01, fused=True)
        columns = self.dataset.parts["train"]
        x, y = (torch.from_numpy(columns[name].whole()) for name in ("x", "y"))

        def call() -> None:
            for rows in torch.randperm(SAMPLES)[: STEPS * BATCH].split(BATCH):
                loss = F.mse_loss(network(x[rows]), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

        return call

    def batches(self) -> Callable[[], None]:
        job = self.job()
        return lambda: self._exhaust(job.train.training(0, 0, BATCH, 0, 0))

    @staticmethod
    def _exhaust(batches: Iterator[object]) -> None:
        for _, _ in zip(range(STEPS), batches, strict=False):
            pass

    def steps(self) -> Callable[[], None]:
        job = self.job()
        (batch,) = next(job.train.training(0, 0, BATCH, 0, 0))

        def call() -> None:
            stepper = Stepper(job)
            for _ in range(STEPS):
                stepper.step([batch])

        return call

    def trainer(self) -> Callable[[], None]:
        """All of it, with its files; what is written once a run is among it."""
        return lambda: self._train(Trainer(self.job(), Observer()))

    @staticmethod
    def _train(trainer: Trainer) -> None:
        trainer.train()


@contextmanager
def profiled(*, wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    profile = cProfile.Profile()
    profile.enable()
    yield
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", nargs="?", type=int, default=9)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        sides = Sides(Path(name))
        calls = {
            "by hand": sides.by_hand(),
            "batches alone": sides.batches(),
            "steps alone": sides.steps(),
            "trainer": sides.trainer(),
        }
        seconds = interleaved(calls, given.rounds)
        with profiled(wanted=given.profile):
            calls["trainer"]()
    medians = {side: float(np.median(values)) / STEPS * 1e6 for side, values in seconds.items()}
    print(f"{machine()}\n")
    print("| side | microseconds a step |")
    print("|---|---|")
    for side, value in medians.items():
        print(f"| {side} | {value:.1f} |")
    added = medians["trainer"] - medians["by hand"]
    print(f"| **added by the loop** (at most {LIMIT:g}) | {added:.1f} |")


if __name__ == "__main__":
    main()
