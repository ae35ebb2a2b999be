"""Runs side by side: what differs, which is best, and what is shown of runs that did not finish."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from netwright.cli import cli
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime.compare.comparison import JUDGING, Comparison, as_json, compare
from netwright.runtime.compare.plot import draw_comparison, shared_losses, shared_metrics
from netwright.runtime.compare.settings import ABSENT, differences, settings_of, value_text
from netwright.runtime.compare.table import print_comparison
from netwright.runtime.history import read_history
from netwright.runtime.lock import run_lock
from netwright.runtime.observer import EpochEnd, Observer
from netwright.runtime.train import TrainResult, train
from PIL import Image

from .tiny import compile_text

BLUE, ORANGE = (0x25, 0x63, 0xEB), (0xEA, 0x58, 0x0C)
"""The colours of the first and the second run."""


class StopAfter(Observer):
    """Sends a real signal to this process after an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def epoch_end(self, epoch: EpochEnd) -> None:
        if epoch.epoch == self.epoch:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second run, with another width, and without the metric top_3."""
    spec = compile_text({"width: 8": "width: 16", ", {top_k: 3}": ""})
    return train(spec, output=tmp_path_factory.mktemp("wide") / "wide", device="cpu").folder


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after two of its 40 epochs."""
    folder = tmp_path_factory.mktemp("stopped") / "stopped"
    spec = compile_text({"epochs: 4": "epochs: 40", "shift: 1": "shift: 2"})
    assert train(spec, output=folder, device="cpu", observer=StopAfter(2)).signal == signal.SIGINT
    return folder


@pytest.fixture
def copy(finished: TrainResult, tmp_path: Path) -> Path:
    """A finished run that may be damaged."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder)
    return folder


def text_of(comparison: Comparison, width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    stream = io.StringIO()
    print_comparison(comparison, stream)
    return stream.getvalue()


def row_of(text: str, title: str) -> list[str]:
    """The cells of the first row with a title."""
    line = next(line for line in text.splitlines() if line.strip().startswith(title))
    return line.strip().removeprefix(title).split()


# Settings


def found(*changes: dict[str, str]) -> list[tuple[Any, ...]]:
    """What differs between the tiny spec and changed ones."""
    specs = [compile_text(change) for change in ({}, *changes)]
    return [(d.path, *d.values) for d in differences([settings_of(spec) for spec in specs])]


def test_one_setting_is_named_by_its_path() -> None:
    assert found({"lr: 1e-2": "lr: 1e-3"}) == [("training.optimizer.adamw.lr", 0.01, 0.001)]
    assert found({"k: 3": "k: 4"}) == [("objective.supervised.metrics[1].top_k.k", 3, 4)]


def test_defaults_that_are_written_out_are_no_difference() -> None:
    assert found({"seed: 3": "seed: 3\n  device: auto"}) == []
    assert found({"lr: 1e-2": "lr: 1e-2, betas: [0.9, 0.999]"}) == []


def test_a_setting_that_one_spec_leaves_to_its_default() -> None:
    assert found({"  seed: 3\n": ""}) == [("training.seed", 3, 0)]


def test_another_choice_is_one_difference_without_defaults() -> None:
    path, first, second = found({"adamw: {lr: 1e-2}": "sgd: {lr: 0.1}"})[0]
    assert path == "training.optimizer"
    assert value_text(None) == "none"
    assert value_text(first) == "adamw: {lr: 0.01}"
    assert value_text(second) == "sgd: {lr: 0.1}"


def test_a_parameter_is_named_once_wherever_it_is_used() -> None:
    used = {"{width: 8}": "{width: 8, rate: 0.02}", "lr: 1e-2": "lr: $rate"}
    other = used | {"{width: 8}": "{width: 16, rate: 0.05}"}
    specs = [settings_of(compile_text(change)) for change in (used, other)]
    pairs = [(d.path, *d.values) for d in differences(specs)]
    assert pairs == [("params.width", 8, 16), ("params.rate", 0.02, 0.05)]


def test_an_expression_and_a_number_are_compared_by_value() -> None:
    same = {"{width: 8}": "{width: 8, rate: 0.01}", "lr: 1e-2": "lr: $rate"}
    assert found(same) == [("params.rate", ABSENT, 0.01)]


def test_an_argument_of_a_layer() -> None:
    assert found({"dropout: 0.1": "dropout: 0.2"}) == [
        ("networks.classifier.layers[5].dropout", 0.1, 0.2)
    ]


def test_of_an_added_layer_only_the_layer_is_shown() -> None:
    ((path, first, second),) = found({"      - relu\n": "      - relu\n      - dropout: 0.5\n"})
    assert path == "networks.classifier.layers"
    assert first is ABSENT
    assert value_text(first) == "-"
    assert value_text(second) == "dropout: 0.5"


def test_of_metrics_all_are_shown() -> None:
    """Also those that both have: else the metrics of one would seem to be none."""
    changes = {"[accuracy, {top_k: 3}]": "[accuracy, {top_k: 3}, f1]"}
    ((path, first, second),) = found(changes)
    assert path == "objective.supervised.metrics"
    assert value_text(first) == "accuracy, top_k: {k: 3}"
    assert value_text(second) == "accuracy, top_k: {k: 3}, f1"


def test_the_same_network_written_in_another_way_is_no_difference() -> None:
    assert found({"max_pool2d: 2": "max_pool2d: {kernel: 2}"}) == []


def test_three_specs_at_once() -> None:
    changes = [{"batch: 64": "batch: 32"}, {"seed: 3": "seed: 4"}]
    assert found(*changes) == [("training.seed", 3, 3, 4), ("training.batch", 64, 32, 64)]


# Runs


def test_finished_and_stopped_runs(finished: TrainResult, wide: Path, stopped: Path) -> None:
    found = compare([finished.folder, wide, stopped])
    assert [run.status for run in found.runs] == ["finished", "finished", "stopped"]
    assert found.labels == ("run", "wide", "stopped")
    parameters = [run.parameters for run in found.runs]
    assert parameters == [1378, 2746, 1378]
    assert (found.runs[2].epoch, found.runs[2].total_epochs) == (2, 40)
    assert (found.runs[0].step, found.runs[0].total_steps) == (68, 68)
    assert found.runs[2].step == 34
    assert found.runs[2].test == {}
    assert all(run.rate and run.rate > 0 for run in found.runs)
    paths = [difference.path for difference in found.settings]
    assert paths == [
        "params.width",
        "data.fields.image.augment[0].shift.pixels",
        "objective.supervised.metrics",
        "training.epochs",
    ]


def test_the_best_of_each_figure_is_marked(finished: TrainResult, wide: Path) -> None:
    found = compare([finished.folder, wide])
    figures = {(figure.kind, figure.name): figure for figure in found.figures}
    histories = [read_history(folder) for folder in (finished.folder, wide)]
    losses = [[record["validation"]["loss"] for record in history] for history in histories]
    assert figures["best", "loss"].values == tuple(min(values) for values in losses)
    assert figures["last", "loss"].values == tuple(values[-1] for values in losses)
    accuracies = [max(r["validation"]["accuracy"] for r in history) for history in histories]
    assert figures["best", "accuracy"].values == tuple(accuracies)
    assert figures["best", "accuracy"].best == {accuracies.index(max(accuracies))}
    assert figures["test", "top_3"].values[1] is None
    assert figures["test", "top_3"].best == frozenset()
    test = [finished.metrics["test"]["loss"], found.runs[1].test["loss"]]
    assert figures["test", "loss"].best == {test.index(min(test))}
    assert not found.notes


def test_a_loss_of_another_kind_is_not_marked(finished: TrainResult, tmp_path: Path) -> None:
    other = compile_text({"target: label}": "target: label, smoothing: 0.1}"})
    folder = train(other, output=tmp_path / "other", device="cpu").folder
    found = compare([finished.folder, folder])
    marked = {figure.name for figure in found.figures if figure.best}
    assert "loss" not in marked
    assert "accuracy" in marked
    assert found.notes == ("no loss is marked as the best, since the runs' objectives differ",)


def test_texts_that_are_written_for_people_change_no_objective() -> None:
    assert JUDGING.match("objective.language_model.carry")
    assert not JUDGING.match("objective.language_model.sample.prompt")
    assert not JUDGING.match("objective.supervised.stream")


def test_figures_of_other_samples_are_pointed_out(finished: TrainResult, tmp_path: Path) -> None:
    other = compile_text({"validation: 0.2": "validation: 0.1", "epochs: 4": "epochs: 1"})
    folder = train(other, output=tmp_path / "other", device="cpu").folder
    notes = compare([finished.folder, folder]).notes
    assert notes == (
        "the runs' figures may be of other samples or units: data.split.validation differs",
    )


def test_a_run_that_is_trained_right_now(stopped: Path) -> None:
    with run_lock(stopped, print):
        assert compare([stopped]).runs[0].status == "running"
    assert compare([stopped]).runs[0].status == "stopped"


def test_a_run_that_is_named_twice_is_taken_once(finished: TrainResult, wide: Path) -> None:
    again = finished.folder / ".." / finished.folder.name
    assert compare([finished.folder, wide, again]).labels == ("run", "wide")


def test_folders_of_one_name_are_told_apart(finished: TrainResult, tmp_path: Path) -> None:
    shutil.copytree(finished.folder, tmp_path / "b" / "run")
    shutil.copytree(finished.folder, tmp_path / "c" / "run")
    assert compare([tmp_path / "b" / "run", tmp_path / "c" / "run"]).labels == ("b/run", "c/run")


def test_what_the_runs_recorded_is_compared_too(
    finished: TrainResult, copy: Path, tmp_path: Path
) -> None:
    record = json.loads((copy / "run.json").read_text())
    record["versions"]["torch"] = "2.11.0"
    record["data"] = "/elsewhere"
    (copy / "run.json").write_text(json.dumps(record))
    plan = {
        "format": 1,
        "decisions": [
            {"what": "precision", "value": "bf16", "why": "faster", "by": "netwright"},
            {"what": "workers", "value": 4, "why": "files", "by": "measured"},
        ],
    }
    shutil.copytree(finished.folder, tmp_path / "first")
    other = {"format": 1, "decisions": [{"what": "workers", "value": "0"}, "?"]}
    (tmp_path / "first" / "plan.json").write_text(json.dumps(other))
    (copy / "plan.json").write_text(json.dumps(plan))
    found = compare([tmp_path / "first", copy])
    assert found.runs[1].precision == "bf16"
    assert [d.path for d in found.settings] == ["data folder", "plan.workers", "versions.torch"]
    assert found.settings[1].values == ("0", "4")
    (tmp_path / "first" / "plan.json").unlink()
    found = compare([tmp_path / "first", copy])
    assert [d.path for d in found.settings] == ["data folder", "versions.torch"]


# Damage


@pytest.mark.parametrize("content", [None, "{", '{"format": 99}'])
def test_no_run(finished: TrainResult, copy: Path, content: str | None) -> None:
    (copy / "run.json").unlink()
    if content is not None:
        (copy / "run.json").write_text(content)
    with pytest.raises(NetwrightError) as error:
        compare([finished.folder, copy])
    assert error.value.diagnostics[0].code is Code.R901


def test_a_damaged_summary(finished: TrainResult, copy: Path) -> None:
    (copy / "summary.json").write_text('{"metrics": ')
    found = compare([finished.folder, copy])
    assert found.runs[1].test == {}
    assert found.runs[1].validation["accuracy"].last is not None
    assert len(found.notes) == 1
    assert found.notes[0].startswith("copy: `summary.json` is damaged")


def test_a_summary_of_another_shape(finished: TrainResult, copy: Path) -> None:
    summary = {"metrics": {"test": {"loss": "low", "accuracy": None}}, "total_steps": "many"}
    (copy / "summary.json").write_text(json.dumps(summary))
    run = compare([finished.folder, copy]).runs[1]
    assert run.test == {}
    assert run.total_steps == 68, "the run has written it down elsewhere too"


def test_a_spec_that_no_longer_compiles(
    finished: TrainResult, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = (copy / "spec.yaml").read_text()
    (copy / "spec.yaml").write_text(spec.replace("- relu", "- snake"))
    found = compare([finished.folder, copy])
    assert found.runs[1].parameters is None
    assert found.notes[0].startswith("copy: its spec can't be compiled (S103: ")
    figures = {(figure.kind, figure.name): figure for figure in found.figures}
    assert figures["last", "accuracy"].values[1] is not None
    assert figures["best", "accuracy"].values[1] is None
    assert row_of(text_of(found, 80, monkeypatch), "parameters") == ["1,378", "-"]


def test_a_run_without_any_record(finished: TrainResult, copy: Path, tmp_path: Path) -> None:
    for name in ("metrics.jsonl", "summary.json"):
        (copy / name).unlink()
    shutil.rmtree(copy / "checkpoints")
    found = compare([finished.folder, copy])
    assert (found.runs[1].status, found.runs[1].epoch, found.runs[1].step) == ("cut off", 0, 0)
    assert found.runs[1].seconds is None
    with pytest.raises(NetwrightError) as error:
        draw_comparison(compare([copy]), tmp_path / "curves.png")
    assert error.value.diagnostics[0].code is Code.R901


# Shown


def test_nothing_in_a_run_acts_on_the_terminal(
    finished: TrainResult, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = json.loads((copy / "run.json").read_text())
    record["data"] = "\x1b[2J[bold]"
    (copy / "run.json").write_text(json.dumps(record))
    text = text_of(compare([finished.folder, copy]), 80, monkeypatch)
    assert "\\x1b[2J[bold]" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [80, 60, 200])
def test_the_table_fits_the_terminal(
    finished: TrainResult,
    wide: Path,
    stopped: Path,
    copy: Path,
    width: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = text_of(compare([finished.folder, wide, stopped, copy]), width, monkeypatch)
    assert max(map(len, text.splitlines())) <= width
    for label in ("run", "wide", "stopped", "copy"):
        assert sum(label in line.split() for line in text.splitlines()) >= 1
    assert "\x1b" not in text


def test_the_table_marks_the_best(
    finished: TrainResult, wide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = compare([finished.folder, wide])
    text = text_of(found, 80, monkeypatch)
    test = text[text.rindex("\ntest ") :]
    cells = row_of(test, "accuracy")
    best = next(f for f in found.figures if (f.kind, f.name) == ("test", "accuracy")).best
    assert [cell.endswith("*") for cell in cells] == [0 in best, 1 in best]
    assert row_of(test, "top_3")[1] == "-"
    assert row_of(text, "params.width") == ["8", "16"]
    assert row_of(text, "epochs") == ["4", "4"]


def test_an_unfinished_run_shows_how_far_it_came(
    stopped: Path, wide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = text_of(compare([wide, stopped]), 80, monkeypatch)
    assert row_of(text, "state")[:3] == ["finished", "stopped", "at"]
    assert row_of(text, "epochs") == ["4", "2", "of", "40"]


def test_curves_of_all_runs_are_drawn(finished: TrainResult, wide: Path, tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    found = compare([finished.folder, wide])
    assert shared_metrics(found.runs) == ["accuracy"]
    draw_comparison(found, path)
    two_panels, colors = drawn(path)
    assert {BLUE, ORANGE} <= colors
    draw_comparison(compare([finished.folder]), path)
    three_panels, colors = drawn(path)  # top_3 has a panel, where one run is all there is
    assert three_panels > two_panels
    assert ORANGE not in colors


def test_each_optimizer_has_a_panel_for_its_loss(finished: TrainResult) -> None:
    (run,) = compare([finished.folder]).runs
    assert shared_losses([run]) == ["loss"]
    trained = {"discriminator.loss": 0.7, "discriminator.real": 0.1, "generator.loss": 0.6}
    two = replace(run, history=[{**record, "train": trained} for record in run.history])
    assert shared_losses([two]) == ["discriminator.loss", "generator.loss"]
    assert shared_losses([run, two]) == ["loss", "discriminator.loss", "generator.loss"]
    assert shared_losses([replace(run, history=[])]) == ["loss"]


def test_the_same_curves_do_not_hide_each_other(
    finished: TrainResult, copy: Path, tmp_path: Path
) -> None:
    draw_comparison(compare([finished.folder, copy]), tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    panels = pixels[: int(image.height * 0.8)]  # without the legend
    shown = [int((panels == color).all(axis=-1).sum()) for color in (BLUE, ORANGE)]
    assert min(shown) > 400


def drawn(path: Path) -> tuple[int, set[object]]:
    """The width of a picture, and its colours."""
    with Image.open(path) as image:
        return image.width, {color for _, color in image.convert("RGB").getcolors(1 << 24) or []}


def test_many_runs_are_drawn_in_colours_of_their_own(finished: TrainResult, tmp_path: Path) -> None:
    for index in range(9):
        shutil.copytree(finished.folder, tmp_path / f"a_run_with_a_long_name_{index}")
    found = compare(sorted(tmp_path.glob("a_run*")))
    draw_comparison(found, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.height > image.width / 4


# Command


def test_the_command_prints_json_and_draws(
    finished: TrainResult, wide: Path, tmp_path: Path
) -> None:
    arguments = ["compare", str(finished.folder), str(wide), "--format", "json"]
    done = CliRunner().invoke(cli, [*arguments, "-o", str(tmp_path / "x.png")])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed == as_json(compare([finished.folder, wide]))
    assert printed["settings"][0] == {"path": "params.width", "values": {"run": 8, "wide": 16}}
    assert printed["runs"]["wide"]["status"] == "finished"
    best = next(f for f in printed["figures"] if (f["kind"], f["name"]) == ("test", "accuracy"))
    assert set(best["best"]) <= {"run", "wide"}
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"


def test_the_command_refuses_what_it_cannot_do(finished: TrainResult, tmp_path: Path) -> None:
    run = str(finished.folder)
    done = CliRunner().invoke(cli, ["compare", run, "-o", str(tmp_path / "x.pdf")])
    assert done.exit_code == 2
    assert "expected a name with .png" in done.stderr
    done = CliRunner().invoke(cli, ["compare", run, str(tmp_path)])
    assert done.exit_code == 1
    assert "error[R901]: expected a run's folder" in done.stderr


def test_comparing_imports_no_torch(finished: TrainResult, wide: Path, tmp_path: Path) -> None:
    probe = (
        "import sys; from netwright.cli import cli\n"
        "try: cli(sys.argv[1:])\n"
        "except SystemExit as end: assert not end.code\n"
        "print('LOADED', [n for n in ('torch', 'sklearn', 'onnxruntime') if n in sys.modules])"
    )
    arguments = ["compare", str(finished.folder), str(wide), "-o", str(tmp_path / "x.png")]
    done = subprocess.run(
        [sys.executable, "-c", probe, *arguments], capture_output=True, text=True, check=False
    )
    assert "LOADED []" in done.stdout, done.stdout[-500:] + done.stderr[-2000:]
