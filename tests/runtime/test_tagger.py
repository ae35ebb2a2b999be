"""A label for each step of samples that differ in length: trained, exported, used and looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.driver import check
from netwright.runtime.baseline.baselines import measure_baselines
from netwright.runtime.checkpoint import load_weights
from netwright.runtime.data.tasks import brackets
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run
from netwright.runtime.job import make_job
from netwright.runtime.measure import measure
from netwright.runtime.opening import open_run, read_data
from netwright.runtime.planning.choose import choose_plan
from netwright.runtime.predict import predict_files
from netwright.runtime.report.write import write_report
from netwright.runtime.session import load
from netwright.runtime.stepper import Stepper
from netwright.runtime.train import TrainResult, train

from .test_train import assert_same, stop_at
from .tiny import compile_text

CPU = torch.device("cpu")
SPECS = Path(__file__).parents[2] / "specs"

SPEC = """\
spec: v1
name: tagger
dims: {T: {min: 1, max: 40}}
data:
  source: {npz: {path: data.npz, arrays: {tokens: words}, ragged: {tokens: cuts, tags: cuts}}}
  fields:
    tokens: {shape: [B, T], dtype: int64, below: 10, lengths: n}
    tags: {shape: [B, T], dtype: int64, classes: [outside, inside, matched, unmatched], lengths: n}
  split: {validation: 0.1}
networks:
  tagger:
    inputs:
      tokens: {shape: [B, T], dtype: int64}
      n: {shape: [B], dtype: int64}
    layers:
      - {from: tokens, embedding: {size: 10, dim: 6}}
      - {id: memory, from: {lengths: n}, gru: {hidden: 8, bidirectional: true}}
      - {from: memory.sequence, linear: 4}
    outputs: scores
objective:
  supervised:
    network: tagger
    losses:
      - cross_entropy: {output: scores, target: tags}
    metrics: [accuracy, f1]
training:
  seed: 1
  batch: 16
  epochs: 2
  optimizer: {adam: {lr: 1e-2}}
"""


def samples(count: int, seed: int) -> dict[str, Any]:
    """Arrays of an `.npz` file, as a user may have them."""
    drawn = brackets(np.random.default_rng(seed), count, 12)
    cuts = np.concatenate([[0], np.cumsum(drawn["n"])])
    return {"words": drawn["tokens"], "tags": drawn["tags"], "cuts": cuts}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tagger")
    np.savez(made / "data.npz", **samples(300, 0))
    return made


@pytest.fixture(scope="module")
def run(folder: Path) -> TrainResult:
    return train(compile_text(text=SPEC, folder=folder), output=folder / "run", device="cpu")


@pytest.fixture(scope="module")
def bundle(run: TrainResult) -> Path:
    return export_run(run.folder).folder


@pytest.mark.usefixtures("_look_every_step")
def test_stopped_and_resumed_is_bit_identical(
    run: TrainResult, folder: Path, tmp_path: Path
) -> None:
    compilation = compile_text(text=SPEC, folder=folder)
    stopped = train(compilation, output=tmp_path / "run", device="cpu", observer=stop_at(17))
    assert stopped.signal is not None
    resumed = train(compilation, output=stopped.folder, resume=True, device="cpu")
    left, right = (load_weights(r.folder, r.step)["tagger"] for r in (run, resumed))
    assert_same(left, right)
    assert resumed.metrics == run.metrics


@pytest.fixture
def _look_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    from netwright.runtime import trainer

    monkeypatch.setattr(trainer, "LOOK_STEPS", 1)


@pytest.mark.parametrize("more", ["", ", ignore: 2", ", class_weights: [1, 2, 3, 4]"])
def test_pieces_of_a_step_give_what_the_whole_gives(more: str, folder: Path) -> None:
    """Though each has another number of real elements."""

    def gradients(accumulate: int) -> tuple[float, torch.Tensor]:
        text = SPEC.replace("target: tags}", f"target: tags{more}}}")
        text = text.replace("adam: {lr: 1e-2}", "sgd: {lr: 1.0}")
        text += f"  accumulate: {accumulate}\n"
        compilation = compile_text(text=text, folder=folder)
        dataset = read_data(compilation, folder)
        plan = choose_plan(compilation, dataset, CPU)
        stepper = Stepper(make_job(compilation, dataset, CPU, folder, plan))
        network = stepper.parts.networks["tagger"].double()
        before = torch.cat([p.detach().flatten() for p in network.parameters()])
        losses = stepper.step(next(stepper.batches()))
        after = torch.cat([p.detach().flatten() for p in network.parameters()])
        return float(losses["loss"]), before - after

    loss, gradient = gradients(1)
    for pieces in (2, 8):
        found, other = gradients(pieces)
        assert found == pytest.approx(loss, rel=1e-6)
        torch.testing.assert_close(other, gradient, rtol=1e-5, atol=1e-8)


def test_figures_do_not_depend_on_batches(run: TrainResult, bundle: Path, folder: Path) -> None:
    compilation = open_run(run.folder)
    dataset = read_data(compilation, folder)
    job = make_job(compilation, dataset, CPU, folder, choose_plan(compilation, dataset, CPU))
    assert job.test
    found = [measure(job.objective, job.test, size, job.figures()) for size in (1, 7, 64)]
    assert found[0].keys() == {"loss", "accuracy", "f1"}
    for figures in found[1:]:
        assert figures == pytest.approx(found[0], rel=1e-5)
    of_run = evaluate(run.folder, data_dir=folder, device="cpu")
    of_bundle = evaluate(bundle, data_dir=folder, device="cpu")
    assert of_bundle == pytest.approx(of_run, rel=1e-4)


def test_a_sample_has_the_same_answer_beside_longer_ones(bundle: Path) -> None:
    session = load(bundle, "cpu")
    arrays = samples(20, 3)
    lengths = np.diff(arrays["cuts"])
    tokens = np.full((20, 15), -1)
    for row, start in enumerate(arrays["cuts"][:-1]):
        tokens[row, : lengths[row]] = arrays["words"][start : start + lengths[row]]
    together = session.predict(tokens=tokens, n=lengths)["probabilities"]
    for row, length in enumerate(lengths):
        alone = session.predict(tokens=tokens[row : row + 1, :length], n=lengths[row : row + 1])
        np.testing.assert_allclose(
            alone["probabilities"][0], together[row, :length], atol=1e-6, rtol=0
        )
        np.testing.assert_allclose(alone["probabilities"].sum(2), 1, atol=1e-5)


@pytest.mark.parametrize("names", [("words", "cuts"), ("tokens", "tokens_offsets")])
def test_answers_of_a_ragged_file_have_their_own_lengths(
    names: tuple[str, str], bundle: Path, tmp_path: Path
) -> None:
    """More samples than run at once, which are padded to different sizes."""
    arrays = samples(150, 4)
    words, cuts = names
    np.savez(tmp_path / "new.npz", **{words: arrays["words"], cuts: arrays["cuts"]})
    out = tmp_path / "answers.npz"
    assert list(predict_files(bundle, [tmp_path / "new.npz"], output=out)) == [f"wrote {out}"]
    with np.load(out) as found:
        assert np.array_equal(found["scores_offsets"], arrays["cuts"])
        assert np.array_equal(found["probabilities_offsets"], arrays["cuts"])
        assert found["probabilities"].shape == (len(arrays["words"]), 4)
        first, last = arrays["cuts"][7:9]
        alone = load(bundle, "cpu").predict(
            tokens=arrays["words"][None, first:last], n=np.array([last - first])
        )
        np.testing.assert_allclose(
            found["probabilities"][first:last], alone["probabilities"][0], atol=1e-6, rtol=0
        )
    lines = list(predict_files(bundle, [tmp_path / "new.npz"]))
    assert len(lines) == 150
    assert lines[7].startswith(f"{tmp_path / 'new.npz'}[7]: ")
    assert lines[7].endswith(f"of {last - first} places")
    assert any(name in lines[7] for name in ("outside", "inside", "matched"))


def test_a_rectangular_file_has_rectangular_answers(bundle: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "new.npz", tokens=np.ones((3, 9), int), n=np.array([9, 2, 4]))
    (first, second, _) = predict_files(bundle, [tmp_path / "new.npz"])
    assert first.endswith("of 9 places")
    assert second.endswith("of 2 places")
    out = tmp_path / "answers.npz"
    list(predict_files(bundle, [tmp_path / "new.npz"], output=out))
    with np.load(out) as found:
        assert found["scores"].shape == (3, 9, 4)


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"cuts": np.array([0, 5, 5, 9])}, Code.F601, "found sample 1 without any"),
        ({"cuts": np.array([0, 50])}, Code.F601, "offsets from 0 to 9"),
        ({"words": np.full(9, 10)}, Code.B802, "numbers from 0 to 9 in `tokens`"),
        ({"words": np.zeros(41, int), "cuts": np.array([0, 41])}, Code.B802, "int64[1, 41]"),
    ],
)
def test_ragged_files_that_are_wrong(
    changes: dict[str, Any], code: Code, message: str, bundle: Path, tmp_path: Path
) -> None:
    arrays = {"words": np.ones(9, int), "cuts": np.array([0, 5, 9])} | changes
    np.savez(tmp_path / "new.npz", **arrays)
    with pytest.raises(NetwrightError) as caught:
        list(predict_files(bundle, [tmp_path / "new.npz"]))
    assert caught.value.diagnostics[0].code is code
    assert message in caught.value.diagnostics[0].message


@pytest.mark.parametrize(("length", "found"), [(0, "0 at `n[1]`"), (6, "6 at `n[1]`")])
def test_impossible_lengths_are_told(length: int, found: str, bundle: Path) -> None:
    with pytest.raises(NetwrightError) as caught:
        load(bundle, "cpu").predict(tokens=np.ones((2, 5), int), n=np.array([3, length]))
    assert caught.value.diagnostics[0].code is Code.B802
    assert "expected lengths from 1 to 5 in `n`, found " in caught.value.diagnostics[0].message
    assert found in caught.value.diagnostics[0].message


def test_answers_of_steps_do_not_go_into_a_table(bundle: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "new.npz", words=np.ones(5, int), cuts=np.array([0, 5]))
    with pytest.raises(NetwrightError, match="to write as a table"):
        list(predict_files(bundle, [tmp_path / "new.npz"], output=tmp_path / "answers.csv"))


def test_a_report_shows_steps_without_padding(run: TrainResult, tmp_path: Path) -> None:
    page = write_report(run.folder, output=tmp_path / "report.html").path.read_text()
    assert "of the places right" in page
    assert "Confusion" in page


def test_no_baseline_is_made_for_steps(folder: Path) -> None:
    compilation = compile_text(text=SPEC, folder=folder)
    with pytest.raises(NetwrightError) as caught:
        measure_baselines(compilation)
    assert "found one for each step of `tags`" in caught.value.diagnostics[0].message


def test_a_baseline_of_whole_samples_reads_their_padding(folder: Path) -> None:
    arrays = samples(300, 0)
    firsts = arrays["words"][arrays["cuts"][:-1]]
    np.savez(folder / "first.npz", tokens=arrays["words"], cuts=arrays["cuts"], label=firsts > 5)
    changes = {
        "data.npz, arrays: {tokens: words}, ragged: {tokens: cuts, tags: cuts}": "first.npz, "
        "ragged: {tokens: cuts}",
        "tags: {shape: [B, T], dtype: int64, classes: [outside, inside, matched, unmatched], "
        "lengths: n}": "label: {shape: [B], dtype: int64, below: 2}",
        "from: memory.sequence, linear: 4": "from: memory.last, linear: 2",
        "target: tags": "target: label",
    }
    found = measure_baselines(compile_text(changes, text=SPEC, folder=folder))
    best = max(model.figures["accuracy"] for model in found.models)
    assert best > 0.95, "the first token says it"


def test_lengths_that_the_network_does_not_read(folder: Path) -> None:
    text = SPEC.replace("      n: {shape: [B], dtype: int64}\n", "").replace(
        "{lengths: n}, ", "prev, "
    )
    (folder / "blind.yaml").write_text(text)
    found = check(folder / "blind.yaml").diagnostics
    assert [d.code for d in found] == [Code.O501]
    assert "reads `tokens` and expects its lengths `n` too" in found[0].message


@pytest.mark.slow
@pytest.mark.parametrize(("both", "lowest", "highest"), [("true", 0.98, 1.0), ("false", 0.5, 0.85)])
def test_one_direction_is_not_enough(
    both: str, lowest: float, highest: float, tmp_path: Path
) -> None:
    text = (SPECS / "bilstm_tagger.yaml").read_text()
    changes = {"bidirectional: true": f"bidirectional: {both}", "epochs: 5": "epochs: 3"}
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    text = text.partition("expect:")[0]
    result = train(compile_text(text=text, folder=tmp_path), output=tmp_path / "run", device="cpu")
    assert lowest < result.metrics["test"]["accuracy"] <= highest
