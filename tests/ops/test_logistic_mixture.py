"""Mixtures of logistics over levels: they add up to 1, and all forms of them agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from netwright.compiler.ir.shapes import parse_type
from netwright.compiler.objectives.fields import Field
from netwright.compiler.objectives.likelihoods import LogisticMixture
from netwright.runtime.objectives.likelihoods import judge
from torch import Tensor

Lower = Callable[..., Any]

PIXELS = Field(shape=["B", 1], dtype="uint8", scale=[-1, 1])
FEW = Field(shape=["B", 1], dtype="uint8", range=[0, 16], scale=[0, 1])
TURNED = Field(shape=["B", 1], dtype="int64", range=[-3, 4], scale=[2, -1])
COIN = Field(shape=["B", 1], dtype="uint8", range=[0, 1], scale=[0, 1])
LARGE = Field(shape=["B", 1], dtype="uint8", scale=[0, 255])
MANY = Field(shape=["B", 1], dtype="int32", range=[0, 65535], scale=[0, 1])
FIELDS = {
    "pixels": PIXELS, "few": FEW, "turned": TURNED, "coin": COIN, "large": LARGE, "many": MANY,
}  # fmt: skip
each_field = pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)

PARAMETERS: dict[str, list[tuple[float, float, float]]] = {
    "broad": [(0.0, 0.3, 0.0)],
    "sharp": [(0.0, 0.1, -7.0), (1.0, 0.77, -6.5)],
    "clamped": [(0.0, -0.2, -50.0), (0.3, 0.4, -1.0)],
    "edges": [(0.0, -1.0, -5.0), (0.0, 1.0, -5.0), (-1.0, 0.0, -3.0)],
    "outside": [(0.0, -30.0, 0.5), (0.0, 40.0, 1.0), (-4.0, 0.5, -2.0)],
    "flat": [(0.0, 0.0, 12.0), (0.0, 0.5, 30.0)],
    "lopsided": [(60.0, 0.2, -2.0), (-60.0, 0.9, -4.0)],
}
"""Of mixtures: score of the weight, mean and logarithm of the scale of each component."""
each_mixture = pytest.mark.parametrize("components", PARAMETERS.values(), ids=PARAMETERS)


def levels_of(field: Field) -> np.ndarray:
    """Every value that the network sees, in rising order."""
    assert field.raw_range
    low, high = field.raw_range
    (shift,), (factor,) = field.affine()
    return np.sort((np.arange(low, high + 1) - shift) * factor)


def naive(made: np.ndarray, target: np.ndarray, field: Field) -> np.ndarray:
    """log p of elements [N] under mixtures [N, 3, K], as the paper writes it, in float64."""
    levels, (logits, mean, log_scale) = levels_of(field), np.moveaxis(made.astype(float), 1, 0)
    half, scale = (levels[1] - levels[0]) / 2, np.exp(np.maximum(log_scale, -7))
    x = target.astype(float)[:, None]
    upper, lower = ((x - mean + shift) / scale for shift in (half, -half))
    upper[(x > levels[-1] - half)[:, 0]] = np.inf
    lower[(x < levels[0] + half)[:, 0]] = -np.inf
    weights = np.exp(logits - logits.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    # In the right half both sigmoids are near 1; their complements differ by as much.
    right = lower > 0
    a, b = np.where(right, -lower, upper), np.where(right, -upper, lower)
    with np.errstate(over="ignore"):
        share = 1 / (1 + np.exp(-a)) - 1 / (1 + np.exp(-b))
    return np.asarray(np.log((weights * share).sum(1)))


def likelihood(settings: LogisticMixture, field: Field, made: Tensor, target: Tensor) -> Tensor:
    return judge(settings, "made", field).log_likelihood({"made": made}, target)


def repeated(components: Sequence[tuple[float, float, float]], count: int) -> Tensor:
    """The same mixture for so many samples of one element: f32[N, 3 * K]."""
    return torch.tensor(components).T.flatten().repeat(count, 1)


@each_mixture
@each_field
def test_levels_share_out_all_probability(
    field: Field, components: list[tuple[float, float, float]]
) -> None:
    levels = torch.from_numpy(levels_of(field)).float()
    settings = LogisticMixture(components=len(components))
    found = likelihood(settings, field, repeated(components, len(levels)), levels[:, None])
    assert found.dtype == torch.float32
    assert (found <= 1e-6).all()
    assert float(found.double().exp().sum()) == pytest.approx(1, abs=2e-5)


def drawn(field: Field, components: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Mixtures [N, 3, K] of which some levels [N] may well come, both edges among them."""
    rng, levels = np.random.default_rng(components), levels_of(field)
    reach = levels[-1] - levels[0]
    target = rng.choice(levels, rows)
    target[:2] = levels[[0, -1]]
    mean = target[:, None] + rng.normal(0, 0.1 * reach, (rows, components))
    log_scale = rng.uniform(np.log(0.02 * reach), np.log(3 * reach), (rows, components))
    made = np.stack([rng.normal(0, 2, mean.shape), mean, log_scale], 1)
    return made.astype(np.float32), target.astype(np.float32)


def lowered(lower: Lower, field: Field, components: int, made: str, target: str) -> Any:
    op = LogisticMixture(components=components).operator(field)
    return lower(op, None, parse_type(made), parse_type(target))


@pytest.mark.parametrize("components", [1, 5])
@each_field
def test_all_forms_give_what_the_paper_says(field: Field, components: int, lower: Lower) -> None:
    made, target = drawn(field, components, 400)
    expected = naive(made, target, field)
    flat, column = made.reshape(400, -1), target[:, None]
    layer = lowered(lower, field, components, f"f32[B, {3 * components}]", "f32[B, 1]")
    (served,) = layer.agree(flat, column, session=layer.session())
    own = likelihood(
        LogisticMixture(components=components), field, *map(torch.from_numpy, (flat, column))
    )
    np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(served, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(layer.torch(flat, column)[0], own, rtol=1e-6, atol=1e-6)


@each_mixture
def test_onnx_runtime_agrees_at_the_ends(
    components: list[tuple[float, float, float]], lower: Lower
) -> None:
    levels = levels_of(PIXELS).astype(np.float32)[:, None]
    count = len(components)
    layer = lowered(lower, PIXELS, count, f"f32[B, {3 * count}]", "f32[B, 1]")
    made = repeated(components, len(levels)).numpy()
    (served,) = layer.session().run(None, {"made": made, "target": levels})
    np.testing.assert_allclose(served, layer.torch(made, levels)[0], rtol=1e-5, atol=1e-5)


def test_components_stand_outside_channels() -> None:
    """Number k * C + c of each third is that of component k and channel c; the rest is summed."""
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(3, 2, 3, 4, 5)).astype(np.float32)  # thirds, components, C, H, W
    target = rng.choice(levels_of(FEW), (3, 4, 5)).astype(np.float32)
    each = np.moveaxis(parts.reshape(3, 2, -1), 2, 0)
    expected = naive(each, target.reshape(-1), FEW).sum()
    made = torch.from_numpy(parts.reshape(1, 18, 4, 5))
    settings = LogisticMixture(components=2)
    found = likelihood(settings, FEW, made, torch.from_numpy(target)[None])
    assert found.shape == (1,)
    assert float(found) == pytest.approx(expected, rel=1e-5)
    weights = np.exp(parts[0]) / np.exp(parts[0]).sum(0)
    mean = np.clip((weights * parts[1]).sum(0), 0, 1)
    own = judge(settings, "made", FEW).expected({"made": made})
    np.testing.assert_allclose(own[0], mean, rtol=1e-5, atol=1e-6)


def test_the_exported_mean_is_that_of_the_runtime(lower: Lower) -> None:
    settings = LogisticMixture(components=3)
    made = np.random.default_rng(0).normal(size=(7, 18, 4, 5)).astype(np.float32)
    step = settings.expectation(TURNED)
    assert step
    layer = lower(step[1], None, parse_type("f32[B, 18, 4, 5]"))
    (served,) = layer.agree(made, session=layer.session())
    own = judge(settings, "made", TURNED).expected({"made": torch.from_numpy(made)})
    assert own.shape == (7, 2, 4, 5)
    np.testing.assert_allclose(served, own, rtol=1e-5, atol=1e-6)
    assert served.min() >= -1
    assert served.max() <= 2


EXTREMES = (-1e30, -1e4, -7.0, 0.0, 5.0, 80.0, 1e4, 1e30)


@pytest.mark.parametrize("level", [0.0, 7 / 16, 1.0])
def test_gradients_are_finite_wherever_parameters_are(level: float) -> None:
    grid = torch.cartesian_prod(
        torch.tensor([0.0, 1e4]), torch.tensor(EXTREMES), torch.tensor(EXTREMES)
    )
    other = torch.tensor([[0.0, 0.5, -1.0]]).expand(len(grid), 3)
    for mixed in (grid, torch.stack([grid, other], 2).flatten(1)):
        made = mixed.clone().requires_grad_()
        settings = LogisticMixture(components=made.shape[1] // 3)
        found = likelihood(settings, FEW, made, torch.full((len(made), 1), level))
        assert found.isfinite().all()
        (gradient,) = torch.autograd.grad(found.sum(), made)
        assert gradient.isfinite().all()


def test_a_component_that_is_far_off_or_too_flat_is_told_where_to_go() -> None:
    """The logarithms keep their slopes where a difference of sigmoids would be 0."""
    made = torch.tensor([[0.0, 50.0, -4.0], [0.0, 0.5, 40.0]], requires_grad=True)
    found = likelihood(LogisticMixture(components=1), FEW, made, torch.full((2, 1), 0.5))
    (gradient,) = torch.autograd.grad(found.sum(), made)
    assert gradient[0, 1] < -10, "the mean is to come nearer"
    assert gradient[1, 2] == pytest.approx(-1), "the scale is to be smaller"
