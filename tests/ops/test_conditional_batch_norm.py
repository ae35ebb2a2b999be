"""Class-conditional batch norm is batch norm, then a scale and a shift of the sample's class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from netwright.compiler.objectives.parameter_rules import tensors_of
from torch import nn

TYPES = ("f32[B, 3, H, W]", "i64[B]")
LABELS = torch.tensor([1, 0, 1, 3])


@pytest.fixture
def module(lower: Callable[..., Any]) -> Any:
    """Of four classes, with a scale and a shift for each."""
    made = lower("conditional_batch_norm", {"classes": 4, "momentum": 0.3}, *TYPES).fresh()
    nn.init.normal_(made.layer.weight)
    nn.init.normal_(made.layer.bias)
    return made


def test_formula_in_training_and_evaluation(module: Any) -> None:
    plain = nn.BatchNorm2d(3, affine=False, momentum=0.3)
    table = list(zip(module.layer.weight, module.layer.bias, strict=True))
    for training in (True, True, False):
        x = torch.randn(4, 3, 5, 2) * 2 + 1
        y, normal = module.train(training)(x, LABELS), plain.train(training)(x)
        for place, label in enumerate(LABELS):
            weight, bias = table[int(label)]
            expected = normal[place] * weight[:, None, None] + bias[:, None, None]
            torch.testing.assert_close(y[place], expected)
    torch.testing.assert_close(module.layer.running_mean, plain.running_mean)
    torch.testing.assert_close(module.layer.running_var, plain.running_var)


def test_it_starts_as_batch_norm(lower: Callable[..., Any]) -> None:
    fresh = lower("conditional_batch_norm", {"classes": 4}, *TYPES).fresh()
    x = torch.randn(4, 3, 5, 2)
    torch.testing.assert_close(fresh(x, LABELS), nn.BatchNorm2d(3)(x))


def test_classes_that_are_not_in_the_batch_get_no_gradient(module: Any) -> None:
    module(torch.randn(4, 3, 2, 2), LABELS).square().sum().backward()
    moved = module.layer.weight.grad.abs().sum(1)
    assert (moved > 0).tolist() == [True, True, False, True]


@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_gradients(training: bool, module: Any) -> None:
    module.double().train(training)
    x = torch.randn(4, 3, 2, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: module(x, LABELS), x)


def test_autocast_normalises_in_full_precision(module: Any) -> None:
    x = (torch.randn(4, 3, 8, 8) + 50).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = module(x, LABELS)
    assert y.dtype is torch.bfloat16
    torch.testing.assert_close(y.float(), module(x.float(), LABELS), rtol=0.02, atol=0.02)


def test_a_label_beyond_the_classes_is_an_error(module: Any) -> None:
    with pytest.raises(IndexError):
        module(torch.randn(4, 3, 2, 2), LABELS + 1)


def test_rules_of_parameters_know_it_as_a_norm(lower: Callable[..., Any]) -> None:
    graph = lower("conditional_batch_norm", {"classes": 4}, *TYPES).graph
    kinds = {tensor.name: tensor.kinds for tensor in tensors_of({"net": graph})}
    assert kinds["net.layer.weight"] == {"norm"}
    assert kinds["net.layer.bias"] == {"norm", "bias"}
    assert [t.name for t in tensors_of({"net": graph}) if t.is_statistics] == [
        "net.layer.running_mean"
    ]
