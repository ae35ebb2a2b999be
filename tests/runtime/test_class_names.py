"""Names of classes that images in folders give reach everything that a user reads."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import onnxruntime as ort
import pytest
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.render import render
from netwright.runtime.bundle import open_bundle
from netwright.runtime.compare.read import read
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run
from netwright.runtime.observer import Observer
from netwright.runtime.opening import class_names, open_run
from netwright.runtime.predict import predict_files
from netwright.runtime.report.write import write_report
from netwright.runtime.runs import read_run
from netwright.runtime.train import TrainResult, train
from netwright.runtime.whole import finish
from PIL import Image

from .tiny import compile_text

GOLDENS = Path(__file__).parent / "messages"
SPEC = """\
spec: v1
name: pets
data:
  source: {image_folder: {path: pets, size: 4, mode: grey}}
  split: {validation: 0.2}
networks:
  classifier:
    inputs: {image: {shape: [B, 1, 4, 4]}}
    layers: [flatten, {linear: 2}]
    outputs: logits
objective:
  supervised:
    network: classifier
    losses: [{cross_entropy: {output: logits, target: label}}]
    metrics: [accuracy]
training: {batch: 8, epochs: 6, optimizer: {adamw: {lr: 0.1}}}
"""
NAMES = ["cats", "dogs"]

Golden = Callable[[Path, str], None]


class Listener(Observer):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def draw(folder: Path, *names: str) -> None:
    """Twenty images of each class; the first is dark, the second bright."""
    for bright, name in enumerate(names):
        (folder / "pets" / name).mkdir(parents=True)
        for number in range(20):
            image = Image.new("L", (4, 4), 20 + 200 * bright + number)
            image.save(folder / "pets" / name / f"{number}.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainResult, list[str]]:
    """A finished run on cats and dogs, and the warnings that it gave. Not to be changed."""
    folder, listener = tmp_path_factory.mktemp("pets"), Listener()
    draw(folder, *NAMES)
    compilation = compile_text(text=SPEC, folder=folder)
    result = train(compilation, output=folder / "run", device="cpu", observer=listener)
    return result, listener.warnings


@pytest.fixture(scope="module")
def run(trained: tuple[TrainResult, list[str]]) -> Path:
    return trained[0].folder


@pytest.fixture(scope="module")
def pets_bundle(run: Path) -> Path:
    return export_run(run).folder


@pytest.fixture
def moved(run: Path, tmp_path: Path) -> Path:
    """A copy of the run with data of its own, to be changed."""
    shutil.copytree(run.parent / "pets", tmp_path / "pets")
    return shutil.copytree(run, tmp_path / "run")


def test_a_run_records_the_names_that_it_found(
    trained: tuple[TrainResult, list[str]], run: Path
) -> None:
    assert trained[1] == []
    assert read_run(run)["classes"] == {"label": NAMES}
    compilation = open_run(run)
    assert compilation.fields["label"].classes == NAMES
    assert class_names(compilation, 2) == NAMES
    assert compilation.labels == {"logits": NAMES, "probabilities": NAMES}


def test_they_are_in_the_bundle_and_in_the_onnx_file(pets_bundle: Path) -> None:
    assert open_bundle(pets_bundle).manifest.labels["probabilities"] == NAMES
    session = ort.InferenceSession(pets_bundle / "predict.onnx")
    labels = json.loads(session.get_modelmeta().custom_metadata_map["labels"])
    assert labels["probabilities"] == NAMES


def test_predictions_are_called_by_them(pets_bundle: Path, run: Path) -> None:
    dark, bright = (run.parent / "pets" / name / "3.png" for name in NAMES)
    lines = list(predict_files(pets_bundle, [dark, bright]))
    assert lines[0].startswith(f"{dark}: cats 0.")
    assert lines[1].startswith(f"{bright}: dogs 0.")


def test_the_command_run_shows_them(trained: tuple[TrainResult, list[str]]) -> None:
    [line] = [line for line in finish(trained[0]) if line.startswith("predicted")]
    assert set(line.replace(",", "").split()) & {"cats", "dogs"}
    assert "0" not in line


def test_the_report_shows_them(run: Path, tmp_path: Path) -> None:
    write_report(run, output=tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "cats" in page
    assert "dogs" in page


def test_evaluating_run_and_bundle(run: Path, pets_bundle: Path) -> None:
    assert evaluate(run)["accuracy"] == 1
    assert evaluate(pets_bundle, data_dir=run.parent)["accuracy"] == 1


def test_compare_knows_them(run: Path) -> None:
    settings = read(run).settings
    assert settings is not None
    assert "cats" in str(settings)


def other_classes(moved: Path) -> None:
    """One class has another name, and a third one came."""
    os.rename(moved.parent / "pets" / "cats", moved.parent / "pets" / "birds")
    draw(moved.parent, "mice")


REFUSED: dict[str, Callable[[Path], object]] = {
    "resume": lambda moved: train(
        compile_text(text=SPEC, folder=moved.parent), output=moved, resume=True,
        data_dir=moved.parent,
    ),
    "evaluate": lambda moved: evaluate(moved, data_dir=moved.parent),
    "bundle": lambda moved: evaluate(moved / "bundle", data_dir=moved.parent),
}  # fmt: skip


@pytest.mark.parametrize("use", REFUSED)
def test_other_classes_are_refused(use: str, pets_bundle: Path, moved: Path) -> None:
    other_classes(moved)
    with pytest.raises(
        NetwrightError, match="found none of `cats`, and `birds`, `mice` besides"
    ) as e:
        REFUSED[use](moved)
    assert [d.code for d in e.value.diagnostics] == [Code.F601]


def test_what_other_classes_are_told_with(golden: Golden, moved: Path) -> None:
    other_classes(moved)
    with pytest.raises(NetwrightError) as caught:
        evaluate(moved, data_dir=moved.parent)
    golden(GOLDENS / "f601_learnt_classes.txt", render(list(caught.value.diagnostics), "text"))


def test_the_same_classes_elsewhere_are_the_same(moved: Path) -> None:
    assert evaluate(moved, data_dir=moved.parent)["accuracy"] == 1
    train(
        compile_text(text=SPEC, folder=moved.parent), output=moved, resume=True,
        data_dir=moved.parent,
    )  # fmt: skip


def test_a_run_of_a_version_that_recorded_none(moved: Path) -> None:
    record = read_run(moved)
    del record["classes"]
    (moved / "run.json").write_text(json.dumps(record))
    assert class_names(open_run(moved), 2) == ["0", "1"]
    assert evaluate(moved, data_dir=moved.parent)["accuracy"] == 1


@pytest.mark.parametrize("classes", [["cats"], {"label": "cats"}, {"label": [1, 2]}, None])
def test_names_that_are_damaged(classes: object, moved: Path) -> None:
    record = read_run(moved) | {"classes": classes}
    (moved / "run.json").write_text(json.dumps(record))
    with pytest.raises(NetwrightError, match=r"is damaged: classes") as caught:
        export_run(moved)
    assert caught.value.diagnostics[0].code is Code.R901


def test_declared_names_are_not_recorded(run: Path, tmp_path: Path) -> None:
    text = SPEC.replace("  split:", "  fields: {label: {classes: [dogs, cats]}}\n  split:")
    compilation = compile_text(text=text, folder=run.parent)
    result = train(compilation, output=tmp_path / "run", device="cpu")
    assert read_run(result.folder)["classes"] == {}
    assert open_run(result.folder).labels["probabilities"] == ["dogs", "cats"]


@pytest.mark.skipif(os.name == "nt", reason="names of files are text there")
def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    draw(tmp_path, *NAMES)
    os.rename(os.fsencode(tmp_path / "pets" / "cats"), os.fsencode(tmp_path / "pets") + b"/caf\xe9")
    with pytest.raises(NetwrightError, match="names in UTF-8, found the bytes") as caught:
        train(compile_text(text=SPEC, folder=tmp_path), output=tmp_path / "run", device="cpu")
    assert caught.value.diagnostics[0].code is Code.F601
