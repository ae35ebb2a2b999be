"""Training by several processes gives what one process gives, and survives what happens to them."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets  # noqa: F401 - here once, not in each forked process
import torch
import torchmetrics.classification  # noqa: F401 - as above
from netwright.compiler.driver import check_source
from netwright.compiler.objectives.averaging import Averaging
from netwright.compiler.objectives.fields import Field
from netwright.compiler.objectives.optimizers import Sgd
from netwright.compiler.objectives.parameter_rules import Freeze, ParameterRule
from netwright.compiler.objectives.schedules import Schedule
from netwright.compiler.objectives.training import Training
from netwright.compiler.source import SourceFile
from netwright.runtime import (
    checkpoint,
    results,  # noqa: F401 - as above: it loads matplotlib
    trainer,
)
from netwright.runtime.data.batches import Batch, Batches
from netwright.runtime.data.columns import as_columns
from netwright.runtime.distributed.exchange import Exchange
from netwright.runtime.distributed.world import ALONE, World
from netwright.runtime.generated import build_networks
from netwright.runtime.gradient_log import read_gradients
from netwright.runtime.history import read_history
from netwright.runtime.job import make_job
from netwright.runtime.measure import measure
from netwright.runtime.objectives.base import Losses, Masses, Numbers, Outputs, Turn
from netwright.runtime.opening import read_data
from netwright.runtime.plan import Plan
from netwright.runtime.planning.choose import choose_plan
from netwright.runtime.runs import read_run
from netwright.runtime.stepper import Job, Stepper
from netwright.runtime.train import train
from torch import Tensor, nn

from .processes import in_processes, values
from .test_train import Recorder, assert_same, stop_at, weights_of
from .tiny import compile_text

CPU = torch.device("cpu")

NETWORKS = """\
spec: v1
name: toy
networks:
  maker:
    inputs: {z: {shape: [B, 4]}}
    layers:
      - linear: 6
      - {tanh: {}, id: hidden}
      - {linear: 3, id: head}
      - {linear: 2, id: unread, from: hidden}
    outputs: {y: head, more: unread}
  judge:
    inputs: {y: {shape: [B, 3]}}
    layers: [{linear: 5}, tanh, {linear: 1}]
    outputs: score
"""


FIELDS = {
    "z": Field(shape=["B", 4], dtype="float64"),
    "y": Field(shape=["B", 3], dtype="float64"),
}


class Toy:
    """An objective of a test: networks in float64, over samples `z` [B, 4] and `y` [B, 3]."""

    schedules: Mapping[str, Schedule] = {}
    continues = False

    def __init__(self, networks: Mapping[str, nn.Module], turns: tuple[Turn, ...]) -> None:
        self.networks = {name: network.double() for name, network in networks.items()}
        self.turns = turns
        self.state = {"mean": torch.zeros(3, dtype=torch.float64)}

    def begin(self) -> None:
        """Batches have nothing to do with those before."""

    def moved(self, turn: Turn, numbers: Numbers) -> None:
        """Its weights may be what they are."""

    def outputs(self, batch: Batch) -> Outputs:
        raise NotImplementedError

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch, numbers: Numbers) -> Losses:
        raise NotImplementedError

    def masses(self, batch: Batch) -> Masses:
        return {}


class Fitting(Toy):
    """Fits `y`; one output is read by no loss, and `state` follows what the last process sees."""

    def step(self, batch: Batch, turn: Turn, numbers: Numbers) -> Losses:
        made, _ = self.networks["maker"](batch.raw["z"])
        self.state["mean"].lerp_(batch.raw["y"].mean(0), 0.5)
        loss = (made - batch.raw["y"]).square().mean()
        return {"loss": loss, "size": made.square().mean()}


class Picking(Toy):
    """Fits those samples of `y` alone that begin with a number above 0: of some pieces, none."""

    schedules = {"fit": Schedule(start=1, end=2, steps=5)}

    def step(self, batch: Batch, turn: Turn, numbers: Numbers) -> Losses:
        made, _ = self.networks["maker"](batch.raw["z"])
        self.state["mean"].lerp_(batch.raw["y"].mean(0), 0.5)
        each = (made - batch.raw["y"]).square().mean(1)
        counts = self._counts(batch)
        fit = (each * counts).sum() / counts.sum().clamp(min=1e-9)
        return {"loss": fit * numbers["fit"], "fit": fit, "size": made.square().mean()}

    def masses(self, batch: Batch) -> Masses:
        return {"fit": self._counts(batch).sum()}

    @staticmethod
    def _counts(batch: Batch) -> Tensor:
        return (batch.raw["y"][:, 0] > 0).double()


class Contest(Toy):
    """Two networks against each other: least squares GAN with a penalty on the judge's gradient."""

    def step(self, batch: Batch, turn: Turn, numbers: Numbers) -> Losses:
        maker, judge = self.networks["maker"], self.networks["judge"]
        made, _ = maker(batch.raw["z"])
        if turn.role == "maker":
            return {"loss": (judge(made) - 1).square().mean()}
        real = batch.raw["y"].clone().requires_grad_()
        scores = judge(real)
        (slope,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
        loss = (scores - 1).square().mean() + judge(made.detach()).square().mean()
        return {"loss": loss + slope.square().sum(1).mean()}


def toy_job(
    kind: type[Toy], turns: tuple[Turn, ...], settings: Training, world: World, samples: int = 40
) -> Job:
    compilation = check_source(SourceFile("toy.yaml", NETWORKS), Path())
    torch.manual_seed(1)
    objective = kind(build_networks(compilation.source, compilation.graphs), turns)
    generator = np.random.default_rng(0)
    arrays = {"z": generator.normal(size=(samples, 4)), "y": generator.normal(size=(samples, 3))}
    return Job(
        objective=objective,  # type: ignore[arg-type]
        graphs=compilation.graphs,
        settings=settings,
        train=Batches(as_columns(arrays), FIELDS, CPU, torch.contiguous_format),
        validation=None,
        test=None,
        figures=lambda: pytest.fail("nothing is measured"),
        goal=None,
        patience=None,
        folder=Path(),
        plan=Plan(),
        device=CPU,
        world=world,
    )


ONE = (Turn("", ("maker",)),)
BOTH = (Turn("judge", ("judge",)), Turn("maker", ("maker",), every=2))
MOMENTUM = Sgd(lr=Schedule.constant(0.1), momentum=Schedule.constant(0.9))
FROZEN = ParameterRule(match=["maker.linear_0.**"], freeze=Freeze(until=4))
CASES: dict[str, tuple[type[Toy], tuple[Turn, ...], dict[str, Any]]] = {
    "plain": (Fitting, ONE, {"batch": 12}),
    "accumulated": (Fitting, ONE, {"batch": 12, "accumulate": 2}),
    "uneven": (Fitting, ONE, {"batch": 14, "accumulate": 2}),
    "uneven and not accumulated": (Fitting, ONE, {"batch": 7}),
    "larger than the data": (Fitting, ONE, {"batch": 99, "accumulate": 3}),
    "thawing": (Fitting, ONE, {"batch": 12, "parameters": [FROZEN]}),
    "clipped": (Fitting, ONE, {"batch": 12, "clip_norm": Schedule.constant(0.1)}),
    "averaged": (Fitting, ONE, {"batch": 12, "ema": Averaging()}),
    "not all count": (Picking, ONE, {"batch": 14, "accumulate": 2}),
    "two turns": (Contest, BOTH, {"batch": 14, "accumulate": 2}),
}
STEPS = 9


def taken(world: World) -> dict[str, dict[str, list[float]]]:
    """What some steps of each case leave: weights, averages, state, and the losses on the way."""
    found: dict[str, dict[str, list[float]]] = {}
    for case, (kind, turns, settings) in CASES.items():
        optimizers = {turn.role: MOMENTUM for turn in turns if turn.role}
        given = {"optimizers": optimizers} if optimizers else {"optimizer": MOMENTUM}
        job = toy_job(kind, turns, Training(steps=STEPS, **given, **settings), world)
        found[case] = steps_of(Stepper(job))
    return found


def steps_of(stepper: Stepper) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"losses": []}
    stepper.match()
    while stepper.state.step < STEPS:
        for batches in stepper.batches():
            losses = stepper.step(batches)
            found["losses"] += stepper.job.world.mean(torch.stack(list(losses.values()))).tolist()
            if stepper.state.step == STEPS:
                break
    saved = stepper.snapshot()
    kept = {"weights": saved.weights, "averages": saved.averages}
    for name, networks in kept.items():
        tensors = [tensor for network in networks.values() for tensor in network.values()]
        found[name] = torch.cat([t.detach().flatten() for t in tensors]).tolist() if tensors else []
    found["state"] = stepper.job.objective.state["mean"].tolist()
    return found


def test_gradients_are_exchanged_with_the_last_piece_alone() -> None:
    def work(world: World) -> list[float]:
        network = nn.Linear(1, 1, bias=False)
        exchange = Exchange(network, world)
        found = []
        for last in (False, True):
            losses = {"loss": network(torch.full((1, 1), world.rank + 1.0)).sum()}
            with exchange.passing(losses, last=last) as passed:
                passed["loss"].backward()
            assert network.weight.grad is not None
            found.append(float(network.weight.grad))
        return found

    assert values(in_processes(2, work)) == [[1.0, 3.0], [2.0, 3.0]]


@pytest.fixture(scope="module")
def alone() -> dict[str, dict[str, list[float]]]:
    return taken(ALONE)


@pytest.fixture(scope="module", params=[2, 3])
def several(request: pytest.FixtureRequest) -> list[dict[str, dict[str, list[float]]]]:
    return values(in_processes(request.param, taken))


@pytest.mark.parametrize("case", CASES)
def test_processes_give_what_one_gives(
    case: str, alone: dict[str, Any], several: list[dict[str, Any]]
) -> None:
    """In float64, where sums in another order differ by nothing that grows to 1e-9."""
    for name in ("weights", "averages", "losses"):
        expected = np.array(alone[case][name])
        assert expected.any() or (name == "averages" and case != "averaged")
        np.testing.assert_allclose(several[0][case][name], expected, rtol=0, atol=1e-9)
    for other in several[1:]:
        assert other[case] == several[0][case], "processes differ"


def test_the_cases_are_different(alone: dict[str, Any]) -> None:
    assert len({str(found["losses"]) for found in alone.values()}) == len(CASES) - 1  # accumulated


# Real runs: the data, the run's folder, checkpoints


def stepper_of(changes: dict[str, str], world: World) -> Stepper:
    compilation = compile_text(changes)
    dataset = read_data(compilation, Path())
    plan = choose_plan(compilation, dataset, CPU)
    return Stepper(make_job(compilation, dataset, CPU, Path(), plan, world))


def test_a_resumed_run_rounds_as_one_that_went_on() -> None:
    """Three processes: their sums depend on how torch arranges its messages."""

    def work(world: World) -> list[float]:
        whole, parts = stepper_of({}, world), stepper_of({}, world)
        for stepper in (whole, parts):
            stepper.match()
            for batches in stepper.batches():
                stepper.step(batches)
                if stepper.state.step == (8 if stepper is whole else 5):
                    break
        again = stepper_of({}, world)
        saved = parts.snapshot()
        again.restore(replace(saved, data=json.loads(json.dumps(saved.data))))
        for batches in again.batches():
            again.step(batches)
            if again.state.step == 8:
                break
        left, right = (s.parts.networks["classifier"].state_dict() for s in (whole, again))
        assert_same(left, right)
        return [float(tensor.double().sum()) for tensor in left.values()]

    found = values(in_processes(3, work))
    assert found[0] == found[1] == found[2]


SCORED = {
    "metrics: [accuracy, {top_k: 3}]": "metrics: [accuracy, {top_k: 3}, {f1: {average: macro}}]",
    "      - batch_norm\n": "",
}


def test_figures_are_those_of_all_samples() -> None:
    """Of some that divide evenly, some that do not, and fewer than there are processes."""
    counts = (358, 7, 1)

    def work(world: World) -> Any:
        job = stepper_of(SCORED, world).job
        return [figures_of(job, world, samples) for samples in counts]

    (expected,) = values(in_processes(1, work))
    assert [sum(map(sum, confusion)) for _, confusion in expected] == list(counts)
    for found in [*values(in_processes(2, work)), *values(in_processes(3, work))]:
        for (figures, confusion), (alone, matrix) in zip(found, expected, strict=True):
            assert set(alone) == {"loss", "accuracy", "top_3", "f1"}
            assert figures == pytest.approx(alone, rel=1e-5)
            assert confusion == matrix


def figures_of(job: Job, world: World, samples: int) -> Any:
    assert job.test
    job.test.size = samples
    figures = job.figures()
    return measure(job.objective, job.test, 16, figures, 0, world), figures.confusion()


def trained(folder: Path, changes: dict[str, str], **more: Any) -> Callable[[World], Any]:
    """A function that trains in a process; the observer that it makes is asked by rank."""
    watch = more.pop("watch", lambda world: Recorder())

    def work(world: World) -> Any:
        observer = watch(world)
        compilation = compile_text(changes)
        result = train(
            compilation, output=folder, device="cpu", observer=observer, world=world, **more
        )
        return result.signal, result.step, result.metrics, getattr(observer, "warnings", [])

    return work


PLAIN = {
    "      - batch_norm\n": "",
    "      - dropout: 0.1\n": "",
    "{image: {augment: [{shift: 1}, {noise: 0.05}]}}": "{}",
    "epochs: 4": "epochs: 2",
}
"""Without anything that looks at other samples or draws numbers."""


@pytest.fixture
def _look_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "LOOK_STEPS", 1)


def stopping(rank: int, step: int) -> Callable[[World], Recorder]:
    """The process of one rank gets SIGTERM after a step."""

    def watch(world: World) -> Recorder:
        return stop_at(step, signal.SIGTERM) if world.rank == rank else Recorder()

    return watch


@pytest.mark.usefixtures("_look_every_step")
def test_a_run_goes_on_with_another_number_of_processes(tmp_path: Path) -> None:
    """1, then 2, then 1 again; a signal to one process stops both at the same step."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    expected = trained(whole, PLAIN)(ALONE)
    trained(run, PLAIN, watch=stopping(0, 9))(ALONE)
    ended = values(in_processes(2, trained(run, PLAIN, resume=True, watch=stopping(1, 21))))
    assert [(number, step) for number, step, *_ in ended] == [(signal.SIGTERM, 21)] * 2
    assert checkpoint.steps(run)[0] == 21
    number, step, metrics, warnings = trained(run, PLAIN, resume=True)(ALONE)
    assert (number, warnings) == (None, [])
    assert step == expected[1]
    for part, figures in expected[2].items():
        assert metrics[part] == pytest.approx(figures, abs=1e-3)
    left, right = weights_of(whole), weights_of(run)
    for name in left:
        torch.testing.assert_close(left[name], right[name], atol=1e-4, rtol=1e-4)
    steps = [record["step"] for record in read_history(whole)]
    assert [record["step"] for record in read_history(run)] == steps
    logged = [[r["step"] for r in read_gradients(folder)] for folder in (whole, run)]
    assert logged[0] == logged[1]


@pytest.mark.usefixtures("_look_every_step")
def test_stopped_and_resumed_by_two_is_bit_identical(tmp_path: Path) -> None:
    changes = {"epochs: 4": "epochs: 2\n  accumulate: 2\n  ema: 0.9"}
    whole, run = tmp_path / "whole", tmp_path / "run"
    expected = values(in_processes(2, trained(whole, changes)))
    assert expected[0][:3] == expected[1][:3]
    values(in_processes(2, trained(run, changes, watch=stopping(0, 20))))
    resumed = values(in_processes(2, trained(run, changes, resume=True)))
    assert resumed[0][:3] == resumed[1][:3] == expected[0][:3]
    assert_same(weights_of(whole), weights_of(run))
    keys = ("epoch", "step", "train", "validation", "best")
    left, right = ([[r[key] for key in keys] for r in read_history(f)] for f in (whole, run))
    assert left == right


def test_a_launch_that_is_started_anew_goes_on_in_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As torchrun does it: the folder was chosen by rank 0, and only the launch has a name."""
    monkeypatch.chdir(tmp_path)
    begun = {"TORCHELASTIC_RUN_ID": "mine", "TORCHELASTIC_RESTART_COUNT": "0"}
    again = {**begun, "TORCHELASTIC_RESTART_COUNT": "1"}
    short = {"epochs: 4": "steps: 5"}

    def work(world: World) -> Any:
        result = train(compile_text(short), device="cpu", world=world)
        return str(result.folder)

    assert values(in_processes(2, work, {**begun, "TORCHELASTIC_RUN_ID": "other"}))
    assert values(in_processes(2, work, begun)) == ["runs/tiny_digits-2"] * 2
    assert read_run(Path("runs/tiny_digits-2"))["launch"] == "mine"
    train(compile_text(short), device="cpu")
    assert values(in_processes(2, work, again)) == ["runs/tiny_digits-2"] * 2
    assert len(list(Path("runs").iterdir())) == 3
    fresh = {**again, "TORCHELASTIC_RUN_ID": "killed before it made its folder"}
    assert values(in_processes(2, work, fresh)) == ["runs/tiny_digits-4"] * 2
    nameless = in_processes(2, work, {**again, "TORCHELASTIC_RUN_ID": "none"})
    assert nameless[0].told[0].startswith("R901 expected a launch with a name")


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path) -> None:
    short = {"epochs: 4": "steps: 3"}
    values(in_processes(2, trained(tmp_path / "run", short)))
    whole = weights_of(tmp_path / "run")
    checkpoint.prune(tmp_path / "run", [])
    ended = values(in_processes(2, trained(tmp_path / "run", short, resume=True)))
    assert "it begins anew" in ended[0][3][0]
    assert_same(whole, weights_of(tmp_path / "run"))


def test_a_full_disk_of_rank_0_is_told_once(tmp_path: Path) -> None:
    def work(world: World) -> Any:
        if world.is_main:
            limit = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (6000, limit[1]))
        return trained(tmp_path / "run", {})(world)

    ended = in_processes(2, work)
    assert [one.code for one in ended] == [1, 1]
    assert [len(one.told) for one in ended] == [1, 0]
    assert ended[0].told[0].startswith("R903")
    assert not list((tmp_path / "run").rglob(".netwright-*"))


DIVERGES = {
    "adamw: {lr: 1e-2}": "sgd: {lr: 1e38}",
    "  clip_norm: 1.0\n": "",
    "schedule: one_cycle": "schedule: constant",
}


def test_divergence_is_told_once(tmp_path: Path) -> None:
    ended = in_processes(2, trained(tmp_path / "run", DIVERGES))
    assert [one.code for one in ended] == [1, 1]
    assert [len(one.told) for one in ended] == [1, 0]
    told = ended[0].told[0]
    assert told.startswith("R904 expected a finite `loss`, found nan at step 2")
    assert "rank" not in told


def test_all_processes_go_back_after_divergence(tmp_path: Path) -> None:
    changes = {
        **DIVERGES,
        "lr: 1e38": "lr: 1e3",
        "epochs: 4": "epochs: 2\n  on_divergence: {action: rewind, lr_factor: 1e-6}",
    }
    ended = values(in_processes(2, trained(tmp_path / "run", changes)))
    assert ended[0][:3] == ended[1][:3]
    assert "rewind 1 of 3" in ended[0][3][0]
    assert ended[1][3] == ended[0][3]


def test_the_lock_is_kept_by_rank_0_and_told_once(tmp_path: Path) -> None:
    from netwright.runtime.lock import run_lock

    run = tmp_path / "run"
    trained(run, {"epochs: 4": "steps: 2"})(ALONE)
    with run_lock(run, pytest.fail):
        ended = in_processes(2, trained(run, {"epochs: 4": "steps: 2"}, resume=True))
    assert [one.code for one in ended] == [1, 1]
    assert [len(one.told) for one in ended] == [1, 0]
    assert "expected a run that nobody trains" in ended[0].told[0]


def test_data_that_one_process_lacks_is_told_with_its_rank(tmp_path: Path) -> None:
    changes = {
        "  source: digits\n  fields: {image: {augment: [{shift: 1}, {noise: 0.05}]}}\n": """\
  source: {npz: {path: digits.npz}}
  fields:
    image: {shape: [B, 1, 8, 8], dtype: uint8, range: [0, 16], scale: [0, 1]}
    label: {shape: [B], dtype: int64, below: 10}
"""
    }
    (tmp_path / "elsewhere").mkdir()
    images, labels = np.zeros((99, 1, 8, 8), np.uint8), np.arange(99) % 10
    np.savez(tmp_path / "digits.npz", image=images, label=labels)

    def work(world: World) -> Any:
        folder = tmp_path / "elsewhere" if world.rank == 1 else tmp_path
        return trained(tmp_path / "run", changes, data_dir=folder)(world)

    ended = in_processes(2, work)
    assert [one.code for one in ended] == [1, 1]
    assert [len(one.told) for one in ended] == [0, 1]
    assert ended[1].told[0].startswith("F602 expected the data file")
    assert ended[1].told[0].endswith("found in the process of rank 1, of 2 in all")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_not_all_processes_see(tmp_path: Path) -> None:
    """As on two machines without a common file system; it is told before the first step."""

    def work(world: World) -> Any:
        folder = tmp_path / f"machine-{world.rank}"
        folder.mkdir()
        os.chdir(folder)
        return trained(Path("run"), {})(world)

    ended = in_processes(2, work)
    assert [one.code for one in ended] == [1, 1]
    assert [len(one.told) for one in ended] == [0, 1]
    assert ended[1].told[0].startswith("R901 expected the run that rank 0 has made")
    assert read_history(tmp_path / "machine-0" / "run") == []
