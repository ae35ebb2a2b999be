"""Training runs: they learn, leave what they promise, stop, go on, and refuse what can't work."""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.driver import compile_spec
from netwright.runtime import checkpoint, trainer
from netwright.runtime.history import read_history
from netwright.runtime.lock import LOCK, run_lock
from netwright.runtime.observer import Begin, EpochEnd, Observer, Progress
from netwright.runtime.train import TrainResult, train
from safetensors.torch import load_file

from .tiny import SPEC, compile_text

Weights = dict[str, torch.Tensor]


class Recorder(Observer):
    """Remembers what it was told, and may do something after a step."""

    def __init__(self, after: Callable[[int], None] = lambda step: None) -> None:
        self.after = after
        self.epochs: list[EpochEnd] = []
        self.steps: list[int] = []
        self.begun: Begin | None = None
        self.told: list[str] = []
        self.warnings: list[str] = []
        self.ended = False

    def begin(self, begin: Begin) -> None:
        self.begun = begin

    def progress(self, progress: Progress) -> None:
        self.steps.append(progress.step)
        self.after(progress.step)

    def epoch_end(self, epoch: EpochEnd) -> None:
        self.epochs.append(epoch)

    def tell(self, text: str) -> None:
        self.told.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def end(self) -> None:
        self.ended = True


def weights_of(run: Path, step: int | None = None) -> Weights:
    newest = checkpoint.steps(run)[0] if step is None else step
    return load_file(checkpoint.folder_of(run, newest) / "weights" / "classifier.safetensors")


def assert_same(left: Weights, right: Weights) -> None:
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name


def code_of(caught: pytest.ExceptionInfo[NetwrightError]) -> Code:
    return caught.value.diagnostics[0].code


def test_a_run_learns_and_leaves_everything(finished: TrainResult) -> None:
    run = finished.folder
    history = read_history(run)
    assert [record["epoch"] for record in history] == [1, 2, 3, 4]
    assert history[-1]["train"]["loss"] < 0.5 * history[0]["train"]["loss"]
    assert finished.metrics["test"]["accuracy"] > 0.8
    assert finished.metrics["test"]["top_3"] > finished.metrics["test"]["accuracy"]
    for name in ("spec.yaml", "model.py", "run.json", "summary.json", "metrics.jsonl"):
        assert (run / name).stat().st_size > 0
    for name in ("curves.png", "confusion.png"):
        assert (run / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert not list(run.rglob(".netwright-*"))


def test_the_best_epoch_is_kept_and_tested(finished: TrainResult) -> None:
    history = read_history(finished.folder)
    values = [record["validation"]["accuracy"] for record in history]
    best = history[values.index(max(values))]
    assert finished.step == best["step"]
    assert finished.metrics["validation"]["accuracy"] == pytest.approx(max(values), abs=1e-6)
    assert best["step"] in checkpoint.steps(finished.folder)
    summary = json.loads((finished.folder / "summary.json").read_text())
    assert summary["chosen"] == "best"
    assert sum(map(sum, summary["confusion"])) == 359


def test_the_generated_source_is_what_runs_alone(finished: TrainResult) -> None:
    """model.py and a checkpoint's weights need nothing of Netwright."""
    text = (finished.folder / "model.py").read_text()
    namespace: dict[str, object] = {"__name__": "model"}
    exec(compile(text, "model.py", "exec"), namespace)
    network = namespace["NETWORKS"]["classifier"]()
    network.load_state_dict(weights_of(finished.folder))


def test_the_same_seed_gives_the_same_weights(finished: TrainResult, tmp_path: Path) -> None:
    again = train(compile_text(), output=tmp_path / "run", device="cpu")
    assert_same(weights_of(finished.folder), weights_of(again.folder))
    other = train(
        compile_text({"seed: 3": "seed: 4", "epochs: 4": "epochs: 1"}), output=tmp_path / "other"
    )
    assert not torch.equal(
        weights_of(again.folder)["linear_0.weight"], weights_of(other.folder)["linear_0.weight"]
    )


@pytest.fixture
def _look_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "LOOK_STEPS", 1)


def stop_at(step: int, number: int = signal.SIGINT) -> Recorder:
    """Sends a real signal to this process after a step."""

    def after(done: int) -> None:
        if done == step:
            os.kill(os.getpid(), number)

    return Recorder(after)


@pytest.mark.usefixtures("_look_every_step")
@pytest.mark.parametrize("step", [1, 17, 40])
def test_stopped_and_resumed_is_bit_identical(
    step: int, finished: TrainResult, tmp_path: Path
) -> None:
    """Within an epoch, at its end, and before the first checkpoint; 17 steps make an epoch."""
    observer = stop_at(step)
    stopped = train(compile_text(), output=tmp_path / "run", device="cpu", observer=observer)
    assert (stopped.signal, stopped.step, stopped.metrics) == (signal.SIGINT, step, {})
    assert observer.ended
    assert checkpoint.steps(stopped.folder)[0] == step
    resumed = train(compile_text(), output=stopped.folder, resume=True, device="cpu")
    assert resumed.signal is None
    assert resumed.metrics == finished.metrics
    assert_same(weights_of(finished.folder), weights_of(resumed.folder))
    keys = ("epoch", "step", "train", "validation", "lr", "best")
    expected = [[r[key] for key in keys] for r in read_history(finished.folder)]
    assert [[r[key] for key in keys] for r in read_history(resumed.folder)] == expected


@pytest.mark.usefixtures("_look_every_step")
def test_sigterm_stops_as_well(tmp_path: Path) -> None:
    observer = stop_at(3, signal.SIGTERM)
    stopped = train(compile_text(), output=tmp_path / "run", device="cpu", observer=observer)
    assert (stopped.signal, stopped.step) == (signal.SIGTERM, 3)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_killed_process_resumes_bit_identically(tmp_path: Path) -> None:
    """SIGKILL leaves no time for anything: only what was written before counts."""
    text = SPEC.replace("epochs: 4", "epochs: 12")  # so that it is surely killed before its end
    whole = train(compile_text(text=text), output=tmp_path / "whole", device="cpu")
    (tmp_path / "tiny_digits.yaml").write_text(text)
    run = tmp_path / "run"
    command = [sys.executable, "-m", "netwright", "train", "tiny_digits.yaml"]
    command += ["-o", str(run), "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while process.poll() is None and len(read_history(run)) < 2:
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(read_history(run)) < 12
    result = subprocess.run(
        [*command, "--resume"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert_same(weights_of(whole.folder), weights_of(run))
    assert not list(run.rglob(".netwright-*"))


@pytest.mark.usefixtures("_look_every_step")
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    finished: TrainResult, tmp_path: Path
) -> None:
    train(compile_text(), output=tmp_path / "run", device="cpu", observer=stop_at(20))
    newest = checkpoint.folder_of(tmp_path / "run", 20) / "training.safetensors"
    content = bytearray(newest.read_bytes())
    content[-3] ^= 1
    newest.write_bytes(content)
    observer = Recorder()
    resumed = train(
        compile_text(), output=tmp_path / "run", resume=True, device="cpu", observer=observer
    )
    assert observer.begun
    assert observer.begun.step == 17
    assert "step 20 is damaged" in observer.warnings[0]
    assert_same(weights_of(finished.folder), weights_of(resumed.folder))


@pytest.mark.parametrize("name", ["training.safetensors", "training.json", "manifest.json"])
def test_without_a_whole_checkpoint(name: str, finished: TrainResult, tmp_path: Path) -> None:
    run = shutil.copytree(finished.folder, tmp_path / "run")
    for step in checkpoint.steps(run):
        path = checkpoint.folder_of(run, step) / name
        path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(NetwrightError) as caught:
        train(compile_text(), output=run, resume=True, device="cpu")
    assert code_of(caught) is Code.R901


def test_resuming_a_finished_run_changes_nothing(finished: TrainResult, tmp_path: Path) -> None:
    run = shutil.copytree(finished.folder, tmp_path / "run")
    before = weights_of(run)
    again = train(compile_text(), output=run, resume=True, device="cpu")
    assert again.metrics == finished.metrics
    assert_same(before, weights_of(run))


def test_resuming_with_another_spec(finished: TrainResult, tmp_path: Path) -> None:
    run = shutil.copytree(finished.folder, tmp_path / "run")
    with pytest.raises(NetwrightError) as caught:
        train(compile_text({"epochs: 4": "epochs: 9"}), output=run, resume=True)
    assert code_of(caught) is Code.R902
    assert caught.value.diagnostics[0].notes == ("`-` epochs: 4", "`+` epochs: 9")


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs: 4": "epochs: 4  # a few"},
        {"  batch: 64\n  epochs: 4\n": "  epochs: 4\n  batch: 64\n"},
        {"lr: 1e-2": "lr: 0.01"},
        {"spec: v1\n": "spec: v1\nx-note: tried twice\n"},
    ],
    ids=["comment", "order", "number", "note"],
)
def test_resuming_with_the_same_spec_in_other_words(
    changes: dict[str, str], finished: TrainResult, tmp_path: Path
) -> None:
    run = shutil.copytree(finished.folder, tmp_path / "run")
    observer = Recorder()
    again = train(compile_text(changes), output=run, resume=True, device="cpu", observer=observer)
    assert again.metrics == finished.metrics
    assert observer.warnings == []


@pytest.mark.parametrize("given", [True, False])
def test_resuming_nothing(given: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NetwrightError) as caught:
        train(compile_text(), output=tmp_path if given else None, resume=True)
    assert code_of(caught) is Code.R901


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """What stands in a folder, and since when."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_a_run_that_another_process_trains_is_neither_read_nor_written(
    finished: TrainResult, tmp_path: Path
) -> None:
    """What else is wrong with it is not looked at: another spec, a damaged record, no plan."""
    run = shutil.copytree(finished.folder, tmp_path / "run")
    for name in ("plan.json", "spec.yaml", "model.py"):
        (run / name).unlink()
    (run / "run.json").write_text("{")
    with run_lock(run, pytest.fail):
        before = contents(run)
        with pytest.raises(NetwrightError, match="expected a run that nobody trains") as caught:
            train(compile_text({"epochs: 4": "epochs: 9"}), output=run, resume=True, device="cpu")
        assert contents(run) == before
    assert code_of(caught) is Code.R903


def test_a_refused_run_keeps_no_lock(finished: TrainResult, tmp_path: Path) -> None:
    run = shutil.copytree(finished.folder, tmp_path / "run")
    with pytest.raises(NetwrightError) as caught:
        train(compile_text({"epochs: 4": "epochs: 9"}), output=run, resume=True, device="cpu")
    assert code_of(caught) is Code.R902
    assert not (run / LOCK).exists()


def test_damaged_texts_of_a_run_are_written_again(finished: TrainResult, tmp_path: Path) -> None:
    run = shutil.copytree(finished.folder, tmp_path / "run")
    spec, source = (run / "spec.yaml").read_bytes(), (run / "model.py").read_bytes()
    (run / "spec.yaml").write_bytes(b"\xff" + spec)
    (run / "model.py").unlink()
    observer = Recorder()
    train(compile_text(), output=run, resume=True, device="cpu", observer=observer)
    assert (run / "spec.yaml").read_bytes() == spec
    assert (run / "model.py").read_bytes() == source
    assert (run / "spec.yaml.changed").read_bytes() == b"\xff" + spec
    assert observer.warnings == [
        f"`{run / 'spec.yaml'}` was not as the run wrote it, and is now `spec.yaml.changed`; "
        "it is written again",
        f"`{run / 'model.py'}` was missing; it is written again",
    ]
    again = Recorder()
    train(compile_text(), output=run, resume=True, device="cpu", observer=again)
    assert again.warnings == []


def test_a_source_that_names_the_spec_otherwise_is_left_alone(
    finished: TrainResult, tmp_path: Path
) -> None:
    """The same spec, from the run's own folder: `model.py` names the file that it came from."""
    run = shutil.copytree(finished.folder, tmp_path / "run")
    source, observer = (run / "model.py").read_bytes(), Recorder()
    own = compile_spec(run / "spec.yaml")
    assert own.source.encode() != source
    train(own, output=run, resume=True, device="cpu", observer=observer)
    assert (run / "model.py").read_bytes() == source
    assert observer.warnings == []


def test_runs_are_numbered_and_the_newest_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs/tiny_digits-8").mkdir(parents=True)
    short = compile_text({"epochs: 4": "steps: 2"})
    assert train(short, device="cpu").folder == Path("runs/tiny_digits-9")
    assert train(short, device="cpu", resume=True).folder == Path("runs/tiny_digits-9")


def test_a_taken_folder_is_left_alone(finished: TrainResult, tmp_path: Path) -> None:
    for folder in (finished.folder, tmp_path):
        (tmp_path / "mine.txt").write_text("precious")
        with pytest.raises(NetwrightError) as caught:
            train(compile_text(), output=folder)
        assert code_of(caught) is Code.R903
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NetwrightError) as caught:
        train(compile_text(), output=tmp_path / "file" / "run")
    assert code_of(caught) is Code.R903


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Lets the system refuse larger files, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("_look_every_step")
def test_a_full_disk_keeps_the_last_checkpoint(finished: TrainResult, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(compile_text(), output=run, device="cpu", observer=stop_at(17))
    kept = weights_of(run)
    with largest_file(5000), pytest.raises(NetwrightError) as caught:
        train(compile_text(), output=run, resume=True, device="cpu")
    assert code_of(caught) is Code.R903
    assert checkpoint.steps(run) == [17, 0]
    assert_same(kept, weights_of(run))
    assert not list(run.rglob(".netwright-*"))
    resumed = train(compile_text(), output=run, resume=True, device="cpu")
    assert_same(weights_of(finished.folder), weights_of(resumed.folder))


@pytest.mark.parametrize(
    ("lr", "words"),
    [("1e38", "found nan at step 2"), ("1e12", "NaN or infinity after step 17")],
    ids=["loss", "statistics"],
)
def test_divergence_names_the_step(lr: str, words: str, tmp_path: Path) -> None:
    changes = {
        "adamw: {lr: 1e-2}": f"sgd: {{lr: {lr}}}",
        "  clip_norm: 1.0\n": "",
        "schedule: one_cycle": "schedule: constant",
    }
    with pytest.raises(NetwrightError, match=words) as caught:
        train(compile_text(changes), output=tmp_path / "run", device="cpu")
    assert code_of(caught) is Code.R904
    assert checkpoint.steps(tmp_path / "run") == [0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_is_not_replaced_silently(tmp_path: Path) -> None:
    with pytest.raises(NetwrightError) as caught:
        train(compile_text(), output=tmp_path / "run", device="cuda")
    assert code_of(caught) is Code.R905
    assert not (tmp_path / "run").exists()


def test_bad_data_leaves_no_run(tmp_path: Path) -> None:
    text = SPEC.replace("  source: digits\n", "  source: {npz: {path: digits.npz}}\n").replace(
        "  fields: {image: {augment: [{shift: 1}, {noise: 0.05}]}}\n",
        "  fields:\n    image: {shape: [B, 1, 8, 8], dtype: uint8, scale: [0, 1]}\n"
        "    label: {shape: [B], dtype: int64}\n",
    )
    np.savez(tmp_path / "digits.npz", image=np.zeros((9, 8, 8), np.uint8), label=np.full(9, 10))
    with pytest.raises(NetwrightError, match="labels from 0 to 9") as caught:
        train(compile_text(text=text, folder=tmp_path), output=tmp_path / "run")
    assert code_of(caught) is Code.F601
    assert not (tmp_path / "run").exists()


def test_a_spec_without_data_cannot_be_trained(tmp_path: Path) -> None:
    text = SPEC[: SPEC.index("data:")] + SPEC[SPEC.index("networks:") : SPEC.index("objective:")]
    with pytest.raises(NetwrightError, match="expected a section `data`") as caught:
        train(compile_text(text=text), output=tmp_path / "run")
    assert code_of(caught) is Code.S102


def test_bf16_trains_with_weights_in_float32(tmp_path: Path) -> None:
    changes = {"clip_norm: 1.0": "precision: bf16", "epochs: 4": "epochs: 2"}
    result = train(compile_text(changes), output=tmp_path / "run", device="cpu")
    history = read_history(result.folder)
    assert history[1]["train"]["loss"] < history[0]["train"]["loss"]
    assert weights_of(result.folder)["linear_0.weight"].dtype == torch.float32


def test_progress_is_told(tmp_path: Path) -> None:
    observer = Recorder()
    train(
        compile_text({"epochs: 4": "steps: 20"}), output=tmp_path / "run", observer=observer,
        device="cpu",
    )  # fmt: skip
    assert observer.begun
    assert (observer.begun.total_steps, observer.begun.steps_per_epoch) == (20, 17)
    assert (observer.begun.epochs, observer.begun.samples) == (None, 1151)
    assert [epoch.step for epoch in observer.epochs] == [17, 20]
    assert observer.steps[-1] == 20
    assert observer.ended
    for epoch in observer.epochs:
        assert math.isfinite(epoch.losses["loss"])
        assert epoch.rate > 0


def test_batches_larger_than_the_data(tmp_path: Path) -> None:
    changes = {"batch: 64": "batch: 5000", "epochs: 4": "epochs: 2"}
    result = train(compile_text(changes), output=tmp_path / "run", device="cpu")
    assert result.step <= result.total_steps == 2
