"""GANs under what the trainer does for all: micro-batches, half precision, several processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from netwright.runtime.checkpoint import load_weights
from netwright.runtime.distributed.world import World
from netwright.runtime.export import export_run
from netwright.runtime.history import read_history
from netwright.runtime.job import make_job
from netwright.runtime.opening import read_data
from netwright.runtime.planning.choose import choose_plan
from netwright.runtime.stepper import Stepper
from netwright.runtime.train import train
from torch import Tensor

from .processes import in_processes, values
from .test_gan import CONDITIONAL, KINDS, SPEC
from .test_judging import CLASSIFIER
from .tiny import compile_text

CPU = torch.device("cpu")


def weights_of(text: str, changes: dict[str, str], folder: Path) -> dict[str, dict[str, Tensor]]:
    result = train(compile_text(changes, text=text), output=folder, device="cpu")
    return {name: dict(found) for name, found in load_weights(folder, result.step).items()}


def test_micro_batches_move_both_networks_as_the_whole_batch_does(tmp_path: Path) -> None:
    """Losses and penalties are means over samples, and each piece draws its part of the noise."""
    few = {"steps: 240": "steps: 6"}
    whole = weights_of(SPEC, few, tmp_path / "whole")
    cut = {**few, "  batch: 128\n": "  batch: 128\n  accumulate: 4\n"}
    pieces = weights_of(SPEC, cut, tmp_path / "pieces")
    assert whole.keys() == {"generator", "discriminator"}
    for network, tensors in whole.items():
        for name, tensor in tensors.items():
            torch.testing.assert_close(pieces[network][name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_trains_with_weights_in_float32(kind: str, tmp_path: Path) -> None:
    changes = {"  seed: 0\n": "  seed: 0\n  precision: bf16\n"}
    found = weights_of(KINDS[kind], changes, tmp_path / "run")
    floats = [x for tensors in found.values() for x in tensors.values() if x.is_floating_point()]
    assert floats
    assert all(x.dtype is torch.float32 and bool(x.isfinite().all()) for x in floats)
    last = read_history(tmp_path / "run")[-1]["train"]
    assert abs(last["discriminator.real"] - last["discriminator.fake"]) < 4


def training(text: str, folder: Path, home: Path) -> Callable[[World], Any]:
    def work(world: World) -> Any:
        spec = compile_text(text=text, folder=home)
        result = train(spec, output=folder, device="cpu", world=world)
        return result.metrics

    return work


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_move_both_networks_alike(kind: str) -> None:
    """With penalties, batch norm and an adaptive probability, as the specs have them."""

    def work(world: World) -> Any:
        compilation = compile_text(text=KINDS[kind])
        dataset = read_data(compilation, Path())
        plan = choose_plan(compilation, dataset, CPU)
        stepper = Stepper(make_job(compilation, dataset, CPU, Path(), plan, world))
        stepper.match()
        began = _sums(stepper)
        for batches in list(stepper.batches())[:4]:
            stepper.step(batches)
        return began, _sums(stepper)

    first, second = values(in_processes(2, work))
    assert first == second
    began, ended = first
    # Within the margin of `hinge`, the score's bias has no gradient.
    learnt = [name for name in began if name.endswith(".weight")]
    assert [name for name in learnt if began[name] == ended[name]] == []


def _sums(stepper: Stepper) -> dict[str, float]:
    """A number for each tensor that tells whether it is the same elsewhere."""
    objective = stepper.job.objective
    tensors = {
        f"{network}.{name}": tensor
        for network, module in objective.networks.items()
        for name, tensor in module.state_dict().items()
    }
    sizes = {n: torch.arange(1.0, x.numel() + 1).reshape(x.shape) for n, x in tensors.items()}
    return {name: float((x.double() * sizes[name]).sum()) for name, x in tensors.items()}


def test_one_of_two_processes_judges_for_both(tmp_path: Path) -> None:
    train(compile_text(text=CLASSIFIER), output=tmp_path / "judge", device="cpu")
    export_run(tmp_path / "judge")
    text = CONDITIONAL.replace(
        "    loss: hinge\n",
        "    loss: hinge\n    judge: {classifier: judge/bundle, samples: 100}\n",
    ).replace("data: {source: digits,", "data: {source: digits, split: {validation: 0.2},")
    first, second = values(in_processes(2, training(text, tmp_path / "run", tmp_path)))
    assert first == second
    assert {"coverage", "classes_covered"} <= first["validation"].keys()
    assert "memorised" in first["test"]
