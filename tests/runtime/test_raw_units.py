"""Targets with `scale` or `normalize`: learnt as scaled numbers, measured and served raw."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.driver import Compilation
from netwright.compiler.ir.graph import Graph
from netwright.compiler.objectives.fields import Field, Normalize
from netwright.compiler.objectives.losses import Mse, WeightedLoss
from netwright.compiler.objectives.metrics import Mae, Rmse
from netwright.compiler.objectives.supervised import NetworkUse, Supervised
from netwright.runtime import export
from netwright.runtime.data.batches import Batch
from netwright.runtime.data.preprocess import Preprocess
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run, export_weights
from netwright.runtime.metrics import Figures
from netwright.runtime.parity import RawUnits
from netwright.runtime.session import load
from netwright.runtime.train import train

from .tiny import compile_text

CPU = torch.device("cpu")

SPEC = """\
spec: v1
name: houses
data:
  source: {npz: {path: houses.npz, test_path: test.npz}}
  fields:
    rooms: {shape: [B, 3], dtype: float32}
    price: {shape: [B, 1], dtype: float64, normalize: {mean: 3e5, std: 5e4}}
    sizes: {shape: [B, 2], dtype: int32, normalize: {mean: [80, 900], std: [20, 300]}}
networks:
  net:
    inputs: {rooms: {shape: [B, 3]}}
    layers:
      - {id: price, linear: 1}
      - {id: sizes, from: rooms, linear: 2}
    outputs: {price: price, sizes: sizes}
objective:
  supervised:
    network: net
    losses:
      - mse: {output: price, target: price}
      - l1: {output: sizes, target: sizes}
    metrics: [mae, rmse, {mae: {output: sizes, target: sizes}}]
training:
  batch: 8
  steps: 20
"""


def houses(count: int, seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    rooms = generator.normal(size=(count, 3)).astype(np.float32)
    price = 3e5 + 5e4 * rooms.sum(axis=1, keepdims=True).astype(np.float64)
    sizes = generator.normal([80, 900], [20, 300], (count, 2)).astype(np.int32)
    return {"rooms": rooms, "price": price, "sizes": sizes}


def test_what_is_measured_and_served_is_raw(tmp_path: Path) -> None:
    test = houses(30, 1)
    np.savez(tmp_path / "houses.npz", **houses(64, 0))
    np.savez(tmp_path / "test.npz", **test)
    compilation = compile_text(text=SPEC, folder=tmp_path)
    run = train(compilation, output=tmp_path / "run", device="cpu")
    bundle = export_run(run.folder).folder
    answer = load(bundle, "cpu").predict(rooms=test["rooms"])
    off = answer["price"] - test["price"]
    sizes_off = answer["sizes"] - test["sizes"]
    figures = run.metrics["test"]
    assert figures["mae"] == pytest.approx(np.abs(off).mean(), rel=1e-4)
    assert figures["rmse"] == pytest.approx(np.sqrt((off**2).mean()), rel=1e-4)
    assert figures["mae(sizes)"] == pytest.approx(np.abs(sizes_off).mean(), rel=1e-4)
    assert figures["mse"] == pytest.approx((off**2).mean() / 5e4**2, rel=1e-3)
    assert figures["l1"] == pytest.approx(np.abs(sizes_off / [20, 300]).mean(), rel=1e-3)
    assert figures["mae"] > 100, "some 5e4 of raw units to a scaled one"
    assert evaluate(bundle, data_dir=tmp_path) == pytest.approx(figures, rel=1e-3)


def test_metrics_undo_each_channels_constants() -> None:
    field = Field(
        shape=["B", 2], dtype="uint8", normalize=Normalize(mean=[0.5, 0.1], std=[0.2, 0.1])
    )
    loss = Mse(output="y", target="t")
    settings = Supervised(
        network=NetworkUse(network="n"), losses=[WeightedLoss(loss=loss)], metrics=[Mae(), Rmse()]
    )
    raw = torch.tensor([[10, 200], [30, 40]], dtype=torch.uint8)
    wrong = torch.tensor([[3.0, -5.0], [7.0, 9.0]])
    preprocess = Preprocess(field, CPU)
    batch = Batch({"t": raw}, {"t": preprocess(raw)})
    figures = Figures(settings, {"t": field}, CPU)
    figures.update({"y": preprocess(raw.float() + wrong)}, {}, batch)
    found = figures.compute()
    assert found["mae"] == pytest.approx(6.0, rel=1e-5)
    assert found["rmse"] == pytest.approx(((9 + 25 + 49 + 81) / 4) ** 0.5, rel=1e-5)


FAR = {"normalize: {mean: 3e5, std: 5e4}": "normalize: {mean: 1e6, std: 10}"}


def far_weights(compilation: Compilation) -> dict[str, np.ndarray]:
    tensors = compilation.graphs["net"].tensors()
    generator = np.random.default_rng(0)
    return {
        f"net.{name}": generator.normal(size=parameter.shape).astype(np.float32)
        for name, parameter in tensors.items()
    }


def test_rounding_of_raw_numbers_is_no_difference() -> None:
    """Near a million float32 has steps of 1/16, more than 1e-4 of numbers around 10."""
    units = RawUnits(np.array(-1e5), np.array(10.0))
    expected = np.array([1e6 + 7, 1e6 - 12], np.float32)
    assert units.relative(expected, np.nextafter(expected, np.float32(0))) == 0
    assert units.relative(expected, expected + np.float32(0.5)) == pytest.approx(0.022, rel=0.1)


def test_a_difference_beside_a_large_mean_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some hundredths of what the network says, though less than 1e-4 of the raw number."""
    compilation = compile_text(FAR, text=SPEC)
    real = export.run_passes

    def spoiled(program: Graph, weights: Mapping[str, np.ndarray]) -> Any:
        name = "net.price.weight"
        return real(program, {**weights, name: weights[name] * np.float32(1.05)})

    monkeypatch.setattr(export, "run_passes", spoiled)
    with pytest.raises(NetwrightError, match="`price` of `predict`") as caught:
        export_weights(compilation, far_weights(compilation), tmp_path / "bundle")
    assert {d.code for d in caught.value.diagnostics} == {Code.X701}
