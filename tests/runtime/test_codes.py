"""Encoders with decoders: what is measured, shown and deployed of them, for each objective."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.driver import Compilation
from netwright.runtime.codes.closing import auroc, probe_accuracy
from netwright.runtime.codes.meter import Reconstructions
from netwright.runtime.codes.pictures import on_plane
from netwright.runtime.drawing import EDGE, GAP, draw_grid, draw_points
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run
from netwright.runtime.gallery import Gallery, newest_pictures
from netwright.runtime.history import read_history
from netwright.runtime.plots import new_figure, scale_loss
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
MIXTURE = VAE.replace("likelihood: bernoulli", "likelihood: {logistic_mixture: 3}").replace(
    "      - linear: 64\n      - reshape: {to: [1, 8, 8]}\n",
    "      - linear: 576\n      - reshape: {to: [9, 8, 8]}\n",
)
"""The digits are whole numbers from 0 to 16, as networks see them from 0 to 1."""
IWAE = VAE.replace("    samples: 2\n", "    samples: 5\n    bound: iwae\n    reduction: mean\n")
SPECS = {
    "vae": VAE,
    "iwae": IWAE,
    "learned": LEARNED,
    "mixture": MIXTURE,
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
    vaes = dict.fromkeys(("iwae", "learned", "mixture"), "vae")
    return {**vaes, "vq_vae_gradient": "vq_vae"}.get(name, name)


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


@pytest.mark.parametrize("name", ["vae", "mixture"])
def test_samples_get_likelier(name: str, trained: Callable[[str], TrainResult]) -> None:
    first, *_, last = read_history(trained(name).folder)
    assert last["validation"]["elbo"] > first["validation"]["elbo"] + 1
    assert last["train"]["loss"] < 0.97 * first["train"]["loss"]


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


@pytest.mark.parametrize("measurements", [1, 3, 10, 11, 57, 1000])
def test_about_ten_measurements_have_pictures(measurements: int, tmp_path: Path) -> None:
    gallery = Gallery(tmp_path, None, None, measurements)  # type: ignore[arg-type]
    due = [number for number in range(1, measurements + 1) if gallery.is_due(number)]
    assert len(due) == min(10, measurements)
    assert due[-1] == measurements


# What a review found


def test_figures_of_a_denoising_autoencoder_tell_sound_samples(tmp_path: Path) -> None:
    """`auroc` scores what `score` does: samples that nothing has spoilt."""
    metrics = "metrics: [{auroc: {source: {digits: {only: [4]}}}}]"
    text = AUTOENCODER.replace("metrics: [psnr, {probe: label}]", metrics)
    compilation = compile_text(text=text)
    result = train(compilation, output=tmp_path / "run", device="cpu")
    bundle = export_run(result.folder).folder
    found = evaluate(bundle)["auroc"]
    assert found == pytest.approx(result.metrics["test"]["auroc"], abs=1e-6)


def test_probabilities_of_whole_pixels_are_judged(tmp_path: Path) -> None:
    """Rounding of raw units leads a little out of [0, 1], where torch refuses to judge."""
    from netwright.runtime.deployed.encoder_decoder import COMPARED

    made, target = torch.tensor([1.0000002, -1e-7]), torch.tensor([1.0, 0.0])
    assert COMPARED["bce_logits"](made, target).item() == pytest.approx(0, abs=1e-5)


def test_data_that_is_sorted_by_class_shows_every_class(tmp_path: Path) -> None:
    from netwright.runtime.data.batches import Batches
    from netwright.runtime.opening import read_data

    dataset = read_data(compile_text(text=VAE), Path())
    columns = dataset.parts["train"]
    batches = Batches(columns, dataset.fields, torch.device("cpu"), torch.contiguous_format)
    every = torch.cat([batch.raw["label"] for batch in batches.spread(10_000, 64)])
    torch.testing.assert_close(every, torch.from_numpy(columns["label"].whole()))
    few = [batch.raw["label"] for batch in batches.spread(100, 64)]
    assert [len(labels) for labels in few] == [64, 36]
    chosen = np.arange(100) * batches.size // 100
    assert torch.cat(few).tolist() == columns["label"].whole()[chosen].tolist()


def test_a_score_that_overflows_is_the_highest() -> None:
    assert auroc(np.array([0.0, 1.0]), np.array([np.nan, np.inf])) == 1.0
    assert auroc(np.array([np.nan, 1.0]), np.array([2.0, 3.0])) == 0.5


@pytest.mark.parametrize(
    "rule", ["scale: [0, 1]", "scale: [-1, 1]", "normalize: {mean: 0.3, std: 0.2}"]
)
def test_image_figures_are_the_same_however_networks_see_them(rule: str) -> None:
    """Both are defined for images from 0 to their peak."""
    from netwright.compiler.objectives.code_metrics import Psnr, Ssim
    from netwright.runtime.data.preprocess import Preprocess

    cpu = torch.device("cpu")
    generator = torch.Generator().manual_seed(0)
    raw = torch.randint(0, 200, (3, 1, 16, 16), generator=generator).to(torch.uint8)
    spec = VAE.replace(
        "  source: digits\n",
        f"  source: digits\n  fields: {{image: {{{rule}, range: [0, 255]}}}}\n",
    )
    spec = spec.replace("likelihood: bernoulli", "likelihood: gaussian")
    fields = compile_text(text=spec).fields
    field = fields["image"].model_copy(update={"scale": None} if "mean" in rule else {})
    seen, other = (Preprocess(field, cpu)(x) for x in (raw, raw + 20))
    figures = Reconstructions([Psnr(), Ssim()], field, "image", cpu)
    _, psnr, ssim = figures(other, {"image": seen})
    assert psnr.item() / 3 == pytest.approx(20 * np.log10(255 / 20), rel=1e-5)
    plain = Reconstructions(
        [Psnr(), Ssim()],
        compile_text(text=VAE).fields["image"].model_copy(update={"range": [0, 255]}),
        "image",
        cpu,
    )
    _, _, expected = plain((raw + 20) / 255, {"image": raw / 255})
    assert ssim.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("extra", ["free_bits: 0.3", "capacity: {nats: 3}"])
def test_the_loss_of_a_part_is_that_of_the_whole(extra: str) -> None:
    """Neither is a mean over samples: batches of another size must not change it."""
    from netwright.runtime.job import make_job
    from netwright.runtime.measure import measure
    from netwright.runtime.opening import read_data
    from netwright.runtime.planning.choose import choose_plan

    text = VAE.replace("    samples: 2\n", f"    {extra}\n")
    compilation = compile_text(text=text)
    dataset, cpu = read_data(compilation, Path()), torch.device("cpu")
    plan = choose_plan(compilation, dataset, cpu)
    job = make_job(compilation, dataset, cpu, Path(), plan)
    assert job.test
    found = [measure(job.objective, job.test, size, job.figures()) for size in (7, 360)]
    wanted = [one["loss"] - one["reconstruction"] for one in found]
    assert wanted[0] == pytest.approx(wanted[1], rel=1e-5)


def test_a_mixture_that_cannot_be_fitted_is_told() -> None:
    from netwright.runtime.codes.fitting import fit_mixture

    with pytest.raises(NetwrightError, match="can be fitted"):
        fit_mixture(mixture(3, 2), np.full((10, 2), np.nan))


def test_a_mixture_is_fitted_to_what_it_is_drawn_from() -> None:
    from netwright.runtime.codes.fitting import fit_mixture

    generator = np.random.default_rng(0)
    centres = np.array([[5.0, 0.0], [-5.0, 1.0]])
    codes = centres[generator.integers(0, 2, 2000)] + 0.1 * generator.normal(size=(2000, 2))
    module = mixture(2, 2)
    fit_mixture(module, codes)
    means = sorted(module.means.tolist())
    np.testing.assert_allclose(means, centres[::-1], atol=0.02)
    np.testing.assert_allclose(module.weights, 0.5, atol=0.05)
    spreads = module.factors @ module.factors.mT
    np.testing.assert_allclose(spreads, np.stack([np.eye(2) * 0.01] * 2), atol=0.02)


def mixture(components: int, size: int) -> torch.nn.Module:
    module = torch.nn.Module()
    module.register_buffer("weights", torch.zeros(components))
    module.register_buffer("means", torch.zeros(components, size))
    module.register_buffer("factors", torch.zeros(components, size, size))
    return module


@pytest.mark.parametrize("damage", ["link", "text"])
def test_the_report_shows_pictures_alone(
    damage: str, trained: Callable[[str], TrainResult], tmp_path: Path
) -> None:
    """A folder of a run may come from anywhere."""
    run = tmp_path / "run"
    shutil.copytree(trained("vae").folder, run)
    _, files = newest_pictures(run) or (0, {})
    secret = tmp_path / "secret"
    secret.write_text("not for the page")
    files["samples"].unlink()
    if damage == "link":
        files["samples"].symlink_to(secret)
    else:
        files["samples"].write_bytes(secret.read_bytes())
    written = write_report(run, output=tmp_path / "page.html")
    assert "New samples" in {piece.title for piece in written.left_out}
    encoded = base64.b64encode(secret.read_bytes()).decode()
    assert encoded not in written.path.read_text(encoding="utf-8")


@pytest.mark.parametrize("row", [[None, None], [1e308, -1e308, 2.0], list(range(100_000))])
def test_a_report_of_odd_details(
    row: list[float | None], trained: Callable[[str], TrainResult], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained("vae").folder, run)
    summary = json.loads((run / "summary.json").read_text())
    summary["details"]["kl_per_element"] = row
    (run / "summary.json").write_text(json.dumps(summary))
    written = write_report(run, output=tmp_path / "page.html")
    assert written.path.stat().st_size < 3_000_000


# What a new user found


def test_another_source_that_is_missing_is_told_before_training(tmp_path: Path) -> None:
    metrics = "metrics: [{auroc: {source: {npz: {path: nowhere.npz}}}}]"
    text = AUTOENCODER.replace("metrics: [psnr, {probe: label}]", metrics)
    with pytest.raises(NetwrightError) as caught:
        train(compile_text(text=text), output=tmp_path / "run", device="cpu")
    (found,) = caught.value.diagnostics
    assert found.code is Code.F602
    assert "`auroc`" in found.notes[-1]
    assert not (tmp_path / "run").exists()


def test_a_bundle_that_lacks_programs_is_not_measured(tmp_path: Path) -> None:
    compilation = compile_text(text=VAE + "export: {programs: [sample, encode]}\n")
    result = train(compilation, output=tmp_path / "other", device="cpu")
    bundle = export_run(result.folder).folder
    with pytest.raises(NetwrightError, match="found one without `reconstruct`, `score`"):
        evaluate(bundle)


OPEN = """\
spec: v1
name: open_vae
dims: {H: {min: 4}, W: {min: 4}}
data: {source: digits}
networks:
  encoder:
    inputs: {image: {shape: [B, 1, H, W]}}
    layers:
      - {id: mean, conv2d: {channels: 2, kernel: 3}}
      - {id: logvar, from: image, conv2d: {channels: 2, kernel: 3}}
    outputs: {mean: mean, logvar: logvar}
  decoder:
    inputs: {z: {shape: [B, 2, H, W]}}
    layers: [{conv2d: {channels: 1, kernel: 3}}]
    outputs: logits
objective:
  vae: {encoder: encoder, decoder: decoder, target: image, likelihood: bernoulli}
training: {seed: 1, batch: 64, epochs: 1}
"""


def test_codes_of_open_sizes_are_drawn(tmp_path: Path) -> None:
    """The data says how large images are, and the noise of pictures with them."""
    result = train(compile_text(text=OPEN), output=tmp_path / "run", device="cpu")
    _, files = newest_pictures(result.folder) or (0, {})
    assert "samples" in files
    assert export_run(result.folder).manifest.parity["largest"] < 1e-4


@pytest.mark.parametrize(
    ("losses", "scale"), [([3.0, 1.0, -2.0], "linear"), ([90.0, 3.0, 1.0], "log")]
)
def test_curves_show_losses_below_zero(losses: list[float], scale: str) -> None:
    _, axis = new_figure(4, 3)
    axis.plot([1, 2, 3], losses)
    scale_loss(axis)
    assert axis.get_yscale() == scale
    assert axis.get_ylim()[0] <= min(losses)


# Figures by hand


def test_image_figures_are_those_of_their_definitions() -> None:
    from netwright.compiler.objectives.code_metrics import Psnr, Ssim

    field = compile_text(text=VAE).fields["image"]
    target = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    figures = Reconstructions([Psnr(), Ssim()], field, "image", torch.device("cpu"))
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
