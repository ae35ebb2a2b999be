"""The objective `language_model`: state from batch to batch, programs that agree, text."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.driver import Compilation, check_source
from netwright.compiler.source import SourceFile
from netwright.runtime import trainer
from netwright.runtime.baseline.baselines import measure_baselines
from netwright.runtime.bundle import MANIFEST
from netwright.runtime.checkpoint import load_weights, steps
from netwright.runtime.distributed.world import World
from netwright.runtime.draws import cumulative
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run
from netwright.runtime.generate import generate
from netwright.runtime.job import make_job
from netwright.runtime.measure import measure
from netwright.runtime.opening import open_run, read_data
from netwright.runtime.plan import Plan
from netwright.runtime.report.write import write_report
from netwright.runtime.samples import read_samples
from netwright.runtime.session import Bundle, load
from netwright.runtime.stepper import Stepper
from netwright.runtime.torch_programs import torch_programs
from netwright.runtime.train import TrainResult, train
from netwright.runtime.weights import for_onnx
from netwright.runtime.whole import finish

from .pages import Page
from .test_train import stop_at

SPEC = """\
spec: v1
name: tiny_lm
dims: {T: {min: 1, max: 48}}
data:
  source: {text: {train: [rhyme.txt], test: [other.txt], unit: character, window: 12}}
  split: {validation: 0.1}
networks:
  lm:
    inputs: {tokens: {shape: [B, T], dtype: int64}}
    layers:
      - embedding: {size: 9, dim: 8}
      - {id: memory, lstm: 24}
      - {from: memory.sequence, linear: 9}
    outputs: logits
objective:
  language_model:
    network: lm
    sample: {prompt: "abc", length: 30}
training:
  seed: 1
  batch: 4
  epochs: 12
  optimizer: {adamw: {lr: 2e-2}}
"""

ATTENTION = SPEC.replace(
    "      - {id: memory, lstm: 24}\n      - {from: memory.sequence, linear: 9}\n",
    "      - {id: start, position_embedding: {length: 48}}\n"
    "      - {id: seen, self_attention: {heads: 2, causal: true}}\n"
    "      - {from: [start, seen], add: {}}\n"
    "      - linear: 9\n",
)

ARRAYS = (
    SPEC.replace(
        "  source: {text: {train: [rhyme.txt], test: [other.txt], unit: character, window: 12}}\n",
        "  source: {npz: {path: ids.npz}}\n"
        "  fields:\n"
        "    ids: {shape: [B, 12], dtype: int64, below: 9}\n"
        "    after: {shape: [B, 12], dtype: int64, below: 9}\n",
    )
    .replace("    network: lm\n", "    network: {network: lm, inputs: {tokens: ids}}\n")
    .replace('    sample: {prompt: "abc", length: 30}\n', "    target: after\n")
)
"""Sequences that are no text, in fields of other names."""

LINE = "abcdefgh "
"""What the text repeats: every character tells the next one."""


def write_text(folder: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.choice(list(LINE), 400)
    (folder / "rhyme.txt").write_text(LINE * 120 + "".join(noise[:200]))
    (folder / "other.txt").write_text(LINE * 12 + "".join(noise[200:]))


def write_arrays(folder: Path) -> None:
    ids = np.random.default_rng(0).integers(0, 9, (40, 12))
    np.savez(folder / "ids.npz", ids=ids, after=np.roll(ids, -1, 1))


def compiled(folder: Path, text: str = SPEC) -> Compilation:
    write_text(folder)
    return check_source(SourceFile("tiny_lm.yaml", text), folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    folder = tmp_path_factory.mktemp("lm")
    return train(compiled(folder), output=folder / "run", device="cpu")


@pytest.fixture(scope="module")
def bundle(finished: TrainResult) -> Bundle:
    return load(export_run(finished.folder).folder, "cpu")


def test_it_learns_what_comes_next(finished: TrainResult) -> None:
    """A third of the test text is a rhyme, which costs nothing; the rest noise of 3.17 bits."""
    assert finished.metrics["test"]["bits"] < 3.17
    loss = finished.metrics["test"]["loss"]
    assert finished.metrics["test"]["bits"] == pytest.approx(loss / math.log(2))
    texts = [record["texts"][0] for record in read_samples(finished.folder)]
    assert len(texts) == 12
    assert all(text.startswith("abc") and len(text) == 33 for text in texts)
    assert "abcdefgh abc" in texts[-1]


def test_the_state_goes_on_from_batch_to_batch(finished: TrainResult, tmp_path: Path) -> None:
    """One row that reads all windows in turn costs what the whole text costs, read at once."""
    compilation = open_run(finished.folder)
    dataset = read_data(compilation, finished.folder.parent)
    job = make_job(compilation, dataset, torch.device("cpu"), tmp_path, Plan())
    assert job.test is not None
    found = measure(job.objective, job.test, 1, job.figures())
    tokens = torch.from_numpy(dataset.parts["test"]["tokens"].whole().reshape(1, -1).astype(int))
    target = torch.from_numpy(dataset.parts["test"]["next"].whole().reshape(-1).astype(int))
    with torch.inference_mode():
        scores = job.objective.networks["lm"](tokens)
        each = job.objective.networks["lm"](tokens.view(-1, 12))
    expected = torch.nn.functional.cross_entropy(scores[0], target)
    apart = torch.nn.functional.cross_entropy(each.flatten(0, 1), target)
    assert found["loss"] == pytest.approx(float(expected), rel=1e-5)
    assert abs(float(apart) - float(expected)) > 1e-4, "windows alone would cost something else"


@pytest.mark.parametrize("step", [1, 5, 25])
def test_stopped_and_resumed_is_bit_identical(
    step: int, finished: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of an epoch the state goes on too."""
    monkeypatch.setattr(trainer, "LOOK_STEPS", 1)
    stopped = train(compiled(tmp_path), output=tmp_path / "run", observer=stop_at(step))
    assert stopped.step == step
    resumed = train(compiled(tmp_path), output=stopped.folder, resume=True, device="cpu")
    assert resumed.metrics == finished.metrics
    newest = steps(finished.folder)[0]
    first, second = (load_weights(r.folder, newest)["lm"] for r in (finished, resumed))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert read_samples(resumed.folder) == read_samples(finished.folder)


def test_a_look_at_the_layers_leaves_the_state(tmp_path: Path) -> None:
    """The step behind it is the one that would have been taken."""
    compilation = compiled(tmp_path)
    dataset = read_data(compilation, tmp_path)
    found = []
    for looks in (False, True):
        job = make_job(compilation, dataset, torch.device("cpu"), tmp_path, Plan())
        stepper = Stepper(job)
        batches = stepper.batches()
        stepper.step(next(batches))
        if looks:
            list(stepper.probe(next(batches)))
        else:
            stepper.step(next(batches))
        found.append(job.objective.state)
    assert found[0]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_a_bundle_costs_what_its_run_does(finished: TrainResult, bundle: Bundle) -> None:
    data = finished.folder.parent
    expected = evaluate(finished.folder)
    assert evaluate(bundle.folder, data_dir=data) == pytest.approx(expected, rel=1e-5)


def test_what_carried_a_state_is_measured_with_it(finished: TrainResult, tmp_path: Path) -> None:
    """A bundle without the program that carries it says which one it lacks."""
    bundle = export_run(finished.folder, output=tmp_path / "bundle").folder
    manifest = json.loads((bundle / MANIFEST).read_text())
    del manifest["programs"]["step"], manifest["files"]["step.onnx"]
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    (bundle / "step.onnx").unlink()
    with pytest.raises(NetwrightError, match="expected a bundle with the program `step`") as caught:
        evaluate(bundle, data_dir=finished.folder.parent)
    assert caught.value.diagnostics[0].code is Code.B802


@pytest.mark.parametrize("text", [SPEC, ATTENTION], ids=["lstm", "attention"])
def test_torch_and_onnx_draw_the_same_tokens(text: str, tmp_path: Path) -> None:
    """But for random numbers within 1e-5 of a border of the distribution."""
    compilation = compiled(tmp_path, text)
    result = train(compilation, output=tmp_path / "run", device="cpu")
    exported = load(export_run(result.folder).folder, "cpu")
    opened = open_run(result.folder)
    weights = for_onnx(load_weights(result.folder, steps(result.folder)[0]))
    run = torch_programs(opened, weights)
    rng = np.random.default_rng(3)
    for batch, prompt, count in ((1, 1, 40), (3, 7, 25), (5, 4, 30)):
        given = {
            "prompt": rng.integers(0, 9, (batch, prompt)),
            "random": rng.random((count, batch), np.float32),
            "temperature": np.array(rng.uniform(0.5, 1.5), np.float32),
            "top_k": np.array(rng.integers(0, 9)),
            "stop": np.array(-1),
        }
        torchs, onnxs = run["generate"](given), exported.program("generate")(**given)
        for row in range(batch):
            agree_until_border(torchs["tokens"][row], onnxs["tokens"][row], row, given, run)
        assert (onnxs["lengths"] == (onnxs["tokens"] >= 0).sum(1)).all()


def agree_until_border(one: object, other: object, row: int, given: dict, run: dict) -> None:
    different = np.flatnonzero(np.asarray(one) != np.asarray(other))
    if not len(different):
        return
    step = different[0]
    tokens = np.concatenate([given["prompt"][row], np.asarray(one)[:step]])
    scores = run["predict"]({"tokens": tokens[None]})["logits"][0, -1]
    borders = cumulative(scores, float(given["temperature"]), int(given["top_k"]))
    assert np.abs(borders - given["random"][step, row]).min() < 1e-5


def test_attention_ends_where_it_can_see_no_more(tmp_path: Path) -> None:
    result = train(compiled(tmp_path, ATTENTION), output=tmp_path / "run", device="cpu")
    exported = load(export_run(result.folder).folder, "cpu")
    program = exported.program("generate")
    settings = {
        "temperature": np.array(1, np.float32), "top_k": np.array(0), "stop": np.array(-1)
    }  # fmt: skip
    random = np.random.default_rng(0).random((60, 2), np.float32)
    found = program(prompt=np.zeros((2, 8), np.int64), random=random, **settings)
    assert found["lengths"].tolist() == [40, 40], "48 steps at most, 8 of them in the prompt"
    assert (found["tokens"][:, 40:] == -1).all()
    told: list[str] = []
    assert len(generate(exported, "abc", 60, warn=told.append)) == 45
    assert told == ["the text ends after 45 tokens: the network sees at most 48 in all"]
    with pytest.raises(NetwrightError) as caught:
        program(prompt=np.zeros((2, 48), np.int64), random=random, **settings)
    assert caught.value.diagnostics[0].code is Code.B802


SHORT = ATTENTION.replace("max: 48", "max: 12").replace("length: 48", "length: 12")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SHORT.replace('    sample: {prompt: "abc", length: 30}\n', ""), "behind 'abcdef':"),
        (ARRAYS, "generated from the ONNX file: ["),
    ],
    ids=["text", "arrays"],
)
def test_a_run_shows_what_its_bundle_generates(text: str, said: str, tmp_path: Path) -> None:
    """Also where the network sees few steps, and where its tokens are called otherwise."""
    write_arrays(tmp_path)
    compilation = compiled(tmp_path, text.replace("epochs: 12", "epochs: 1"))
    result = train(compilation, output=tmp_path / "run", device="cpu")
    assert any(said in line for line in finish(result))


@pytest.mark.parametrize(
    ("prompt", "found"), [("", "at least one token, found none"), ("a" * 48, "47 tokens, found 48")]
)
def test_a_prompt_that_does_not_fit(tmp_path: Path, prompt: str, found: str) -> None:
    text = ATTENTION.replace("epochs: 12", "epochs: 1")
    result = train(compiled(tmp_path, text), output=tmp_path / "run", device="cpu")
    exported = load(export_run(result.folder).folder, "cpu")
    with pytest.raises(NetwrightError, match=found) as caught:
        generate(exported, prompt, 5)
    assert caught.value.diagnostics[0].code is Code.B802


def test_a_prompt_of_the_spec_with_other_characters(tmp_path: Path) -> None:
    text = SPEC.replace('prompt: "abc"', 'prompt: "aZ"')
    with pytest.raises(NetwrightError, match="'Z' at position 1") as caught:
        train(compiled(tmp_path, text), output=tmp_path / "run", device="cpu")
    assert "it stands in `prompt` of `sample`" in caught.value.diagnostics[0].notes


def test_text_ends_at_a_character(bundle: Bundle) -> None:
    text = generate(bundle, "abcdef", 30, temperature=0.0, stop=" ")
    assert text == "gh"
    assert generate(bundle, "a", 20, seed=1) == bundle.generate("a", 20, seed=1)
    with pytest.raises(NetwrightError, match="'Z' at position 1"):
        generate(bundle, "aZ", 5)
    for settings in ({"temperature": -1.0}, {"temperature": math.nan}, {"top_k": -1}):
        with pytest.raises(NetwrightError, match="of 0 or more, found"):
            generate(bundle, "a", 5, **settings)
    for stop in ("", "\\n", "ab"):
        with pytest.raises(NetwrightError, match=f"found {re.escape(repr(stop))} with {len(stop)}"):
            generate(bundle, "a", 5, stop=stop)


def test_programs_are_those_of_the_vocabulary(bundle: Bundle) -> None:
    assert list(bundle.labels["logits"]) == sorted(LINE)
    assert bundle.program("generate").inputs["prompt"].classes == sorted(LINE)
    with pytest.raises(NetwrightError) as caught:
        bundle.predict(tokens=np.full((1, 3), 9))
    assert caught.value.diagnostics[0].code is Code.B802


def test_a_carried_state_takes_one_process(finished: TrainResult, tmp_path: Path) -> None:
    compilation = open_run(finished.folder)
    dataset = read_data(compilation, finished.folder.parent)
    with pytest.raises(NetwrightError, match="expected one process") as caught:
        make_job(compilation, dataset, torch.device("cpu"), tmp_path, Plan(), World(size=2))
    assert caught.value.diagnostics[0].code is Code.R905


def test_state_and_pieces_of_a_batch_exclude_each_other(tmp_path: Path) -> None:
    found = compiled(tmp_path, SPEC.replace("batch: 4\n", "batch: 4\n  accumulate: 2\n"))
    assert [d.code for d in found.diagnostics] == [Code.O502]
    assert not compiled(
        tmp_path,
        SPEC.replace("batch: 4\n", "batch: 4\n  accumulate: 2\n").replace(
            "network: lm\n    sample", "network: lm\n    carry: false\n    sample"
        ),
    ).has_errors


def test_samples_that_do_not_follow_each_other_begin_anew(tmp_path: Path) -> None:
    """Those of array files are drawn for validation and testing by chance."""
    write_arrays(tmp_path)
    compilation = compiled(tmp_path, ARRAYS)
    dataset = read_data(compilation, tmp_path)
    job = make_job(compilation, dataset, torch.device("cpu"), tmp_path, Plan())
    assert job.test is not None
    assert not job.objective.continues
    assert not job.objective.state
    costs = [measure(job.objective, job.test, size, job.figures())["loss"] for size in (1, 8)]
    assert costs[0] == pytest.approx(costs[1], rel=1e-6)


def test_n_grams_stand_beside_it(finished: TrainResult) -> None:
    """Half of the test text is a rhyme that 3-grams know by heart; noise costs at least 3.17."""
    compilation = compiled(finished.folder.parent)
    found = measure_baselines(compilation, run=finished.folder)
    assert [model.name for model in found.models] == ["3-grams", "4-grams", "5-grams", "6-grams"]
    assert found.network is not None
    bits = finished.metrics["test"]["bits"]
    assert found.network.figures["bits"] == pytest.approx(bits, rel=1e-5)
    costs = [model.figures["bits"] for model in found.models]
    assert costs == sorted(costs), "longer ones are surer of what is noise"
    assert costs[0] > 3.17 * 200 / 308
    assert [m.figures["loss"] / math.log(2) for m in found.models] == pytest.approx(costs)


def test_the_report_shows_what_it_wrote_and_how_far_it_looks_back(
    finished: TrainResult, tmp_path: Path
) -> None:
    written = write_report(finished.folder, output=tmp_path / "page.html")
    page = Page(written.path.read_text(encoding="utf-8"))
    assert "abcdefgh abc" in page.section("what-it-wrote").text
    assert "steps before the end" in page.section("how-far-back-it-learns").text
