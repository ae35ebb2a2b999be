"""`netwright train --nproc`: real launchers and processes, killed, stopped and started anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from netwright.cli import cli
from netwright.runtime import checkpoint
from netwright.runtime.distributed.joining import EXIT_LOST, EXIT_TOLD
from netwright.runtime.distributed.launch import _ending, _stopped_by
from netwright.runtime.history import read_history
from netwright.runtime.train import train

from .processes import in_processes, values
from .test_train import assert_same, weights_of
from .tiny import SPEC, compile_text

LONG = SPEC.replace("epochs: 4", "epochs: 12")
"""Long enough to be surely disturbed before its end."""

SECONDS = 120


@contextmanager
def launched(folder: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A run of two processes in `folder`/run; killed at the end if it still goes on."""
    (folder / "tiny_digits.yaml").write_text(LONG)
    command = [sys.executable, "-m", "netwright", "train", "tiny_digits.yaml", "-o", "run"]
    process = subprocess.Popen(
        [*command, "--device", "cpu", "--nproc", "2", *more],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(process: subprocess.Popen[str], holds: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def process_of_rank(launcher: int, rank: int) -> int:
    """The child of a launcher that has a rank."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended, or is not ours
            continue
        if parent == launcher and f"RANK={rank}".encode() in variables:
            return int(folder.name)
    raise AssertionError(f"no process of rank {rank}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that was never disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    compilation = compile_text(text=LONG)
    values(
        in_processes(
            2, lambda world: bool(train(compilation, output=folder, device="cpu", world=world))
        )
    )
    return folder


@pytest.mark.slow
def test_a_killed_process_is_started_anew(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with launched(tmp_path, "--max-restarts", "1") as launcher:
        wait_until(launcher, lambda: len(read_history(run)) >= 2)
        os.kill(process_of_rank(launcher.pid, 1), signal.SIGKILL)
        output, errors = launcher.communicate(timeout=SECONDS)
    assert launcher.returncode == 0, errors
    assert "warning: the process of rank 1 was killed by SIGKILL; starting all 2 anew" in errors
    assert "going on at step" in errors
    assert "Traceback" not in errors
    assert "UserWarning" not in errors
    assert output.count("run: run") == 1
    assert_same(weights_of(whole), weights_of(run))
    assert not list(run.rglob(".netwright-*"))


@pytest.mark.slow
def test_a_signal_to_the_launcher_stops_all_with_a_checkpoint(whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with launched(tmp_path) as launcher:
        wait_until(launcher, lambda: len(read_history(run)) >= 2)
        launcher.send_signal(signal.SIGTERM)
        _, errors = launcher.communicate(timeout=SECONDS)
    assert launcher.returncode == 128 + signal.SIGTERM, errors
    step = checkpoint.steps(run)[0]
    assert errors.count(f"stopped at step {step}") == 1
    assert "--resume" in errors
    assert "Traceback" not in errors
    with launched(tmp_path, "--resume") as launcher:
        _, errors = launcher.communicate(timeout=SECONDS)
    assert launcher.returncode == 0, errors
    assert f"going on at step {step}" in errors
    assert_same(weights_of(whole), weights_of(run))


def test_a_mistake_is_told_once_by_real_processes(tmp_path: Path) -> None:
    """A taken folder: rank 0 alone finds it, and a restart would not help."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("precious")
    with launched(tmp_path, "--max-restarts", "3") as launcher:
        output, errors = launcher.communicate(timeout=SECONDS)
    assert launcher.returncode == 1
    assert output == ""
    assert errors.count("R903") == 1
    assert "restart" not in errors
    assert "Traceback" not in errors


def test_options_that_do_not_go_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    result = CliRunner().invoke(cli, ["train", str(spec), "--max-restarts", "2"])
    assert result.exit_code == 2
    assert "--max-restarts needs --nproc" in result.output
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = CliRunner().invoke(cli, ["train", str(spec), "--nproc", "2"])
    assert result.exit_code == 2
    assert "leave --nproc out" in result.output
    result = CliRunner().invoke(cli, ["run", str(spec)])
    assert result.exit_code == 2
    assert "`run` takes one process" in result.output


def test_more_processes_than_a_machine_bears(tmp_path: Path) -> None:
    """Two hundred of them took a machine of two cores down."""
    (tmp_path / "spec.yaml").write_text(SPEC.replace("batch: 64", "batch: 1000000"))
    result = CliRunner().invoke(cli, ["train", str(tmp_path / "spec.yaml"), "--nproc", "100000"])
    assert result.exit_code == 1
    assert "error[R905]: expected at most" in result.output
    assert "found `--nproc 100000`" in result.output
    assert not (tmp_path / "runs").exists()


def test_more_processes_than_samples_in_a_batch(tmp_path: Path) -> None:
    changed = SPEC.replace("batch: 64", "batch: 4\n  accumulate: 2")
    (tmp_path / "spec.yaml").write_text(changed)
    result = CliRunner().invoke(cli, ["train", str(tmp_path / "spec.yaml"), "--nproc", "3"])
    assert result.exit_code == 1
    assert "error[F601]: expected at least 6 samples in a batch, one for each of" in result.output


@pytest.mark.parametrize(
    ("codes", "stopped"),
    [
        ({0: 143, 1: 143}, signal.SIGTERM),
        ({0: 130}, signal.SIGINT),
        ({0: -15, 1: 143}, signal.SIGTERM),
        ({0: -15, 1: EXIT_LOST}, signal.SIGTERM),
        ({0: -15, 1: -9}, None),
        ({0: EXIT_TOLD, 1: -15}, None),
        ({0: EXIT_LOST, 1: 1}, None),
        ({}, None),
    ],
)
def test_who_stopped_the_processes(codes: dict[int, int], stopped: int | None) -> None:
    assert _stopped_by(codes) == stopped


def test_which_process_ended_first() -> None:
    assert _ending({0: -15, 1: -9}) == "the process of rank 1 was killed by SIGKILL"
    assert _ending({0: EXIT_LOST, 1: 1}) == "the process of rank 1 ended with code 1"
    assert _ending({2: EXIT_LOST}) == f"the process of rank 2 ended with code {EXIT_LOST}"
