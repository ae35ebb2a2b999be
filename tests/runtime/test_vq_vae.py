"""The objective `vq_vae`: it learns, its figures of the codebook, and what its programs say."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from netwright.compiler.driver import Compilation
from netwright.compiler.objectives.vq_vae import COMMITMENT, INDICES
from netwright.runtime.checkpoint import load_weights, steps
from netwright.runtime.codes.meter import MADE, VqVaeMeter
from netwright.runtime.data.batches import Batch
from netwright.runtime.evaluate import evaluate
from netwright.runtime.history import read_history
from netwright.runtime.objectives.vq_vae import DECODED, VqVae
from netwright.runtime.train import TrainResult, train
from torch import Tensor

from .test_vae import assert_resumes, batch_of, fresh, trained
from .tiny import compile_text

CPU = torch.device("cpu")

SPEC = """\
spec: v1
name: tiny_vq_vae
data: {source: digits, split: {validation: 0.2}}
networks:
  encoder:
    inputs: {image: {shape: [B, 1, 8, 8]}}
    layers:
      - {conv2d: {channels: 16, kernel: 4, stride: 2, padding: 1}}
      - relu
      - {conv2d: {channels: 4, kernel: 4, stride: 2, padding: 1}}
      - {id: vq, vector_quantize: 32}
    outputs: {quantized: vq.quantized, indices: vq.indices, commitment: vq.commitment}
  decoder:
    inputs: {z: {shape: [B, 4, 2, 2]}}
    layers: [flatten, {linear: 64}, relu, {linear: 64}, {reshape: [1, 8, 8]}]
    outputs: made
objective:
  vq_vae: {encoder: encoder, decoder: decoder, target: image}
training:
  seed: 1
  batch: 64
  epochs: 24
  optimizer: {adam: {lr: 5e-3}}
  validation: {epochs: 12}
"""
GRADIENT = SPEC.replace("vector_quantize: 32", "vector_quantize: {codes: 32, update: gradient}")
KINDS = {"ema": SPEC, "gradient": GRADIENT}


@pytest.fixture(scope="module", params=KINDS)
def spec(request: pytest.FixtureRequest) -> Compilation:
    return compile_text(text=KINDS[request.param])


@pytest.fixture(scope="module")
def finished(spec: Compilation, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(spec, output=tmp_path_factory.mktemp("vq_vae") / "run", device="cpu")


# Training


def test_it_learns_more_than_the_mean_image(spec: Compilation, finished: TrainResult) -> None:
    history = [record["train"] for record in read_history(finished.folder)]
    assert history[-1]["reconstruction"] < 0.6 * history[0]["reconstruction"]
    test, found = batch_of(spec, "test").values["image"], finished.metrics["test"]
    mean = batch_of(spec).values["image"].mean(0)
    assert found["mse"] < 0.6 * float((test - mean).square().mean())
    assert found["mse"] == pytest.approx(found["reconstruction"])
    assert found["loss"] == pytest.approx(found["reconstruction"] + found["commitment"])
    assert evaluate(finished.folder) == pytest.approx(found)


@pytest.mark.parametrize("step", [1, 17, 100])
def test_stopped_and_resumed_is_bit_identical(
    step: int,
    spec: Compilation,
    finished: TrainResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The codebook goes on from where it was, and is not begun anew."""
    assert_resumes(spec, finished, tmp_path / "run", step, monkeypatch)


def test_the_codebook_is_saved(spec: Compilation, finished: TrainResult) -> None:
    newest, *_ = steps(finished.folder)
    encoder = load_weights(finished.folder, newest)["encoder"]
    assert int(encoder["vq.initialised"]) == 1
    first = load_weights(finished.folder, 0)["encoder"] if 0 in steps(finished.folder) else None
    assert first is None or not torch.equal(first["vq.codebook"], encoder["vq.codebook"])


def test_the_loss_has_the_mean_commitment_in_it() -> None:
    objective = fresh(compile_text(text=SPEC))
    assert isinstance(objective, VqVae)
    target = torch.zeros(2, 1, 8, 8)
    outputs = {DECODED: target + 0.5, COMMITMENT: torch.tensor([0.1, 0.3])}
    found = objective.losses(outputs, batch_like(target), {})
    assert {name: float(x) for name, x in found.items()} == pytest.approx(
        {"loss": 0.45, "reconstruction": 0.25, "commitment": 0.2}
    )


def test_gradients_reach_the_encoder_through_the_codes(spec: Compilation) -> None:
    """By the reconstruction alone, which has no gradient of its own there."""
    objective = fresh(spec)
    objective.networks["encoder"].train()
    batch = batch_of(spec, rows=32)
    objective.step(batch, objective.turns[0], {})["reconstruction"].backward()
    first = next(iter(objective.networks["encoder"].parameters()))
    assert first.grad is not None
    assert first.grad.abs().max() > 0


# Figures


def batch_like(target: Tensor) -> Batch:
    return Batch({"image": target}, {"image": target})


def test_perplexity_and_usage_by_hand() -> None:
    """8 indices over 5 codes in two batches: 4, 2, 2, 0, 0."""
    objective = fresh(compile_text(text=SPEC))
    assert isinstance(objective, VqVae)
    meter = VqVaeMeter(objective.reconstructions(), 5, CPU)
    for rows in ([[0, 0], [1, 2], [0, 2]], [[0, 1]]):
        indices, target = torch.tensor(rows), torch.zeros(len(rows), 1, 8, 8)
        losses = {"loss": torch.tensor(float(len(rows)))}
        meter.update({INDICES: indices, MADE: target + 0.5}, losses, batch_like(target))
    found = meter.compute()
    entropy = 0.5 * math.log(2) + 2 * 0.25 * math.log(4)
    assert found["perplexity"] == pytest.approx(math.exp(entropy))
    assert found["usage"] == pytest.approx(3 / 5)
    assert found["loss"] == pytest.approx((3 * 3 + 1) / 4), "means over samples, not batches"
    assert found["mse"] == pytest.approx(0.25)
    assert meter.details() == {"uses_per_code": [4, 2, 2, 0, 0]}


@pytest.mark.parametrize(("rows", "expected"), [([[3, 3, 3]], 1.0), ([[0, 1, 2, 3, 4]], 5.0)])
def test_perplexity_goes_from_one_to_the_number_of_codes(
    rows: list[list[int]], expected: float
) -> None:
    objective = fresh(compile_text(text=SPEC))
    assert isinstance(objective, VqVae)
    meter = VqVaeMeter(objective.reconstructions(), 5, CPU)
    target = torch.zeros(1, 1, 8, 8)
    outputs = {INDICES: torch.tensor(rows), MADE: target}
    meter.update(outputs, {"loss": torch.tensor(0.0)}, batch_like(target))
    assert meter.compute()["perplexity"] == pytest.approx(expected)


def test_figures_of_a_run_are_those_of_its_indices(
    spec: Compilation, finished: TrainResult
) -> None:
    objective = trained(spec, finished)
    assert isinstance(objective, VqVae)
    with torch.inference_mode():
        indices = objective.programs.run("encode", batch_of(spec, "test").raw)["indices"]
    shares = torch.bincount(indices.flatten(), minlength=32).double() / indices.numel()
    found = finished.metrics["test"]
    assert found["usage"] == pytest.approx(float((shares > 0).double().mean()))
    expected = float(torch.special.entr(shares).sum().exp())
    assert found["perplexity"] == pytest.approx(expected, rel=1e-4)
    assert found["perplexity"] > 6, "the codes do not collapse"


def test_measuring_leaves_the_codebook(spec: Compilation, finished: TrainResult) -> None:
    objective = trained(spec, finished)
    before = {name: x.clone() for name, x in objective.networks["encoder"].state_dict().items()}
    with torch.inference_mode():
        objective.outputs(batch_of(spec, "test"))
    after = objective.networks["encoder"].state_dict()
    assert all(torch.equal(x, after[name]) for name, x in before.items())


# Programs


def test_decoding_indices_is_the_reconstruction(spec: Compilation, finished: TrainResult) -> None:
    objective = trained(spec, finished)
    assert isinstance(objective, VqVae)
    batch = batch_of(spec, "test", 20)
    with torch.inference_mode():
        indices = objective.programs.run("encode", batch.raw)
        (again,) = objective.programs.run("decode", indices).values()
        (whole,) = objective.programs.run("reconstruct", batch.raw).values()
        error = objective.programs.run("score", batch.raw)["error"]
        made = objective.outputs(batch)[MADE]
    assert indices["indices"].shape == (20, 2, 2)
    torch.testing.assert_close(again, whole)
    torch.testing.assert_close(whole, made * 16)
    expected = (made - batch.values["image"]).square().flatten(1).mean(1)
    torch.testing.assert_close(error, expected)
