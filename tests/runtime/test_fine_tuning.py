"""Whole runs that begin with stored weights, freeze layers and move numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from netwright.compiler.driver import Compilation
from netwright.runtime import checkpoint
from netwright.runtime.observer import Begin, EpochEnd, Observer
from netwright.runtime.train import TrainResult, train

from .tiny import SPEC, compile_text

TUNED = SPEC.replace("- conv2d", "- id: conv\n        conv2d").replace(
    "- linear", "- id: fc\n        linear"
)
RULES = """\
  parameters:
    - {match: [classifier.conv.**, classifier.batch_norm_0.**], freeze: {until: 40}, lr_factor: 0.5}
    - {kind: [bias, norm], weight_decay: 0}
  optimizer: {muon: {lr: {start: 0.02, end: 0, steps: 60, curve: cosine}, adamw: {lr: 1e-2}}}
"""
CHANGES = {"  optimizer: {adamw: {lr: 1e-2}}\n": RULES, "epochs: 4": "steps: 60"}


def weights(folder: Path, step: int) -> dict[str, torch.Tensor]:
    return checkpoint.load_weights(folder, step)["classifier"]


class StopAt(Observer):
    """Stops a run as a user does, after an epoch."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch

    def epoch_end(self, end: EpochEnd) -> None:
        if end.epoch == self._epoch:
            raise KeyboardInterrupt


def compiled(**more: str) -> Compilation:
    return compile_text({**CHANGES, **more}, text=TUNED)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(compiled(), output=tmp_path_factory.mktemp("whole") / "run", device="cpu")


def test_a_run_with_everything_learns(whole: TrainResult) -> None:
    assert whole.metrics["validation"]["accuracy"] > 0.5


@pytest.mark.parametrize("epoch", [1, 2])
def test_resuming_before_and_after_the_thaw(epoch: int, whole: TrainResult, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(compiled(), output=folder, device="cpu", observer=StopAt(epoch))
    train(compiled(), output=folder, device="cpu", resume=True)
    step = max(checkpoint.steps(folder))
    expected = weights(whole.folder, step)
    for name, tensor in weights(folder, step).items():
        assert torch.equal(tensor, expected[name]), name


def test_frozen_layers_keep_the_weights_that_a_run_began_with(
    whole: TrainResult, tmp_path: Path
) -> None:
    source = f"init_from: {{path: {json.dumps(str(whole.folder))}, reinitialise: [fc.**]}}\n"
    rules = (
        "  parameters: [{match: [classifier.conv.**, classifier.batch_norm_0.**], freeze: true}]\n"
    )
    changes = {"  clip_norm: 1.0\n": f"  {source}{rules}", "epochs: 4": "epochs: 1"}
    compilation = compile_text(changes, text=TUNED)
    result = train(compilation, output=tmp_path / "run", device="cpu")
    chosen = json.loads((whole.folder / "summary.json").read_text())["step"]
    began, ended = weights(whole.folder, chosen), weights(result.folder, result.step)
    moved = {name for name, tensor in ended.items() if not torch.equal(tensor, began[name])}
    assert moved == {"fc.weight", "fc.bias"}
    record = json.loads((result.folder / "run.json").read_text())["init_from"]
    assert record["fresh"] == ["classifier.fc.weight", "classifier.fc.bias"]
    assert len(record["sha256"]) == 64


class StopAtOnce(Observer):
    def begin(self, begin: Begin) -> None:
        self.begun = begin
        raise KeyboardInterrupt


def test_the_heading_counts_what_is_trained(tmp_path: Path) -> None:
    rules = (
        "  parameters: [{match: classifier.conv.**, freeze: true}, "
        "{match: classifier.fc.**, freeze: {until: 9}}]\n"
    )
    observer = StopAtOnce()
    with pytest.raises(KeyboardInterrupt):
        train(
            compile_text({"  clip_norm: 1.0\n": rules}, text=TUNED),
            output=tmp_path / "run", device="cpu", observer=observer,
        )  # fmt: skip
    assert observer.begun.parameters - observer.begun.trained == 8 * 1 * 3 * 3


def test_a_run_that_has_no_checkpoint_yet_begins_with_the_weights_again(
    whole: TrainResult, tmp_path: Path
) -> None:
    source = f"init_from: {{path: {json.dumps(str(whole.folder))}, reinitialise: [fc.**]}}\n"
    rules = "  parameters: [{match: classifier.conv.**, freeze: true}]\n"
    changes = {"  clip_norm: 1.0\n": f"  {source}{rules}", "epochs: 4": "epochs: 1"}
    compilation = compile_text(changes, text=TUNED)
    with pytest.raises(KeyboardInterrupt):
        train(compilation, output=tmp_path / "run", device="cpu", observer=StopAtOnce())
    result = train(compilation, output=tmp_path / "run", device="cpu", resume=True)
    chosen = json.loads((whole.folder / "summary.json").read_text())["step"]
    began, ended = weights(whole.folder, chosen), weights(result.folder, result.step)
    assert torch.equal(began["conv.weight"], ended["conv.weight"])
