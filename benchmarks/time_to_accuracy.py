"""Seconds from the start of the command to the first step and to a test accuracy, on fashion_cnn.

Usage: python benchmarks/time_to_accuracy.py [--rounds N] [--target ACCURACY] [--fashion FOLDER]

Each run is a process of its own, timed from its start: it imports, reads the data, trains with the
spec's schedule and measures the test samples after each epoch. Netwright runs as `netwright train`
does, checkpoints included; only that it takes the test samples for validation, so that all sides
measure the same. The real command is timed up to its first step: until the gradients of step 1
are in the run's folder, which is up to a quarter of a second after that step.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measure import estimate, machine, speed_ratio

FIRST, REACHED, MISSED = "first", "reached", "missed"
POLL = 0.005
"""Seconds between two looks at the run's folder."""

LIMIT = 120
"""Seconds after which a command that has taken no step is given up."""

TITLES = {
    "netwright": "netwright",
    "best": "PyTorch by hand, every trick",
    "plain": "PyTorch as in tutorials, DataLoader",
}


def play(name: str, folder: Path, target: float) -> None:
    """The process of one side: tells its first step, and when it reaches the target."""
    from training_jobs import FASHION_CNN as job  # noqa: N811 - one of several

    total = job.total_steps(0)
    if name == "netwright":
        _play_netwright(job, folder, total, target)
        return
    from training_sides import Best, Plain

    side = {"best": Best, "plain": Plain}[name](job, folder, total)
    side.train(_judge(side, job.steps_per_epoch, total, target))


def _judge(side: Any, steps_per_epoch: int, total: int, target: float) -> Callable[[], bool]:
    """What a loop by hand calls after each step."""
    step = 0

    def goes_on() -> bool:
        nonlocal step
        step += 1
        if step == 1:
            side.synchronise()
            tell(FIRST)
        if step % steps_per_epoch:
            return True
        reached = side.accuracy() >= target
        if reached or step == total:
            tell(REACHED if reached else MISSED)
        return not reached and step < total

    return goes_on


def _play_netwright(job: Any, folder: Path, total: int, target: float) -> None:
    from netwright.runtime.observer import EpochEnd, Observer
    from training_sides import Netwright

    _validate_on_test_samples()
    steps, state = 0, MISSED

    class Judge(Observer):
        def epoch_end(self, epoch: EpochEnd) -> None:
            nonlocal state
            if state == MISSED and epoch.validation["accuracy"] >= target:
                state = REACHED
                tell(REACHED)

    def goes_on() -> bool:
        nonlocal steps
        steps += 1
        if steps == 1:
            tell(FIRST)
        return state == MISSED

    Netwright(job, folder, total, saves=True, observer=Judge()).train(goes_on)
    if state == MISSED:
        tell(MISSED)


def _validate_on_test_samples() -> None:
    """No spec asks for that, rightly; here it makes Netwright's figures those of the others."""
    from dataclasses import replace

    from netwright.runtime import train

    read_data = train.read_data

    def read(*arguments: Any) -> Any:
        dataset = read_data(*arguments)
        return replace(dataset, parts={**dataset.parts, "validation": dataset.parts["test"]})

    train.read_data = read


def tell(word: str) -> None:
    print(word, flush=True)


def watch(name: str, folder: Path, target: float) -> dict[str, float]:
    """Seconds from a side's start to each of its words."""
    line = [sys.executable, __file__, "--play", name]
    line += ["--fashion", str(folder), "--target", str(target)]
    start = time.perf_counter()
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        found = {word.strip(): time.perf_counter() - start for word in process.stdout}
    if process.returncode or FIRST not in found:
        raise SystemExit(f"the side {name} failed")
    return found


def first_step_of_the_command(folder: Path) -> float:
    """Seconds from the start of `netwright train` until the record of its first step is there."""
    from training_jobs import FASHION_CNN

    with tempfile.TemporaryDirectory() as parent:
        run = Path(parent) / "run"
        line = [sys.executable, "-m", "netwright", "train", str(FASHION_CNN.spec)]
        line += ["--data-dir", str(folder), "-o", str(run)]
        start = time.perf_counter()
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for elapsed in _seconds_since(start):
                if _has_a_line(run / "gradients.jsonl"):
                    return elapsed
                if process.poll() is not None:
                    raise SystemExit(f"`netwright train` ended with {process.returncode}")
        finally:
            process.kill()
            process.wait()
    raise SystemExit(f"`netwright train` took no step in {LIMIT} s")


def _seconds_since(start: float) -> Iterator[float]:
    while (elapsed := time.perf_counter() - start) < LIMIT:
        yield elapsed
        time.sleep(POLL)


def _has_a_line(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def table(found: dict[str, list[dict[str, float]]], commands: list[float], target: float) -> None:
    """Print a line for each side."""
    print(
        f"\n| side | first step after (95%) | accuracy {target} after (95%) | times as fast as "
        f"`{TITLES['best']}` (95%) | runs that reached it |\n|---|---|---|---|---|"
    )
    print(f"| `netwright train`, the command | {estimate(np.array(commands)):.2f} s | | | |")
    base = _seconds(found["best"], REACHED)
    for name, title in TITLES.items():
        first, reached = (_seconds(found[name], word) for word in (FIRST, REACHED))
        count = f"{np.isfinite(reached).sum()} of {len(reached)}"
        times = ratio = ""
        if np.isfinite([*reached, *base]).all():
            times, ratio = f"{estimate(reached):.1f} s", str(speed_ratio(base, reached))
        print(f"| {title} | {estimate(first):.2f} s | {times} | {ratio} | {count} |", flush=True)


def _seconds(runs: list[dict[str, float]], word: str) -> np.ndarray:
    return np.array([run.get(word, np.inf) for run in runs])


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--target", type=float, default=0.90)
    parser.add_argument("--fashion", type=Path, help="the folder of its files")
    parser.add_argument("--play", choices=TITLES, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = read_options()
    if options.play:
        play(options.play, options.fashion, options.target)
        return
    from training_jobs import FASHION

    folder = options.fashion or FASHION
    print(machine())
    if not folder.is_dir():
        raise SystemExit(f"not measured, since {folder} is missing")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in TITLES}
    commands = []
    for index in range(options.rounds):
        commands.append(first_step_of_the_command(folder))
        for name in list(TITLES) if index % 2 == 0 else list(TITLES)[::-1]:
            found[name].append(watch(name, folder, options.target))
    table(found, commands, options.target)


if __name__ == "__main__":
    main()
