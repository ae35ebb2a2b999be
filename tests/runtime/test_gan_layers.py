"""A `gan` of the layers that were made for it, from training to its bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.runtime.distributed.world import World
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run
from netwright.runtime.job import make_job
from netwright.runtime.objectives.gan import Gan
from netwright.runtime.opening import read_data
from netwright.runtime.plan import Plan
from netwright.runtime.predict import predict_files
from netwright.runtime.session import load
from netwright.runtime.train import TrainResult, train

from .test_vae import trained
from .tiny import compile_text

SPEC = """\
spec: v1
name: tiny_layered_gan
data: {source: digits, fields: {image: {scale: [-1, 1]}}}
networks:
  generator:
    inputs: {z: {shape: [B, 4]}, label: {shape: [B], dtype: int64}}
    layers:
      - {from: z, linear: 64}
      - reshape: [4, 4, 4]
      - {from: {label: label}, conditional_batch_norm: 10}
      - relu
      - conv_transpose2d: {channels: 1, kernel: 4, stride: 2, padding: 1}
      - tanh
    outputs: image
  discriminator:
    inputs: {image: {shape: [B, 1, 8, 8]}, label: {shape: [B], dtype: int64}}
    layers:
      - {from: image, conv2d: {channels: 8, kernel: 4, stride: 2, padding: 1}}
      - leaky_relu: 0.2
      - minibatch_deviation
      - {id: features, flatten: {}}
      - {id: real, linear: 1}
      - id: fits
        from: {x: features, label: label}
        class_projection: {classes: 10, weight_norm: spectral}
      - {from: [real, fits], add: {}}
    outputs: score
objective:
  gan:
    generator: generator
    discriminator: discriminator
    real: image
    loss: non_saturating
    regularizers: [{r1: {weight: 0.1}}]
training:
  seed: 0
  batch: 64
  steps: 20
  optimizers: {generator: {adam: {lr: 2e-3}}, discriminator: {adam: {lr: 2e-3}}}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(compile_text(text=SPEC), output=tmp_path_factory.mktemp("gan") / "run")


@pytest.fixture(scope="module")
def bundle(finished: TrainResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Which export has proved."""
    return export_run(finished.folder, output=tmp_path_factory.mktemp("gan") / "bundle").folder


def test_the_run_and_its_bundle_are_evaluated_in_the_same_batches(
    finished: TrainResult, bundle: Path
) -> None:
    found = finished.metrics["test"]
    assert all(np.isfinite(value) for value in found.values())
    assert evaluate(finished.folder) == pytest.approx(found)
    # Generated images are rounded to the pixels that data holds.
    assert evaluate(bundle) == pytest.approx(found, abs=0.02)


def test_a_bundle_says_whose_answers_depend_on_the_batch(bundle: Path, tmp_path: Path) -> None:
    opened = load(bundle)
    programs = opened.manifest.programs
    assert {n: p.mixes_batch for n, p in programs.items()} == {
        "generate": False,
        "discriminate": True,
    }
    session = opened.program("discriminate")
    images = np.random.default_rng(0).integers(0, 17, (6, 1, 8, 8)).astype(np.uint8)
    given = {"image": images, "label": np.arange(6)}
    whole = session.in_batches(given, 6)["score"]
    assert not np.allclose(whole, session.in_batches(given, 3)["score"])
    np.savez(tmp_path / "images.npz", **given)
    warned: list[str] = []
    files = [tmp_path / "images.npz"]
    assert len([*predict_files(bundle, files, program="discriminate", warn=warned.append)]) == 6
    assert any("samples beside it" in text for text in warned)


@pytest.mark.parametrize(("processes", "fits"), [(32, True), (64, False)])
def test_processes_that_would_see_one_sample_each_are_refused(
    processes: int, fits: bool, tmp_path: Path
) -> None:
    spec = compile_text(text=SPEC)
    dataset, world = read_data(spec, tmp_path), World(size=processes)
    if fits:
        make_job(spec, dataset, torch.device("cpu"), tmp_path, Plan(), world)
        return
    with pytest.raises(NetwrightError, match="`minibatch_deviation` that compares") as caught:
        make_job(spec, dataset, torch.device("cpu"), tmp_path, Plan(), world)
    (found,) = caught.value.diagnostics
    assert found.code is Code.R905
    assert "found 1 in each of 64 processes" in found.message


def test_samples_of_a_bundle_are_those_of_torch(finished: TrainResult, bundle: Path) -> None:
    spec = compile_text(text=SPEC)
    objective = trained(spec, finished)
    assert isinstance(objective, Gan)
    label = torch.arange(10)
    noise = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = objective.programs.run("generate", {"noise": noise, "label": label})["image"]
    session = load(bundle).program("generate")
    found = torch.from_numpy(session(noise=noise.numpy(), label=label.numpy())["image"])
    torch.testing.assert_close(found, expected, rtol=0, atol=1)  # rounded to pixels
    same = session(noise=noise[[0] * 10].numpy(), label=label.numpy())["image"]
    assert len({image.tobytes() for image in same}) > 1, "classes differ"
