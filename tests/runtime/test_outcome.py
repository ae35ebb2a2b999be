"""How a run came to its end: it is written down, and everyone who uses the run tells it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from netwright.cli import cli
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime import checkpoint
from netwright.runtime.bundle import read_manifest
from netwright.runtime.compare.comparison import as_json, compare
from netwright.runtime.inspect import describe
from netwright.runtime.lock import run_lock
from netwright.runtime.observer import Observer, Progress
from netwright.runtime.outcome import OUTCOME, Outcome, outcome_of, write_outcome
from netwright.runtime.report.write import write_report
from netwright.runtime.train import TrainResult, train

from .pages import Page
from .test_trainer import WILD
from .tiny import SPEC, compile_text

REWINDS = "on_divergence: {action: rewind, lr_factor: 0.9, most: 2}"
DIVERGED = "diverged at step 2 of 34, after 2 rewinds"


class StopAt(Observer):
    """Asks the run to stop, as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        self._step = step

    def progress(self, progress: Progress) -> None:
        if progress.step >= self._step:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="module")
def diverged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that diverged at its second step, three times; its only checkpoint is of step 0."""
    folder = tmp_path_factory.mktemp("diverged") / "run"
    spec = compile_text({**WILD, "epochs: 4": f"epochs: 2\n  {REWINDS}"})
    with pytest.raises(NetwrightError):
        train(spec, output=folder, device="cpu")
    assert checkpoint.steps(folder) == [0]
    return folder


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stopped") / "run"
    result = train(compile_text(), output=folder, device="cpu", observer=StopAt(18))
    assert result.signal == signal.SIGINT
    return folder


def run_command(*words: object) -> tuple[str, str]:
    """What a command prints, and what it prints beside that."""
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


# What is written down


def test_a_finished_run(finished: TrainResult) -> None:
    outcome = outcome_of(finished.folder)
    assert (outcome.how, outcome.step, outcome.total_steps) == ("finished", 68, 68)
    assert str(outcome) == "finished"
    assert outcome.limits(finished.step) is None


def test_a_run_that_diverged(diverged: Path) -> None:
    outcome = outcome_of(diverged)
    assert (outcome.how, outcome.step, outcome.total_steps) == ("diverged", 2, 34)
    assert outcome.rewinds == 2
    assert str(outcome) == DIVERGED
    assert "at step 2; the output of `classifier." in outcome.why
    assert outcome.limits(0) == (
        f"the run {DIVERGED} (R904); this is its state of step 0: the weights it began with"
    )


def test_a_run_that_was_stopped_and_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = train(compile_text(), output=run, device="cpu", observer=StopAt(18))
    outcome = outcome_of(run)
    assert str(outcome) == f"stopped at step {result.step} of 68, by SIGINT"
    assert outcome.limits(result.step) == f"the run was {outcome}; this is its state of that step"
    train(compile_text(), output=run, device="cpu", resume=True)
    assert str(outcome_of(run)) == "finished"


def test_early_stopping(tmp_path: Path) -> None:
    changes = {
        "epochs: 4": "epochs: 40\n  early_stopping: {figure: accuracy, patience: 1}",
        "lr: 1e-2": "lr: 1e-9",
    }
    result = train(compile_text(changes), output=tmp_path / "run", device="cpu")
    outcome = outcome_of(tmp_path / "run")
    assert outcome.how == "early"
    assert str(outcome) == f"finished by early stopping at step {outcome.step} of 680"
    assert outcome.limits(result.step) is None


def test_a_killed_run_did_not_finish(tmp_path: Path) -> None:
    """Nothing can be written by a process that SIGKILL ends: what it wrote at its start tells."""
    (tmp_path / "spec.yaml").write_text(SPEC.replace("epochs: 4", "epochs: 4000"))
    run = tmp_path / "run"
    words = ["train", "spec.yaml", "-o", "run", "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "netwright", *words], cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until = time.monotonic() + 60
        while not (run / "metrics.jsonl").exists() or not checkpoint.steps(run):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert str(outcome_of(run)) == "still training"
    finally:
        process.kill()
        process.wait()
    outcome = outcome_of(run)
    assert outcome.how == "cut off"
    assert outcome.total_steps == 68_000
    newest = checkpoint.steps(run)[0]
    told = outcome.limits(newest)
    assert told
    assert told.startswith("the run did not finish: it was killed, or an error ended it; this is ")
    assert f"its state of step {newest:,} of 68,000" in told


def test_a_run_of_an_older_version(finished: TrainResult, tmp_path: Path, stopped: Path) -> None:
    for folder, how in ((finished.folder, "finished"), (stopped, "cut off")):
        copy = tmp_path / how
        copy.mkdir()
        for name in ("run.json", "summary.json"):
            if (folder / name).exists():
                (copy / name).write_bytes((folder / name).read_bytes())
        assert outcome_of(copy).how == how
        with run_lock(copy, lambda text: None):
            assert outcome_of(copy).how == "running"


def test_a_damaged_record(tmp_path: Path) -> None:
    write_outcome(tmp_path, Outcome(how="finished", step=2, total_steps=2))
    (tmp_path / OUTCOME).write_text('{"how": "well"}')
    with pytest.raises(NetwrightError, match=r"outcome\.json` is damaged") as caught:
        outcome_of(tmp_path)
    assert caught.value.diagnostics[0].code is Code.R901


# Who tells it


def test_evaluate_and_export_warn(diverged: Path, stopped: Path, tmp_path: Path) -> None:
    told = f"warning: {outcome_of(diverged).limits(0)}\n"
    assert run_command("evaluate", diverged)[1] == told
    assert run_command("export", diverged, "-o", tmp_path / "bundle")[1] == told
    step = checkpoint.steps(stopped)[0]
    told = f"warning: the run was stopped at step {step} of 68, by SIGINT; this is its state of "
    assert run_command("evaluate", stopped)[1].startswith(told)


def test_a_bundle_tells_what_it_is_of(
    diverged: Path, finished: TrainResult, bundle: Path, tmp_path: Path
) -> None:
    run_command("export", diverged, "-o", tmp_path / "bundle")
    manifest = read_manifest(tmp_path / "bundle")
    assert (manifest.step, manifest.total_steps, manifest.outcome) == (0, 34, DIVERGED)
    shown = describe(tmp_path / "bundle")
    assert f"trained 0 of 34 steps, the weights it began with; the run {DIVERGED}" in shown
    manifest = read_manifest(bundle)
    assert (manifest.step, manifest.total_steps) == (finished.step, 68)
    assert manifest.outcome == "finished"
    assert f"trained {finished.step} of 68 steps; the run finished" in describe(bundle)


def test_evaluate_and_export_of_a_finished_run_warn_of_nothing(
    finished: TrainResult, tmp_path: Path
) -> None:
    assert run_command("evaluate", finished.folder)[1] == ""
    assert run_command("export", finished.folder, "-o", tmp_path / "bundle")[1] == ""


def test_inspect_tells_it(diverged: Path, finished: TrainResult) -> None:
    shown = describe(diverged)
    assert f"  ended      {DIVERGED}\n  because    expected a finite `loss`" in shown
    assert "  ended      finished" in describe(finished.folder)


def test_compare_tells_it(diverged: Path, stopped: Path, finished: TrainResult) -> None:
    found = compare([diverged, stopped, finished.folder])
    assert [run.status for run in found.runs] == ["diverged", "stopped", "finished"]
    assert [run.total_steps for run in found.runs] == [34, 68, 68]
    runs = list(as_json(found)["runs"].values())
    assert [run["status"] for run in runs] == ["diverged", "stopped", "finished"]
    assert runs[0]["ended"] == DIVERGED
    shown = " ".join(run_command("compare", diverged, finished.folder)[0].split())
    assert "diverged at" in shown


def test_the_report_tells_it_at_its_top(diverged: Path, tmp_path: Path) -> None:
    report = write_report(diverged, output=tmp_path / "page.html")
    page = Page(report.path.read_text(encoding="utf-8"))
    head = Page(page.content[page.content.index("<header") : page.content.index("</header>") + 9])
    assert "diverged" in head.text
    assert DIVERGED in head.text
    assert "the first not finite" in head.text
    assert "this is its state of step 0" not in head.text
    assert "the weights it began with" in head.text
    assert json.loads((diverged / OUTCOME).read_text())["why"]
