"""Fields with `binarize`: the same 0 and 1 in training and in what is exported, and raw answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from netwright.compiler.ir.printer import print_graph
from netwright.compiler.objectives.fields import Field
from netwright.compiler.passes.pipeline import run_passes
from netwright.runtime.data.preprocess import Preprocess
from netwright.runtime.data.restore import compared
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run
from netwright.runtime.generated import build_networks, build_program
from netwright.runtime.session import load
from netwright.runtime.train import train

from ..onnx_tools import run
from .tiny import compile_text

CPU = torch.device("cpu")

SEEN = """\
spec: v1
name: seen
data:
  source: {npz: {path: data.npz}}
  fields:
    x: {shape: [B, 4], SETTINGS}
    y: {shape: [B, 4], dtype: float32}
networks:
  net:
    inputs: {x: {shape: [B, 4]}}
    layers: [relu]
    outputs: seen
objective:
  supervised: {network: net, losses: [{mse: {output: seen, target: y}}]}
"""
"""A network that gives what it reads, where that is 0 or 1."""


@pytest.mark.parametrize(
    "settings",
    [
        "dtype: uint8, scale: [0, 1], binarize: 0.5",
        "dtype: uint8, scale: [0, 1], binarize: 0.2",  # 51 / 255, by the rule 0.2 of float32 or not
        "dtype: uint8, binarize: 127",
        "dtype: int32, range: [-9, 300], scale: [1, -1], binarize: 0.1",
        "dtype: int64, binarize: 16777216",
        "dtype: float32, range: [-3, 7], scale: [0, 1], binarize: 0.3",
        "dtype: float32, binarize: 0.1",
        "dtype: float64, binarize: -0.1",
        "dtype: float16, range: [0, 1], scale: [-1, 1], binarize: 0.1",
        "dtype: bool, binarize: 0.5",
    ],
)
def test_training_and_programs_see_the_same(settings: str) -> None:
    compilation = compile_text({"SETTINGS": settings}, text=SEEN)
    field, program = compilation.fields["x"], compilation.programs["predict"]
    raw = values_near_the_threshold(field)
    trained = Preprocess(field, CPU)(torch.from_numpy(raw)).numpy()
    networks = build_networks(compilation.source, ["net"])
    ours = build_program(compilation.source, "predict", networks).eval()(torch.from_numpy(raw))
    onnx = run(*run_passes(program, {}), {"x": raw})["seen"]
    assert set(trained.ravel()) == {0, 1}
    assert trained.dtype == onnx.dtype == np.float32
    np.testing.assert_array_equal(ours.numpy(), trained)
    np.testing.assert_array_equal(onnx, trained)


def values_near_the_threshold(field: Field) -> np.ndarray:
    """Raw values [N, 4] on both sides of the one that becomes the threshold, and others."""
    assert field.binarize is not None
    (shift,), (factor,) = field.inverse()
    kind, middle = np.dtype(field.dtype), (field.binarize - shift) * factor
    if kind.kind == "f":
        ulp = np.spacing(np.array(middle, dtype=min(kind, np.dtype("float32"))))
        near = middle + np.arange(-20, 20) * np.float64(ulp)
        values = np.concatenate([near, np.random.default_rng(0).uniform(-3, 7, 400)])
    else:
        values = np.clip(np.round(middle) + np.arange(-400, 400), *(field.raw_range or (0, 2**40)))
    return values.astype(kind).reshape(-1, 4)


def test_the_program() -> None:
    change = {"SETTINGS": "dtype: uint8, scale: [0, 1], binarize: 0.5"}
    compilation = compile_text(change, text=SEEN)
    graph = print_graph(compilation.programs["predict"])
    assert "%x_scaled = rescale(%x) {factor: [0.00392156862745098]} : f32[B, 4]" in graph
    assert "%x_input = binarize(%x_scaled) {threshold: 0.5} : f32[B, 4]" in graph


def test_a_program_compares_raw_values_where_there_is_no_scale() -> None:
    compilation = compile_text({"SETTINGS": "dtype: uint8, binarize: 127"}, text=SEEN)
    graph = print_graph(compilation.programs["predict"])
    assert "%x_input = binarize(%x) {threshold: 127.0} : f32[B, 4]" in graph
    assert "rescale" not in graph


AUTOENCODER = """\
spec: v1
name: strokes
data:
  source: {npz: {path: strokes.npz, test_path: test.npz}}
  fields:
    image: {shape: [B, 1, 4, 4], dtype: uint8, scale: [0, 1], binarize: 0.3}
networks:
  net:
    inputs: {image: {shape: [B, 1, 4, 4]}}
    layers:
      - flatten
      - {id: code, linear: 8}
      - {id: flat, linear: 16}
      - {id: logits, reshape: [1, 4, 4]}
      - {id: ink, sigmoid: {}}
    outputs: {logits: logits, ink: ink}
objective:
  supervised:
    network: net
    losses:
      - bce_logits: {output: logits, target: image}
      - mse: {output: ink, target: image}
    metrics: [mae, rmse]
training: {batch: 16, steps: 30, optimizer: {adamw: {lr: 1e-2}}}
"""


def test_an_autoencoder_is_measured_by_what_it_learnt(tmp_path: Path) -> None:
    """An answer is 255 p of uint8, and the truth 0 or 255, whatever the stored value was."""
    generator = np.random.default_rng(0)
    arrays = [generator.integers(0, 256, (n, 1, 4, 4)).astype(np.uint8) for n in (64, 24)]
    np.savez(tmp_path / "strokes.npz", image=arrays[0])
    np.savez(tmp_path / "test.npz", image=arrays[1])
    compilation = compile_text(text=AUTOENCODER, folder=tmp_path)
    trained = train(compilation, output=tmp_path / "run", device="cpu")
    bundle = export_run(trained.folder).folder
    answer = load(bundle, "cpu").predict(image=arrays[1])
    truth = np.where(arrays[1] / 255 > 0.3, 255.0, 0.0)
    figures = trained.metrics["test"]
    assert figures["mae"] == pytest.approx(np.abs(answer["ink"] - truth).mean(), rel=1e-4)
    assert figures["mse"] == pytest.approx(((answer["ink"] - truth) ** 2).mean() / 255**2, rel=1e-3)
    assert evaluate(bundle, data_dir=tmp_path) == pytest.approx(figures, rel=1e-3)


def test_what_outputs_are_compared_with() -> None:
    raw = np.array([[10, 200], [76, 77]], np.uint8)
    scaled = Field(shape=["B", 2], dtype="uint8", scale=[0, 1])
    assert compared(raw, scaled) is raw
    binarized = scaled.model_copy(update={"binarize": 0.3})
    np.testing.assert_allclose(compared(raw, binarized), [[0, 255], [0, 255]])
    bare = Field(shape=["B", 2], dtype="uint8", binarize=76)
    np.testing.assert_array_equal(compared(raw, bare), [[0, 1], [0, 1]])
