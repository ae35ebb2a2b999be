"""Encoders with decoders: what is measured, shown and deployed of them, for each objective."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from netwright.compiler.driver import Compilation
from netwright.runtime.codes.closing import auroc, probe_accuracy
from netwright.runtime.codes.drawing import EDGE, GAP, draw_grid, draw_points
from netwright.runtime.codes.meter import Reconstructions
from netwright.runtime.codes.pictures import on_plane
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run
from netwright.runtime.gallery import newest_pictures
from netwright.runtime.report.write import write_report
from netwright.runtime.train import TrainResult, train
from PIL import Image

from .pages import Page
from .test_train import _look_every_step, stop_at
from .tiny import compile_text

assert _look_every_step  # a fixture

HEAD = """\
spec: v1
name: tiny_codes
data:
  source: digits
  split: {validation: 0.2}
networks:
  encoder:
    inputs: {image: {shape: [B, 1, 8, 8]}}
    layers:
"""
DECODER = """\
  decoder:
    inputs: {z: {shape: [B, 6]}}
    layers:
      - linear: 32
      - relu
      - linear: 64
      - reshape: {to: [1, 8, 8]}
    outputs: made
objective:
"""
TRAINING = """\
training: {seed: 1, batch: 64, epochs: 4, optimizer: {adamw: {lr: 5e-3}}}
"""
VAE = f"""\
{HEAD}\
      - flatten
      - {{id: h, linear: 32}}
      - {{id: mean, from: h, linear: 6}}
      - {{id: logvar, from: h, linear: 6}}
    outputs: {{mean: mean, logvar: logvar}}
{DECODER}\
  vae:
    encoder: encoder
    decoder: decoder
    target: image
    likelihood: bernoulli
    samples: 2
    metrics: [psnr, {{nll: 60}}, {{probe: label}}, {{auroc: {{source: {{digits: {{only: [4]}}}}}}}}]
{TRAINING}"""
AUTOENCODER = f"""\
{HEAD}\
      - flatten
      - linear: 6
      - sigmoid
    outputs: code
{DECODER}\
  autoencoder:
    encoder: encoder
    decoder: decoder
    target: image
    loss: bce_logits
    noise: {{masking: 0.2}}
    sparsity: {{kl: {{rate: 0.2, weight: 0.01}}}}
    metrics: [psnr, {{probe: label}}]
{TRAINING}"""
VQ_VAE = f"""\
{HEAD}\
      - conv2d: {{channels: 16, kernel: 3, stride: 2}}
      - relu
      - conv2d: {{channels: 6, kernel: 1}}
      - {{id: vq, vector_quantize: 16}}
    outputs: {{quantized: vq.quantized, indices: vq.indices, commitment: vq.commitment}}
  decoder:
    inputs: {{z: {{shape: [B, 6, 4, 4]}}}}
    layers:
      - conv_transpose2d: {{channels: 16, kernel: 4, stride: 2, padding: 1}}
      - relu
      - conv2d: {{channels: 1, kernel: 3}}
    outputs: made
objective:
  vq_vae:
    encoder: encoder
    decoder: decoder
    target: image
    metrics: [{{probe: label}}]
{TRAINING}"""
GRADIENT = VQ_VAE.replace("vector_quantize: 16", "vector_quantize: {codes: 16, update: gradient}")
LEARNED = VAE.replace("likelihood: bernoulli", "likelihood: {gaussian: learned}").replace(
    """      - linear: 64
      - reshape: {to: [1, 8, 8]}
    outputs: made
""",
    """      - {id: h, linear: 64}
      - {id: mean, from: h, reshape: {to: [1, 8, 8]}}
      - {from: h, linear: 1}
      - {id: logvar, reshape: {to: [1, 1, 1]}}
    outputs: {mean: mean, logvar: logvar}
""",
)
IWAE = VAE.replace("    samples: 2\n", "    samples: 5\n    bound: iwae\n    reduction: mean\n")
SPECS = {
    "vae": VAE,
    "iwae": IWAE,
    "learned": LEARNED,
    "autoencoder": AUTOENCODER,
    "vq_vae": VQ_VAE,
    "vq_vae_gradient": GRADIENT,
}
PROGRAMS = {
    "vae": {"encode", "decode", "reconstruct", "sample", "interpolate", "score"},
    "autoencoder": {"encode", "decode", "reconstruct", "interpolate", "score"},
    "vq_vae": {"encode", "decode", "reconstruct", "score"},
}
PICTURES = {
    "vae": {"reconstructions", "samples", "interpolations", "codes"},
    "autoencoder": {"reconstructions", "interpolations", "codes"},
    "vq_vae": {"reconstructions", "codes"},
}


def kind(name: str) -> str:
    return {"iwae": "vae", "learned": "vae", "vq_vae_gradient": "vq_vae"}.get(name, name)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TrainResult]:
    """A finished run of a spec, trained once. Not to be changed."""
    known: dict[str, TrainResult] = {}

    def of(name: str) -> TrainResult:
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            known[name] = train(compiled(name), output=folder / "run", device="cpu")
            export_run(known[name].folder)
        return known[name]

    return of


def compiled(name: str) -> Compilation:
    return compile_text(text=SPECS[name])


each_spec = pytest.mark.parametrize("name", SPECS)


@each_spec
def test_a_bundle_is_measured_as_the_run_it_comes_from(
    name: str, trained: Callable[[str], TrainResult]
) -> None:
    """Programs in ONNX Runtime give every figure that networks in torch gave, to the digits."""
    result = trained(name)
    in_torch = evaluate(result.folder)
    assert in_torch == pytest.approx(result.metrics["test"], rel=1e-6)
    in_onnx = evaluate(result.folder / "bundle")
    # Rounding of the codes moves single samples over the border of a logistic regression.
    assert in_onnx.pop("probe") == pytest.approx(in_torch.pop("probe"), abs=0.02)
    assert in_onnx == pytest.approx(in_torch, rel=2e-4, abs=2e-4)


@each_spec
def test_every_program_is_exported(name: str, trained: Callable[[str], TrainResult]) -> None:
    bundle = trained(name).folder / "bundle"
    assert {path.stem for path in bundle.glob("*.onnx")} == PROGRAMS[kind(name)]


@each_spec
def test_reconstructions_get_better(name: str, trained: Callable[[str], TrainResult]) -> None:
    lines = (trained(name).folder / "metrics.jsonl").read_text().splitlines()
    first, last = (
        float(line.partition('"mse": ')[2].partition(",")[0].rstrip("}"))
        for line in (lines[0], lines[-1])
    )
    assert last < 0.9 * first


@each_spec
def test_pictures_are_drawn_while_training(
    name: str, trained: Callable[[str], TrainResult]
) -> None:
    result = trained(name)
    folders = sorted((result.folder / "pictures").iterdir())
    assert len(folders) == 4
    step, files = newest_pictures(result.folder) or (0, {})
    assert step == result.step
    assert files.keys() == PICTURES[kind(name)]
    for path in files.values():
        with Image.open(path) as image:
            assert np.asarray(image.convert("L")).std() > 5, f"{path.name} shows nothing"


@pytest.mark.parametrize("name", ["vae", "autoencoder", "vq_vae"])
def test_the_report_shows_them(
    name: str, trained: Callable[[str], TrainResult], tmp_path: Path
) -> None:
    written = write_report(trained(name).folder, output=tmp_path / "page.html")
    page = Page(written.path.read_text(encoding="utf-8"))
    assert "Reconstructions" in page.text
    assert ("New samples" in page.text) == (name == "vae")
    assert ("What the code holds" in page.text) or name == "autoencoder"
    assert {piece.title for piece in written.left_out} <= {"What the code holds"}


@pytest.mark.usefixtures("_look_every_step")
def test_a_resumed_run_draws_the_same_pictures(
    trained: Callable[[str], TrainResult], tmp_path: Path
) -> None:
    """What was drawn after the step that a run goes on from is drawn again."""
    whole = trained("vae").folder
    stopped = train(compiled("vae"), output=tmp_path / "run", device="cpu", observer=stop_at(50))
    assert stopped.signal is not None
    late = tmp_path / "run" / "pictures" / "00000099"
    late.mkdir()
    (late / "codes.png").write_bytes(b"of a step that was never taken")
    train(compiled("vae"), output=tmp_path / "run", resume=True, device="cpu")
    files = {p.relative_to(whole): p.read_bytes() for p in (whole / "pictures").rglob("*.png")}
    again = (tmp_path / "run" / "pictures").rglob("*.png")
    assert {p.relative_to(tmp_path / "run"): p.read_bytes() for p in again} == files


# Figures by hand


def test_image_figures_are_those_of_their_definitions() -> None:
    from netwright.compiler.objectives.code_metrics import Psnr, Ssim

    field = compile_text(text=VAE).fields["image"]
    target = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    figures = Reconstructions([Psnr(), Ssim()], field, "image")
    mse, psnr, ssim = figures(target + 0.1, {"image": target})
    assert mse.item() == pytest.approx(3 * 0.01, rel=1e-5)
    assert psnr.item() == pytest.approx(3 * 20, rel=1e-5)
    assert 0.9 < ssim.item() / 3 < 1
    assert figures(target, {"image": target})[2].item() == pytest.approx(3)


def test_a_probe_learns_what_codes_tell_of_labels() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 400)
    codes = np.eye(3)[labels] * 1e3 + generator.normal(size=(400, 3))
    assert probe_accuracy(codes[:200], labels[:200], codes[200:], labels[200:]) == 1.0
    noise = generator.normal(size=(400, 3))
    assert probe_accuracy(noise[:200], labels[:200], noise[200:], labels[200:]) < 0.5


def test_auroc_is_the_chance_that_the_other_scores_higher() -> None:
    assert auroc(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1.0
    assert auroc(np.array([0.0, 2.0]), np.array([1.0, 3.0])) == 0.75
    assert auroc(np.array([1.0, 1.0]), np.array([1.0])) == 0.5


# Pictures by hand


def test_a_grid_has_a_border_around_each_image() -> None:
    rows = [np.zeros((3, 1, 8, 8)), np.ones((3, 1, 8, 8))]
    with Image.open(io.BytesIO(draw_grid(rows))) as image:
        pixels = np.asarray(image)
    assert pixels.shape == (2 * (EDGE + GAP) + GAP, 3 * (EDGE + GAP) + GAP)
    assert pixels[0, 0] == 255
    assert pixels[GAP, GAP] == 0
    assert pixels[GAP + EDGE + GAP, GAP] == 255


def test_points_are_drawn_with_and_without_labels() -> None:
    points = np.random.default_rng(0).normal(size=(30, 2))
    labels = np.arange(30) % 3
    for given, names in ((labels, ["a", "b"]), (None, [])):
        with Image.open(io.BytesIO(draw_points(points, given, names, ("x", "y")))) as image:
            assert image.size == (960, 780)


def test_two_elements_are_a_plane_and_more_are_brought_to_one() -> None:
    codes = np.random.default_rng(0).normal(size=(50, 2))
    plane, axes = on_plane(codes)
    assert plane is codes
    assert axes == ("z 0", "z 1")
    wide = np.hstack([codes * [10, 5], np.zeros((50, 3))])
    plane, axes = on_plane(wide)
    assert plane.shape == (50, 2)
    assert "of the variance" in axes[0]
