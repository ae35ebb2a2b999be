"""The projection of a class is an inner product with its row, normalised as torch does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from netwright.compiler.objectives.parameter_rules import tensors_of
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

TYPES = ("f32[B, 6]", "i64[B]")
LABELS = torch.tensor([2, 0, 2, 3])
KINDS = [{"classes": 4}, {"classes": 4, "weight_norm": "spectral"}]
each_kind = pytest.mark.parametrize("arguments", KINDS, ids=["plain", "spectral"])


def test_formula(lower: Callable[..., Any]) -> None:
    module, x = lower("class_projection", {"classes": 4}, *TYPES).fresh(), torch.randn(4, 6)
    expected = [
        module.layer.weight[label] @ sample for sample, label in zip(x, LABELS, strict=True)
    ]
    torch.testing.assert_close(module(x, LABELS), torch.stack(expected)[:, None])


def test_training_steps_of_the_normalised_table_equal_those_of_torch(
    lower: Callable[..., Any],
) -> None:
    ours = lower("class_projection", KINDS[1], *TYPES).fresh()
    theirs: Any = spectral_norm(nn.Embedding(4, 6))
    norm = theirs.parametrizations.weight
    with torch.no_grad():
        norm.original.copy_(ours.layer.weight)
        norm[0]._u.copy_(ours.layer.weight_u)
        norm[0]._v.copy_(ours.layer.weight_v)
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (ours, theirs)]
    for _ in range(3):
        x = torch.randn(4, 6)
        values = [ours(x, LABELS), (theirs(LABELS) * x).sum(1, keepdim=True)]
        torch.testing.assert_close(*values)
        for optimizer, y in zip(optimizers, values, strict=True):
            optimizer.zero_grad()
            y.square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.layer.weight, norm.original)


@each_kind
def test_gradients_of_gradients(arguments: dict[str, Any], lower: Callable[..., Any]) -> None:
    module = lower("class_projection", arguments, *TYPES).fresh().double().eval()
    x = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: module(x, LABELS).square(), x)


@each_kind
def test_autocast_multiplies_in_full_precision(
    arguments: dict[str, Any], lower: Callable[..., Any]
) -> None:
    module = lower("class_projection", arguments, *TYPES).fresh().eval()
    x = torch.randn(4, 6)
    expected = module(x, LABELS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(module(x, LABELS), expected, rtol=0, atol=0)


def test_rules_of_parameters_know_it_as_a_table(lower: Callable[..., Any]) -> None:
    graph = lower("class_projection", {"classes": 4}, *TYPES).graph
    (tensor,) = tensors_of({"net": graph})
    assert tensor.kinds == {"embedding"}
