"""What a run can be asked to do beside plain steps, on real data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime import checkpoint, trainer
from netwright.runtime.export import export_run
from netwright.runtime.gradient_log import read_gradients
from netwright.runtime.history import read_history
from netwright.runtime.job import make_job
from netwright.runtime.measure import measure
from netwright.runtime.opening import read_data
from netwright.runtime.planning.choose import choose_plan
from netwright.runtime.session import load
from netwright.runtime.stepper import Stepper
from netwright.runtime.train import TrainResult, train
from netwright.runtime.weights import restore
from safetensors.torch import load_file

from .test_train import Recorder, assert_same, code_of, stop_at, weights_of
from .tiny import compile_text

CPU = torch.device("cpu")
PLAIN = {
    "      - batch_norm\n": "",
    "      - dropout: 0.1\n": "",
    "{image: {augment: [{shift: 1}, {noise: 0.05}]}}": "{}",
}
"""Without anything that looks at other samples or draws numbers."""


def run(tmp_path: Path, changes: dict[str, str], name: str = "run", **more: object) -> TrainResult:
    return train(compile_text(changes), output=tmp_path / name, device="cpu", **more)  # type: ignore[arg-type]


def stepper_of(changes: dict[str, str], folder: Path) -> Stepper:
    compilation = compile_text(changes)
    dataset = read_data(compilation, folder)
    plan = choose_plan(compilation, dataset, CPU)
    return Stepper(make_job(compilation, dataset, CPU, folder, plan))


def averages_of(folder: Path) -> dict[str, torch.Tensor]:
    newest = checkpoint.folder_of(folder, checkpoint.steps(folder)[0])
    return load_file(newest / "averages" / "classifier.safetensors")


def test_micro_batches_give_the_gradient_of_the_batch(tmp_path: Path) -> None:
    whole = run(tmp_path, {**PLAIN, "epochs: 4": "steps: 12"}, "whole")
    cut = run(tmp_path, {**PLAIN, "epochs: 4": "steps: 12\n  accumulate: 4"}, "cut")
    left, right = weights_of(whole.folder), weights_of(cut.folder)
    for name in left:
        assert torch.allclose(left[name], right[name], atol=1e-5), name


def test_averages_follow_the_policy_of_each_tensor(tmp_path: Path) -> None:
    """Recomputed here: weights and statistics are averaged, the counter is copied."""
    changes = {"clip_norm: 1.0": "ema: {decay: 0.9, warmup: false}"}
    stepper = stepper_of(changes, tmp_path)
    live = stepper.parts.networks["classifier"].state_dict()
    expected = {name: tensor.clone().double() for name, tensor in live.items()}
    for batches in stepper.batches():
        stepper.step(batches)
        for name, tensor in live.items():
            expected[name] = 0.9 * expected[name] + 0.1 * tensor.double()
        if stepper.state.step == 5:
            break
    assert stepper.parts.averages
    found = stepper.parts.averages.memory()
    assert found.keys() == {f"classifier.{name}" for name in live}
    for name, value in expected.items():
        kept = found[f"classifier.{name}"]
        if name.endswith("num_batches_tracked"):
            assert int(kept) == 5
        else:
            assert torch.allclose(kept.double(), value, atol=1e-6), name
            assert not torch.equal(kept, live[name]), name


def test_averages_warm_up(tmp_path: Path) -> None:
    """d is at most (1 + n) / (10 + n): the first step keeps 2/11 of what was there."""
    stepper = stepper_of({"clip_norm: 1.0": "ema: 0.999"}, tmp_path)
    weight = stepper.parts.networks["classifier"].state_dict()["linear_0.weight"]
    before = weight.clone()
    stepper.step(next(stepper.batches()))
    assert stepper.parts.averages
    kept = stepper.parts.averages.memory()["classifier.linear_0.weight"]
    assert torch.allclose(kept, before * 2 / 11 + weight * 9 / 11, atol=1e-6)


def test_averages_are_what_is_measured_and_exported(tmp_path: Path) -> None:
    """With a decay of almost 1 the average stays at the untrained network."""
    slow = "ema: {decay: 0.999999, warmup: false}"
    result = run(tmp_path, {"clip_norm: 1.0": slow, "  checkpoint: {best: accuracy}\n": ""})
    assert read_history(result.folder)[-1]["train"]["loss"] < 1.5
    assert result.metrics["test"]["accuracy"] < 0.4
    bundle = export_run(result.folder).folder
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    session = load(bundle, "cpu").program("predict")
    logits = session(image=images.reshape(-1, 1, 8, 8).astype("uint8"))["logits"]
    assert (logits.argmax(1) == labels).mean() < 0.4
    assert_same(
        averages_of(result.folder), checkpoint.load_weights(result.folder, 68)["classifier"]
    )


def test_early_stopping_ends_a_run_that_no_longer_improves(tmp_path: Path) -> None:
    changes = {
        "epochs: 4": "epochs: 40\n  early_stopping: {figure: accuracy, patience: 3}",
        "lr: 1e-2": "lr: 1e-9",
        "  checkpoint: {best: accuracy}\n": "",
    }
    observer = Recorder()
    result = run(tmp_path, changes, observer=observer)
    history = read_history(result.folder)
    assert observer.told[-1] == (
        f"ended at step {result.step} of {result.total_steps}: "
        "`accuracy` has not got better in 3 measurements"
    )
    values = [record["validation"]["accuracy"] for record in history]
    assert len(history) < 10
    assert max(values[-3:]) <= max(values[:-3])
    assert result.signal is None
    assert result.metrics["test"]
    again = run(tmp_path, changes, resume=True, observer=observer)
    assert again.step == result.step
    assert observer.begun
    assert observer.begun.is_over
    assert read_history(again.folder) == history


def test_validation_and_checkpoints_by_steps(tmp_path: Path) -> None:
    changes = {
        "epochs: 4": "steps: 25\n  validation: {steps: 10}",
        "checkpoint: {best: accuracy}": "checkpoint: {steps: 8, every: 9}",
    }
    seen: list[int] = []

    class Watcher(Recorder):
        def epoch_end(self, epoch: object) -> None:
            super().epoch_end(epoch)  # type: ignore[arg-type]
            seen.extend(step for step in checkpoint.steps(tmp_path / "run") if step not in seen)

    result = run(tmp_path, changes, observer=Watcher())
    records = read_history(result.folder)
    assert [record["step"] for record in records] == [10, 20, 25]
    assert all(record["validation"] for record in records)
    assert checkpoint.steps(result.folder) == [25, 24]
    assert set(seen) >= {8, 16}


def test_validation_every_second_epoch(tmp_path: Path) -> None:
    changes = {"epochs: 4": "epochs: 5\n  validation: {epochs: 2}"}
    records = read_history(run(tmp_path, changes).folder)
    assert [bool(record["validation"]) for record in records] == [False, True, False, True, True]


def test_clip_value_cuts_every_number_of_the_gradient(tmp_path: Path) -> None:
    """One step of plain SGD moves no weight further than lr times the limit."""
    changes = {"adamw: {lr: 1e-2}": "sgd: {lr: 1.0}", "clip_norm: 1.0": "clip_value: 1e-4"}
    stepper = stepper_of({**changes, "schedule: one_cycle": "schedule: constant"}, tmp_path)
    parameters = dict(stepper.parts.networks["classifier"].named_parameters())
    before = {name: p.detach().clone() for name, p in parameters.items()}
    stepper.step(next(stepper.batches()))
    moved = max(float((p.detach() - before[name]).abs().max()) for name, p in parameters.items())
    assert 0.99e-4 < moved < 1.01e-4


def test_gradients_are_recorded_for_every_parameter(finished: TrainResult) -> None:
    records = read_gradients(finished.folder)
    assert [record["step"] for record in records] == list(range(1, 69))
    names = {"conv2d_0.weight", "batch_norm_0.weight", "batch_norm_0.bias"}
    names |= {"linear_0.weight", "linear_0.bias"}
    for record in records:
        assert record["norms"].keys() == {f"classifier.{name}" for name in names}
        assert all(norm > 0 for norm in record["norms"].values())


@pytest.fixture
def _look_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "LOOK_STEPS", 1)


FEATURES = {
    "averages": "ema: 0.99",
    "fp16": "precision: fp16",
    "bf16": "precision: bf16",
    "micro-batches": "accumulate: 2",
    "schedules": "clip_norm: {start: 2, end: 0.1, steps: 30}\n  clip_value: 0.5",
}


@pytest.mark.usefixtures("_look_every_step")
@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_resumes_bit_for_bit(feature: str, tmp_path: Path) -> None:
    changes = {"clip_norm: 1.0": FEATURES[feature], "epochs: 4": "steps: 30"}
    whole = run(tmp_path, changes, "whole")
    stopped = run(tmp_path, changes, "stopped", observer=stop_at(11))
    assert stopped.step == 11
    resumed = run(tmp_path, changes, "stopped", resume=True)
    assert_same(weights_of(whole.folder), weights_of(resumed.folder))
    assert resumed.metrics == whole.metrics
    if feature == "averages":
        assert_same(averages_of(whole.folder), averages_of(resumed.folder))
    assert read_gradients(whole.folder) == read_gradients(resumed.folder)
    losses = [record["train"]["loss"] for record in read_history(resumed.folder)]
    assert losses[-1] < losses[0]


WILD = {
    "adamw: {lr: 1e-2}": "sgd: {lr: 1e30}",
    "schedule: one_cycle": "schedule: constant",
    "  clip_norm: 1.0\n": "",
    "  checkpoint: {best: accuracy}\n": "",
    **PLAIN,
}


def test_divergence_names_the_layer_and_its_line(tmp_path: Path) -> None:
    """After a huge step the convolution's outputs are huge too, and the linear layer overflows."""
    with pytest.raises(NetwrightError) as caught:
        run(tmp_path, WILD)
    assert code_of(caught) is Code.R904
    diagnostic = caught.value.diagnostics[0]
    assert "at step 2" in diagnostic.message
    assert "`classifier.linear_0` (Linear)" in diagnostic.notes[0]
    assert diagnostic.notes[1] == "the last good checkpoint is that of step 0"
    assert diagnostic.span
    text = compile_text(WILD).file.text.splitlines()
    assert "linear: 10" in text[diagnostic.span.line - 1]


def test_divergence_names_a_weight_that_an_update_broke(tmp_path: Path) -> None:
    with pytest.raises(NetwrightError) as caught:
        run(tmp_path, {**WILD, "adamw: {lr: 1e-2}": "sgd: {lr: 1e38, weight_decay: 1e3}"})
    assert "is not finite after step 1" in caught.value.diagnostics[0].notes[0]


def test_an_overflow_of_the_optimizer_is_divergence(tmp_path: Path) -> None:
    """The second moments become infinite, so that no update moves anything: the loss is finite."""
    changes = {
        "losses: [{cross_entropy: {output: logits, target: label}}]": (
            "losses: [{cross_entropy: {output: logits, target: label}, weight: 1e25}]"
        ),
        "  clip_norm: 1.0\n": "",
        "epochs: 4": "steps: 5",
    }
    with pytest.raises(NetwrightError) as caught:
        run(tmp_path, changes)
    assert code_of(caught) is Code.R904
    diagnostic = caught.value.diagnostics[0]
    assert diagnostic.message == (
        "expected finite numbers in `classifier.conv2d_0.weight (optimizer: exp_avg_sq)`, found "
        "NaN or infinity after step 5"
    )
    assert "(optimizer: exp_avg_sq)` is not finite after step 1" in diagnostic.notes[0]
    assert checkpoint.steps(tmp_path / "run") == [0]


def test_weights_that_are_not_finite_from_the_start(tmp_path: Path) -> None:
    """As an operator of a plug-in may begin: what a spec can ask for is finite."""
    job = stepper_of({}, tmp_path).job
    with torch.no_grad():
        job.objective.networks["classifier"].get_parameter("linear_0.weight")[3, 4] = torch.inf
    with pytest.raises(NetwrightError) as caught:
        trainer.Trainer(job, Recorder()).train()
    assert code_of(caught) is Code.R904
    diagnostic = caught.value.diagnostics[0]
    assert "to begin with" in diagnostic.message
    assert diagnostic.span
    assert "linear: 10" in compile_text().file.text.splitlines()[diagnostic.span.line - 1]
    assert checkpoint.steps(tmp_path) == []


def test_figures_are_those_of_the_stored_weights(tmp_path: Path) -> None:
    """Bit for bit, though they were measured on what was trained: averages, where there are any."""
    for name, changes in (("plain", {}), ("averages", {"clip_norm: 1.0": "ema: 0.9"})):
        short = {**changes, "  checkpoint: {best: accuracy}\n": "", "epochs: 4": "steps: 20"}
        result = run(tmp_path, short, name)
        job = stepper_of(short, result.folder).job
        stored = checkpoint.load_weights(result.folder, result.step)
        restore(job.graphs, job.objective.networks, stored, result.folder)
        for part, batches in (("validation", job.validation), ("test", job.test)):
            assert batches
            found = measure(job.objective, batches, 128, job.figures(), result.step, job.world)
            assert found == result.metrics[part]


def test_a_rewind_goes_on_from_the_last_checkpoint(tmp_path: Path) -> None:
    rewind = "on_divergence: {action: rewind, lr_factor: 1e-16, most: 2}"
    observer = Recorder()
    result = run(
        tmp_path,
        {**WILD, "epochs: 4": f"epochs: 2\n  {rewind}"},
        observer=observer,
    )
    assert len(observer.warnings) == 2
    assert "at step 2" in observer.warnings[0]
    assert "going on from step 0" in observer.warnings[0]
    assert "rewind 2 of 2" in observer.warnings[1]
    losses = [record["train"]["loss"] for record in read_history(result.folder)]
    assert losses[-1] < losses[0]
    data = json.loads((checkpoint.folder_of(result.folder, 34) / "training.json").read_text())
    assert data["state"]["rewinds"] == 2


@pytest.mark.parametrize(("most", "times"), [(1, "once"), (2, "2 times")])
def test_too_many_rewinds_end_the_run(most: int, times: str, tmp_path: Path) -> None:
    rewind = f"on_divergence: {{action: rewind, lr_factor: 0.9, most: {most}}}"
    with pytest.raises(NetwrightError) as caught:
        run(tmp_path, {**WILD, "epochs: 4": f"epochs: 2\n  {rewind}"})
    assert code_of(caught) is Code.R904
    assert f"the run was rewound {times} before" in caught.value.diagnostics[0].notes
