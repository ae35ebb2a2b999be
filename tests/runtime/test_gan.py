"""The objective `gan`: its losses and penalties, its turns, what it learns, and its programs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from netwright.compiler.driver import Compilation
from netwright.compiler.objectives.adversarial_losses import ADVERSARIAL_LOSSES, NonSaturating
from netwright.compiler.objectives.gradient_penalties import PENALTIES
from netwright.compiler.objectives.schedules import Schedule
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run
from netwright.runtime.gallery import newest_pictures
from netwright.runtime.history import read_history
from netwright.runtime.numbers import numbers_at
from netwright.runtime.objectives.adversarial_losses import GAMES, game
from netwright.runtime.objectives.gan import Gan
from netwright.runtime.objectives.gradient_penalties import Critic, Judged, penalty, watched
from netwright.runtime.report.write import write_report
from netwright.runtime.sample import sample
from netwright.runtime.session import load
from netwright.runtime.train import TrainResult, train
from PIL import Image
from torch import Tensor, nn

from .test_vae import assert_resumes, batch_of, fresh, trained
from .tiny import compile_text

SPEC = """\
spec: v1
name: tiny_gan
data:
  source: {ring: {modes: 4, radius: 1, std: 0.1, samples: 2048, test_samples: 256}}
networks:
  generator:
    inputs: {z: {shape: [B, 2]}}
    layers: [{linear: 32}, relu, {linear: 32}, relu, {linear: 2}]
    outputs: point
  discriminator:
    inputs: {point: {shape: [B, 2]}}
    layers: [{linear: 32}, relu, {linear: 32}, relu, {linear: 1}]
    outputs: score
objective:
  gan:
    generator: generator
    discriminator: discriminator
    real: point
    loss: non_saturating
    regularizers: [{r1: {weight: {start: 0.2, end: 0.1, steps: 100}}}]
    discriminator_steps: 2
training:
  seed: 0
  batch: 128
  steps: 240
  optimizers:
    generator: {adam: {lr: 5e-3, betas: [0.0, 0.9]}}
    discriminator: {adam: {lr: 5e-3, betas: [0.0, 0.9]}}
  ema: 0.9
"""

CONDITIONAL = """\
spec: v1
name: tiny_conditional_gan
data: {source: digits, fields: {image: {scale: [-1, 1]}}}
networks:
  generator:
    inputs: {code: {shape: [B, 4]}, label: {shape: [B], dtype: int64}}
    layers:
      - {id: which, from: label, embedding: {size: 10, dim: 4}}
      - {from: [code, which], concat: {}}
      - {linear: 32}
      - {batch_norm: {}}
      - relu
      - {linear: 64}
      - tanh
      - {reshape: [1, 8, 8]}
    outputs: image
  discriminator:
    inputs: {image: {shape: [B, 1, 8, 8]}, label: {shape: [B], dtype: int64}}
    layers:
      - {id: which, from: label, embedding: {size: 10, dim: 8}}
      - {id: flat, from: image, flatten: {}}
      - {from: [flat, which], concat: {}}
      - {linear: {features: 32, weight_norm: spectral}}
      - {leaky_relu: 0.2}
      - {linear: {features: 1, weight_norm: spectral}}
    outputs: score
objective:
  gan:
    generator: {network: generator, inputs: {code: z}}
    discriminator: discriminator
    real: image
    latent: uniform
    augment: {kinds: [color, translation, cutout], adaptive: {target: 0.3, samples: 640}}
    loss: hinge
training:
  seed: 0
  batch: 64
  steps: 30
  optimizers: {generator: {adam: {lr: 2e-3}}, discriminator: {adam: {lr: 2e-3}}}
"""
SCHEDULED = (
    CONDITIONAL.replace(
        "adaptive: {target: 0.3, samples: 640}", "probability: {start: 0, end: 0.5, steps: 20}"
    )
    .replace("    loss: hinge\n", """\
    loss: {non_saturating: {smoothing: {start: 0.2, end: 0, steps: 15}}}
    regularizers:
      - {r1: {weight: {start: 1, end: 0.1, steps: 20, curve: exponential}, every: 4}}
      - r2: {weight: {start: 1, end: 0.1, steps: 20}}
""")
    .replace("""{generator: {adam: {lr: 2e-3}}, discriminator: {adam: {lr: 2e-3}}}""", """
    generator: {adam: {lr: 2e-3, betas: [0.0, {start: 0.9, end: 0.99, steps: 20}]}}
    discriminator: {adam: {lr: {start: 4e-3, end: 1e-3, steps: 25}}}
  schedule: {cosine: {warmup: 5}}
  ema: {decay: {start: 0.5, end: 0.9, steps: 20}}""")
)  # fmt: skip
"""Every number that R3GAN moves, and more (Huang et al. 2024)."""

KINDS = {"ring": SPEC, "conditional": CONDITIONAL, "scheduled": SCHEDULED}


@pytest.fixture(scope="module", params=KINDS)
def spec(request: pytest.FixtureRequest) -> Compilation:
    return compile_text(text=KINDS[request.param])


@pytest.fixture(scope="module")
def finished(spec: Compilation, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(spec, output=tmp_path_factory.mktemp("gan") / "run", device="cpu")


@pytest.fixture(scope="module")
def exported(finished: TrainResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_run(finished.folder, output=tmp_path_factory.mktemp("gan") / "bundle").folder


# Losses and penalties


def log_sigmoid(x: Tensor) -> Tensor:
    return -torch.log1p(torch.exp(-x))


REAL, FAKE = (
    torch.randn(64, 1, generator=torch.Generator().manual_seed(seed)).double() for seed in (1, 2)
)

DISCRIMINATORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "non_saturating": lambda x, y: -(log_sigmoid(x).mean() + log_sigmoid(-y).mean()),
    "minimax": lambda x, y: -(log_sigmoid(x).mean() + log_sigmoid(-y).mean()),
    "least_squares": lambda x, y: ((x - 1) ** 2).mean() / 2 + (y**2).mean() / 2,
    "wasserstein": lambda x, y: y.mean() - x.mean(),
    "wasserstein_gp": lambda x, y: y.mean() - x.mean(),
    "hinge": lambda x, y: (1 - x).clamp(min=0).mean() + (1 + y).clamp(min=0).mean(),
    "relativistic": lambda x, y: -log_sigmoid(x - y).mean(),
}
GENERATORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "non_saturating": lambda x, y: -log_sigmoid(y).mean(),
    "minimax": lambda x, y: log_sigmoid(-y).mean(),
    "least_squares": lambda x, y: ((y - 1) ** 2).mean() / 2,
    "wasserstein": lambda x, y: -y.mean(),
    "wasserstein_gp": lambda x, y: -y.mean(),
    "hinge": lambda x, y: -y.mean(),
    "relativistic": lambda x, y: -log_sigmoid(y - x).mean(),
}


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_losses_are_their_formulas(name: str) -> None:
    settings = ADVERSARIAL_LOSSES[name]()
    played = game(settings)
    found = played.discriminator(REAL.float(), FAKE.float(), numbers_at(settings.schedules(), 0))
    torch.testing.assert_close(found.double(), DISCRIMINATORS[name](REAL, FAKE), rtol=1e-5, atol=0)
    found = played.generator(REAL.float() if played.needs_real else None, FAKE.float())
    torch.testing.assert_close(found.double(), GENERATORS[name](REAL, FAKE), rtol=1e-5, atol=0)


def test_every_loss_has_a_game() -> None:
    assert GAMES.keys() == ADVERSARIAL_LOSSES.keys()


def test_smoothed_labels_are_a_cross_entropy() -> None:
    settings = NonSaturating(smoothing=Schedule(start=0.3, end=0.1, steps=10))
    played, numbers = game(settings), numbers_at(settings.schedules(), 10)
    cost = nn.functional.binary_cross_entropy_with_logits
    expected = cost(REAL, torch.full_like(REAL, 0.9)) + cost(FAKE, torch.zeros_like(FAKE))
    torch.testing.assert_close(played.discriminator(REAL, FAKE, numbers), expected)


def test_at_the_equilibrium_the_loss_is_twice_the_logarithm_of_two() -> None:
    same = torch.zeros(8, 1)
    settings = NonSaturating()
    loss = game(settings).discriminator(same, same, numbers_at(settings.schedules(), 0))
    assert float(loss) == pytest.approx(2 * math.log(2))


class Quadratic(nn.Module):
    """D(x) = x'Ax / 2, whose gradient is (A + A')x / 2."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * ((x @ self.matrix) * x).sum(1, keepdim=True)

    def gradient(self, x: Tensor) -> Tensor:
        return 0.5 * x @ (self.matrix + self.matrix.T)


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_are_their_formulas_and_have_gradients(name: str) -> None:
    critic = Quadratic()
    real, fake = (
        torch.randn(16, 3, generator=torch.Generator().manual_seed(seed)) for seed in (3, 4)
    )
    settings = PENALTIES[name](weight=Schedule.constant(1.0))
    torch.manual_seed(5)
    found = penalty(
        settings, critic, watched(real, critic, needed=True), watched(fake, critic, needed=True)
    )
    torch.manual_seed(5)
    share = torch.rand(16, 1)
    places = {"r1": real, "r2": fake, "gradient_penalty": real + share * (fake - real)}
    slopes = critic.gradient(places[name])
    squares = slopes.square().sum(1)
    expected = ((squares.sqrt() - 1) ** 2 if name == "gradient_penalty" else squares / 2).mean()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    (got,) = torch.autograd.grad(found, critic.matrix)
    (wanted,) = torch.autograd.grad(expected, critic.matrix)
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)


def test_a_penalty_centred_at_zero() -> None:
    critic = Quadratic()
    x = watched(torch.ones(4, 3), critic, needed=True)
    settings = PENALTIES["gradient_penalty"](center=0)
    expected = critic.gradient(torch.ones(1, 3)).square().sum()
    torch.testing.assert_close(penalty(settings, critic, x, x), expected)


def test_a_lazy_penalty_counts_as_much_on_average() -> None:
    """At each third step, three times as much; in between nothing of it is computed."""
    weight = "r1: {weight: {start: 0.2, end: 0.1, steps: 100}"
    spec = compile_text({weight: f"{weight}, every: 3"}, text=SPEC)
    objective, batch = fresh(spec), batch_of(spec, rows=32)
    turn, schedule = objective.turns[0], objective.schedules["r1"]
    assert [schedule.at(step) for step in range(4)] == pytest.approx([0.6, 0, 0, 3 * 0.197])
    found = [objective.step(batch, turn, numbers_at(objective.schedules, step)) for step in (0, 1)]
    assert [("r1" in losses) for losses in found] == [True, False]
    torch.manual_seed(0)
    lazy = objective.step(batch, turn, numbers_at(objective.schedules, 0))
    torch.manual_seed(0)
    plain = objective.step(batch, turn, {"r1": 0.0, "smoothing": 0.0})
    torch.testing.assert_close(lazy["loss"], plain["loss"] + 0.6 * lazy["r1"])


# Training


def test_it_learns_where_the_points_are(tmp_path: Path) -> None:
    spec = compile_text(text=SPEC)
    result = train(spec, output=tmp_path / "run", device="cpu")
    export_run(result.folder, output=tmp_path / "bundle")
    made = torch.from_numpy(sample(load(tmp_path / "bundle"), 2000)["point"])
    real = batch_of(spec, "test").values["point"]
    far = [(x[:, None] - real[None]).norm(dim=2).min(1).values.mean() for x in (made, -0.1 * made)]
    assert far[0] < 0.25, "untrained points lie around 0, at a distance of 0.7 or more"
    assert far[1] > 0.5
    history = [record["train"] for record in read_history(result.folder)]
    assert {"discriminator.loss", "discriminator.r1", "generator.loss"} <= history[-1].keys()


def test_evaluation_is_that_of_the_run_and_of_its_bundle(
    finished: TrainResult, exported: Path
) -> None:
    found = finished.metrics["test"]
    assert found.keys() == {
        "discriminator.loss", "generator.loss", "discriminator.real", "discriminator.fake",
    }  # fmt: skip
    assert evaluate(finished.folder) == pytest.approx(found)
    # Generated images are rounded to the pixels that data holds.
    assert evaluate(exported) == pytest.approx(found, abs=0.02)


@pytest.mark.parametrize("step", [1, 7, 20])
def test_stopped_and_resumed_is_bit_identical(
    step: int,
    spec: Compilation,
    finished: TrainResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also between two steps of the discriminator."""
    assert_resumes(spec, finished, tmp_path / "run", step, monkeypatch)


def test_each_turn_moves_its_own_network() -> None:
    objective = fresh(compile_text(text=SPEC))
    assert isinstance(objective, Gan)
    batch = batch_of(compile_text(text=SPEC), rows=32)
    first, second = objective.turns
    assert [(turn.role, turn.networks, turn.every) for turn in (first, second)] == [
        ("discriminator", ("discriminator",), 1),
        ("generator", ("generator",), 2),
    ]
    objective.step(batch, first, {"r1": 0.1, "smoothing": 0.0})["loss"].backward()
    assert all(p.grad is None for p in objective.networks["generator"].parameters())
    assert all(p.grad is not None for p in objective.networks["discriminator"].parameters())


def test_truncation_draws_codes_towards_the_usual_ones(tmp_path: Path) -> None:
    changes = {
        "    real: point\n": "    real: point\n    truncation: true\n",
        "steps: 240": "steps: 2",
    }
    result = train(compile_text(changes, text=SPEC), output=tmp_path / "run", device="cpu")
    export_run(result.folder, output=tmp_path / "bundle")
    session = load(tmp_path / "bundle").program("generate")
    noise = torch.randn(3, 2).numpy()

    def made(rows: int, factor: float, z: Any) -> Any:
        factors = np.full(rows, factor, np.float32)
        return session(noise=z[:rows], truncation=factors)["point"]

    np.testing.assert_allclose(made(3, 0.5, noise), made(3, 1.0, 0.5 * noise), rtol=1e-4, atol=1e-5)
    assert np.ptp(made(3, 0.0, noise), axis=0) == pytest.approx([0, 0], abs=1e-6)
    drawn = sample(load(tmp_path / "bundle"), 4, given={"truncation": 0.7})["point"]
    assert drawn.shape == (4, 2)


def test_samples_of_a_penalty_get_no_gradient_of_the_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would cost a backward pass more than the weights need, also where some are frozen."""
    seen: list[Tensor] = []

    def recorded(samples: Tensor, critic: Critic, *, needed: bool) -> Judged:
        judged = watched(samples, critic, needed=needed)
        seen.append(judged.samples)
        return judged

    monkeypatch.setattr("netwright.runtime.objectives.gan.watched", recorded)
    rule = "parameters: [{match: discriminator.linear_0.**, freeze: true}]"
    text = SPEC.replace("steps: 240", "steps: 2").replace("  ema: 0.9", f"  {rule}")
    train(compile_text(text=text), output=tmp_path / "run", device="cpu")
    assert any(x.requires_grad for x in seen)
    assert all(x.grad is None for x in seen)


def test_clipping_holds_after_every_step(tmp_path: Path) -> None:
    clip = "{start: 0.5, end: 0.03, steps: 4}"
    text = SPEC.replace("loss: non_saturating", f"loss: {{wasserstein: {{clip: {clip}}}}}")
    text = text.replace("regularizers: [{r1", "x: [{r1").replace("steps: 240", "steps: 5")
    text = "\n".join(line for line in text.splitlines() if "x: [{r1" not in line)
    spec = compile_text(text=text.replace("  ema: 0.9", ""))
    result = train(spec, output=tmp_path / "run", device="cpu")
    weights = trained(spec, result).networks["discriminator"].parameters()
    assert max(float(x.detach().abs().max()) for x in weights) == pytest.approx(0.03)


# Programs and pictures


def test_samples_are_those_of_torch_for_the_same_noise(
    spec: Compilation, finished: TrainResult, exported: Path
) -> None:
    bundle, objective = load(exported), trained(spec, finished)
    assert isinstance(objective, Gan)
    batch = batch_of(spec, "test", rows=5)
    session = bundle.program("generate")
    assert session.inputs["noise"].noise == objective.programs._settings.latent
    for rows in (1, 5):
        noise = torch.rand(rows, *session.inputs["noise"].shape[1:])
        raw = {name: x[:rows] for name, x in batch.raw.items()}
        with torch.inference_mode():
            expected = objective.programs.run("generate", {**raw, "noise": noise})[objective.real]
        given = {name: {**raw, "noise": noise}[name].numpy() for name in session.inputs}
        found = torch.from_numpy(session(**given)[objective.real])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_uniform_noise_becomes_codes_from_minus_one_to_one() -> None:
    spec = compile_text(text=CONDITIONAL)
    objective = fresh(spec)
    assert isinstance(objective, Gan)
    codes = objective.latent(4000)
    assert float(codes.min()) == pytest.approx(-1, abs=0.01)
    assert float(codes.max()) == pytest.approx(1, abs=0.01)
    (rescale,) = [n.op for n in spec.programs["generate"].nodes if n.path == "code"]
    assert (rescale.shift, rescale.factor) == ((0.5,), (2.0,))  # type: ignore[attr-defined]


def test_a_bundle_of_a_conditional_gan_draws_what_is_asked_for(tmp_path: Path) -> None:
    spec = compile_text(text=CONDITIONAL)
    result = train(spec, output=tmp_path / "run", device="cpu")
    export_run(result.folder, output=tmp_path / "bundle")
    found = sample(load(tmp_path / "bundle"), 6, given={"label": 3})["image"]
    assert found.shape == (6, 1, 8, 8)
    assert (found >= 0).all()
    assert (found <= 16).all()


def test_pictures_of_all_steps_become_a_moving_one(tmp_path: Path) -> None:
    changes = {
        "steps: 240": "steps: 6\n  validation: {steps: 2}",
        "data:\n": "data:\n  split: {validation: 0.1}\n",
    }
    result = train(compile_text(changes, text=SPEC), output=tmp_path / "run", device="cpu")
    with Image.open(result.files["points"]) as moving:
        assert getattr(moving, "n_frames", 1) == 3
    page = write_report(result.folder).path.read_text()
    assert "data:image/gif;base64," in page


def test_pictures_show_what_is_generated(spec: Compilation, finished: TrainResult) -> None:
    newest = newest_pictures(finished.folder)
    assert newest is not None
    step, files = newest
    assert step == finished.step
    assert files.keys() == {"points" if spec.spec.name == "tiny_gan" else "samples"}
