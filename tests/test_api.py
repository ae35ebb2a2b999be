"""What `import netwright` offers: check, compile, load, and what none of them may import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import netwright
import numpy as np
import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.driver import compile_spec
from netwright.runtime.export import export_run
from netwright.runtime.train import train

SPEC = """\
spec: v1
name: tiny
params: {width: 4, bias: true}
variants: {wide: {width: 6}}
data: {source: digits, split: {validation: 0.1}}
networks:
  classifier:
    inputs: {image: {shape: [B, 1, 8, 8]}}
    layers: [flatten, {linear: $width}, relu, {linear: {features: 10, bias: $bias}}]
    outputs: logits
objective:
  supervised:
    network: classifier
    losses: [{cross_entropy: {output: logits, target: label}}]
training: {seed: 0, batch: 256, epochs: 1, optimizer: {adamw: {lr: 1e-2}}, device: cpu}
"""

TWO_NETWORKS = """\
spec: v1
name: two
networks:
  encoder:
    inputs: {x: {shape: [B, 8]}}
    layers: [{linear: 3}]
    outputs: code
  decoder:
    inputs: {code: {shape: [B, 3]}}
    layers: [{linear: 8}]
    outputs: y
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    (folder / "tiny.yaml").write_text(SPEC)
    train(compile_spec(folder / "tiny.yaml"), output=folder / "run")
    return export_run(folder / "run").folder


def test_all_that_is_promised_is_there() -> None:
    assert all(hasattr(netwright, name) for name in netwright.__all__)


def test_check_gives_graphs_and_programs(spec: Path) -> None:
    found = netwright.check(str(spec))
    assert not found.has_errors
    assert not found.diagnostics
    assert found.graphs["classifier"].parameter_count() == 65 * 4 + 5 * 10
    assert list(found.programs) == ["predict"]


def test_check_takes_a_variant_and_parameters(spec: Path) -> None:
    wide = netwright.check(spec, variant="wide")
    assert wide.graphs["classifier"].parameter_count() == 65 * 6 + 7 * 10
    plain = netwright.check(spec, variant="wide", params={"width": 5, "bias": False})
    assert plain.graphs["classifier"].parameter_count() == 65 * 5 + 5 * 10


def test_check_returns_mistakes(spec: Path) -> None:
    spec.write_text(SPEC.replace("relu", "rleu"))
    found = netwright.check(spec)
    assert found.has_errors
    assert [(d.code, d.span.line) for d in found.diagnostics if d.span] == [(Code.S103, 9)]
    assert found.programs == {}


def test_check_raises_for_what_is_no_spec_at_all(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("networks: [")
    for path, code in ((tmp_path / "broken.yaml", "Y001"), (tmp_path / "none.yaml", "R903")):
        with pytest.raises(NetwrightError, match=code):
            netwright.check(path)


def test_compile_gives_a_module_that_trains(spec: Path) -> None:
    model = netwright.compile(spec, params={"width": 5})
    assert isinstance(model, torch.nn.Module)
    assert [tuple(p.shape) for p in model.parameters()] == [(5, 64), (5,), (10, 5), (10,)]
    scores = model(torch.randn(3, 1, 8, 8))
    assert scores.shape == (3, 10)
    scores.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_compile_gives_several_networks_by_name(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(TWO_NETWORKS)
    model = netwright.compile(tmp_path / "two.yaml")
    code = model["encoder"](torch.randn(2, 8))
    assert model["decoder"](code).shape == (2, 8)
    assert set(model.state_dict()) == {
        f"{network}.linear_0.{name}" for network in model for name in ("weight", "bias")
    }


def test_compile_raises_every_mistake(spec: Path) -> None:
    spec.write_text(SPEC.replace("relu", "rleu").replace("source: digits", "source: digist"))
    with pytest.raises(NetwrightError) as caught:
        netwright.compile(spec)
    assert len(caught.value.diagnostics) == 2


def test_a_wrong_choice_is_told(spec: Path) -> None:
    found = netwright.check(spec, params={"widht": 5})
    assert [d.code for d in found.diagnostics] == [Code.E201]
    assert "`width`" in str(found.diagnostics[0].help)


def test_load_runs_a_bundle(bundle: Path) -> None:
    opened = netwright.load(bundle, "cpu")
    found = opened.predict(image=np.zeros((2, 1, 8, 8), np.uint8))
    assert found["logits"].shape == (2, 10)
    np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1.0, rtol=1e-5)
    assert opened.labels["probabilities"] == [str(digit) for digit in range(10)]
    with pytest.raises(NetwrightError, match="B802"):
        opened.predict(image=np.zeros((8, 8), np.uint8))


def test_load_refuses_what_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(NetwrightError, match="B801"):
        netwright.load(tmp_path)


HEAVY = ("torch", "onnx", "onnx_ir", "sklearn", "matplotlib", "torchmetrics")
PREDICT = "netwright.load({bundle!r}, 'cpu').predict(image=numpy.zeros((1, 1, 8, 8), 'uint8'))"


@pytest.mark.parametrize("use", ["", "netwright.check({spec!r}).source", PREDICT])
def test_heavy_modules_stay_out(use: str, spec: Path, bundle: Path) -> None:
    """Importing, checking and predicting load none of what only training and export need."""
    statement = use.format(spec=str(spec), bundle=str(bundle))
    loaded = f"print([name for name in {HEAVY} if name in sys.modules])"
    code = f"import sys, numpy, netwright\n{statement}\n{loaded}"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout == "[]\n", ran.stderr
