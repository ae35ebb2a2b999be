"""What `netwright predict` prints: answers in words, and values that were not trained on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime.answer_lines import answer_lines
from netwright.runtime.bundle import FORMAT, Manifest, Probabilities, open_bundle
from netwright.runtime.export import export_weights
from netwright.runtime.input_checks import Arrays
from netwright.runtime.predict import predict_files
from netwright.runtime.session import load

from .tiny import compile_text

SPEC = """\
spec: v1
name: houses
data:
  source: {npz: {path: houses.npz}}
  fields:
    rooms: {shape: [B, 3], dtype: float32, range: [0, 10]}
    price: {shape: [B, 1], dtype: float32, normalize: {mean: 250000, std: 80000}}
    style: {shape: [B], dtype: int64, below: 4}
    sold: {shape: [B, 1], dtype: float32, range: [0, 1]}
networks:
  judge:
    inputs: {rooms: {shape: [B, 3]}}
    layers:
      - linear: 4
      - {id: hidden, relu: {}}
      - {id: price, linear: 1}
      - {id: style, from: hidden, linear: 4}
      - {id: sold, from: hidden, linear: 1}
    outputs: {price: price, style: style, sold: sold}
objective:
  supervised:
    network: judge
    losses:
      - mse: {output: price, target: price}
      - cross_entropy: {output: style, target: style}
      - bce_logits: {output: sold, target: sold}
"""


def manifest(
    probabilities: dict[str, Probabilities] | None = None,
    labels: dict[str, list[str]] | None = None,
) -> Manifest:
    return Manifest(
        format=FORMAT, name="x", spec_sha256="", files={}, programs={},
        probabilities=probabilities or {}, labels=labels or {},
    )  # fmt: skip


EXCLUSIVE = {"probabilities": Probabilities(scores="logits", exclusive=True)}
YES_OR_NO = {"probabilities": Probabilities(scores="logits", exclusive=False)}
LOGITS = np.array([[3.0, 1.0, 2.0, 0.5]], np.float32)
CHANCES = np.array([[0.6, 0.1, 0.25, 0.05]], np.float32)
SCORED = {"logits": LOGITS, "probabilities": CHANCES}


@pytest.mark.parametrize(
    ("results", "about", "line"),
    [
        (SCORED, manifest(EXCLUSIVE, {"probabilities": list("abcd")}), "a 0.600, c 0.250, b 0.100"),
        (SCORED, manifest(EXCLUSIVE), "class 0 0.600, class 2 0.250, class 1 0.100"),
        (SCORED, manifest(EXCLUSIVE, {"probabilities": ["a"]}), "class 0 0.600, class 2 0.250, "
         "class 1 0.100"),
        (SCORED, manifest(YES_OR_NO), "probabilities 0.600, 0.100, 0.250, 0.050"),
        (
            {"logits": LOGITS[:, :1], "probabilities": CHANCES[:, :1]},
            manifest(YES_OR_NO),
            "probability 0.600",
        ),
        (
            {"logits": LOGITS, "age": np.array([[41.25]]), "probabilities": CHANCES},
            manifest(EXCLUSIVE, {"probabilities": list("abcd")}),
            "age 41.25; logits a 0.600, c 0.250, b 0.100",
        ),
        ({"price": np.array([[251234.5]], np.float32)}, manifest(), "price 251234"),
        ({"x": np.array([[1e-7, 12345.6, -0.2, 1e12]])}, manifest(), "x 1e-07, 12346, -0.2, 1e+12"),
        ({"best": np.array([[123456, 2]])}, manifest(), "best 123456, 2"),
        ({"x": np.array([np.nan], np.float32)}, manifest(), "x nan"),
        (
            {"image": np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 1, 4, 4)},
            manifest(),
            "image float32[1, 4, 4] from 0 to 1",
        ),
        ({"empty": np.zeros((1, 0), np.float32)}, manifest(), "empty float32[0]"),
        (
            {"probabilities": np.eye(3, dtype=np.float32)[:, [0, 0, 0, 2]].reshape(1, 3, 2, 2)},
            manifest(EXCLUSIVE, {"probabilities": ["road", "car", "sky"]}),
            "road 75.0%, sky 25.0% of 4 places",
        ),
        (
            {"probabilities": np.repeat([0.9, 0.1], [3, 9]).reshape(1, 1, 3, 4)},
            manifest(YES_OR_NO),
            "probability above 0.5 in 25.0% of 12 places",
        ),
    ],
)  # fmt: skip
def test_answers_in_words(results: Arrays, about: Manifest, line: str) -> None:
    assert list(answer_lines(results, about)) == [line]


def exported(text: str, folder: Path) -> Path:
    """A bundle of a spec with random weights."""
    compilation = compile_text(text=text)
    generator = np.random.default_rng(0)
    weights = {
        f"{network}.{name}": generator.standard_normal(tensor.shape).astype(np.float32)
        for network, graph in compilation.graphs.items()
        for name, tensor in graph.tensors().items()
    }
    return export_weights(compilation, weights, folder).folder


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a network with three outputs."""
    return exported(SPEC, tmp_path_factory.mktemp("houses") / "bundle")


def test_a_program_of_several_outputs(houses: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.array([[1, 2, 3]], np.float32))
    result = {name: x[0] for name, x in load(houses, "cpu").predict(rooms=[[1.0, 2, 3]]).items()}
    best = result["style_probabilities"].argmax()
    [line] = predict_files(houses, [tmp_path / "one.npy"])
    price, style, sold = line.partition(": ")[2].split("; ")
    assert price == f"price {result['price'][0]:.0f}"
    assert style.startswith(f"style class {best} 0.")
    assert sold == f"sold probability {result['sold_probabilities'][0]:.3f}"


def test_a_manifest_says_what_outputs_are(houses: Path) -> None:
    found = open_bundle(houses).manifest
    assert found.probabilities == {
        "style_probabilities": Probabilities(scores="style", exclusive=True),
        "sold_probabilities": Probabilities(scores="sold", exclusive=False),
    }
    assert found.programs["predict"].inputs["rooms"].range == [0, 10]
    ports = json.loads((houses / "manifest.json").read_text())["programs"]["predict"]
    assert ports["outputs"]["price"].keys() == {"dtype", "shape"}


IDS = """\
spec: v1
name: words
data:
  source: {npz: {path: words.npz}}
  fields:
    ids: {shape: [B, 5], dtype: int64, below: 7}
    style: {shape: [B], dtype: int64, below: 4}
networks:
  net:
    inputs: {ids: {shape: [B, 5], dtype: int64}}
    layers: [{embedding: {size: 9, dim: 4}}, flatten, {linear: 4}]
    outputs: logits
objective:
  supervised: {network: net, losses: [{cross_entropy: {output: logits, target: style}}]}
"""


def test_ids_beyond_those_of_the_data_are_refused(tmp_path: Path) -> None:
    folder = exported(IDS, tmp_path / "bundle")
    np.save(tmp_path / "known.npy", np.array([[0, 1, 2, 3, 6]]))
    np.save(tmp_path / "unknown.npy", np.array([[0, 1, 2, 3, 7]]))
    [line] = predict_files(folder, [tmp_path / "known.npy"])
    assert ": class " in line
    with pytest.raises(NetwrightError, match="from 0 to 6 in `ids`") as caught:
        list(predict_files(folder, [tmp_path / "unknown.npy"]))
    assert caught.value.diagnostics[0].code is Code.B802


@pytest.mark.parametrize(
    ("rooms", "found"),
    [
        ([[1, 2, 3], [4, 5, 10]], None),
        ([[1, 2, 3], [4, 11, 12]], "found 11"),
        ([[1, -0.5, 3]], "found -0.5"),
    ],
)
def test_values_out_of_range_are_told_once(
    rooms: list[list[float]], found: str | None, houses: Path, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in ("a.npy", "b.npy")]
    for file in files:
        np.save(file, np.array(rooms, np.float32))
    told: list[str] = []
    lines = list(predict_files(houses, files, warn=told.append))
    assert len(lines) == 2 * len(rooms)
    if found is None:
        assert told == []
    else:
        [text] = told
        assert text.startswith(
            f"expected values of `rooms` from 0 to 10, as in training, {found} in"
        )
        assert str(files[0]) in text


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "found the folder"),
        (lambda path: None, "found no such file"),
    ],
)
def test_what_is_no_file(
    make: Callable[[Path], None], words: str, houses: Path, tmp_path: Path
) -> None:
    make(tmp_path / "x.npy")
    with pytest.raises(NetwrightError, match=words) as caught:
        list(predict_files(houses, [tmp_path / "x.npy"]))
    assert caught.value.diagnostics[0].code is Code.R903
