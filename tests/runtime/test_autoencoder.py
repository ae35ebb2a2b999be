"""The objective `autoencoder`: it learns, takes noise away, and keeps its code sparse."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from netwright.compiler.driver import Compilation
from netwright.compiler.objectives.autoencoder import KlSparsity, L1Sparsity
from netwright.compiler.objectives.corruptions import (
    Corruption,
    GaussianNoise,
    Masking,
    SaltPepper,
)
from netwright.compiler.objectives.fields import Field
from netwright.runtime.codes.meter import MADE
from netwright.runtime.data.batches import Batch
from netwright.runtime.evaluate import evaluate
from netwright.runtime.history import read_history
from netwright.runtime.numbers import numbers_at
from netwright.runtime.objectives.autoencoder import CODE, DECODED, Autoencoder, sparsity
from netwright.runtime.objectives.corruptions import Spoiler
from netwright.runtime.train import TrainResult, train
from torch import Tensor

from .test_vae import assert_resumes, batch_of, fresh, trained
from .tiny import compile_text

CPU = torch.device("cpu")

SPEC = """\
spec: v1
name: tiny_autoencoder
data: {source: digits, split: {validation: 0.2}}
networks:
  encoder:
    inputs: {image: {shape: [B, 1, 8, 8]}}
    layers: [flatten, {linear: 48}, relu, {linear: 16}, sigmoid]
    outputs: code
  decoder:
    inputs: {z: {shape: [B, 16]}}
    layers: [{linear: 48}, relu, {linear: 64}, {reshape: [1, 8, 8]}]
    outputs: made
objective:
  autoencoder: {encoder: encoder, decoder: decoder, target: image}
training:
  seed: 1
  batch: 64
  epochs: 40
  optimizer: {adam: {lr: 1e-2}}
  validation: {epochs: 20}
"""
NOISES = {
    "gaussian": "noise: {gaussian: 0.4}",
    "masking": "noise: {masking: 0.3}",
    "salt_pepper": "noise: {salt_pepper: 0.3}",
}


def with_settings(text: str) -> Compilation:
    return compile_text({"target: image": f"target: image, {text}"}, text=SPEC)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    folder = tmp_path_factory.mktemp("autoencoder")
    return train(compile_text(text=SPEC), output=folder / "run", device="cpu")


@pytest.fixture(scope="module")
def denoising() -> Compilation:
    return with_settings(NOISES["gaussian"])


@pytest.fixture(scope="module")
def denoised(denoising: Compilation, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(denoising, output=tmp_path_factory.mktemp("denoising") / "run", device="cpu")


# Learning


def test_it_learns_more_than_the_mean_image(finished: TrainResult) -> None:
    losses = [record["train"]["loss"] for record in read_history(finished.folder)]
    assert losses[-1] < 0.5 * losses[0]
    compilation = compile_text(text=SPEC)
    image = batch_of(compilation, "test").values["image"]
    mean = batch_of(compilation).values["image"].mean(0)
    assert finished.metrics["test"]["mse"] < 0.5 * float((image - mean).square().mean())
    assert finished.metrics["test"]["mse"] == pytest.approx(finished.metrics["test"]["loss"])
    assert evaluate(finished.folder) == pytest.approx(finished.metrics["test"])


@pytest.mark.parametrize("noise", NOISES)
def test_denoising_beats_leaving_samples_as_they_are(
    noise: str, denoised: TrainResult, tmp_path: Path
) -> None:
    compilation = with_settings(NOISES[noise])
    result = denoised
    if noise != "gaussian":
        result = train(compilation, output=tmp_path / "run", device="cpu")
    objective = trained(compilation, result)
    assert isinstance(objective, Autoencoder)
    batch, spoilt = batch_of(compilation, "test"), spoilt_as_stored(compilation)
    left = float((spoilt - batch.values["image"]).square().mean())
    with torch.inference_mode():
        made = objective.outputs(batch)[MADE]
    assert float((made - batch.values["image"]).square().mean()) < 0.6 * left
    assert result.metrics["test"]["mse"] < 0.6 * left, "what is measured is of spoilt samples"


def spoilt_as_stored(compilation: Compilation) -> Tensor:
    """Test samples as the networks see them, spoilt."""
    objective = fresh(compilation)
    batch = batch_of(compilation, "test")
    raw = objective.spoilt(batch, batch.size)  # type: ignore[attr-defined]
    return raw["image"].float() / 16


@pytest.mark.parametrize("text", ["loss: mse", "loss: l1", "loss: bce_logits"])
def test_what_is_made_is_what_the_loss_compares(text: str) -> None:
    compilation = with_settings(text)
    objective = fresh(compilation)
    assert isinstance(objective, Autoencoder)
    batch = batch_of(compilation, rows=6)
    with torch.inference_mode():
        found = objective.outputs(batch)
        losses = objective.losses(found, batch, {})
    x, target = found[DECODED], batch.values["image"]
    expected = {
        "loss: mse": (x - target).square(),
        "loss: l1": (x - target).abs(),
        "loss: bce_logits": (1 + x.exp()).log() - target * x,
    }[text]
    assert losses.keys() == {"loss"}
    assert float(losses["loss"]) == pytest.approx(float(expected.mean()), rel=1e-5)
    assert torch.equal(found[MADE], x.sigmoid() if "logits" in text else x)


# Noise


IMAGE = Field(shape=["B", 1, 8, 8], dtype="uint8", range=[0, 16], scale=[-1, 1])


def spoilt(settings: Corruption, x: Tensor) -> Tensor:
    torch.manual_seed(0)
    return Spoiler(settings, IMAGE, CPU)(x)


def test_masking_sets_a_share_to_the_smallest_value() -> None:
    x = torch.full((500, 1, 8, 8), 0.25)
    found = spoilt(Masking(rate=0.3), x)
    assert set(found.unique().tolist()) == {-1.0, 0.25}
    assert float((found == -1).float().mean()) == pytest.approx(0.3, abs=0.01)


def test_salt_and_pepper_are_alike_in_number() -> None:
    x = torch.full((500, 1, 8, 8), 0.25)
    found = spoilt(SaltPepper(rate=0.4), x)
    assert set(found.unique().tolist()) == {-1.0, 0.25, 1.0}
    for value in (-1, 1):
        assert float((found == value).float().mean()) == pytest.approx(0.2, abs=0.01)


def test_normal_noise_has_its_deviation() -> None:
    added = spoilt(GaussianNoise(std=0.3), torch.full((500, 1, 8, 8), 0.25)) - 0.25
    assert float(added.std()) == pytest.approx(0.3, abs=0.005)
    assert float(added.mean()) == pytest.approx(0, abs=0.005)


def test_samples_are_spoilt_as_files_could_hold_them() -> None:
    """Whole numbers within the range: what a program is given."""
    torch.manual_seed(0)
    x = torch.rand(20, 1, 8, 8) * 2 - 1
    stored, seen = Spoiler(GaussianNoise(std=2.0), IMAGE, CPU).stored(x)
    assert stored.dtype == torch.uint8
    assert (int(stored.min()), int(stored.max())) == (0, 16)
    torch.testing.assert_close(seen, stored.float() / 8 - 1)


def test_the_encoder_reads_noise_and_the_decoder_is_held_to_the_sound_sample(
    denoising: Compilation,
) -> None:
    objective = fresh(denoising)
    assert isinstance(objective, Autoencoder)
    batch = batch_of(denoising, rows=8)
    seen: list[Tensor] = []
    objective.networks["encoder"].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    torch.manual_seed(0)
    first = objective.step(batch, objective.turns[0], {})
    objective.step(batch, objective.turns[0], {})
    assert not torch.equal(seen[0], seen[1]), "each step draws its own"
    noise = seen[0] - batch.values["image"]
    assert float(noise.std()) == pytest.approx(0.4, abs=0.05)
    with torch.inference_mode():
        made = objective.networks["decoder"](objective.networks["encoder"](seen[0]))
    expected = (made - batch.values["image"]).square().mean()
    assert first["loss"].item() == pytest.approx(float(expected), rel=1e-5)


# Sparsity


def test_the_l1_penalty_is_the_mean_size() -> None:
    code = torch.tensor([[1.0, -2.0], [0.0, 5.0]])
    assert float(sparsity(L1Sparsity(), code)) == 2.0


def test_the_kl_penalty_by_hand() -> None:
    """Means of 0.2 and 0.6 over the batch, a rate of 0.1."""
    code = torch.tensor([[0.1, 0.4], [0.3, 0.8]])
    expected = sum(
        0.1 * math.log(0.1 / mean) + 0.9 * math.log(0.9 / (1 - mean)) for mean in (0.2, 0.6)
    )
    assert float(sparsity(KlSparsity(rate=0.1), code)) == pytest.approx(expected, rel=1e-5)
    even = torch.tensor([[0.0, 0.1], [0.2, 0.1]])
    assert float(sparsity(KlSparsity(rate=0.1), even)) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_kl_penalty_of_a_code_at_its_end_is_finite(value: float) -> None:
    code = torch.full((4, 3), value, requires_grad=True)
    penalty = sparsity(KlSparsity(rate=0.05), code)
    penalty.backward()
    assert penalty.isfinite()
    assert code.grad is not None
    assert code.grad.isfinite().all()


def test_the_weight_of_the_penalty_follows_its_schedule() -> None:
    compilation = with_settings("sparsity: {l1: {weight: {start: 0, end: 3, steps: 10}}}")
    objective = fresh(compilation)
    assert isinstance(objective, Autoencoder)
    batch = batch_of(compilation, rows=6)
    with torch.inference_mode():
        outputs = objective.outputs(batch)
        for step, weight in ((0, 0.0), (5, 1.5), (50, 3.0)):
            found = objective.losses(outputs, batch, numbers_at(objective.schedules, step))
            assert found.keys() == {"loss", "reconstruction", "sparsity"}
            expected = found["reconstruction"] + weight * found["sparsity"]
            assert float(found["loss"]) == pytest.approx(float(expected), rel=1e-6)
            assert float(found["sparsity"]) == pytest.approx(float(outputs[CODE].abs().mean()))


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("sparsity: {l1: {weight: 0.1}}", 0.0, 0.2),
        ("sparsity: {kl: {weight: 0.1, rate: 0.1}}", 0.07, 0.13),
    ],
    ids=["l1", "kl"],
)
def test_penalties_keep_the_code_at_rest(
    text: str, least: float, most: float, finished: TrainResult, tmp_path: Path
) -> None:
    compilation = with_settings(text)
    result = train(compilation, output=tmp_path / "run", device="cpu")
    sparse = mean_code(compilation, result)
    assert least < sparse < most
    assert mean_code(compile_text(text=SPEC), finished) > 2 * sparse


def mean_code(compilation: Compilation, result: TrainResult) -> float:
    objective = trained(compilation, result)
    assert isinstance(objective, Autoencoder)
    with torch.inference_mode():
        return float(objective.code_of(batch_of(compilation)).mean())


# Runs


@pytest.mark.parametrize("step", [1, 17, 100])
def test_stopped_and_resumed_is_bit_identical(
    step: int,
    denoising: Compilation,
    denoised: TrainResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The noise of a step is its own, whatever was drawn before it."""
    assert_resumes(denoising, denoised, tmp_path / "run", step, monkeypatch)


def test_programs_are_the_networks(finished: TrainResult) -> None:
    compilation = compile_text(text=SPEC)
    objective: Any = trained(compilation, finished)
    batch = batch_of(compilation, "test", 10)
    with torch.inference_mode():
        made = objective.outputs(batch)[MADE]
        (whole,) = objective.programs.run("reconstruct", batch.raw).values()
        code = objective.programs.run("encode", batch.raw)
        (again,) = objective.programs.run("decode", {"z": next(iter(code.values()))}).values()
        error = objective.programs.run("score", batch.raw)["error"]
    torch.testing.assert_close(whole, made * 16)
    torch.testing.assert_close(again, whole)
    torch.testing.assert_close(error, objective_scores(objective, batch))


def objective_scores(objective: Autoencoder, batch: Batch) -> Tensor:
    with torch.inference_mode():
        return objective.scores(batch)
