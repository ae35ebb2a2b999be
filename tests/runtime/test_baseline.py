"""Simple models on a spec's data: their figures are those of scikit-learn on the same samples."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from netwright.cli import cli
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.driver import Compilation
from netwright.runtime.baseline import data as baseline_data
from netwright.runtime.baseline import fit as baseline_fit
from netwright.runtime.baseline import models as baseline_models
from netwright.runtime.baseline.baselines import Baselines, measure_baselines
from netwright.runtime.baseline.network import network_of_run, newest_network
from netwright.runtime.baseline.table import print_baselines
from netwright.runtime.data.dataset import Dataset
from netwright.runtime.opening import read_data
from netwright.runtime.train import TrainResult
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, log_loss, mean_absolute_error
from sklearn.preprocessing import StandardScaler

from .tiny import SPEC, compile_text

Array = NDArray[Any]

NPZ = """\
spec: v1
name: table
dims: {{{dims}}}
data:
  source: {{npz: {{path: data.npz{tests}}}}}
  fields:
{fields}
networks:
  net:
    inputs: {{{inputs}}}
    layers:
{layers}
    outputs: {outputs}
objective:
  supervised:
    network: net
    losses: [{losses}]
    metrics: [{metrics}]
"""


def npz_spec(
    folder: Path,
    arrays: dict[str, Array],
    fields: list[str],
    layers: list[str],
    losses: str,
    metrics: str,
    *,
    inputs: str = "x: {shape: [B, 4]}",
    outputs: str = "y",
    tests: str = "",
    dims: str = "",
) -> Compilation:
    """A spec over arrays; fields and layers are lines of YAML."""
    np.savez(folder / "data.npz", **arrays)  # type: ignore[arg-type]
    text = NPZ.format(
        tests=tests,
        dims=dims,
        fields="\n".join(f"    {line}" for line in fields),
        layers="\n".join(f"      - {line}" for line in layers),
        inputs=inputs,
        outputs=outputs,
        losses=losses,
        metrics=metrics,
    )
    return compile_text(text=text, folder=folder)


def numbers(count: int = 400, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)


def figures_of(found: Baselines) -> dict[str, dict[str, float]]:
    return {model.name: dict(model.figures) for model in found.models}


def parts_of(compilation: Compilation, folder: Path = Path()) -> tuple[Dataset, dict[str, Array]]:
    """The data, and the arrays of its training and test samples: `train x`, `test y`."""
    dataset = read_data(compilation, folder)
    return dataset, {
        f"{part} {name}": column.whole()
        for part, columns in dataset.parts.items()
        for name, column in columns.items()
    }


def code_of(caught: pytest.ExceptionInfo[NetwrightError]) -> Code:
    return caught.value.diagnostics[0].code


# Classes


@pytest.fixture(scope="module")
def digits(finished: TrainResult) -> Baselines:
    return measure_baselines(compile_text(), run=finished.folder)


def test_the_digits(digits: Baselines) -> None:
    found = figures_of(digits)
    assert found["logistic regression"]["accuracy"] > 0.95
    assert found["boosted trees"]["accuracy"] > 0.95
    assert found["most frequent class"]["accuracy"] < 0.12
    assert found["most frequent class"]["loss"] == pytest.approx(np.log(10), abs=0.01)
    assert (digits.samples, digits.tested, digits.numbers) == (1151, 359, 64)
    assert all(model.seconds > 0 for model in digits.models)


def test_the_network_stands_beside_them(digits: Baselines, finished: TrainResult) -> None:
    assert digits.network
    assert digits.network.figures == pytest.approx(finished.metrics["test"], abs=1e-5)
    assert digits.network.differs == ()
    assert list(digits.models[0].figures) == list(finished.metrics["test"])


def test_figures_are_those_of_scikit_learn(digits: Baselines) -> None:
    """The same samples, the same numbers, the same definitions; worked out apart from it all."""
    _, arrays = parts_of(compile_text())
    train, test = (arrays[f"{p} image"].reshape(-1, 64) / 16.0 for p in ("train", "test"))
    scaler = StandardScaler().fit(train)
    model = LogisticRegression(max_iter=300).fit(scaler.transform(train), arrays["train label"])
    probabilities = model.predict_proba(scaler.transform(test))
    found = figures_of(digits)["logistic regression"]
    truth = arrays["test label"]
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, probabilities.argmax(1)))
    assert found["loss"] == pytest.approx(log_loss(truth, probabilities), rel=1e-3)
    third = np.sort(probabilities, axis=1)[:, -3]
    hits = probabilities[np.arange(len(truth)), truth] >= third
    assert found["top_3"] == pytest.approx(hits.mean())


def test_labels_that_are_ignored_do_not_count(tmp_path: Path) -> None:
    """And classes that no sample has keep their column."""
    x = numbers()
    label = (x[:, 0] > 0).astype(np.int64) + 1
    label[::4] = 9
    spec = npz_spec(
        tmp_path,
        {"x": x, "t": label},
        ["x: {shape: [B, 4], dtype: float32}", "t: {shape: [B], dtype: int64}"],
        ["linear: 5"],
        "{cross_entropy: {output: y, target: t, ignore: 9}}",
        "accuracy",
    )
    found = figures_of(measure_baselines(spec))
    assert found["logistic regression"]["accuracy"] > 0.95
    assert found["boosted trees"]["accuracy"] > 0.95
    assert 0.4 < found["most frequent class"]["accuracy"] < 0.7
    (tmp_path / "data.npz").unlink()
    np.savez(tmp_path / "data.npz", x=x, t=np.full(400, 9))
    with pytest.raises(NetwrightError) as caught:
        measure_baselines(spec)
    assert code_of(caught) is Code.F601


def test_integers_below_a_limit_are_categories(tmp_path: Path) -> None:
    """A label that hangs on the parity of a number in no order: no line through them tells it."""
    category = np.random.default_rng(0).integers(0, 12, size=(600, 2))
    label = np.isin(category[:, 0], [1, 2, 5, 7, 10]).astype(np.int64)
    spec = npz_spec(
        tmp_path,
        {"x": category, "t": label},
        ["x: {shape: [B, 2], dtype: int64, below: 12}", "t: {shape: [B], dtype: int64, below: 2}"],
        ["one_hot: 12", "flatten", "linear: 2"],
        "{cross_entropy: {output: y, target: t}}",
        "accuracy",
        inputs="x: {shape: [B, 2], dtype: int64}",
    )
    found = figures_of(measure_baselines(spec))
    assert found["logistic regression"]["accuracy"] == 1.0
    assert found["boosted trees"]["accuracy"] == 1.0
    dataset, _ = parts_of(spec, tmp_path)
    assert baseline_data.layout_of(spec, dataset).classes == (12, 12)


def test_integers_of_many_values_are_numbers_to_trees(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(0, 300, size=(200, 1))
    spec = npz_spec(
        tmp_path,
        {"x": ids, "t": (ids[:, 0] > 150).astype(np.int64)},
        ["x: {shape: [B, 1], dtype: int64, below: 300}", "t: {shape: [B], dtype: int64, below: 2}"],
        ["one_hot: 300", "flatten", "linear: 2"],
        "{cross_entropy: {output: y, target: t}}",
        "accuracy",
        inputs="x: {shape: [B, 1], dtype: int64}",
    )
    found = measure_baselines(spec)
    assert "to boosted trees, integers of over 255 values are plain numbers" in found.notes
    assert figures_of(found)["boosted trees"]["accuracy"] > 0.95


# Answers and numbers


def test_one_question(tmp_path: Path) -> None:
    x = numbers()
    answer = (x[:, 0] + x[:, 1] > 0).astype(np.float32)
    spec = npz_spec(
        tmp_path,
        {"x": x, "t": answer},
        ["x: {shape: [B, 4], dtype: float32}", "t: {shape: [B], dtype: float32, range: [0, 1]}"],
        ["linear: 1", "squeeze: 1"],
        "{bce_logits: {output: y, target: t}}",
        "accuracy, f1",
    )
    found = figures_of(measure_baselines(spec))
    assert found["logistic regression"]["accuracy"] > 0.95
    assert found["logistic regression"]["f1"] > 0.95
    assert found["boosted trees"]["accuracy"] > 0.85
    assert "most frequent answer" in found


def test_several_questions_one_of_which_has_one_answer(tmp_path: Path) -> None:
    x = numbers()
    answers = np.stack([x[:, 0] > 0, x[:, 1] > 0.3, np.zeros(400)], 1).astype(np.float32)
    spec = npz_spec(
        tmp_path,
        {"x": x, "t": answers},
        ["x: {shape: [B, 4], dtype: float32}", "t: {shape: [B, 3], dtype: float32, range: [0, 1]}"],
        ["linear: 3"],
        "{bce_logits: {output: y, target: t}}",
        "accuracy, {f1: {average: micro}}",
    )
    found = figures_of(measure_baselines(spec))
    _, arrays = parts_of(spec, tmp_path)
    guesses = np.zeros_like(arrays["test t"])
    for index in range(2):
        scaler = StandardScaler().fit(arrays["train x"])
        model = LogisticRegression().fit(
            scaler.transform(arrays["train x"]), arrays["train t"][:, index]
        )
        guesses[:, index] = model.predict(scaler.transform(arrays["test x"]))
    logistic = found["logistic regression"]
    assert logistic["accuracy"] == pytest.approx((guesses == arrays["test t"]).mean())
    assert logistic["f1_micro"] == pytest.approx(
        f1_score(arrays["test t"], guesses, average="micro", zero_division=0), abs=1e-6
    )


def test_numbers_in_their_own_units(tmp_path: Path) -> None:
    """Targets are normalised for the network, and judged in the units that they are stored in."""
    x = numbers()
    y = (x @ np.array([3.0, -2.0, 0.5, 0.0]) * 10 + 50 + 0.1 * numbers(seed=1)[:, 0])[:, None]
    spec = npz_spec(
        tmp_path,
        {"x": x, "t": y.astype(np.float32)},
        [
            "x: {shape: [B, 4], dtype: float32}",
            "t: {shape: [B, 1], dtype: float32, normalize: {mean: 50, std: 30}}",
        ],
        ["linear: 1"],
        "{mse: {output: y, target: t}}",
        "mae, rmse",
    )
    found = figures_of(measure_baselines(spec))
    _, arrays = parts_of(spec, tmp_path)
    target = arrays["test t"]
    mean = np.full_like(target, arrays["train t"].mean())
    assert found["mean"]["mae"] == pytest.approx(mean_absolute_error(target, mean), rel=1e-4)
    assert found["mean"]["loss"] == pytest.approx(((target - mean) ** 2).mean() / 900, rel=1e-4)
    scaler = StandardScaler().fit(arrays["train x"])
    ridge = Ridge().fit(scaler.transform(arrays["train x"]), arrays["train t"])
    guess = ridge.predict(scaler.transform(arrays["test x"])).reshape(target.shape)
    assert found["ridge regression"]["rmse"] == pytest.approx(
        np.sqrt(((guess - target) ** 2).mean()), rel=1e-3
    )
    assert found["boosted trees"]["rmse"] < 0.5 * found["mean"]["rmse"]


def test_two_outputs_of_two_kinds(tmp_path: Path) -> None:
    x = numbers()
    label, value = (x[:, 0] > 0).astype(np.int64), x[:, 1:3] * 2
    spec = npz_spec(
        tmp_path,
        {"x": x, "t": label, "v": value},
        [
            "x: {shape: [B, 4], dtype: float32}",
            "t: {shape: [B], dtype: int64, below: 2}",
            "v: {shape: [B, 2], dtype: float32}",
        ],
        ["{id: h, linear: 8}", "{id: a, from: h, linear: 2}", "{id: b, from: h, linear: 2}"],
        "{cross_entropy: {output: a, target: t}}, {mse: {output: b, target: v}, weight: 0.5}",
        "accuracy, rmse",
        outputs="{a: a, b: b}",
    )
    found = figures_of(measure_baselines(spec))
    assert list(found) == ["constant", "linear models", "boosted trees"]
    linear = found["linear models"]
    assert linear["accuracy"] > 0.95
    assert linear["rmse"] < 0.05
    assert linear["loss"] == pytest.approx(linear["cross_entropy"] + 0.5 * linear["mse"], rel=1e-5)


# Limits


def test_labels_of_pixels_are_refused(tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((20, 1, 4, 4)).astype(np.float32)
    spec = npz_spec(
        tmp_path,
        {"x": image, "t": (image[:, 0] > 0.5).astype(np.int64)},
        [
            "x: {shape: [B, 1, 4, 4], dtype: float32}",
            "t: {shape: [B, 4, 4], dtype: int64, below: 2}",
        ],
        ["conv2d: {channels: 2, kernel: 1}"],
        "{cross_entropy: {output: y, target: t}}",
        "accuracy",
        inputs="x: {shape: [B, 1, 4, 4]}",
    )
    with pytest.raises(NetwrightError) as caught:
        measure_baselines(spec)
    assert code_of(caught) is Code.O501
    diagnostic = caught.value.diagnostics[0]
    assert "expects one label for each sample, found a label for each place" in diagnostic.message
    assert diagnostic.help == baseline_data.SUPPORTED
    assert diagnostic.span


def test_too_many_numbers_to_predict_are_refused(tmp_path: Path) -> None:
    x = np.zeros((20, 40), np.float32)
    spec = npz_spec(
        tmp_path,
        {"x": x, "t": x},
        ["x: {shape: [B, 40], dtype: float32}", "t: {shape: [B, 40], dtype: float32}"],
        ["linear: 40"],
        "{mse: {output: y, target: t}}",
        "mae",
        inputs="x: {shape: [B, 40]}",
    )
    with pytest.raises(NetwrightError) as caught:
        measure_baselines(spec)
    assert code_of(caught) is Code.O501
    assert "at most 32 numbers for each sample, found 40" in str(caught.value)


def test_samples_of_two_sizes_are_refused(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((20, 1, 6, 4)).astype(np.float32)
    spec = npz_spec(
        tmp_path,
        {"x": x, "x2": x[:, :, :5], "t": np.arange(20) % 2, "t2": np.arange(20) % 2},
        [
            "x: {shape: [B, 1, H, 4], dtype: float32}",
            "t: {shape: [B], dtype: int64, below: 2}",
        ],
        ["global_avg_pool", "linear: 2"],
        "{cross_entropy: {output: y, target: t}}",
        "accuracy",
        inputs="x: {shape: [B, 1, H, 4]}",
        tests=", test_arrays: {x: x2, t: t2}",
        dims="H: {min: 1}",
    )
    with pytest.raises(NetwrightError) as caught:
        measure_baselines(spec)
    assert code_of(caught) is Code.O501
    assert "found `x` as [1, 6, 4] in the training samples and as [1, 5, 4]" in str(caught.value)


def test_samples_of_too_many_numbers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline_data, "MOST_NUMBERS", 63)
    with pytest.raises(NetwrightError) as caught:
        measure_baselines(compile_text())
    assert code_of(caught) is Code.O501
    assert "at most 63 numbers in a sample, found 64" in str(caught.value)


def test_large_data_is_cut_and_says_so(
    tmp_path: Path, finished: TrainResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baseline_data, "MOST_CELLS", 64 * 200 + 5)
    monkeypatch.setattr(baseline_fit, "MOST_CELLS", 64 * 200 + 5)
    spec = compile_text()
    told: list[str] = []
    monkeypatch.setattr(baseline_models, "MODELS", ("constant", "linear"))
    found = measure_baselines(spec, run=finished.folder, tell=told.append)
    assert found.samples == 200
    assert found.total == 1151
    assert "the baselines learn from 200 of the 1,151 training samples" in found.notes[0]
    assert told[0] == f"note: {found.notes[0]}"
    dataset, arrays = parts_of(spec)
    tasks, layout = baseline_data.tasks_of(spec, dataset), baseline_data.layout_of(spec, dataset)
    table = baseline_data.training_table(dataset, layout, tasks, 3)
    kept = np.bincount(table.targets["logits"], minlength=10) / 200
    everywhere = np.bincount(arrays["train label"], minlength=10) / 1151
    np.testing.assert_allclose(kept, everywhere, atol=0.006)
    assert figures_of(found)["logistic regression"]["accuracy"] > 0.8


def test_a_model_that_does_not_settle_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline_models, "MODELS", ("linear",))
    monkeypatch.setattr(baseline_models, "ITERATIONS", 3)
    notes = measure_baselines(compile_text()).notes
    assert (
        "logistic regression: it did not settle in 3 iterations and could still get better" in notes
    )


def test_many_classes_take_fewer_rounds() -> None:
    def task(count: int, kind: Any = "classes") -> baseline_data.Task:
        return baseline_data.Task("y", "t", kind, (count,), count)

    rounds = [baseline_models.boosts(task(count)) for count in (2, 10, 50, 1000)]
    assert rounds == [100, 100, 40, 10]
    assert baseline_models.boosts(task(30, "values")) == 100


def test_what_takes_minutes_is_told() -> None:
    task = baseline_data.Task("y", "t", "classes", (10,), 10)
    minutes = baseline_models.work([task], 60_000 * 784) / 60
    assert 4 < minutes < 8  # measured: 340 s of one core
    binary = baseline_data.Task("y", "t", "classes", (2,), 2)
    assert baseline_models.work([binary], 1000) == pytest.approx(
        baseline_models.work([task], 1000) / 10
    )


# The network


def changed_copy(run: Path, target: Path, changes: dict[str, str]) -> Path:
    """A run with another spec. Its figures stay as they are."""
    shutil.copytree(run, target)
    text = (target / "spec.yaml").read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (target / "spec.yaml").write_text(text)
    return target


def again(run: Path, **changes: str) -> None:
    """Change the record of a run."""
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | changes))


def test_the_newest_run_of_the_spec_is_found(finished: TrainResult, tmp_path: Path) -> None:
    spec = compile_text()
    assert newest_network(spec, tmp_path / "none") is None
    same = changed_copy(finished.folder, tmp_path / "tiny_digits-2", {})
    changed_copy(finished.folder, tmp_path / "tiny_digits-9", {"width: 8": "width: 16"})
    changed_copy(finished.folder, tmp_path / "tiny_digits-10", {"tion: 0.2": "tion: 0.3"})
    unfinished = changed_copy(finished.folder, tmp_path / "tiny_digits-11", {})
    (unfinished / "summary.json").unlink()
    (tmp_path / "tiny_digits-12").mkdir()
    found = newest_network(spec, tmp_path)
    assert found
    assert (found.folder, found.differs) == (same, ())
    elsewhere = changed_copy(finished.folder, tmp_path / "of_another_name", {})
    again(elsewhere, began="2099-01-01T00:00:00+00:00")
    again(changed_copy(elsewhere, tmp_path / "of_another_spec", {}), name="other")
    found = newest_network(spec, tmp_path)
    assert found
    assert found.folder == elsewhere
    shutil.rmtree(elsewhere)
    shutil.rmtree(same)
    found = newest_network(spec, tmp_path)
    assert found
    assert found.folder.name == "tiny_digits-9"
    assert found.differs == ("params.width: 16, not 8",)


def test_a_run_without_figures_is_refused(finished: TrainResult, tmp_path: Path) -> None:
    run = changed_copy(finished.folder, tmp_path / "run", {})
    (run / "summary.json").unlink()
    with pytest.raises(NetwrightError) as caught:
        network_of_run(compile_text(), run)
    assert code_of(caught) is Code.R901
    with pytest.raises(NetwrightError) as caught:
        network_of_run(compile_text(), tmp_path)
    assert code_of(caught) is Code.R901


@pytest.mark.parametrize(
    "changes",
    [{"tion: 0.2": "tion: 0.3"}, {"k: 3": "k: 4"}, {"target: label}": "target: label, ignore: 9}"}],
    ids=["split", "metric", "loss"],
)
def test_a_run_of_other_data_is_refused(
    finished: TrainResult, tmp_path: Path, changes: dict[str, str]
) -> None:
    run = changed_copy(finished.folder, tmp_path / "run", changes)
    with pytest.raises(NetwrightError) as caught:
        network_of_run(compile_text(), run)
    assert code_of(caught) is Code.R902
    assert caught.value.diagnostics[0].notes


# Shown


def test_the_table_fits_and_marks_the_best(
    digits: Baselines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = io.StringIO()
    print_baselines(digits, stream)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if line.startswith("  accuracy")).split()[1:]
    values = [float(cell.rstrip("*")) for cell in row]
    assert len(values) == 4
    assert [cell.endswith("*") for cell in row] == [value == max(values) for value in values]
    assert "359 test samples of tiny_digits" in stream.getvalue()


def test_the_command(
    finished: TrainResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baseline_models, "MODELS", ("constant", "linear"))
    monkeypatch.chdir(tmp_path)
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    done = CliRunner().invoke(cli, ["baseline", str(spec), "--format", "json"])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed["network"] is None
    assert "there is no finished run of `tiny_digits` in `runs`" in printed["notes"][0]
    assert "training logistic regression on 1,151 samples" in done.stderr
    assert [model["model"] for model in printed["baselines"]] == [
        "most frequent class",
        "logistic regression",
    ]
    arguments = ["baseline", str(spec), "--run", str(finished.folder), "--set", "width=12"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert "the spec of the network differs: params.width: 8, not 12" in done.stdout
