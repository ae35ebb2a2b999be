"""`training.grow`: weights that go on, fades, kept stages, and runs that are stopped anywhere."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from netwright.cli import cli
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.driver import Compilation
from netwright.runtime import checkpoint, trainer
from netwright.runtime.checkpoint import Checkpoint, folder_of, load
from netwright.runtime.compare.read import read
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run
from netwright.runtime.growing import Course
from netwright.runtime.history import read_history
from netwright.runtime.inspect import describe
from netwright.runtime.objectives.gan import Gan
from netwright.runtime.opening import open_run
from netwright.runtime.report.write import write_report
from netwright.runtime.session import load as load_bundle
from netwright.runtime.snapshot import use
from netwright.runtime.stages import find_stage, kept, stage_at
from netwright.runtime.train import TrainResult, train
from torch import Tensor

from .processes import in_processes, values
from .test_train import Recorder, stop_at
from .test_vae import assert_resumes, batch_of, fresh
from .tiny import compile_text

SPEC = """\
spec: v1
name: tiny_growing
params: {stage: 2, width: $(16 * (1 + stage))}
data:
  source: {ring: {modes: 4, radius: 1, std: 0.1, samples: 512, test_samples: 128}}
  split: {validation: 0.1}
networks:
  generator:
    inputs: {z: {shape: [B, 2]}, fade: {shape: [B]}}
    layers:
      - {id: stem, from: z, layers: [{linear: 16}, relu]}
      - {id: old, linear: 2}
      - {id: share, from: fade, reshape: [1]}
      - {id: more, when: $(stage >= 1), from: stem, layers: [{linear: 16}, {linear: 2}]}
      - {id: part, when: $(stage >= 1), else: none, from: [more, share], mul: {broadcast: true}}
      - {id: whole, when: $(stage >= 1), else: old, from: [old, part], add: {}}
      - {id: last, when: $(stage >= 2), layers: [{linear: $width}, relu, {linear: 2}]}
    outputs: point
  discriminator:
    inputs: {point: {shape: [B, 2]}, fade: {shape: [B]}}
    layers:
      - {id: share, from: fade, reshape: [1]}
      - {id: scaled, from: [point, share], mul: {broadcast: true}}
      - {id: both, from: [point, scaled], concat: {}}
      - {linear: 16}
      - relu
      - {when: $(stage >= 1), layers: [{linear: 16}, relu]}
      - {linear: 1}
    outputs: score
objective:
  gan: {generator: generator, discriminator: discriminator, real: point, loss: non_saturating}
training:
  seed: 0
  batch: 64
  steps: 36
  optimizers: {generator: {adam: {lr: 5e-3}}, discriminator: {adam: {lr: 5e-3}}}
  ema: 0.9
  validation: {steps: 8}
  grow: {param: stage, values: [0, 1, 2], steps: [12, 24], fade: {input: fade, steps: 8}}
"""

DIGITS = """\
spec: v1
name: tiny_growing_digits
params: {depth: 2}
data: {source: digits, split: {validation: 0.2}}
networks:
  classifier:
    inputs: {image: {shape: [B, 1, 8, 8]}}
    layers:
      - flatten
      - {id: first, linear: 16}
      - relu
      - {id: middle, when: $(depth >= 2), layers: [{linear: 16}, relu]}
      - {id: last, linear: 10}
    outputs: logits
objective:
  supervised:
    network: classifier
    losses: [{cross_entropy: {output: logits, target: label}}]
    metrics: [accuracy]
training:
  batch: 64
  steps: 80
  optimizer: {adamw: {lr: 2e-2}}
  validation: {steps: 10}
  checkpoint: {best: accuracy}
  grow: {param: depth, values: [1, 2], steps: [40]}
"""


@pytest.fixture(scope="module")
def spec() -> Compilation:
    return compile_text(text=SPEC)


@pytest.fixture(scope="module")
def finished(spec: Compilation, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(spec, output=tmp_path_factory.mktemp("growing") / "run", device="cpu")


@pytest.fixture
def _look_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "LOOK_STEPS", 1)


def stopped_at(step: int, spec: Compilation, run: Path) -> Checkpoint:
    """The state of a run that was stopped after a step."""
    result = train(spec, output=run, device="cpu", observer=stop_at(step))
    assert (result.step, checkpoint.steps(run)[0]) == (step, step)
    return load(folder_of(run, step))


def flat(networks: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {f"{n}.{name}": x for n, tensors in networks.items() for name, x in tensors.items()}


# What a stage begins with


@pytest.mark.usefixtures("_look_every_step")
def test_a_stage_begins_with_the_tensors_of_the_one_before(
    spec: Compilation, tmp_path: Path
) -> None:
    new = stopped_at(12, spec, tmp_path / "run")
    old = load(folder_of(kept(tmp_path / "run", 0), 12))
    for before, after in ((old.weights, new.weights), (old.averages, new.averages)):
        known, found = flat(before), flat(after)
        assert all(torch.equal(x, found[name]) for name, x in known.items())
        added = {name.split(".")[1] for name in found.keys() - known.keys()}
        assert added == {"more", "layers_0"}
    drawn = new.weights["generator"]["more.0.weight"]
    assert torch.equal(drawn, new.averages["generator"]["more.0.weight"])
    assert any(name.startswith("optimizer/") for name in old.tensors)
    assert not any(name.startswith("optimizer/") for name in new.tensors)


@pytest.mark.usefixtures("_look_every_step")
@pytest.mark.parametrize(
    ("step", "value"),
    [(5, 1.0), (12, 0.0), (13, 0.0), (17, 0.5), (22, 1.0), (24, 0.0), (30, 0.625)],
)
def test_a_fade_rises_from_the_first_step_of_each_stage_but_the_first(
    step: int, value: float, spec: Compilation, tmp_path: Path
) -> None:
    """A state has the fade of its last step, or of its first one where it has taken none."""
    state = stopped_at(step, spec, tmp_path / "run")
    assert float(state.tensors["objective/fade"]) == value


@pytest.mark.usefixtures("_look_every_step")
def test_a_stage_makes_what_the_one_before_made_as_long_as_its_fade_is_0(
    spec: Compilation, tmp_path: Path
) -> None:
    new = stopped_at(12, spec, tmp_path / "run")
    old = load(folder_of(kept(tmp_path / "run", 0), 12))
    noise, made = torch.randn(7, 2, generator=torch.Generator().manual_seed(0)), []
    for stage, saved in zip(spec.stages[:2], (old, new), strict=True):
        objective = fresh(stage)
        assert isinstance(objective, Gan)
        use(saved, stage.graphs, objective, tmp_path)
        made.append(objective.drawn(noise, {}).detach())
    torch.testing.assert_close(*made)
    assert evaluate(tmp_path / "run").keys() == {
        "discriminator.loss", "generator.loss", "discriminator.real", "discriminator.fake",
    }  # fmt: skip


# Runs that are stopped


@pytest.mark.parametrize("step", [5, 11, 12, 13, 18, 24, 31])
def test_stopped_and_resumed_is_bit_identical(
    step: int,
    spec: Compilation,
    finished: TrainResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert_resumes(spec, finished, tmp_path / "run", step, monkeypatch)
    history = [[r["step"], r["train"]] for r in read_history(tmp_path / "run")]
    assert history == [[r["step"], r["train"]] for r in read_history(finished.folder)]


class KilledError(Exception):
    pass


@pytest.mark.parametrize("number", [0, 1])
def test_a_run_that_is_killed_between_two_stages_goes_on(
    number: int,
    spec: Compilation,
    finished: TrainResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The end of the old stage is kept, and the state of the new one not yet written."""
    grown = Course._grown

    def die(course: Course, old: trainer.Trainer) -> trainer.Trainer:
        if old.job.stage == number:
            raise KilledError
        return grown(course, old)

    run = tmp_path / "run"
    monkeypatch.setattr(Course, "_grown", die)
    with pytest.raises(KilledError):
        train(spec, output=run, device="cpu")
    assert kept(run, number).is_dir()
    assert open_run(run).stage == number
    monkeypatch.setattr(Course, "_grown", grown)
    assert_ends_alike(train(spec, output=run, device="cpu", resume=True), finished)


def test_a_signal_between_two_stages_stops_at_the_first_state_of_the_next(
    spec: Compilation, finished: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = Course._grown

    def asked(course: Course, old: trainer.Trainer) -> trainer.Trainer:
        if old.job.stage == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return grown(course, old)

    run = tmp_path / "run"
    monkeypatch.setattr(Course, "_grown", asked)
    stopped = train(spec, output=run, device="cpu")
    assert (stopped.signal, stopped.step) == (signal.SIGTERM, 12)
    assert open_run(run).stage == 1
    assert_ends_alike(train(spec, output=run, device="cpu", resume=True), finished)


def assert_ends_alike(result: TrainResult, other: TrainResult) -> None:
    first, second = (load(folder_of(one.folder, one.step)) for one in (result, other))
    assert result.metrics == other.metrics
    for found, wanted in ((first.weights, second.weights), (first.averages, second.averages)):
        tensors, expected = flat(found), flat(wanted)
        assert tensors.keys() == expected.keys()
        assert all(torch.equal(x, expected[name]) for name, x in tensors.items())
    assert all(torch.equal(x, second.tensors[name]) for name, x in first.tensors.items())


@pytest.mark.usefixtures("_look_every_step")
def test_a_damaged_state_gives_way_to_one_of_the_stage_before(
    spec: Compilation, finished: TrainResult, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    stopped_at(13, spec, run)
    for step in checkpoint.steps(run):
        if step >= 12:
            (folder_of(run, step) / "training.json").write_text("{}")
    observer = Recorder()
    with pytest.raises(NetwrightError) as caught:  # 12 and 13 are all that is left
        train(spec, output=run, device="cpu", resume=True, observer=observer)
    assert caught.value.diagnostics[0].code is Code.R901
    again = tmp_path / "again"
    stopped_at(12, spec, again)
    (folder_of(again, 12) / "training.json").write_text("{}")
    result = train(spec, output=again, device="cpu", resume=True, observer=observer)
    assert_ends_alike(result, finished)


# Stages that are used


def test_each_stage_is_exported_as_it_is_at_the_end_of_its_fade(
    spec: Compilation, finished: TrainResult
) -> None:
    noise = torch.randn(5, 2, generator=torch.Generator().manual_seed(1))
    for number, steps in enumerate((12, 24)):
        result = export_run(finished.folder, stage=str(number))
        assert result.folder == kept(finished.folder, number) / "bundle"
        manifest = result.manifest
        assert (manifest.stage, manifest.step) == (str(number), steps)
        assert manifest.metrics["validation"]["generator.loss"] is not None
        objective = fresh(spec.stages[number])
        assert isinstance(objective, Gan)
        saved = load(folder_of(kept(finished.folder, number), steps))
        use(saved, spec.stages[number].graphs, objective, finished.folder)
        assert float(objective.state["fade"]) == 1
        expected = objective.drawn(noise, {}).detach().numpy()
        found = load_bundle(result.folder).program("generate")(noise=noise.numpy())["point"]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        assert evaluate(result.folder).keys() == finished.metrics["test"].keys()
        assert f"value {number}" in describe(result.folder)


def test_the_newest_stage_is_exported_unless_another_is_asked_for(finished: TrainResult) -> None:
    result = export_run(finished.folder)
    assert (result.manifest.stage, result.manifest.step) == ("2", 36)
    assert evaluate(result.folder) == pytest.approx(finished.metrics["test"], abs=1e-4)
    assert evaluate(finished.folder) == pytest.approx(finished.metrics["test"])
    assert export_run(finished.folder, stage="2").folder == result.folder
    assert load_bundle(result.folder).program("discriminate").inputs.keys() == {"point"}


def test_the_command_exports_a_stage(finished: TrainResult, tmp_path: Path) -> None:
    asked = ["export", str(finished.folder), "--stage", "0", "-o", str(tmp_path / "bundle")]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 0, done.output
    assert f"bundle: {tmp_path / 'bundle'}" in done.output
    assert "end of stage 1, step 24: whole" in describe(finished.folder)


@pytest.mark.usefixtures("_look_every_step")
def test_stages_that_are_not_there_are_refused(
    spec: Compilation, finished: TrainResult, tmp_path: Path
) -> None:
    stopped_at(5, spec, tmp_path / "run")
    assert open_run(tmp_path / "run").stage == 0
    for run, value, code in (
        (finished.folder, "7", Code.E202),
        (tmp_path / "run", "1", Code.R901),
        (tmp_path / "run", "2", Code.R901),
    ):
        with pytest.raises(NetwrightError) as caught:
            export_run(run, stage=value)
        assert caught.value.diagnostics[0].code is code
    told: list[str] = []
    assert export_run(tmp_path / "run", warn=told.append).manifest.stage == "0"
    assert not any("fade" in text for text in told)
    with pytest.raises(NetwrightError, match="does not grow"):
        find_stage(spec.stages[0], "0")


@pytest.mark.usefixtures("_look_every_step")
def test_an_unfinished_run_is_read_as_its_newest_stage(spec: Compilation, tmp_path: Path) -> None:
    run = tmp_path / "run"
    stopped_at(14, spec, run)
    assert open_run(run).stage == 1
    assert read(run).parameters == sum(g.parameter_count() for g in spec.stages[1].graphs.values())
    assert write_report(run).path.is_file()
    told: list[str] = []
    export_run(run, warn=told.append)
    assert "step 14 lies within the fade of its stage, 12% of which is done" in told[1]
    assert (run / "stages" / "0" / "model.py").is_file()


def test_stages_are_those_of_their_steps(spec: Compilation) -> None:
    found = [stage_at(spec, step).stage for step in (0, 11, 12, 23, 24, 100)]
    assert found == [0, 0, 1, 1, 2, 2]
    assert {stage.spec_hash for stage in spec.stages} == {spec.spec_hash}
    assert [stage.spec.params["width"] for stage in spec.stages] == [16, 32, 48]


def test_parameters_that_depend_on_the_stage_stay_expressions() -> None:
    chosen = compile_text({"stage: 2, width": "other: 1, stage: 2, width"}, text=SPEC)
    assert chosen.resolved == chosen.file.text
    assert chosen.stages[0].resolved == chosen.file.text


# What else grows


def test_only_the_last_stage_follows_a_figure(tmp_path: Path) -> None:
    """Networks without a fade grow, too; the best state is one of the last stage."""
    spec = compile_text(text=DIGITS)
    result = train(spec, output=tmp_path / "run", device="cpu")
    assert result.step >= 40
    best = [record["step"] for record in read_history(result.folder) if record["best"]]
    assert best
    assert min(best) > 40
    assert result.metrics["test"]["accuracy"] > 0.5
    bundle = export_run(result.folder, stage="1").folder
    assert 0.3 < evaluate(bundle)["accuracy"] < 1


def test_figures_are_followed_once_the_last_fade_is_over(tmp_path: Path) -> None:
    """Networks that fade in are others than those that are exported."""
    changes = {
        "loss: non_saturating}": "loss: non_saturating, judge: {samples: 40}}",
        "validation: {steps: 8}": "validation: {steps: 2}\n  checkpoint: {best: coverage}",
    }
    result = train(compile_text(changes, text=SPEC), output=tmp_path / "run", device="cpu")
    best = [record["step"] for record in read_history(result.folder) if record["best"]]
    assert min(best) == 34  # the first of these measurements after step 24 and 9 of a fade
    assert result.step in best


def test_rules_choose_what_a_stage_has(tmp_path: Path) -> None:
    rule = 'parameters: [{match: "generator.last.**", lr_factor: 0.0001}]'
    spec = compile_text({"  ema: 0.9": f"  {rule}\n  ema: 0.9"}, text=SPEC)
    result = train(spec, output=tmp_path / "run", device="cpu")
    assert result.step == 36


def test_each_stage_may_have_settings_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its epochs have as many steps as its batch size makes; processes of a loader begin anew."""
    changes = {
        "batch: 64": "batch: $(16 * (1 + stage))\n  plan: {data: loader, workers: 1}",
        "generator: {adam: {lr: 5e-3}}": "generator: {adam: {lr: $(0.01 / (1 + stage))}}",
    }
    spec = compile_text(changes, text=SPEC)
    whole = train(spec, output=tmp_path / "whole", device="cpu")
    assert [s.spec.training.batch for s in spec.stages] == [16, 32, 48]
    assert_resumes(spec, whole, tmp_path / "run", 17, monkeypatch)


def test_processes_grow_together(tmp_path: Path) -> None:
    spec = compile_text({"seed: 0": "seed: 1"}, text=SPEC)
    run = tmp_path / "run"

    def work(world: Any) -> dict[str, list[float]]:
        torch.set_num_threads(1)
        result = train(spec, output=run, device="cpu", world=world)
        saved = load(folder_of(result.folder, result.step))
        return {name: x.flatten().tolist() for name, x in flat(saved.weights).items()}

    first, second = values(in_processes(2, work))
    assert first == second
    alone = train(spec, output=tmp_path / "alone", device="cpu")
    assert alone.step == 36
    assert flat(load(folder_of(alone.folder, 36)).weights).keys() == first.keys()
    assert checkpoint.steps(kept(run, 0)) == [12]


def test_the_state_of_an_adaptive_augmentation_goes_on() -> None:
    """The fade is the stage's own, and what else the objective keeps that of the one before."""
    spec = compile_text(text=SPEC)
    before, after = fresh(spec.stages[0]), fresh(spec.stages[1])
    after.succeed(before)
    assert float(before.state["fade"]) == 1
    assert float(after.state["fade"]) == 0
    batch = batch_of(spec, rows=8)
    after.step(batch, after.turns[1], {"fade": 0.25, "smoothing": 0.0})
    assert float(after.state["fade"]) == 0.25
