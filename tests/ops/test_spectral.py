"""Spectral norm is that of torch, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

LAYERS = [
    ("linear", {"features": 5}, "f32[B, 7]", nn.Linear(7, 5)),
    ("conv1d", {"channels": 5, "kernel": 3}, "f32[B, 4, 9]", nn.Conv1d(4, 5, 3, padding=1)),
    (
        "conv2d",
        {"channels": 6, "kernel": 4, "stride": 2, "padding": 1, "groups": 2},
        "f32[B, 4, 8, 8]",
        nn.Conv2d(4, 6, 4, 2, 1, groups=2),
    ),
    (
        "conv3d",
        {"channels": 3, "kernel": 3, "dilation": 2, "bias": False},
        "f32[B, 2, 5, 5, 5]",
        nn.Conv3d(2, 3, 3, padding=2, dilation=2, bias=False),
    ),
    (
        "conv_transpose1d",
        {"channels": 3, "kernel": 4, "stride": 2},
        "f32[B, 4, 5]",
        nn.ConvTranspose1d(4, 3, 4, 2, 1),
    ),
    (
        "conv_transpose2d",
        {"channels": 3, "kernel": 3, "stride": 2, "output_padding": 1, "dilation": 1},
        "f32[B, 4, 5, 3]",
        nn.ConvTranspose2d(4, 3, 3, 2, 1, 1),
    ),
]


@pytest.mark.parametrize(("name", "arguments", "x", "plain"), LAYERS, ids=[c[0] for c in LAYERS])
def test_training_steps_equal_those_of_torch(
    name: str, arguments: dict[str, Any], x: str, plain: nn.Module, lower: Callable[..., Any]
) -> None:
    layer = lower(name, {**arguments, "weight_norm": "spectral"}, x)
    ours, theirs = layer.fresh(), spectral_norm(plain)
    adopt(theirs, ours.layer)
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (ours, theirs)]
    for _ in range(3):
        given = torch.randn(2, *(size for size in layer.types[0].shape[1:]))
        values = [m(given) for m in (ours, theirs)]
        torch.testing.assert_close(*values)
        for optimizer, y in zip(optimizers, values, strict=True):
            optimizer.zero_grad()
            y.square().sum().backward()
            optimizer.step()
    norm = theirs.parametrizations.weight
    torch.testing.assert_close(ours.layer.weight, norm.original)
    torch.testing.assert_close(ours.layer.weight_u, norm[0]._u)
    torch.testing.assert_close(ours.layer.weight_v, norm[0]._v)


def adopt(theirs: Any, ours: Any) -> None:
    """Give torch's layer our tensors."""
    with torch.no_grad():
        theirs.parametrizations.weight.original.copy_(ours.weight)
        theirs.parametrizations.weight[0]._u.copy_(ours.weight_u)
        theirs.parametrizations.weight[0]._v.copy_(ours.weight_v)
        if ours.bias is not None:
            theirs.bias.copy_(ours.bias)


def test_evaluation_changes_nothing(lower: Callable[..., Any]) -> None:
    module = lower("linear", {"features": 5, "weight_norm": "spectral"}, "f32[B, 7]").fresh()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    module.eval()(torch.randn(3, 7))
    torch.testing.assert_close(dict(module.state_dict()), before, rtol=0, atol=0)
    module.train()(torch.randn(3, 7))
    assert not torch.equal(module.state_dict()["layer.weight_u"], before["layer.weight_u"])


def test_a_forward_pass_between_does_not_break_the_backward_pass(lower: Callable[..., Any]) -> None:
    """The discriminator sees real and fake images before one backward pass."""
    module = lower("linear", {"features": 5, "weight_norm": "spectral"}, "f32[B, 7]").fresh()
    real, fake = module(torch.randn(3, 7)), module(torch.randn(3, 7))
    (real.sum() - fake.sum()).backward()
    assert module.layer.weight.grad.isfinite().all()


def test_autocast_leaves_the_estimate_in_full_precision(lower: Callable[..., Any]) -> None:
    arguments = {"channels": 4, "kernel": 3, "weight_norm": "spectral"}
    module = lower("conv2d", arguments, "f32[B, 3, 8, 8]").fresh()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = module(torch.randn(2, 3, 8, 8))
        weight = module.eval().layer.normalized_weight()
    assert y.dtype is torch.bfloat16
    y.float().sum().backward()
    assert weight.dtype is torch.float32
    torch.testing.assert_close(weight, module.layer.normalized_weight(), rtol=0, atol=0)
