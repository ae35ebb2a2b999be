"""Judging samples: the figures by their formulas, and a GAN that a classifier judges."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.objectives.judge import CLOSING, FIGURES, OF_CLASSES
from netwright.runtime.evaluate import evaluate
from netwright.runtime.export import export_run
from netwright.runtime.gates import gate_error
from netwright.runtime.history import read_history
from netwright.runtime.judging.distances import frechet_distance, kernel_distance
from netwright.runtime.judging.judge import of_classes
from netwright.runtime.judging.neighbours import (
    agreement,
    manifold,
    nearest,
    own_nearest,
    squared_distances,
    twins,
)
from netwright.runtime.outcome import outcome_of
from netwright.runtime.report.write import write_report
from netwright.runtime.session import load
from netwright.runtime.train import train
from torch import Tensor

from .test_gan import CONDITIONAL
from .tiny import compile_text


def normal(count: int, size: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, size, generator=generator, dtype=torch.float64)


# Figures by their formulas


def naive_agreement(real: Tensor, made: Tensor, k: int) -> dict[str, float]:
    """The definitions of Naeem et al. 2020, sample by sample."""

    def radius(points: Tensor, i: int) -> float:
        others = torch.cat([points[:i], points[i + 1 :]])
        return float((others - points[i]).norm(dim=1).sort().values[k - 1])

    real_radii = [radius(real, i) for i in range(len(real))]
    made_radii = [radius(made, j) for j in range(len(made))]
    apart = [[float((x - y).norm()) for y in made] for x in real]
    pairs = [(i, j) for i in range(len(real)) for j in range(len(made))]
    within = {(i, j) for i, j in pairs if apart[i][j] < real_radii[i]}
    return {
        "precision": len({j for _, j in within}) / len(made),
        "recall": len({i for i, j in pairs if apart[i][j] < made_radii[j]}) / len(real),
        "density": len(within) / (k * len(made)),
        "coverage": len({i for i, _ in within}) / len(real),
    }


@pytest.mark.parametrize("k", [1, 5])
def test_agreement_is_its_definition(k: int) -> None:
    real, made = normal(40, 3, 0), 0.7 * normal(30, 3, 1) + 0.3
    found = agreement(manifold(real, k), manifold(made, k))
    assert found == pytest.approx(naive_agreement(real, made, k))


def test_agreement_is_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = normal(50, 4, 0), normal(37, 4, 1)
    whole = agreement(manifold(real, 3), manifold(made, 3))
    monkeypatch.setattr("netwright.runtime.judging.neighbours.AT_ONCE", 300)
    assert agreement(manifold(real, 3), manifold(made, 3)) == pytest.approx(whole)


@pytest.mark.slow
def test_agreement_of_normal_samples_has_its_known_values() -> None:
    """Naeem et al. 2020 test with N(0, I) in 1000 dimensions."""
    real, made = (manifold(normal(10_000, 1000, seed), 5) for seed in (0, 1))
    found = agreement(real, made)
    assert found.pop("density") == pytest.approx(1.0555, abs=0.06), "few samples lie in many balls"
    known = {"precision": 0.4772, "recall": 0.4705, "coverage": 0.9735}
    assert found == pytest.approx(known, abs=0.01)


def test_a_collapsed_generator_recalls_and_covers_next_to_nothing() -> None:
    real = normal(2000, 16, 0)
    collapsed = real[:3].repeat(500, 1) + 0.01 * normal(1500, 16, 1)
    found = agreement(manifold(real, 5), manifold(collapsed, 5))
    assert found["precision"] == 1
    assert found["recall"] < 0.01
    assert found["coverage"] < 0.02


def test_distances_of_near_twins_far_from_zero_are_exact() -> None:
    x = 1e6 + normal(3, 8, 0)
    ((_, found),) = squared_distances(x, x + 1e-3)
    assert found.diagonal().tolist() == pytest.approx([8e-6] * 3, rel=1e-2)


def test_frechet_distance_is_its_formula() -> None:
    from scipy.linalg import sqrtm

    one, other = normal(500, 5, 0), normal(400, 5, 1) @ normal(5, 5, 2) + 1
    first, second = (np.cov(x.numpy().T) for x in (one, other))
    apart = float((one.mean(0) - other.mean(0)).square().sum())
    expected = apart + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(one[:, :1], one[:, :1] + 3) == pytest.approx(9)


def test_kernel_distance_is_its_formula_and_unbiased() -> None:
    one, other = normal(20, 3, 0), normal(15, 3, 1) + 0.5

    def mean(a: Tensor, b: Tensor) -> float:
        pairs = [(i, j) for i in range(len(a)) for j in range(len(b)) if a is not b or i != j]
        return sum(float((a[i] @ b[j] / 3 + 1) ** 3) for i, j in pairs) / len(pairs)

    expected = mean(one, one) + mean(other, other) - 2 * mean(one, other)
    assert kernel_distance(one, other) == pytest.approx(expected)
    same = [kernel_distance(normal(50, 3, 2 * i), normal(50, 3, 2 * i + 1)) for i in range(40)]
    assert min(same) < 0 < max(same)


def test_twins_are_found_where_there_are_some() -> None:
    real, train = manifold(normal(1000, 8, 0), 5), normal(5000, 8, 1)
    fresh, copied = normal(1000, 8, 2), train[:1000] + 1e-4
    usual = nearest(real.points, train)[0]
    assert twins(nearest(fresh, train)[0], usual) == pytest.approx(0.01, abs=0.012)
    assert twins(nearest(copied, train)[0], usual) == 1
    assert nearest(copied, train)[1].tolist() == [*range(1000)]
    doubled = manifold(fresh[:500].repeat(2, 1), 5)
    assert twins(own_nearest(doubled), own_nearest(real)) == 1


def test_a_class_is_covered_by_a_fifth_of_its_share() -> None:
    real = torch.tensor([0.5, 0.25, 0.25, 0.0], dtype=torch.float64)
    made = torch.tensor([0.1, 0.04, 0.8, 0.06], dtype=torch.float64)
    assert of_classes(real, made) == pytest.approx({"classes_covered": 2, "class_distance": 0.61})


# A run that is judged


CLASSIFIER = """\
spec: v1
name: judge
data: {source: digits, fields: {image: {scale: [0, 1]}}}
networks:
  classifier:
    inputs: {image: {shape: [B, 1, 8, 8]}}
    layers: [flatten, {linear: 24}, relu, {linear: 10}]
    outputs: logits
objective:
  supervised:
    network: classifier
    losses: [{cross_entropy: {output: logits, target: label}}]
training: {batch: 32, epochs: 5, optimizer: {adam: {lr: 1e-2}}}
"""

JUDGED = {
    "source: digits,": "source: digits, split: {validation: 0.2},",
    "    loss: hinge\n": "    loss: hinge\n    judge: {classifier: judge/bundle, samples: 200}\n",
    "  steps: 30\n": "  steps: 30\n  validation: {steps: 10}\n",
}


@dataclass(frozen=True)
class Judged:
    """A folder with the classifier, the run that it judged, and the run's bundle."""

    folder: Path
    metrics: dict[str, dict[str, float]]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    folder = tmp_path_factory.mktemp("judged")
    classifier = compile_text(text=CLASSIFIER, folder=folder)
    train(classifier, output=folder / "judge", device="cpu")
    export_run(folder / "judge")
    result = train(
        compile_text(JUDGED, text=CONDITIONAL, folder=folder), output=folder / "run", device="cpu"
    )
    export_run(folder / "run")
    return Judged(folder, {part: dict(found) for part, found in result.metrics.items()})


def test_figures_are_measured_while_training_and_more_at_the_end(judged: Judged) -> None:
    history = read_history(judged.folder / "run")
    assert [record["step"] for record in history] == [10, 20, 30]
    while_training = {*FIGURES, *OF_CLASSES}
    for record in history:
        assert while_training < record["validation"].keys()
        assert not record["validation"].keys() & CLOSING.keys()
    assert while_training | CLOSING.keys() < judged.metrics["test"].keys()
    assert not judged.metrics["validation"].keys() & CLOSING.keys()


def test_a_bundle_is_judged_as_its_run_is(judged: Judged) -> None:
    """Both make the same samples of the same noise."""
    expected = {n: v for n, v in judged.metrics["test"].items() if n in {*FIGURES, *CLOSING}}
    run, bundle = judged.folder / "run", judged.folder / "run" / "bundle"
    assert evaluate(run).items() >= expected.items()
    found = evaluate(bundle, data_dir=judged.folder)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=0.02, rel=0.02)


def test_real_samples_are_judged_as_real(judged: Judged) -> None:
    """The classifier tells digits apart, so that its features are worth something."""
    summary = json.loads((judged.folder / "run" / "summary.json").read_text())
    shares = summary["details"]
    assert sum(shares["classes_real"]) == pytest.approx(1, abs=1e-5)
    assert all(0.04 < share < 0.16 for share in shares["classes_real"])
    assert sum(shares["classes_made"]) == pytest.approx(1, abs=1e-5)


def test_another_judge_may_be_named(judged: Judged) -> None:
    bundle = judged.folder / "judge" / "bundle"
    own = evaluate(judged.folder / "run")
    assert evaluate(judged.folder / "run", judge=bundle) == own
    with pytest.raises(NetwrightError, match="network that makes samples, found one of the obj"):
        evaluate(judged.folder / "judge", judge=bundle)


def test_the_report_shows_classes_and_nearest_samples(judged: Judged) -> None:
    page = write_report(judged.folder / "run").path.read_text()
    assert "Nearest training samples" in page
    assert "What the judging classifier takes samples for" in page
    assert (judged.folder / "run" / "nearest.png").read_bytes().startswith(b"\x89PNG")


def refusal(judged: Judged, changes: dict[str, str]) -> NetwrightError:
    spec = compile_text({**JUDGED, **changes}, text=CONDITIONAL, folder=judged.folder)
    with pytest.raises(NetwrightError) as caught:
        train(spec, output=judged.folder / "refused", device="cpu")
    assert not (judged.folder / "refused").exists()
    return caught.value


def named(bundle: str) -> dict[str, str]:
    key = "    loss: hinge\n"
    return {key: JUDGED[key].replace("judge/bundle", bundle)}


def test_what_is_no_classifier_is_refused_before_training(judged: Judged) -> None:
    missing = refusal(judged, named("nothing"))
    assert missing.diagnostics[0].code is Code.F602
    run = refusal(judged, named("judge"))
    assert f"name `{judged.folder / 'judge' / 'bundle'}`" in str(run.diagnostics[0].help)
    generator = refusal(judged, named("run/bundle"))
    assert generator.diagnostics[0].code is Code.B802
    assert "expected a program `predict`" in generator.diagnostics[0].message
    few = refusal(judged, {"validation: 0.2": "validation: 0.003"})
    assert few.diagnostics[0].code is Code.F601


def test_a_classifier_of_other_samples_is_refused(judged: Judged, tmp_path: Path) -> None:
    points = """\
spec: v1
name: points
data: {source: {ring: {modes: 4}}}
networks:
  net: {inputs: {point: {shape: [B, 2]}}, layers: [{linear: 2}], outputs: y}
objective:
  supervised: {network: net, losses: [{mse: {output: y, target: point}}]}
training: {batch: 8, steps: 2}
"""
    train(compile_text(text=points), output=tmp_path / "points", device="cpu")
    export_run(tmp_path / "points")
    error = refusal(judged, named(str(tmp_path / "points" / "bundle")))
    assert error.diagnostics[0].code is Code.B802
    assert "found `point` float32[B, 2]" in error.diagnostics[0].message


def test_a_run_goes_on_with_the_judge_that_it_began_with(judged: Judged, tmp_path: Path) -> None:
    spec = compile_text(JUDGED, text=CONDITIONAL, folder=judged.folder)
    train(spec, output=tmp_path / "run", device="cpu")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["judge"]["classes"] == [str(i) for i in range(10)]
    record["judge"]["sha256"] = "0" * 64
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    with pytest.raises(NetwrightError) as caught:
        train(spec, output=tmp_path / "run", resume=True, device="cpu")
    assert caught.value.diagnostics[0].code is Code.R902


def test_points_are_judged_without_a_classifier(tmp_path: Path) -> None:
    text = """\
spec: v1
name: ring
data: {source: {ring: {modes: 8, samples: 2000}}, split: {validation: 0.2}}
networks:
  generator: {inputs: {z: {shape: [B, 2]}}, layers: [{linear: 8}, relu, {linear: 2}], outputs: y}
  discriminator: {inputs: {point: {shape: [B, 2]}}, layers: [{linear: 1}], outputs: score}
objective:
  gan: {generator: generator, discriminator: discriminator, real: point, loss: hinge, judge: {k: 3}}
training:
  batch: 64
  steps: 2
  optimizers: {generator: {adam: {lr: 1e-3}}, discriminator: {adam: {lr: 1e-3}}}
"""
    result = train(compile_text(text=text), output=tmp_path / "run", device="cpu")
    assert result.metrics["test"].keys() >= {*FIGURES, *CLOSING}
    assert not result.metrics["test"].keys() & OF_CLASSES.keys()
    assert result.metrics["test"]["coverage"] < 0.2


# Gates


def test_a_run_that_does_not_come_to_its_gate_ends_with_an_error(
    judged: Judged, tmp_path: Path
) -> None:
    changes = {"  steps: 30\n": JUDGED["  steps: 30\n"] + "  stop_if: {coverage: {below: 0.99}}\n"}
    spec = compile_text({**JUDGED, **changes}, text=CONDITIONAL, folder=judged.folder)
    with pytest.raises(NetwrightError) as caught:
        train(spec, output=tmp_path / "run", device="cpu")
    told = caught.value.diagnostics[0]
    assert told.code is Code.R909
    assert told.message.startswith("`stop_if` ends the run at step 10 of 30: `coverage` is 0.")
    outcome = outcome_of(tmp_path / "run")
    assert (outcome.how, outcome.step, outcome.why) == ("gated", 10, told.message)
    assert "was ended by `stop_if` at step 10 of 30 (R909)" in str(outcome.limits(10))
    assert load(export_run(tmp_path / "run").folder).programs == ("generate", "discriminate")


def test_gates_look_at_both_ends_and_not_before_their_step() -> None:
    spec = compile_text(
        {**JUDGED, "  steps: 30\n": "  steps: 30\n  stop_if: {coverage: {below: 0.1, after: 5}, "
         "class_distance: {above: 0.5}}\n"},
        text=CONDITIONAL,
    )  # fmt: skip
    gates = spec.spec.training.stop_if
    assert gate_error(gates, {"coverage": 0.05, "class_distance": 0.1}, 4, 30) is None
    assert gate_error(gates, {"coverage": 0.1, "class_distance": 0.5}, 5, 30) is None
    assert gate_error(gates, {}, 30, 30) is None
    assert gate_error(gates, {"coverage": float("nan")}, 5, 30) is not None
    error = gate_error(gates, {"coverage": 0.3, "class_distance": 0.6}, 5, 30)
    assert error is not None
    assert "`class_distance` is 0.6000, which is above 0.5" in error.diagnostics[0].message
