"""Plans: what is decided and why, what is refused, and what a resumed run does with its plan."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from netwright.cli import cli
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.objectives.obstacles import Layers
from netwright.compiler.objectives.optimizers import Adagrad
from netwright.compiler.objectives.planning import Planning
from netwright.compiler.objectives.training import Training
from netwright.compiler.render import render
from netwright.runtime.opening import read_data
from netwright.runtime.plan import DamagedPlan, Plan, parse_plan, read_plan, table
from netwright.runtime.planning import measured, situation, timing
from netwright.runtime.planning.choose import choose, choose_plan, evaluation_plan
from netwright.runtime.planning.kernels import Flags, kernels
from netwright.runtime.planning.settle import settle_plan
from netwright.runtime.planning.situation import Machine, Work
from netwright.runtime.train import train

from ..conftest import Golden
from .test_train import Recorder, assert_same, stop_at, weights_of
from .tiny import SPEC, compile_text

GOLDENS = Path(__file__).parent / "plans"
CPU = torch.device("cpu")

PROCESSOR = Machine("cpu", "a CPU", frozenset({"fp32", "bf16", "fp16"}))
AMPERE = Machine("cuda", "an A100", frozenset({"fp32", "tf32", "bf16", "fp16"}))
PASCAL = Machine("cuda", "a P100", frozenset({"fp32", "fp16"}), no_compiler="`triton` is missing")
IMAGES = Work(frozenset({"conv2d", "linear"}), Training(), steps=440)
LSTM = frozenset({"lstm"})
VOLUMES = replace(IMAGES, operators=frozenset({"conv3d"}))
LARGE = replace(IMAGES, kernels=11_000_000)
CHANNELS_LAST = "channels_last"
FILES = replace(IMAGES, storage="files", home="loader", workers=7)


def asking(work: Work, **settings: Any) -> Work:
    """The work of a spec that also asks for something in `training`."""
    return replace(work, settings=Training(**settings))


TABLES: dict[str, tuple[Work, Machine]] = {
    "images_on_a_cpu": (IMAGES, PROCESSOR),
    "images_on_a_new_gpu": (IMAGES, AMPERE),
    "images_on_an_old_gpu": (IMAGES, PASCAL),
    "files_for_four_gpus": (FILES, replace(AMPERE, processes=4)),
    "words_on_a_gpu": (replace(IMAGES, operators=LSTM, layers=Layers(LSTM, reading=LSTM)), AMPERE),
    "sentences_on_a_gpu": (replace(IMAGES, operators=frozenset({"linear"}), varies=True), AMPERE),
    "asked_for": (
        asking(
            IMAGES,
            precision="bf16",
            deterministic=True,
            plan=Planning(workers=3, memory_format="contiguous", compile=True, optimizer="plain"),
        ),
        AMPERE,
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_decisions(case: str, golden: Golden) -> None:
    text = "\n".join(table(choose(*TABLES[case]))) + "\n"
    golden(GOLDENS / f"{case}.txt", text)


@pytest.mark.parametrize(
    ("work", "machine", "expected"),
    [
        (VOLUMES, PROCESSOR, {"memory_format": "channels_last_3d"}),
        (replace(LARGE, settings=Training(batch=64)), PROCESSOR, {"memory_format": CHANNELS_LAST}),
        (replace(LARGE, settings=Training(batch=31)), PROCESSOR, {"memory_format": "contiguous"}),
        (asking(LARGE, batch=64, accumulate=4), PROCESSOR, {"memory_format": "contiguous"}),
        (
            asking(LARGE, batch=64),
            replace(PROCESSOR, processes=4),
            {"memory_format": "contiguous"},
        ),
        (asking(LARGE, batch=8), AMPERE, {"memory_format": CHANNELS_LAST}),
        (VOLUMES, AMPERE, {"memory_format": "contiguous"}),
        (asking(IMAGES, precision="fp32"), AMPERE, {"memory_format": "contiguous"}),
        (FILES, PROCESSOR, {"data": "loader", "workers": 7}),
        (replace(IMAGES, home="loader"), AMPERE, {"data": "loader", "workers": 0}),
        (asking(FILES, plan=Planning(data="device")), AMPERE, {"data": "device", "workers": 0}),
        (asking(IMAGES, plan=Planning(workers=2)), AMPERE, {"data": "loader", "workers": 2}),
        (asking(IMAGES, optimizer=Adagrad()), AMPERE, {"optimizer": "foreach"}),
        (asking(IMAGES, plan=Planning(graphs=True)), AMPERE, {"graphs": True}),
        (
            replace(asking(IMAGES, plan=Planning(graphs=True)), layers=Layers(recurrent=LSTM)),
            AMPERE,
            {"graphs": True},
        ),
    ],
)
def test_values(work: Work, machine: Machine, expected: dict[str, Any]) -> None:
    found = choose(work, machine)
    assert {name: getattr(found, name) for name in expected} == expected


REFUSED: dict[str, tuple[Work, Machine]] = {
    "tf32_on_a_cpu": (asking(IMAGES, precision="tf32"), PROCESSOR),
    "bf16_on_an_old_gpu": (asking(IMAGES, precision="bf16"), PASCAL),
    "graphs_on_a_cpu": (asking(IMAGES, plan=Planning(graphs=True)), PROCESSOR),
    "graphs_in_several_processes": (
        asking(IMAGES, plan=Planning(graphs=True)),
        replace(AMPERE, processes=2),
    ),
    "no_compiler": (asking(IMAGES, plan=Planning(compile=True)), PASCAL),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str, golden: Golden) -> None:
    with pytest.raises(NetwrightError) as caught:
        choose(*REFUSED[case])
    assert caught.value.diagnostics[0].code is Code.R905
    golden(GOLDENS / f"{case}.txt", render(list(caught.value.diagnostics), "text"))


def test_a_refusal_points_at_the_spec(tmp_path: Path) -> None:
    with pytest.raises(NetwrightError) as caught:
        train(compile_text({"seed: 3": "plan: {graphs: true}"}), output=tmp_path / "run")
    span = caught.value.diagnostics[0].span
    assert span is not None
    assert SPEC.splitlines()[span.line - 1] == "  seed: 3"
    assert not (tmp_path / "run").exists()


# The command


def test_train_with_plan_shows_it_and_trains_nothing(
    golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(situation, "_no_cpu_compiler", lambda: None)  # not every machine has one
    Path("tiny.yaml").write_text(SPEC)
    result = CliRunner().invoke(cli, ["train", "tiny.yaml", "--plan", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    golden(GOLDENS / "command.txt", result.output)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_plan_takes_no_option_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPEC)
    for option in (["--resume"], ["-o", "x"], ["--tensorboard"]):
        result = CliRunner().invoke(cli, ["train", str(tmp_path / "tiny.yaml"), "--plan", *option])
        assert result.exit_code == 2
        assert "--plan begins no run" in result.output


# What a run keeps of its plan


def test_a_plan_is_written_and_read_back(tmp_path: Path) -> None:
    for work, machine in TABLES.values():
        plan = choose(work, machine)
        plan.write(tmp_path)
        assert read_plan(tmp_path) == plan


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A run that was stopped at step 5."""
    train(compile_text(), output=tmp_path / "run", device="cpu", observer=stop_at(5))
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def _look_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netwright.runtime.trainer.LOOK_STEPS", 1)


def settled(run: Path, warn: Callable[[str], None] = pytest.fail) -> Plan:
    """What a resumed run would do; no warning is expected unless one is taken."""
    compilation = compile_text()
    return settle_plan(compilation, read_data(compilation, Path()), CPU, run, warn)


def changed(run: Path, change: Callable[[Any], object]) -> None:
    record = json.loads((run / "plan.json").read_text())
    change(record)
    (run / "plan.json").write_text(json.dumps(record))


def value_of(record: Any, what: str, value: object) -> None:
    (decision,) = (d for d in record["decisions"] if d["what"] == what)
    decision["value"] = value


def test_a_resumed_run_keeps_its_plan(stopped: Path) -> None:
    changed(stopped, lambda record: value_of(record, "memory_format", "contiguous"))
    before = (stopped / "plan.json").read_bytes()
    assert settled(stopped).memory_format == "contiguous"
    observer = Recorder()
    train(compile_text(), output=stopped, resume=True, device="cpu", observer=observer)
    assert (stopped / "plan.json").read_bytes() == before
    assert observer.warnings == []


DAMAGE: dict[str, Callable[[Any], object]] = {
    "value": lambda record: value_of(record, "memory_format", "upside_down"),
    "type": lambda record: value_of(record, "compile", ["yes"]),
    "number": lambda record: value_of(record, "workers", "100000"),
    "twice": lambda record: record["decisions"].append(record["decisions"][0]),
    "missing": lambda record: record["decisions"].pop(),
    "foreign": lambda record: record["decisions"][0].update(what="device"),
    "format": lambda record: record.update(format=2),
    "extra": lambda record: record.update(run="rm -rf"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_plan_is_decided_anew(damage: str, stopped: Path) -> None:
    good = read_plan(stopped)
    changed(stopped, DAMAGE[damage])
    with pytest.raises(DamagedPlan):
        read_plan(stopped)
    warnings: list[str] = []
    assert settled(stopped, warnings.append) == good
    assert read_plan(stopped) == good, "it is written again"
    assert len(warnings) == 1
    assert "decided anew" in warnings[0]


@pytest.mark.parametrize("content", ["", "[]", "null", "[" * 100_000, "\x00", '{"format": 1}'])
def test_a_file_that_is_no_plan(content: str, stopped: Path) -> None:
    (stopped / "plan.json").write_text(content)
    with pytest.raises(DamagedPlan):
        read_plan(stopped)


def test_a_missing_plan_is_decided_anew(stopped: Path) -> None:
    (stopped / "plan.json").unlink()
    observer = Recorder()
    train(compile_text(), output=stopped, resume=True, device="cpu", observer=observer)
    assert "it is missing; it is decided anew" in observer.warnings[0]
    assert read_plan(stopped).device == "cpu"


def test_another_device_is_told_loudly(stopped: Path) -> None:
    changed(stopped, lambda record: record.update(device="cuda"))
    warnings: list[str] = []
    assert settled(stopped, warnings.append).device == "cpu"
    assert "began on cuda and goes on on cpu" in warnings[0]


def test_a_plan_that_does_not_work_here(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(stopped, lambda record: value_of(record, "compile", "yes"))
    monkeypatch.setenv("CXX", "no-such-compiler")
    warnings: list[str] = []
    assert settled(stopped, warnings.append).compile is False
    assert "there is no C++ compiler `no-such-compiler`" in warnings[0]


# Measured plans


@pytest.fixture
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WARM_UP": 2, "ROUNDS": 3, "ROUND_SECONDS": 0.001}.items():
        monkeypatch.setattr(timing, name, value)


@pytest.mark.usefixtures("_hurried")
def test_a_measured_plan_changes_nothing_but_the_plan(tmp_path: Path) -> None:
    """Weights, order and random numbers are those of a run that is told the same values."""
    asked = {"seed: 3": "seed: 3\n  plan: measured", "epochs: 4": "epochs: 1"}
    run = train(compile_text(asked), output=tmp_path / "run", device="cpu")
    plan = read_plan(run.folder)
    by = {decision.what: decision.by for decision in plan.decisions}
    assert by["memory_format"] == by["optimizer"] == "measured"
    assert {by["data"], by["graphs"], by["compile"]} == {"netwright"}
    tried = {(timing.what, timing.value) for timing in plan.timings}
    assert tried == {
        *(("memory_format", value) for value in ("contiguous", "channels_last")),
        *(("optimizer", value) for value in ("fused", "foreach", "plain")),
    }
    assert all(timing.milliseconds and timing.milliseconds > 0 for timing in plan.timings)

    values = f"{{memory_format: {plan.memory_format}, optimizer: {plan.optimizer}}}"
    told = {"seed: 3": f"seed: 3\n  plan: {values}", "epochs: 4": "epochs: 1"}
    other = train(compile_text(told), output=tmp_path / "told", device="cpu")
    assert_same(weights_of(run.folder), weights_of(other.folder))


@pytest.mark.usefixtures("_hurried")
def test_a_measured_plan_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compilation = compile_text({"seed: 3": "seed: 3\n  plan: measured"})
    run = tmp_path / "run"
    train(compilation, output=run, device="cpu", observer=stop_at(5))
    before = (run / "plan.json").read_bytes()
    monkeypatch.setattr(measured, "compare", lambda candidates: pytest.fail("again"))
    train(compilation, output=run, resume=True, device="cpu")
    assert (run / "plan.json").read_bytes() == before


@pytest.mark.usefixtures("_hurried")
def test_what_the_spec_asks_for_is_not_measured(tmp_path: Path) -> None:
    asked = "{choose: measured, memory_format: contiguous, data: loader}"
    compilation = compile_text({"seed: 3": f"seed: 3\n  plan: {asked}", "epochs: 4": "steps: 2"})
    plan = read_plan(train(compilation, output=tmp_path / "run", device="cpu").folder)
    assert {timing.what for timing in plan.timings} == {"optimizer", "workers"}
    assert plan.memory_format == "contiguous"


@pytest.mark.usefixtures("_hurried")
@pytest.mark.parametrize(
    ("shares", "changes"),
    [
        ([0.98] * 9, False),
        ([0.9] * 9, True),
        ([0.9] * 8 + [1.5], True),
        ([0.9] * 7 + [1.5] * 2, False),
        ([0.9, 0.9, 1.1], False),
    ],
)
def test_a_gain_must_be_more_than_noise(
    shares: list[float], changes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is ours: what part every candidate takes of the time by the rules, by rounds."""

    def clocked(candidates: Sequence[timing.Candidate]) -> None:
        for index, candidate in enumerate(candidates):
            candidate.times = shares if index else [1.0] * len(shares)

    monkeypatch.setattr(measured, "compare", clocked)
    compilation = compile_text({"seed: 3": "seed: 3\n  plan: measured"})
    dataset = read_data(compilation, Path())
    plan = settle_plan(compilation, dataset, CPU, None, pytest.fail)
    assert (plan.memory_format == "contiguous") is changes
    assert (plan.optimizer != "fused") is changes
    other = next(timing for timing in plan.timings if timing.value == "contiguous")
    assert other.milliseconds == pytest.approx(1000 * median(shares))
    assert ("too little to change" in other.note) is not changes


@pytest.mark.slow
def test_a_candidate_that_fails_is_left_out(tmp_path: Path) -> None:
    """A long run would repay compiling, but the compiler is broken."""
    text = SPEC.replace("epochs: 4", "steps: 10000000\n  plan: measured")
    (tmp_path / "tiny.yaml").write_text(text)
    command = [sys.executable, "-m", "netwright", "train", "tiny.yaml", "--plan"]
    environment = {**os.environ, "CXX": "false", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [*command, "--device", "cpu"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("compile"))
    assert line.split()[:3] == ["compile", "no", "measured"]
    assert "yes (expected torch.compile to translate the step" in line


def test_an_evaluation_passes_over_requests_for_training() -> None:
    """A run of a GPU is measured on a CPU too."""
    asked = "  precision: tf32\n  plan: {graphs: true}"
    compilation = compile_text({"seed: 3": f"seed: 3\n{asked}"})
    dataset = read_data(compilation, Path())
    with pytest.raises(NetwrightError):
        choose_plan(compilation, dataset, CPU)
    plan = evaluation_plan(compilation, dataset, CPU)
    assert (plan.precision, plan.memory_format) == ("fp32", "channels_last")


# torch's switches


def test_switches_are_set_for_a_gpu_and_put_back() -> None:
    """They can be set without one."""
    before = Flags.now()
    with kernels(Plan(device="cuda", precision="tf32")):
        assert Flags.now() == Flags((True, True), 0, False, True)
    assert Flags.now() == before
    with kernels(Plan(device="cuda", precision="fp32", deterministic=True)):
        assert Flags.now() == Flags((False, False), 2, True, False)
        assert torch.backends.cudnn.allow_tf32 is False, "the older names can be read"
    assert Flags.now() == before
    with kernels(Plan(device="cpu", deterministic=True)):
        assert Flags.now() == before


def test_an_operation_without_a_deterministic_kernel() -> None:
    with (
        pytest.raises(NetwrightError, match="torch has none for `put_`") as caught,
        kernels(Plan(device="cuda", deterministic=True)),
    ):
        torch.zeros(3).put_(torch.tensor([1]), torch.ones(1))
    assert caught.value.diagnostics[0].code is Code.R905
    assert not torch.are_deterministic_algorithms_enabled()


def test_what_is_parsed_is_a_whole_plan() -> None:
    record = choose(IMAGES, PROCESSOR).record()
    assert parse_plan(record).record() == record
