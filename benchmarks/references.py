"""What comparisons with networks by hand share: whether both compute the same, and how fast."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import estimate
from netwright.runtime.data.seeds import STEP, derive
from netwright.runtime.device import seed_generators
from netwright.runtime.observer import Observer, Progress
from torch import Tensor
from training_jobs import FASHION, Job
from training_sides import GoesOn, device
from training_speed import CLOCKS, GPU_STEPS
from turns import Player, take_turns

Sides = Mapping[str, Callable[..., Any]]
"""Name -> what makes a side of a job, the folder of its data and the length of its run.

The last is the one that the others are compared with.
"""

WEIGHT_TOLERANCE = 0.02
"""How far weights may be apart, in parts of the way that they went."""

SPEED_WANTED = 0.98
WARMUP = 2
"""Rounds of each group of processes that are not counted."""


# Whether both compute the same


class MeanLosses(Observer):
    """Keeps the mean losses of the epoch so far."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def progress(self, progress: Progress) -> None:
        self.last = dict(progress.losses)


def as_netwright_draws(steps: int) -> GoesOn:
    """A side's `goes_on` that ends after so many steps, each with Netwright's random numbers."""
    step = 0
    seed_generators(derive(0, STEP, 0), device())

    def goes_on() -> bool:
        nonlocal step
        step += 1
        seed_generators(derive(0, STEP, step), device())
        return step < steps

    return goes_on


def distance(a: list[Tensor], b: list[Tensor]) -> float:
    """Between all tensors but those that count."""
    pairs = [(x.double(), y.double()) for x, y in zip(a, b, strict=True) if x.is_floating_point()]
    return float(torch.stack([(x - y).square().sum() for x, y in pairs]).sum().sqrt())


def require_small(loss: float, weights: float, *, tolerance: float = 1e-4) -> None:
    """Raises: SystemExit: the sides differ by more than rounding. tolerance: of the losses."""
    if not (loss <= tolerance and weights <= WEIGHT_TOLERANCE):
        raise SystemExit("the sides compute different things")


# How fast they are


def one_group(
    sides: Sides, job: Job, options: argparse.Namespace, *, forwards: bool
) -> dict[str, np.ndarray]:
    """Seconds of each turn, by side, of a fresh process for each; forwards: started in order."""
    steps = chunk(job)
    total = job.total_steps((options.rounds + WARMUP + 1) * steps)
    names = list(sides) if forwards else list(sides)[::-1]
    players: dict[str, Player] = {}
    try:
        for name in names:
            arguments = (job, options.fashion, total)
            players[name] = Player(sides[name], arguments, CLOCKS[options.clock])
        found = take_turns(players, steps, options.rounds, WARMUP)
    finally:
        for player in players.values():
            player.end()
    return {name: np.array(found[name]) for name in sides}


def chunk(job: Job) -> int:
    """Steps of a turn."""
    return job.chunk * (GPU_STEPS if torch.cuda.is_available() else 1)


def compare_speed(sides: Sides, job: Job, options: argparse.Namespace) -> None:
    """Print a table: milliseconds of a step, and the time of the last side over that of each.

    Where its memory happens to lie makes a process up to a tenth faster or slower than its twin,
    so that one pair of them says nothing: the ratio is the median of many pairs.
    """
    found = [one_group(sides, job, options, forwards=i % 2 == 0) for i in range(options.pairs)]
    base = list(sides)[-1]
    print(
        f"\n{job.name}, {options.pairs} times a process for each side, {options.rounds} rounds of "
        f"{chunk(job)} steps of {job.batch}:\n"
    )
    print(f"| side | ms a step (95%) | times as fast as {base} (95%) |")
    print("|---|---|---|")
    for name in sides:
        steps = np.array([np.median(one[name]) for one in found]) / chunk(job) * 1e3
        ratios = np.array([np.median(one[base] / one[name]) for one in found])
        print(f"| {name} | {estimate(steps):.2f} | {estimate(ratios)} |", flush=True)
    print(f"asked for: {SPEED_WANTED} of the speed by hand")


def add_options(parser: argparse.ArgumentParser, *, pairs: int, rounds: int) -> None:
    """The options that `compare_speed` reads."""
    parser.add_argument("--pairs", type=int, default=pairs, help="of fresh processes")
    parser.add_argument("--rounds", type=int, default=rounds, help="of each pair")
    parser.add_argument("--fashion", type=Path, default=FASHION, help="the folder of its files")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
