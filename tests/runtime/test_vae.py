"""The objective `vae`: its terms against torch's distributions, its bounds, a known optimum."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from netwright.compiler.driver import Compilation
from netwright.compiler.objectives.encoder_decoder import Decoder
from netwright.compiler.objectives.fields import Field
from netwright.compiler.objectives.likelihoods import (
    LOGVAR,
    MEAN,
    Bernoulli,
    Gaussian,
    Likelihood,
)
from netwright.compiler.objectives.network_use import NetworkUse
from netwright.compiler.objectives.schedules import Schedule
from netwright.compiler.objectives.vae import Capacity, Reduction
from netwright.compiler.objectives.vae import Vae as Settings
from netwright.runtime import trainer
from netwright.runtime.checkpoint import load_weights, steps
from netwright.runtime.data.batches import Batch, Batches
from netwright.runtime.distributed.world import ALONE
from netwright.runtime.evaluate import evaluate
from netwright.runtime.history import read_history
from netwright.runtime.numbers import numbers_at
from netwright.runtime.objectives import vae
from netwright.runtime.objectives.base import Losses, Objective
from netwright.runtime.objectives.likelihoods import (
    judge,
    kl_normal,
    log_normal,
    log_standard_normal,
)
from netwright.runtime.objectives.registry import bind
from netwright.runtime.objectives.vae import (
    BETA,
    CAPACITY,
    CODES,
    LOG_P,
    Bound,
    Vae,
    importance_bound,
)
from netwright.runtime.opening import read_data
from netwright.runtime.train import TrainResult, train
from netwright.runtime.weights import restore
from torch import Tensor
from torch.distributions import Bernoulli as Coin
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from .test_train import stop_at
from .tiny import compile_text

CPU = torch.device("cpu")

SPEC = """\
spec: v1
name: tiny_vae
data:
  source: digits
  fields: {image: {binarize: 0.5}}
  split: {validation: 0.2}
networks:
  encoder:
    inputs: {image: {shape: [B, 1, 8, 8]}}
    layers:
      - flatten
      - linear: 32
      - {id: seen, relu: {}}
      - {id: mean, from: seen, linear: 4}
      - {id: logvar, from: seen, linear: 4}
    outputs: {mean: mean, logvar: logvar}
  decoder:
    inputs: {z: {shape: [B, 4]}}
    layers:
      - linear: 32
      - relu
      - linear: 64
      - reshape: [1, 8, 8]
    outputs: logits
objective:
  vae: {encoder: encoder, decoder: decoder, target: image, likelihood: bernoulli}
training:
  seed: 2
  batch: 64
  epochs: 12
  optimizer: {adam: {lr: 1e-2}}
  validation: {epochs: 6}
"""
CONDITIONAL = SPEC.replace(
    "    inputs: {z: {shape: [B, 4]}}\n    layers:\n",
    "    inputs: {z: {shape: [B, 4]}, label: {shape: [B], dtype: int64}}\n    layers:\n"
    "      - {id: kind, from: label, embedding: {size: 10, dim: 3}}\n"
    "      - {from: [z, kind], concat: {}}\n",
)

LINEAR = """\
spec: v1
name: linear_vae
data:
  source: {npz: {path: data.npz}}
  fields: {x: {shape: [B, 8], dtype: float32}}
  split: {validation: 0.05, test: 0.05}
networks:
  encoder:
    inputs: {x: {shape: [B, 8]}}
    layers:
      - {id: mean, from: x, linear: 2}
      - {id: logvar, from: x, linear: 2}
    outputs: {mean: mean, logvar: logvar}
  decoder:
    inputs: {z: {shape: [B, 2]}}
    layers:
      - {id: spread, parameter: [1]}
      - {id: logvar, from: {x: spread, like: z}, expand: {}}
      - {id: mean, from: z, linear: 8}
    outputs: {mean: mean, logvar: logvar}
objective:
  vae: {encoder: encoder, decoder: decoder, target: x, likelihood: {gaussian: learned}}
training:
  seed: 0
  batch: 200
  steps: 3000
  optimizer: {adam: {lr: 2e-2}}
  schedule: one_cycle
  validation: {steps: 3000}
"""
"""One number is the variance of all elements: the model of probabilistic PCA."""


# What the files of autoencoders share


def batch_of(compilation: Compilation, part: str = "train", rows: int = 10_000) -> Batch:
    """The first samples of a part of the data."""
    dataset = read_data(compilation, compilation.folder)
    batches = Batches(dataset.parts[part], dataset.fields, CPU, torch.contiguous_format)
    return next(batches.in_order(rows))


def fresh(compilation: Compilation) -> Objective:
    """The objective with weights that no training has touched."""
    torch.manual_seed(0)
    return bind(compilation, CPU, torch.contiguous_format)


def trained(compilation: Compilation, result: TrainResult) -> Objective:
    """The objective with the weights of a run."""
    objective = fresh(compilation)
    graphs = {name: compilation.graphs[name] for name in objective.networks}
    restore(graphs, objective.networks, load_weights(result.folder, result.step), result.folder)
    for network in objective.networks.values():
        network.eval()
    return objective


def assert_resumes(
    compilation: Compilation, whole: TrainResult, run: Path, step: int, patch: pytest.MonkeyPatch
) -> None:
    """A run that is stopped after a step and goes on ends as the one that was not."""
    patch.setattr(trainer, "LOOK_STEPS", 1)
    stopped = train(compilation, output=run, device="cpu", observer=stop_at(step))
    assert stopped.step == step
    resumed = train(compilation, output=run, device="cpu", resume=True)
    assert resumed.metrics == whole.metrics
    newest = steps(whole.folder)[0]
    first, second = (load_weights(result.folder, newest) for result in (whole, resumed))
    assert first.keys() == second.keys()
    for network, tensors in first.items():
        assert tensors.keys() == second[network].keys()
        assert all(torch.equal(x, second[network][name]) for name, x in tensors.items())


# Terms


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def spread(logvar: Tensor) -> Tensor:
    return (0.5 * logvar.double()).exp()


def assert_near(found: Tensor, expected: Tensor) -> None:
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_the_divergence_is_that_of_torch() -> None:
    mean, logvar = random(50, 3, 2), random(50, 3, 2, seed=1) * 2
    own = Normal(mean.double(), spread(logvar))
    expected = kl_divergence(own, Normal(torch.zeros_like(own.mean), torch.ones_like(own.mean)))
    assert_near(kl_normal(mean, logvar), expected)
    assert not kl_normal(torch.zeros(2, 3), torch.zeros(2, 3)).any()


def test_the_density_of_codes_is_that_of_torch() -> None:
    z, mean, logvar = random(5, 7, 3, 2), random(7, 3, 2, seed=1), random(7, 3, 2, seed=2)
    own = Independent(Normal(mean.double(), spread(logvar)), 2)
    assert_near(log_normal(z, mean, logvar), own.log_prob(z.double()))
    standard = Independent(Normal(0.0, torch.ones(3, 2).double()), 2)
    assert_near(log_standard_normal(z), standard.log_prob(z))


def likelihood(settings: Likelihood, target: Tensor, **made: Tensor) -> Tensor:
    return judge(settings, next(iter(made)), Field()).log_likelihood(made, target)


def test_bernoulli_is_that_of_torch() -> None:
    logits = random(9, 1, 4, 5) * 4
    target = (random(9, 1, 4, 5, seed=1) > 0).float()
    expected = Independent(Coin(logits=logits.double()), 3).log_prob(target.double())
    assert_near(likelihood(Bernoulli(), target, any_name=logits), expected)


def test_bernoulli_of_grey_pixels_is_the_cross_entropy() -> None:
    logits, target = random(9, 6), torch.rand(9, 6, generator=torch.Generator().manual_seed(1))
    p, t = logits.double().sigmoid(), target.double()
    expected = (t * p.log() + (1 - t) * (1 - p).log()).sum(1)
    assert_near(likelihood(Bernoulli(), target, logits=logits), expected)


@pytest.mark.parametrize("variance", [1.0, 0.04, 9])
def test_gaussian_of_a_fixed_variance_is_that_of_torch(variance: float) -> None:
    mean, target = random(9, 3, 4, 5), random(9, 3, 4, 5, seed=1)
    expected = Independent(Normal(mean.double(), math.sqrt(variance)), 3).log_prob(target.double())
    assert_near(likelihood(Gaussian(variance=variance), target, any_name=mean), expected)


@pytest.mark.parametrize("shape", [(9, 3, 4, 5), (9, 1, 1, 1), (9, 3, 1, 1), (1, 1, 1, 1)])
def test_gaussian_of_a_learned_variance_is_that_of_torch(shape: tuple[int, ...]) -> None:
    mean, target, logvar = random(9, 3, 4, 5), random(9, 3, 4, 5, seed=1), random(*shape, seed=2)
    own = Independent(Normal(mean.double(), spread(logvar).expand(mean.shape)), 3)
    found = likelihood(Gaussian(learned=True), target, mean=mean, logvar=logvar)
    assert_near(found, own.log_prob(target.double()))


@pytest.mark.parametrize("settings", [Bernoulli(), Gaussian(variance=0.1), Gaussian(learned=True)])
def test_terms_of_half_precision_are_summed_in_float32(settings: Likelihood) -> None:
    """784 terms lose a nat and more in bfloat16."""
    made = {"mean": random(4, 784).bfloat16(), "logvar": random(4, 784, seed=1).bfloat16()}
    target = (random(4, 784, seed=2) > 0).bfloat16()
    exact = likelihood(settings, target.float(), **{name: x.float() for name, x in made.items()})
    found = likelihood(settings, target, **made)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact)


# The bound of a step, by hand


def settings(**changes: Any) -> Settings:
    return Settings(
        encoder=NetworkUse(network="e"),
        decoder=Decoder(network="d"),
        target="x",
        likelihood=Bernoulli(),
        **changes,
    )


@dataclass
class Drawn:
    """Two samples with codes of two elements, and three draws of each.

    The divergence is (m^2 + v - ln v - 1) / 2 for each element, here with v = 1: m^2 / 2.
    """

    mean: Tensor
    logvar: Tensor
    z: Tensor
    log_p: Tensor

    @property
    def outputs(self) -> dict[str, Tensor]:
        return {MEAN: self.mean, LOGVAR: self.logvar, CODES: self.z, LOG_P: self.log_p}


KL, RECONSTRUCTION = 2.05, 11.0
"""Means over both samples: (0.1 + 3.92 + 0 + 0.08) / 2 for the codes below."""


@pytest.fixture
def drawn() -> Drawn:
    mean = torch.tensor([[math.sqrt(0.2), 2.8], [0.0, -0.4]], requires_grad=True)
    log_p = torch.tensor([[-10.0, -14.0], [-9.0, -13.0], [-8.0, -12.0]], requires_grad=True)
    return Drawn(mean, torch.zeros(2, 2), random(3, 2, 2), log_p)


def bound_of(made: Settings, drawn: Drawn, **numbers: float) -> Losses:
    return Bound(made, 4)(drawn.outputs, {BETA: 1.0, **numbers})


def test_the_elbo_is_the_mean_over_samples_and_draws(drawn: Drawn) -> None:
    found = bound_of(settings(samples=3), drawn)
    assert found.keys() == {"loss", "reconstruction", "kl"}
    assert found["reconstruction"].item() == pytest.approx(RECONSTRUCTION)
    assert found["kl"].item() == pytest.approx(KL)
    assert found["loss"].item() == pytest.approx(RECONSTRUCTION + KL)


def test_beta_weighs_the_divergence_alone(drawn: Drawn) -> None:
    found = bound_of(settings(beta=4.0), drawn, beta=4.0)
    assert found["loss"].item() == pytest.approx(RECONSTRUCTION + 4 * KL)
    assert found["kl"].item() == pytest.approx(KL), "what is told is the ELBO's own term"


def test_free_bits_are_of_the_batch_mean_of_each_element(drawn: Drawn) -> None:
    """The first element has 0.05 nats in the mean, the second 2, of which one sample has 0.08."""
    found = bound_of(settings(free_bits=0.5, beta=2.0), drawn, beta=2.0)
    assert found["loss"].item() == pytest.approx(RECONSTRUCTION + 2 * (0.5 + 2.0))
    assert found["kl"].item() == pytest.approx(KL)
    found["loss"].backward()
    assert drawn.mean.grad is not None
    assert drawn.mean.grad[:, 0].tolist() == [0.0, 0.0], "below the limit nothing is to be gained"
    # d/dm of beta m^2 / 2, averaged over two samples.
    assert drawn.mean.grad[:, 1].tolist() == pytest.approx([2.8, -0.4])


@pytest.mark.parametrize(("nats", "sign"), [(5.0, -1), (0.5, 1)])
def test_capacity_holds_the_divergence_from_both_sides(
    nats: float, sign: int, drawn: Drawn
) -> None:
    made = settings(capacity=Capacity(nats=Schedule.constant(nats), weight=10.0))
    found = Bound(made, 4)(drawn.outputs, {CAPACITY: nats})
    assert found["loss"].item() == pytest.approx(RECONSTRUCTION + 10 * abs(KL - nats), rel=1e-6)
    found["loss"].backward()
    assert drawn.mean.grad is not None
    assert float(drawn.mean.grad[0, 1]) == pytest.approx(sign * 10.0 * 2.8 / 2)


@pytest.mark.parametrize(
    "changes", [{}, {"beta": 3.0}, {"free_bits": 0.5}, {"bound": "iwae", "samples": 3}]
)
def test_the_mean_is_the_sum_for_each_element_of_the_target(
    changes: dict[str, Any], drawn: Drawn
) -> None:
    numbers = {"beta": changes.get("beta", 1.0)}
    whole = bound_of(settings(**changes), drawn, **numbers)
    mean = bound_of(
        settings(reduction=Reduction(reconstruction="mean", kl="mean"), **changes), drawn, **numbers
    )
    assert mean["loss"].item() == pytest.approx(whole["loss"].item() / 4)
    assert mean["kl"] == whole["kl"], "the terms are told in nats of a sample in any case"
    assert mean["reconstruction"] == whole["reconstruction"]


def log_weights(drawn: Drawn) -> np.ndarray:
    """log p(x | z) p(z) / q(z | x): the normal densities' constants cancel. [S, B]."""
    z, mean = drawn.z.double().numpy(), drawn.mean.detach().double().numpy()
    prior, own = (z**2).sum(2), ((z - mean) ** 2).sum(2)
    return np.asarray(drawn.log_p.detach().double().numpy() - 0.5 * prior + 0.5 * own)


def test_iwae_weighs_draws_by_their_importance(drawn: Drawn) -> None:
    found = bound_of(settings(bound="iwae", samples=3), drawn)
    weights = log_weights(drawn)
    expected = np.log(np.exp(weights).mean(0)).mean()
    assert found["loss"].item() == pytest.approx(-expected, rel=1e-6)
    assert expected > weights.mean(), "by Jensen's inequality"
    assert found["reconstruction"].item() == pytest.approx(RECONSTRUCTION)
    found["loss"].backward()
    assert drawn.log_p.grad is not None
    shares = np.exp(weights) / np.exp(weights).sum(0)
    assert drawn.log_p.grad.numpy() == pytest.approx(-shares / 2, rel=1e-5)


def test_one_code_of_iwae_is_its_weight(drawn: Drawn) -> None:
    found = importance_bound(drawn.z[:1], drawn.mean, drawn.logvar, drawn.log_p[:1])
    assert found.detach().numpy() == pytest.approx(log_weights(drawn)[0], rel=1e-6)


def test_schedules_of_the_section_are_those_of_the_step() -> None:
    warmed = compile_text(
        {"likelihood: bernoulli": "likelihood: bernoulli, beta: {start: 0, end: 2, steps: 10}"},
        text=SPEC,
    )
    objective = fresh(warmed)
    assert isinstance(objective, Vae)
    batch = batch_of(warmed, rows=20)
    with torch.no_grad():
        outputs = objective.outputs(batch)
    for step, beta in ((0, 0.0), (5, 1.0), (10, 2.0), (99, 2.0)):
        found = objective.losses(outputs, batch, numbers_at(objective.schedules, step))
        expected = found["reconstruction"] + beta * found["kl"]
        assert float(found["loss"]) == pytest.approx(float(expected), rel=1e-6)


def test_the_capacity_of_the_section_grows() -> None:
    text = "capacity: {nats: {start: 0, end: 25, steps: 100}, weight: 30}"
    grown = compile_text({"likelihood: bernoulli": f"likelihood: bernoulli, {text}"}, text=SPEC)
    objective = fresh(grown)
    assert objective.schedules.keys() == {CAPACITY}
    batch = batch_of(grown, rows=20)
    with torch.no_grad():
        outputs = objective.outputs(batch)
    for step, nats in ((0, 0.0), (50, 12.5), (100, 25.0)):
        found = objective.losses(outputs, batch, numbers_at(objective.schedules, step))
        expected = found["reconstruction"] + 30 * (found["kl"] - nats).abs()
        assert float(found["loss"]) == pytest.approx(float(expected), rel=1e-5)


# Codes that are drawn


@pytest.mark.parametrize("text", [SPEC, CONDITIONAL], ids=["plain", "conditional"])
def test_each_code_is_judged_by_its_own_sample(text: str) -> None:
    """Several codes of several samples are decoded at once, conditions and all."""
    compilation = compile_text(text=text)
    objective = fresh(compilation)
    assert isinstance(objective, Vae)
    batch, z = batch_of(compilation, rows=5), random(3, 5, 4)
    with torch.inference_mode():
        together = objective.log_likelihood(z, batch)
        for s, b in np.ndindex(3, 5):
            one = Batch({}, {name: x[b : b + 1] for name, x in batch.values.items()})
            alone = objective.log_likelihood(z[s : s + 1, b : b + 1], one)
            assert float(together[s, b]) == pytest.approx(float(alone), rel=1e-5)


def test_draws_have_the_moments_that_the_encoder_gives() -> None:
    compilation = compile_text(text=SPEC)
    objective = fresh(compilation)
    assert isinstance(objective, Vae)
    with torch.inference_mode():
        found = objective.drawn(batch_of(compilation, rows=2), 20_000)
    deviation = (0.5 * found[LOGVAR]).exp()
    standard = (found[CODES] - found[MEAN]) / deviation
    assert standard.mean(0).abs().max() < 0.03
    assert (standard.std(0) - 1).abs().max() < 0.03


def test_the_exported_score_is_the_bound_of_the_step() -> None:
    """The terms of the program are written a second time, for ONNX."""
    compilation = compile_text(text=SPEC)
    objective = fresh(compilation)
    assert isinstance(objective, Vae)
    batch = batch_of(compilation, rows=6)
    with torch.inference_mode():
        found = objective.drawn(batch, 1)
        noise = (found[CODES][0] - found[MEAN]) / (0.5 * found[LOGVAR]).exp()
        scored = objective.programs.run("score", {**batch.raw, "noise": noise})
    kl = kl_normal(found[MEAN], found[LOGVAR]).sum(1)
    torch.testing.assert_close(scored["kl"], kl)
    torch.testing.assert_close(scored["reconstruction"], -found[LOG_P][0])
    torch.testing.assert_close(scored["elbo"], found[LOG_P][0] - kl)


# A trained one


@pytest.fixture(scope="module")
def spec() -> Compilation:
    return compile_text(text=SPEC)


@pytest.fixture(scope="module")
def finished(spec: Compilation, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(spec, output=tmp_path_factory.mktemp("vae") / "run", device="cpu")


@pytest.fixture
def model(spec: Compilation, finished: TrainResult) -> Iterator[Vae]:
    objective = trained(spec, finished)
    assert isinstance(objective, Vae)
    with torch.inference_mode():
        yield objective


def test_it_learns_and_says_what_it_carries(finished: TrainResult) -> None:
    first, *_, last = read_history(finished.folder)
    assert last["train"]["loss"] < 0.85 * first["train"]["loss"]
    found = finished.metrics["test"]
    assert found["elbo"] == pytest.approx(-(found["reconstruction"] + found["kl"]))
    assert found["elbo"] == pytest.approx(-found["loss"])
    assert found["active_units"] == 4
    assert evaluate(finished.folder) == pytest.approx(found)


def test_more_codes_make_the_bound_tighter(spec: Compilation, model: Vae) -> None:
    """Each number is a mean over samples and ten evaluations, whose deviation is 0.01 at most."""
    batch = batch_of(spec, "test")
    torch.manual_seed(0)
    means = [
        [float(model.log_evidence(batch, k).mean()) for _ in range(10)] for k in (1, 5, 50, 500)
    ]
    one, five, fifty, most = (sum(found) / len(found) for found in means)
    assert one + 0.2 < five
    assert five + 0.1 < fifty
    assert fifty + 0.01 < most
    drawn = model.drawn(batch, 200)
    elbo = drawn[LOG_P].mean() - kl_normal(drawn[MEAN], drawn[LOGVAR]).sum(1).mean()
    assert one == pytest.approx(float(elbo), abs=0.05), "one code is the ELBO but for chance"


@pytest.mark.parametrize("count", [1, 50, 51, 120])
def test_the_evidence_by_pieces_is_that_of_one(
    count: int, spec: Compilation, model: Vae, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_of(spec, "test", 20)
    whole = model.drawn(batch, count)
    done = 0

    def replayed(batch: Batch, size: int) -> dict[str, Tensor]:
        nonlocal done
        start, done = done, done + size
        parts = {name: whole[name][start:done] for name in (CODES, LOG_P)}
        return {**whole, **parts}

    monkeypatch.setattr(model, "drawn", replayed)
    found = model.log_evidence(batch, count)
    assert done == count
    monkeypatch.setattr(vae, "CHUNK", count)
    done = 0
    torch.testing.assert_close(found, model.log_evidence(batch, count))
    expected = importance_bound(whole[CODES], whole[MEAN], whole[LOGVAR], whole[LOG_P])
    torch.testing.assert_close(found, expected)


def test_iwae_training_learns(tmp_path: Path) -> None:
    changes = {"likelihood: bernoulli": "likelihood: bernoulli, bound: iwae, samples: 5"}
    found = train(compile_text(changes, text=SPEC), output=tmp_path / "run", device="cpu")
    test = found.metrics["test"]
    assert test["loss"] < -test["elbo"], "the bound is tighter than the ELBO"
    assert test["loss"] < 33


@pytest.mark.parametrize("step", [1, 17, 60])
def test_stopped_and_resumed_is_bit_identical(
    step: int,
    spec: Compilation,
    finished: TrainResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert_resumes(spec, finished, tmp_path / "run", step, monkeypatch)


# What is measured


def test_figures_of_codes_are_those_of_all_samples() -> None:
    """Elements of the code are at work where the variance of their mean is above 0.01."""
    compilation = compile_text(text=SPEC)
    objective = fresh(compilation)
    batch = batch_of(compilation, rows=5)
    mean = random(5, 4) * torch.tensor([1.0, 0.02, 0.5, 0.0]) + 3
    logvar, log_p, z = random(5, 4, seed=1), random(1, 5, seed=2), random(1, 5, 4, seed=3)
    made = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(4))
    meter = objective.meter(compilation.fields, ALONE)
    numbers = numbers_at(objective.schedules, 0)
    for part in (slice(0, 2), slice(2, 5)):
        image = {"image": batch.values["image"][part]}
        some = Batch(image, image)
        outputs = {MEAN: mean[part], LOGVAR: logvar[part], LOG_P: log_p[:, part]}
        outputs |= {CODES: z[:, part], "made": made[part]}
        meter.update(outputs, objective.losses(outputs, some, numbers), some)
    found, details = meter.compute(), meter.details()
    kl = kl_normal(mean.double(), logvar.double())
    assert found["kl"] == pytest.approx(float(kl.sum(1).mean()), rel=1e-5)
    assert found["elbo"] == pytest.approx(float(log_p.mean() - kl.sum(1).mean()), rel=1e-5)
    assert found["mse"] == pytest.approx(float((made - batch.values["image"]).square().mean()))
    assert found["active_units"] == 2
    assert details["kl_per_element"] == pytest.approx(kl.mean(0).tolist())
    expected = mean.double().var(0, unbiased=False).tolist()
    assert details["variance_of_mean"] == pytest.approx(expected, abs=1e-12)


# An optimum that is known


@dataclass
class Linear:
    """A linear VAE that was trained, and the samples [N, 8] that it was trained on."""

    model: Vae
    batch: Batch

    @property
    def samples(self) -> np.ndarray:
        return np.asarray(self.batch.values["x"].double().numpy())

    def elbo(self) -> float:
        """The mean over samples, so many codes of each that chance has no say."""
        found = self.model.drawn(self.batch, 200)
        return float((found[LOG_P].mean(0) - kl_normal(found[MEAN], found[LOGVAR]).sum(1)).mean())

    def density(self) -> MultivariateNormal:
        """p(x) of the decoder as it is: normal, with covariance W W' + variance."""
        state = self.model.networks["decoder"].state_dict()
        weight, center = state["mean.weight"].double(), state["mean.bias"].double()
        noise = state["spread"].double().exp() * torch.eye(8).double()
        return MultivariateNormal(center, weight @ weight.T + noise)


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Linear:
    folder = tmp_path_factory.mktemp("linear")
    rng = np.random.default_rng(0)
    weight, center = rng.normal(size=(2, 8)), rng.normal(size=8)
    x = rng.normal(size=(4000, 2)) @ weight + center + 0.5 * rng.normal(size=(4000, 8))
    np.savez(folder / "data.npz", x=x.astype(np.float32))
    compilation = compile_text(text=LINEAR, folder=folder)
    model = trained(compilation, train(compilation, output=folder / "run", device="cpu"))
    assert isinstance(model, Vae)
    for network in model.networks.values():
        network.requires_grad_(False)
    return Linear(model, batch_of(compilation))


def principal(x: np.ndarray, codes: int) -> tuple[float, float]:
    """The maximum likelihood of probabilistic PCA: log p of a sample in the mean, and the variance.

    Source: Tipping and Bishop 1999, equations 3 to 8.
    """
    size = x.shape[1]
    values = np.sort(np.linalg.eigvalsh(np.cov(x.T, bias=True)))[::-1]
    variance = float(values[codes:].mean())
    kept = np.log(values[:codes]).sum() + (size - codes) * math.log(variance)
    return float(-0.5 * (size * math.log(2 * math.pi) + kept + size)), variance


def test_a_linear_vae_reaches_the_likelihood_of_probabilistic_pca(linear: Linear) -> None:
    torch.manual_seed(0)
    best, variance = principal(linear.samples, 2)
    elbo = linear.elbo()
    assert elbo == pytest.approx(best, rel=0.002)
    assert elbo < best + 0.005, "a lower bound, but for the chance of the draws"
    learnt = linear.model.networks["decoder"].state_dict()["spread"].exp()
    assert float(learnt) == pytest.approx(variance, rel=0.02)


def test_the_evidence_is_the_density_of_the_decoder(linear: Linear) -> None:
    """Sample by sample, against the integral in closed form."""
    torch.manual_seed(0)
    some = Batch({}, {"x": linear.batch.values["x"][:100]})
    exact = linear.density().log_prob(some.values["x"].double())
    found = linear.model.log_evidence(some, 2000).double()
    assert (found - exact).abs().max() < 0.1
    assert float(found.mean()) == pytest.approx(float(exact.mean()), abs=0.005)
    best, _ = principal(linear.samples, 2)
    own = linear.density().log_prob(torch.from_numpy(linear.samples)).mean()
    assert float(own) <= best, "no decoder has more"
    assert linear.elbo() < float(own) + 0.005
