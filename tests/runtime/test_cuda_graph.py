"""Recorded steps: on a CPU by a tape that does what a CUDA graph does, on a GPU by a real one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from netwright.compiler.objectives.training import Training
from netwright.runtime import checkpoint, worker
from netwright.runtime.distributed.world import ALONE
from netwright.runtime.gradients import Norms
from netwright.runtime.job import make_job
from netwright.runtime.opening import read_data
from netwright.runtime.plan import Plan
from netwright.runtime.planning import cuda_graph
from netwright.runtime.planning.choose import choose_plan
from netwright.runtime.planning.cuda_graph import WARM_UP
from netwright.runtime.stepper import Stepper
from netwright.runtime.train import train

from .tape import Tape
from .test_distributed import CASES, MOMENTUM, steps_of, toy_job
from .test_distributed import STEPS as TOY_STEPS
from .test_train import assert_same, stop_at, weights_of
from .tiny import compile_text

CPU = torch.device("cpu")
STEPS = 12
MOVING = {
    "{cross_entropy: {output: logits, target: label}}":
    "{cross_entropy: {output: logits, target: label}, weight: {start: 1, end: 0.2, steps: 9}}",
    "adamw: {lr: 1e-2}": "adamw: {lr: {start: 0.02, end: 0.001, steps: 7}}",
    "clip_norm: 1.0": "clip_norm: 1.0\n  ema: 0.9",
}  # fmt: skip


@pytest.fixture
def _tape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "CudaRecorder", Tape)
    monkeypatch.setattr(Tape, "made", [])


def stepper_of(changes: dict[str, str], device: torch.device = CPU) -> Stepper:
    """One whose steps are recorded."""
    compilation = compile_text(changes)
    dataset = read_data(compilation, Path())
    plan = choose_plan(compilation, dataset, device).model_copy(update={"graphs": True})
    return Stepper(make_job(compilation, dataset, device, Path(), plan))


def take(stepper: Stepper, until: int, norms: int | None = None) -> list[float]:
    """Take steps; before one of them, ask for the sizes of gradients."""
    losses: list[float] = []
    for batches in stepper.batches():
        step = stepper.state.step
        found = stepper.step(batches, Norms(step) if step == norms else None)
        losses.append(float(found["loss"]))
        if step + 1 == until:
            break
    return losses


def one_by_one(
    changes: dict[str, str], norms: int | None = None, device: torch.device = CPU
) -> tuple[Stepper, list[float]]:
    """The same steps without a recording."""
    stepper = stepper_of(changes, device)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_graph, "WARM_UP", STEPS)
        return stepper, take(stepper, STEPS, norms)


def everything(stepper: Stepper) -> dict[str, torch.Tensor]:
    saved = stepper.snapshot()
    found = dict(saved.tensors)
    for kind, networks in (("weights", saved.weights), ("averages", saved.averages)):
        for network, tensors in networks.items():
            found |= {f"{kind}/{network}.{name}": value for name, value in tensors.items()}
    return {name: value.clone() for name, value in found.items()}


def assert_equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name


@pytest.mark.usefixtures("_tape")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        MOVING,
        {"clip_norm: 1.0": "accumulate: 4\n  clip_value: 0.1"},
        {"adamw: {lr: 1e-2}": "sgd: {lr: 0.1, momentum: 0.9}"},
    ],
    ids=["plain", "moving", "pieces", "sgd"],
)
def test_replayed_steps_are_the_same_bits(changes: dict[str, str]) -> None:
    """Dropout, the schedule, weights of losses, averages and gradients' sizes included."""
    plain, expected = one_by_one(changes, norms=8)
    recorded = stepper_of(changes)
    assert take(recorded, STEPS, norms=8) == expected
    assert_equal(everything(plain), everything(recorded))
    tape = Tape.made[1]
    assert tape.recordings == 1
    assert tape.replays == STEPS - WARM_UP - 1, "all but the first ones and the one looked at"


@pytest.mark.usefixtures("_tape")
def test_a_restored_step_is_recorded_anew(tmp_path: Path) -> None:
    """The optimizer's state lies in other tensors then; a graph would change the old ones."""
    plain, expected = one_by_one(MOVING)
    recorded = stepper_of(MOVING)
    take(recorded, 6)
    saved = checkpoint.load(checkpoint.save(tmp_path, 6, recorded.snapshot()))
    take(recorded, 9)
    recorded.restore(saved)
    assert take(recorded, STEPS) == expected[6:]
    assert_equal(everything(plain), everything(recorded))
    assert Tape.made[1].recordings == 2


@pytest.mark.usefixtures("_tape")
@pytest.mark.parametrize("case", ["uneven", "larger than the data", "thawing", "two turns"])
def test_other_objectives_are_recorded(case: str) -> None:
    """Turns that are not taken in each step, pieces of two sizes, parameters that thaw."""
    kind, turns, settings = CASES[case]
    optimizers = {turn.role: MOMENTUM for turn in turns if turn.role}
    given = {"optimizers": optimizers} if optimizers else {"optimizer": MOMENTUM}
    training = Training(steps=TOY_STEPS, **given, **settings)

    def found() -> dict[str, list[float]]:
        job = toy_job(kind, turns, training, ALONE, samples=200)
        return steps_of(Stepper(replace(job, plan=Plan(graphs=True))))

    recorded = found()
    times = 2 if case == "thawing" else 1
    assert [tape.recordings for tape in Tape.made] == [times] * len(turns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_graph, "WARM_UP", TOY_STEPS)
        assert found() == recorded


# On a GPU, with a real graph


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
SAME_KERNELS = {"seed: 3": "seed: 3\n  deterministic: true\n  plan: {graphs: true}"}


@needs_gpu
@pytest.mark.parametrize("changes", [{}, MOVING], ids=["plain", "moving"])
def test_a_gpu_replays_what_it_takes_one_by_one(changes: dict[str, str]) -> None:
    gpu = torch.device("cuda")
    plain, expected = one_by_one(changes, 8, gpu)
    recorded = stepper_of(changes, gpu)
    assert take(recorded, STEPS, norms=8) == pytest.approx(expected, rel=1e-4)
    right = everything(recorded)
    for name, tensor in everything(plain).items():
        assert torch.allclose(tensor.float(), right[name].float(), atol=1e-4), name


@needs_gpu
def test_a_recorded_run_resumes_bit_identically(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netwright.runtime.trainer.LOOK_STEPS", 1)
    monkeypatch.setattr("netwright.runtime.gradient_log.RECORDS", 2)  # or each step is looked at
    whole, run = tmp_path / "whole", tmp_path / "run"
    train(compile_text(SAME_KERNELS), output=whole, device="cuda")
    train(compile_text(SAME_KERNELS), output=run, device="cuda", observer=stop_at(30))
    train(compile_text(SAME_KERNELS), output=run, resume=True, device="cuda")
    assert_same(weights_of(whole), weights_of(run))
