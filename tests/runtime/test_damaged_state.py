"""Checkpoints whose files are whole but hold what no run has written: each ends in a code."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime import checkpoint
from netwright.runtime.checkpoint import Checkpoint
from netwright.runtime.export import export_run
from netwright.runtime.files import sha256
from netwright.runtime.goal import Goal
from netwright.runtime.history import read_history
from netwright.runtime.observer import Begin
from netwright.runtime.stepper import Stepper
from netwright.runtime.train import TrainResult, train
from torch import Tensor

from .test_train import Recorder, assert_same, code_of, weights_of
from .test_trainer import stepper_of
from .tiny import compile_text

FP16 = {"clip_norm: 1.0": "ema: 0.9\n  precision: fp16"}
WEIGHT = "optimizer//classifier.linear_0.weight/"
SIZE = (10, 128)


@pytest.fixture(scope="module")
def stepper(tmp_path_factory: pytest.TempPathFactory) -> Stepper:
    """After two steps."""
    made = stepper_of(FP16, tmp_path_factory.mktemp("run"))
    batches = made.batches()
    for _ in range(2):
        made.step(next(batches))
    return made


def with_state(**changes: Any) -> Callable[[Checkpoint], Checkpoint]:
    def change(saved: Checkpoint) -> Checkpoint:
        return replace(saved, data={**saved.data, "state": {**saved.data["state"], **changes}})

    return change


def with_scaling(**changes: Any) -> Callable[[Checkpoint], Checkpoint]:
    def change(saved: Checkpoint) -> Checkpoint:
        (scaling,) = saved.data["scaling"]
        return replace(saved, data={**saved.data, "scaling": [{**scaling, **changes}]})

    return change


def with_tensors(**changes: Tensor) -> Callable[[Checkpoint], Checkpoint]:
    """Other tensors in the optimizer's state of a weight."""
    named = {WEIGHT + key: tensor for key, tensor in changes.items()}
    return lambda saved: replace(saved, tensors={**saved.tensors, **named})


def without(name: str) -> Callable[[Checkpoint], Checkpoint]:
    """Without the tensors whose names begin so."""

    def change(saved: Checkpoint) -> Checkpoint:
        kept = {k: v for k, v in saved.tensors.items() if not k.startswith(name)}
        assert kept.keys() < saved.tensors.keys()
        return replace(saved, tensors=kept)

    return change


def with_more(**networks: Tensor) -> Callable[[Checkpoint], Checkpoint]:
    """Another network, with one tensor, under `weights` or `averages`."""

    def change(saved: Checkpoint) -> Checkpoint:
        more = {part: {**getattr(saved, part), "n": {"x": t}} for part, t in networks.items()}
        return replace(saved, **more)

    return change


def listed(change: Callable[[Checkpoint], Checkpoint]) -> Callable[[Checkpoint], Checkpoint]:
    """A change that the list of tensors goes along with."""

    def changed(saved: Checkpoint) -> Checkpoint:
        other = change(saved)
        return replace(other, data={**other.data, "tensors": other.tensor_names()})

    return changed


def with_list(names: object) -> Callable[[Checkpoint], Checkpoint]:
    return lambda saved: replace(saved, data={**saved.data, "tensors": names})


def with_weight(tensor: Tensor, part: str = "weights") -> Callable[[Checkpoint], Checkpoint]:
    def change(saved: Checkpoint) -> Checkpoint:
        own = getattr(saved, part)["classifier"]
        return replace(saved, **{part: {"classifier": {**own, "linear_0.weight": tensor}}})

    return change


DAMAGES: dict[str, tuple[Callable[[Checkpoint], Checkpoint], str]] = {
    "a step as text": (with_state(step="2"), "`step`"),
    "a step below 0": (with_state(step=-1), "`step`"),
    "a step that is a truth value": (with_state(step=True), "`step`"),
    "no time": (with_state(seconds=math.nan), "`seconds`"),
    "sums without counts": (with_state(sums={"loss": 1.0}), "`counts`"),
    "a best value as text": (with_state(best_value="0.9"), "`best_value`"),
    "rewinds below 0": (with_state(rewinds=-1), "`rewinds`"),
    "an unknown key": (with_state(more=1), "expected"),
    "a scale as text": (with_scaling(scale="big"), "big"),
    "a scale of NaN": (with_scaling(scale=math.nan), "scaling"),
    "a scale of 0": (with_scaling(scale=0.0), "scaling"),
    "a longer average": (with_tensors(exp_avg=torch.zeros(10, 129)), "[10, 129]"),
    "a shorter average": (with_tensors(exp_avg=torch.zeros(3)), "[3]"),
    "wider numbers": (with_tensors(exp_avg_sq=torch.zeros(SIZE, dtype=torch.float64)), "float64"),
    "several counters": (with_tensors(step=torch.zeros(2)), "[2]"),
    "half of a state": (listed(without(f"{WEIGHT}exp_avg_sq")), "not whole"),
    "a number too many": (listed(with_tensors(more=torch.zeros(SIZE))), "not whole"),
    "a strange parameter": (
        listed(lambda s: replace(s, tensors={**s.tensors, "optimizer//n.x/step": Tensor()})),
        "`n.x`",
    ),
    "a strange optimizer": (
        listed(lambda s: replace(s, tensors={**s.tensors, "optimizer/n/x/step": Tensor()})),
        "`optimizer/n/x/step`, which this run has no use for",
    ),
    "nothing of a parameter": (without(WEIGHT), f"it lacks the tensor `{WEIGHT}exp_avg`"),
    "a tensor that is not listed": (with_tensors(more=torch.zeros(SIZE)), "does not list"),
    "no list": (with_list(None), "does not list"),
    "a list of anything": (with_list([[], {}, 1]), "it lacks the tensor `1`"),
    "a network too many": (with_more(weights=torch.zeros(1)), "`weights/n/x`, which it does not"),
    "a listed network too many": (
        listed(with_more(weights=torch.zeros(1))),
        "`weights/n/x`, which this run has no use for",
    ),
    "averages too many": (
        listed(with_more(averages=torch.zeros(1))),
        "`averages/n/x`, which this run has no use for",
    ),
    "an overflow of the optimizer": (
        with_tensors(exp_avg_sq=torch.full(SIZE, math.inf)),
        "`classifier.linear_0.weight (optimizer: exp_avg_sq)`",
    ),
    "a state without its last rewind": (
        lambda s: replace(
            s,
            data={**s.data, "state": {k: v for k, v in s.data["state"].items() if k != "rewound"}},
        ),
        "rewound",
    ),
    "a weight of NaN": (with_weight(torch.full(SIZE, math.nan)), "NaN"),
    "an average of one number": (with_weight(torch.zeros(1), "averages"), "[1]"),
    "an average of NaN": (with_weight(torch.full(SIZE, math.nan), "averages"), "(average)"),
    "another step's folder": (lambda saved: replace(saved, folder=Path("00000007")), "step 2"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_state_that_no_run_has_written_is_refused(damage: str, stepper: Stepper) -> None:
    """torch's fused kernels would read beyond the end of what is too small, and crash."""
    change, words = DAMAGES[damage]
    whole = stepper.snapshot()
    whole = replace(
        whole,
        weights={"classifier": {k: v.clone() for k, v in whole.weights["classifier"].items()}},
        averages={"classifier": {k: v.clone() for k, v in whole.averages["classifier"].items()}},
    )
    with pytest.raises(checkpoint.Damaged) as caught:
        stepper.restore(change(whole))
    assert words in str(caught.value)
    stepper.restore(whole)
    assert stepper.state.step == 2


def test_weights_of_another_type_are_refused(stepper: Stepper) -> None:
    with pytest.raises(NetwrightError) as caught:
        stepper.restore(with_weight(torch.zeros(SIZE, dtype=torch.int8))(stepper.snapshot()))
    assert code_of(caught) is Code.R902
    assert "torch.int8" in caught.value.diagnostics[0].message


@pytest.fixture
def run(finished: TrainResult, tmp_path: Path) -> Path:
    """A copy of a finished run."""
    return Path(shutil.copytree(finished.folder, tmp_path / "run"))


def change(run: Path, step: int, by: Callable[[Checkpoint], Checkpoint]) -> None:
    """Write a checkpoint anew, with the right digests."""
    checkpoint.save(run, step, by(checkpoint.load(checkpoint.folder_of(run, step))))


def test_a_checkpoint_that_cannot_be_taken_back_gives_way_to_the_one_before(
    run: Path, finished: TrainResult
) -> None:
    last, before, *_ = checkpoint.steps(run)
    change(run, last, with_state(rewinds=-1))
    observer = Recorder()
    train(compile_text(), output=run, resume=True, device="cpu", observer=observer)
    assert observer.begun
    assert observer.begun.step == before
    assert f"the checkpoint of step {last} can't be used (it does not hold" in observer.warnings[0]
    assert_same(weights_of(finished.folder), weights_of(run))


def test_a_run_without_a_checkpoint_that_can_be_taken_back(run: Path) -> None:
    for step in checkpoint.steps(run):
        change(run, step, with_state(rewinds=-1))
    with pytest.raises(NetwrightError, match="does not hold this run's state: `rewinds`") as caught:
        train(compile_text(), output=run, resume=True, device="cpu", observer=Recorder())
    assert code_of(caught) is Code.R901


def test_the_last_checkpoint_stands_in_for_a_best_one_that_is_lost(run: Path) -> None:
    """It is lost after the run has looked for it."""
    last, before, *_ = checkpoint.steps(run)
    change(run, last, with_state(best_step=before, best_value=0.99))

    class Losing(Recorder):
        def begin(self, begin: Begin) -> None:
            shutil.rmtree(checkpoint.folder_of(run, before))

    observer = Losing()
    result = train(compile_text(), output=run, resume=True, device="cpu", observer=observer)
    assert result.step == last
    assert f"the best checkpoint, that of step {before}" in observer.warnings[-1]
    assert json.loads((run / "summary.json").read_text())["chosen"] == "last"


def test_the_best_that_is_left_takes_the_place_of_one_that_is_lost(
    run: Path, finished: TrainResult
) -> None:
    change(run, checkpoint.steps(run)[0], with_state(best_step=1, best_value=0.99))
    observer = Recorder()
    result = train(compile_text(), output=run, resume=True, device="cpu", observer=observer)
    assert observer.warnings == [
        "the best checkpoint, that of step 1, can't be used (it is not there); that of step "
        f"{finished.step} takes its place"
    ]
    assert result.step == finished.step
    assert result.metrics == finished.metrics
    assert json.loads((run / "summary.json").read_text())["chosen"] == "best"


def test_data_that_is_no_map_is_damage(run: Path) -> None:
    last = checkpoint.steps(run)[0]
    folder = checkpoint.folder_of(run, last)
    (folder / "training.json").write_text("[1]")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"]["training.json"] = sha256(folder / "training.json")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(checkpoint.Damaged, match="no map"):
        checkpoint.load(folder)


def test_weights_that_do_not_fit_are_not_exported(run: Path, finished: TrainResult) -> None:
    change(run, finished.step, with_weight(torch.zeros(1)))
    with pytest.raises(NetwrightError) as caught:
        export_run(run)
    assert code_of(caught) is Code.R902


def test_lines_of_the_history_without_numbers_are_left_out(run: Path) -> None:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    broken = {**json.loads(lines[1]), "train": {"loss": "low"}}
    (run / "metrics.jsonl").write_text("\n".join([lines[0], json.dumps(broken), *lines[2:]]))
    assert len(read_history(run)) == len(lines) - 1
    with (run / "gradients.jsonl").open("a") as file:
        file.write("{}\n\n[]\n{")
    observer = Recorder()
    train(compile_text(), output=run, resume=True, device="cpu", observer=observer)
    assert observer.warnings == [
        "lines of `metrics.jsonl` that can't be read were left out: 1",
        "lines of `gradients.jsonl` that can't be read were left out: 2",
    ]
    again = Recorder()
    train(compile_text(), output=run, resume=True, device="cpu", observer=again)
    assert again.warnings == []


def test_a_line_that_a_killed_process_did_not_end_is_not_told(
    run: Path, finished: TrainResult
) -> None:
    """What it wrote belongs to a step that is taken again."""
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 5, "st')
    observer = Recorder()
    train(compile_text(), output=run, resume=True, device="cpu", observer=observer)
    assert observer.warnings == []
    assert read_history(run) == read_history(finished.folder)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("best", [None, 1.0])
@pytest.mark.parametrize("higher", [True, False])
def test_what_is_not_finite_is_never_better(value: float, best: float | None, higher: bool) -> None:
    assert not Goal("loss", higher).better(value, best)
