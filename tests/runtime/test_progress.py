"""What people see while a run goes on."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from netwright.runtime.observer import Begin, EpochEnd, Progress
from netwright.runtime.plots import draw_confusion, draw_curves
from netwright.runtime.progress import Lines, Live, duration, observer_for
from PIL import Image
from rich.console import Console

BEGIN = Begin(
    name="digits",
    folder=Path("runs/digits-1"),
    device="cpu",
    precision="fp32",
    parameters=94186,
    trained=94186,
    samples=1437,
    epochs=2,
    total_steps=44,
    steps_per_epoch=22,
)
PROGRESS = Progress(step=11, epoch=1, losses={"loss": 2.5}, lr=1e-3, rate=1234.5, seconds_left=83)
EPOCH = EpochEnd(
    step=22,
    epoch=1,
    losses={"loss": 1.25},
    lr=1e-3,
    rate=1234.5,
    seconds=61.2,
    validation={"loss": 0.5, "accuracy": 0.875},
    best=True,
)


def test_plain_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    observer = observer_for(stream)
    assert type(observer) is Lines
    observer.begin(BEGIN)
    observer.progress(PROGRESS)  # too early for a line
    observer.epoch_end(EPOCH)
    observer.warn("careful [not markup]")
    observer.end()
    assert stream.getvalue().splitlines() == [
        "training digits: 94,186 parameters, 1,437 samples, 2 epochs, cpu, fp32 -> runs/digits-1",
        "epoch 1/2  loss 1.250  validation loss 0.5000  accuracy 0.8750  "
        "1,234 samples/s  1:01  best so far",
        "warning: careful [not markup]",
    ]


def test_the_heading_tells_of_frozen_parameters() -> None:
    stream = io.StringIO()
    observer_for(stream).begin(replace(BEGIN, trained=650))
    assert "digits: 94,186 parameters, 650 trained, 1,437 samples" in stream.getvalue()


@pytest.mark.parametrize(
    ("is_over", "line"),
    [
        (False, "going on at step 22 of 44"),
        (True, "the run ended at step 22 of 44; it is measured again"),
    ],
)
def test_a_run_that_is_resumed(is_over: bool, line: str) -> None:
    stream = io.StringIO()
    observer_for(stream).begin(replace(BEGIN, step=22, is_over=is_over))
    assert stream.getvalue().splitlines()[1] == line


def test_the_live_display_shows_rate_loss_metric_and_time_left() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, color_system=None)
    observer = Live(console)
    observer.begin(BEGIN)
    observer.epoch_end(EPOCH)
    observer.progress(PROGRESS)
    observer._bar.refresh()
    observer.end()
    observer.end()
    shown = stream.getvalue()
    for part in ("epoch 1/2", "11/44", "loss 2.500", "accuracy 0.8750", "1,234 samples/s", "1:23"):
        assert part in shown
    assert "…" not in shown, "nothing is cut off at 80 columns"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (3725, "1:02:05")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def record(epoch: int, loss: float, validation: dict[str, float | None]) -> dict[str, object]:
    return {"epoch": epoch, "train": {"loss": loss}, "validation": validation, "lr": 1e-3}


@pytest.mark.parametrize(
    "validation", [{}, {"loss": 0.5, "accuracy": 0.9, "top_5": 1.0}, {"loss": None, "mae": None}]
)
def test_curves_are_drawn(validation: dict[str, float | None], tmp_path: Path) -> None:
    history = [record(epoch, 3.0 / epoch**4, validation) for epoch in range(1, 5)]
    draw_curves(history, "a_name", tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.height == 540
        assert image.width > 1000
    draw_curves(history[:1], "a_name", tmp_path / "curves.png")


@pytest.mark.parametrize("classes", [2, 10, 30, 100])
def test_confusion_is_drawn(classes: int, tmp_path: Path) -> None:
    counts = [[int(row == column) * row for column in range(classes)] for row in range(classes)]
    names = [f"class {index}" for index in range(classes)]
    draw_confusion(counts, names, tmp_path / "confusion.png")
    with Image.open(tmp_path / "confusion.png") as image:
        assert image.width == image.height > 300
