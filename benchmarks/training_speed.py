"""Training throughput against PyTorch by hand, Lightning's Trainer and Keras.

Usage: python benchmarks/training_speed.py [--rounds N] [--jobs NAME ...] [--sides NAME ...]
           [--fashion FOLDER] [--without-check] [--clock cpu]

Sides whose packages are missing are listed as not installed. To measure all of them:

    .venv/bin/pip install -c constraints.txt lightning keras jax

Each side is a process of its own and trains without end; they take turns of a few steps, so that a
drift of the machine's speed hits all of them. All use the same network, batch size, AdamW and
one-cycle schedule; none writes checkpoints. Netwright runs as `netwright train` does: it reads
losses, records gradients, writes metrics. First, Netwright and the best loop by hand are compared
for some steps with the same weights, order and random numbers: they must compute the same.

`--clock cpu` counts the processor's seconds of each side's own process, for a look at a busy
machine; DataLoader's workers are not in it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import estimate, machine, speed_ratio
from training_check import difference
from training_jobs import FASHION, FASHION_CNN, JOBS, Job
from training_peers import KerasSide, LightningSide, is_installed
from training_sides import Best, Netwright, Plain
from turns import Player, take_turns

BASE = "best"
GPU_STEPS = 20
"""How many times as many steps a turn has on a GPU, which takes them faster."""

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class Entry:
    """A side in the table. needs: the packages that it uses."""

    title: str
    make: Callable[..., Any]
    needs: tuple[str, ...] = ()


SIDES = {
    "netwright": Entry("netwright, plan by rules", Netwright),
    "measured": Entry(
        "netwright, `plan: measured`", partial(Netwright, plan={"choose": "measured"})
    ),
    "compiled": Entry(
        "netwright, `plan: {compile: true}`", partial(Netwright, plan={"compile": True})
    ),
    BASE: Entry("PyTorch by hand, every trick", Best),
    "best_compiled": Entry("the same, torch.compile", partial(Best, compiles=True)),
    "plain": Entry("PyTorch as in tutorials, DataLoader", Plain),
    "plain_2": Entry("the same, 2 workers", partial(Plain, workers=2)),
    "lightning": Entry("Lightning, DataLoader", LightningSide, ("lightning",)),
    "lightning_2": Entry("the same, 2 workers", partial(LightningSide, workers=2), ("lightning",)),
    "lightning_tuned": Entry(
        "Lightning, every trick", partial(LightningSide, tuned=True), ("lightning",)
    ),
    "keras_jax": Entry("Keras on JAX", partial(KerasSide, backend="jax"), ("keras", "jax")),
    "keras_torch": Entry("Keras on PyTorch", partial(KerasSide, backend="torch"), ("keras",)),
}


@dataclass(frozen=True)
class Result:
    """What one side did. seconds: of each turn. ready: from its start to its first step."""

    seconds: np.ndarray
    ready: float
    accuracy: float


def measure(
    job: Job, folder: Path, names: list[str], options: argparse.Namespace, steps: int
) -> dict[str, Result]:
    """Let the sides take turns."""
    total = job.total_steps((options.rounds + 2) * steps)
    with ExitStack() as ends:
        players: dict[str, Player] = {}
        for name in names:
            players[name] = Player(SIDES[name].make, (job, folder, total), CLOCKS[options.clock])
            ends.callback(players[name].end)
        found = take_turns(players, steps, options.rounds)
        return {
            name: Result(np.array(found[name]), player.ready, player.finish())
            for name, player in players.items()
        }


def table(job: Job, results: dict[str, Result], steps: int) -> None:
    """Print a line for each side."""
    base = results.get(BASE)
    print(
        f"| side | {job.unit}/s (95%) | times as fast as `{SIDES[BASE].title}` (95%) "
        "| first step after | test accuracy |\n|---|---|---|---|---|"
    )
    for name, entry in SIDES.items():
        if name not in results:
            if not is_installed(*entry.needs):
                print(f"| {entry.title} | not installed | | | |")
            continue
        result = results[name]
        rate = estimate(job.batch * steps / result.seconds)
        ratio = "" if base is None else str(speed_ratio(base.seconds, result.seconds))
        figures = f"{rate:,.0f} | {ratio} | {result.ready:.1f} s | {result.accuracy:.3f}"
        print(f"| {entry.title} | {figures} |", flush=True)


def run(job: Job, folder: Path, options: argparse.Namespace) -> None:
    steps = job.chunk * (GPU_STEPS if torch.cuda.is_available() else 1)
    names = [name for name in options.sides if is_installed(*SIDES[name].needs)]
    print(f"\n### {job.name}, batch {job.batch}: {options.rounds} rounds of {steps} steps\n")
    if not options.without_check:
        found = difference(job, folder)
        print(f"Netwright and `{SIDES[BASE].title}` differ by: {found}\n", flush=True)
        if not found.is_small:
            raise SystemExit("the sides compute different things")
    table(job, measure(job, folder, names, options, steps), steps)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--fashion", type=Path, default=FASHION, help="the folder of its files")
    parser.add_argument("--without-check", action="store_true")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    return parser.parse_args()


def main() -> None:
    options = read_options()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    print(f"{machine()}, {torch.get_num_threads()} threads{gpu}")
    for name in options.jobs:
        job = JOBS[name]
        if job is FASHION_CNN and not options.fashion.is_dir():
            print(f"\n{name}: not measured, since {options.fashion} is missing")
            continue
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made) if job.write else options.fashion
            if job.write:
                job.write(folder)
            run(job, folder, options)


if __name__ == "__main__":
    main()
