"""Event files of TensorBoard, read back as TensorBoard itself does."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from netwright.cli import cli
from netwright.compiler.diagnostics import NetwrightError
from netwright.runtime.history import read_history
from netwright.runtime.observer import Begin, EpochEnd, Observer, Progress, Together
from netwright.runtime.tensorboard import FOLDER, TensorBoard
from netwright.runtime.train import train
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from .tiny import SPEC, compile_text

GOLDEN = Path(__file__).parent / "messages" / "r907.txt"
SHORT = {"epochs: 4": "epochs: 2"}

Golden = Callable[[Path, str], None]
Curve = dict[int, float]


def curves_of(run: Path) -> dict[str, Curve]:
    """Name -> step -> value."""
    events = EventAccumulator(str(run / FOLDER)).Reload()
    names = events.Tags()["scalars"]
    return {name: {e.step: e.value for e in events.Scalars(name)} for name in names}


def test_every_figure_is_in_the_event_file(tmp_path: Path) -> None:
    run = train(
        compile_text(SHORT), output=tmp_path / "run", device="cpu", observer=TensorBoard()
    ).folder
    curves, history = curves_of(run), read_history(run)
    assert curves.keys() == {
        "train/loss", "validation/loss", "validation/accuracy", "validation/top_3",
        "running/loss", "lr", "samples_per_second",
    }  # fmt: skip
    for part in ("train", "validation"):
        for name in history[0][part]:
            recorded = {record["step"]: record[part][name] for record in history}
            assert curves[f"{part}/{name}"] == pytest.approx(recorded, rel=1e-5)
    for record in history:
        assert curves["lr"][record["step"]] == pytest.approx(record["lr"], rel=1e-5)


def test_a_resumed_run_goes_on_in_the_same_curves(tmp_path: Path) -> None:
    """What the killed process wrote after the step that is resumed from is hidden."""
    folder = tmp_path / "run"
    killed, resumed = TensorBoard(), TensorBoard()
    killed.begin(begun(folder))
    for step in (5, 10, 15):
        killed.epoch_end(ended(step, loss=1.0))
    killed.end()
    resumed.begin(begun(folder, step=10))
    resumed.epoch_end(ended(15, loss=2.0))
    resumed.epoch_end(ended(20, loss=2.0))
    resumed.end()
    assert curves_of(folder)["train/loss"] == {5: 1.0, 10: 1.0, 15: 2.0, 20: 2.0}


def begun(folder: Path, step: int = 0) -> Begin:
    return Begin(
        name="x", folder=folder, device="cpu", precision="fp32", parameters=1, trained=1, samples=1,
        epochs=4, total_steps=20, steps_per_epoch=5, step=step,
    )  # fmt: skip


def ended(step: int, loss: float) -> EpochEnd:
    return EpochEnd(
        step=step, epoch=step // 5, losses={"loss": loss}, lr=0.1, rate=1.0, seconds=1.0,
        validation={}, best=False,
    )  # fmt: skip


def test_the_folder_that_cannot_be_made_is_a_diagnostic(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file")
    with pytest.raises(NetwrightError, match="R903"):
        TensorBoard().begin(begun(tmp_path))


def test_together_passes_on_whatever_an_observer_can_be_told() -> None:
    assert vars(Together).keys() >= {n for n in vars(Observer) if not n.startswith("_")}


class Listener(Observer):
    """Notes which events it heard of."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def begin(self, begin: Begin) -> None:
        self.heard.append(begin)

    def progress(self, progress: Progress) -> None:
        self.heard.append(progress)

    def epoch_end(self, epoch: EpochEnd) -> None:
        self.heard.append(epoch)

    def warn(self, text: str) -> None:
        self.heard.append(text)

    def end(self) -> None:
        self.heard.append("end")


def test_together_tells_everyone_everything() -> None:
    first, second = Listener(), Listener()
    both = Together(first, second)
    progress = Progress(step=1, epoch=1, losses={}, lr=0.1, rate=1.0, seconds_left=1.0)
    begin, epoch = begun(Path("x")), ended(5, 1.0)
    both.begin(begin)
    both.progress(progress)
    both.epoch_end(epoch)
    both.warn("careful")
    both.end()
    assert first.heard == second.heard == [begin, progress, epoch, "careful", "end"]


def test_the_command_writes_both_display_and_events(tmp_path: Path) -> None:
    spec = tmp_path / "tiny.yaml"
    spec.write_text(SPEC.replace("epochs: 4", "epochs: 1"))
    words = ["train", str(spec), "--tensorboard", "--device", "cpu", "-o", str(tmp_path / "run")]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert "epoch 1/1" in result.stderr
    assert "validation/accuracy" in curves_of(tmp_path / "run")


WITHOUT = """
import sys
sys.modules["tensorboard"] = None  # as if it were not installed
from netwright.cli import cli
cli(sys.argv[1:], prog_name="netwright")
"""


def test_a_missing_package_is_told_before_training(tmp_path: Path, golden: Golden) -> None:
    spec, run = tmp_path / "tiny.yaml", tmp_path / "run"
    spec.write_text(SPEC)
    words = ["train", str(spec), "--tensorboard", "-o", str(run)]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert not run.exists()
    golden(GOLDEN, re.sub(r"found: .*", "found: <what Python says>", done.stderr))
