"""What a discriminator sees of images: each kind by its definition, and the adaptive chance."""

from __future__ import annotations

import pytest
import torch
from netwright.compiler.objectives.judged_augmentation import Adaptive, JudgedAugmentation
from netwright.runtime.adversarial.augment import KINDS, AdaptiveProbability, augment
from torch import Tensor

from .test_gan import CONDITIONAL
from .test_vae import batch_of, fresh
from .tiny import compile_text


def images(count: int = 6, channels: int = 2, height: int = 16, width: int = 9) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, channels, height, width, generator=generator, dtype=torch.float64)


def shifted(x: Tensor, down: int, right: int) -> Tensor:
    """An image [C, H, W] moved, with zeros behind it."""
    height, width = x.shape[1:]
    wide = torch.nn.functional.pad(x, (width, width, height, height))
    return wide[:, height + down : 2 * height + down, width + right : 2 * width + right]


def test_translation_moves_by_an_eighth_at_most_and_leaves_zeros() -> None:
    torch.manual_seed(0)
    x, found = images(40), set()
    for image, moved in zip(x, KINDS["translation"](x), strict=True):
        (at,) = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-1, 2)
            if torch.equal(shifted(image, down, right), moved)
        ]
        found.add(at)
    assert {down for down, _ in found} == {-2, -1, 0, 1, 2}
    assert {right for _, right in found} == {-1, 0, 1}


def test_cutout_loses_a_square_of_half_the_size() -> None:
    torch.manual_seed(0)
    x = images(200) + 10
    made = KINDS["cutout"](x)
    lost = made == 0
    assert torch.equal(made[~lost], x[~lost])
    rows, columns = lost[:, 0].any(2).sum(1), lost[:, 0].any(1).sum(1)
    assert torch.equal(lost[:, 0].sum((1, 2)), rows * columns), "a rectangle"
    assert (int(rows.max()), int(columns.max())) == (8, 5)
    assert int(rows.min()) >= 4, "its middle lies within the image"


def test_color_is_brightness_then_saturation_then_contrast() -> None:
    x = images(4, channels=3)
    torch.manual_seed(1)
    found = KINDS["color"](x)
    torch.manual_seed(1)
    brightness, saturation, contrast = (torch.rand(4, 1, 1, 1) for _ in range(3))
    expected = x + brightness - 0.5
    grey = expected.mean(1, keepdim=True)
    expected = grey + 2 * saturation * (expected - grey)
    middle = expected.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(found, middle + (contrast + 0.5) * (expected - middle))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_pass_twice(kind: str) -> None:
    def seen(x: Tensor) -> Tensor:
        torch.manual_seed(2)
        return KINDS[kind](x).square()

    x = images(2, height=4, width=4).requires_grad_()
    assert torch.autograd.gradcheck(seen, (x,))
    assert torch.autograd.gradgradcheck(seen, (x,))


def test_each_kind_is_done_with_its_probability() -> None:
    x = images(400, height=4, width=4)
    settings = JudgedAugmentation(kinds=["color"])
    assert torch.equal(augment(settings, x, 0.0), x)
    assert not (augment(settings, x, 1.0) == x).flatten(1).all(1).any()
    torch.manual_seed(0)
    changed = (augment(settings, x, torch.tensor(0.3)) != x).flatten(1).any(1)
    assert float(changed.double().mean()) == pytest.approx(0.3, abs=0.07)


def test_the_adaptive_probability_follows_how_sure_the_discriminator_is() -> None:
    chance = AdaptiveProbability(Adaptive(target=0.5, samples=100), 10, torch.device("cpu"))

    def step(*scores: float) -> float:
        for score in scores:  # in micro-batches
            chance.watch(torch.tensor([[score]]))
        chance.move()
        return float(chance.value)

    assert step(-1, -2) == 0
    assert step(3, 4) == pytest.approx(0.1)
    assert step(3, 4, 5, 0.1, -1) == pytest.approx(0.2), "4 - 1 of 5: 0.6"
    assert step(3, -1) == pytest.approx(0.1)
    assert step(*[1.0]) == pytest.approx(0.2)
    for _ in range(12):
        step(1)
    assert float(chance.value) == 1


def test_both_kinds_of_samples_are_changed_in_training_and_none_in_evaluation() -> None:
    adaptive = "{kinds: [color, translation, cutout], adaptive: {target: 0.3, samples: 640}}"
    spec = compile_text({adaptive: "[color]"}, text=CONDITIONAL)
    objective, batch = fresh(spec), batch_of(spec, rows=16)
    seen: list[Tensor] = []
    objective.networks["discriminator"].register_forward_pre_hook(
        lambda module, given: seen.append(given[0].detach().clone())
    )
    real = batch.values["image"]
    for turn in objective.turns:
        objective.step(batch, turn, {"augment": 1.0})
    assert all(not torch.equal(x, real) for x in seen)
    assert len(seen) == 3
    seen.clear()
    objective.outputs(batch)
    assert torch.equal(seen[0], real)
