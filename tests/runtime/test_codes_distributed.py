"""Codes learned by two processes: both have the same weights and tell the same figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from netwright.runtime.distributed.world import World
from netwright.runtime.gallery import newest_pictures
from netwright.runtime.job import make_job
from netwright.runtime.opening import read_data
from netwright.runtime.planning.choose import choose_plan
from netwright.runtime.stepper import Stepper
from netwright.runtime.train import train

from .processes import in_processes, values
from .test_codes import GRADIENT, SPECS, VAE
from .tiny import compile_text

CPU = torch.device("cpu")

DENSITY = VAE.replace(
    "objective:\n",
    """\
  density:
    inputs: {noise: {shape: [B, 6]}, choice: {shape: [B]}}
    layers:
      - {from: {noise: noise, choice: choice}, gaussian_mixture: 3}
    outputs: z
objective:
""",
).replace("    samples: 2\n", "    density: density\n")


def training(text: str, folder: Path, **more: Any) -> Callable[[World], Any]:
    def work(world: World) -> Any:
        result = train(compile_text(text=text), output=folder, device="cpu", world=world, **more)
        return result.metrics

    return work


@pytest.mark.parametrize("name", ["vae", "autoencoder", "vq_vae", "density"])
def test_two_processes_tell_the_same_figures(name: str, tmp_path: Path) -> None:
    text = {**SPECS, "density": DENSITY}[name]
    first, second = values(in_processes(2, training(text, tmp_path / "run")))
    assert first == second
    assert first["test"]["mse"] < 0.1
    assert newest_pictures(tmp_path / "run")


@pytest.mark.parametrize("text", [GRADIENT, SPECS["vq_vae"]], ids=["gradient", "ema"])
def test_all_processes_have_one_codebook(text: str) -> None:
    """Each sees a first batch of its own, which a codebook begins with."""

    def work(world: World) -> Any:
        compilation = compile_text(text=text)
        dataset = read_data(compilation, Path())
        plan = choose_plan(compilation, dataset, CPU)
        job = make_job(compilation, dataset, CPU, Path(), plan, world)
        stepper = Stepper(job)
        stepper.match()
        for batches in list(stepper.batches())[:3]:
            stepper.step(batches)
        return job.objective.networks["encoder"].vq.codebook.tolist()

    first, second = values(in_processes(2, work))
    assert first == second
