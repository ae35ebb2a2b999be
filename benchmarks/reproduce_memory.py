"""How far back recurrent networks remember: the adding problem, for three of them and three seeds.

Usage: make reproduce-memory, or python benchmarks/reproduce_memory.py [--out FOLDER] [--steps N]

Two numbers among T must be added; both are marked. Whoever remembers nothing answers their mean,
and has their variance as error. Each network of the zoo trains as its spec says, and is measured on
10,000 sequences that it has not seen. Writes memory.md and memory.png.

Source: Hochreiter and Schmidhuber 1997; Arjovsky, Shah and Bengio 2016, section 4.1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from measure import machine
from netwright.compiler.driver import Compilation, compile_spec
from netwright.compiler.language.params import Choices
from netwright.runtime.checkpoint import load_weights
from netwright.runtime.data.batches import Batches
from netwright.runtime.numbers import numbers_at
from netwright.runtime.objectives.registry import bind
from netwright.runtime.opening import read_data
from netwright.runtime.time_gradients import gradient_by_step
from netwright.runtime.train import train
from netwright.runtime.weights import restore

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (0, 1, 2)
SOLVED = 0.01
"""The mean squared error below which both numbers are remembered."""

STAYS = 0.9
"""The part of the baseline above which nothing is."""

JOBS = (("lstm", 100), ("gru", 100), ("rnn", 100), ("rnn", 10))
ABOUT = """\
The adding problem: two numbers among T must be added, one of the first half and one of the second.
Each network of the zoo (a state of 64, Adam 5e-3 one-cycle, 4,000 steps of 64 sequences) is
measured on 10,000 sequences that it has not seen. What lies more than 10 to 20 steps back is lost
to the plain tanh network; LSTM and GRU keep it. The picture shows the same by gradients: how much
the loss asks of a step, by its distance from the end."""

SAMPLES = 256
"""Sequences that gradients are averaged over."""


@dataclass(frozen=True)
class Outcome:
    """One run: its error on sequences that it has not seen, and where its gradients reach."""

    cell: str
    length: int
    seed: int
    error: float
    baseline: float
    seconds: float
    gradients: np.ndarray

    @property
    def word(self) -> str:
        if self.error < SOLVED:
            return "solved"
        return "baseline" if self.error > STAYS * self.baseline else "between"


def compiled(cell: str, length: int, seed: int, steps: int | None) -> Compilation:
    choices = Choices(values={"length": str(length)})
    compilation = compile_spec(ROOT / "specs" / f"{cell}_adding.yaml", choices)
    changes = {"seed": seed, **({"steps": steps} if steps else {})}
    training = compilation.spec.training.model_copy(update=changes)
    return replace(compilation, spec=replace(compilation.spec, training=training))


def play(cell: str, length: int, seed: int, steps: int | None) -> Outcome:
    compilation = compiled(cell, length, seed, steps)
    with tempfile.TemporaryDirectory() as parent:
        start = time.perf_counter()
        result = train(compilation, output=Path(parent) / "run", device="cpu")
        seconds = time.perf_counter() - start
        gradients = gradients_of(compilation, result.folder, result.step)
    totals = read_data(compilation, Path()).parts["test"]["total"].whole()
    return Outcome(
        cell, length, seed, result.metrics["test"]["loss"], float(totals.var()), seconds, gradients
    )


def gradients_of(compilation: Compilation, run: Path, step: int) -> np.ndarray:
    """What a trained network's loss asks of each step."""
    import torch

    device = torch.device("cpu")
    objective = bind(compilation, device, torch.contiguous_format)
    graphs = {name: compilation.graphs[name] for name in objective.networks}
    restore(graphs, objective.networks, load_weights(run, step), run)
    dataset = read_data(compilation, Path())
    batches = Batches(dataset.parts["test"], dataset.fields, device, torch.contiguous_format)
    batch = next(batches.in_order(SAMPLES))
    return gradient_by_step(objective, batch, "sequence", numbers_at(objective.schedules, 0))


def draw(outcomes: list[Outcome], path: Path) -> None:
    """Gradients by distance from the end, of the first seed of each job."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for one in outcomes:
        if one.seed == SEEDS[0] and one.length == 100:
            size = np.maximum(one.gradients[::-1], 1e-30)
            axes.semilogy(np.arange(one.length), size / size.max(), label=one.cell)
    axes.set(xlabel="steps before the end", ylabel="|dL/dx|, its largest is 1")
    axes.set_title("How far back the loss reaches, adding problem, T = 100")
    axes.set_ylim(1e-12, 2)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def page(outcomes: list[Outcome], minutes: float) -> Iterator[str]:
    yield "# What recurrent networks remember"
    yield ""
    yield ABOUT
    yield ""
    yield f"{machine()}. Command: `make reproduce-memory`; {minutes:.1f} minutes in all."
    yield ""
    yield "| network | T | seed | test MSE | baseline (variance) | | time |"
    yield "|---|---|---|---|---|---|---|"
    for one in outcomes:
        yield (
            f"| {one.cell}_adding | {one.length} | {one.seed} | {one.error:.4f} | "
            f"{one.baseline:.4f} | {one.word} | {one.seconds:.0f} s |"
        )
    yield ""
    yield "![gradients by distance](memory.png)"


def expected(one: Outcome) -> bool:
    """Whether a run ended as the theory has it."""
    return one.word == ("baseline" if (one.cell, one.length) == ("rnn", 100) else "solved")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    parser.add_argument("--steps", type=int, help="instead of those of the specs")
    options = parser.parse_args()
    start, outcomes = time.perf_counter(), []
    for cell, length in JOBS:
        for seed in SEEDS:
            outcomes.append(play(cell, length, seed, options.steps))
            one = outcomes[-1]
            print(
                f"{cell} T={length} seed {seed}: {one.error:.4f} of {one.baseline:.4f}, "
                f"{one.word}, {one.seconds:.0f} s",
                flush=True,
            )
    options.out.mkdir(parents=True, exist_ok=True)
    draw(outcomes, options.out / "memory.png")
    lines = page(outcomes, (time.perf_counter() - start) / 60)
    (options.out / "memory.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    wrong = [one for one in outcomes if not expected(one)]
    if wrong and options.steps is None:
        sys.exit(f"{len(wrong)} of {len(outcomes)} runs did not end as expected")


if __name__ == "__main__":
    main()
