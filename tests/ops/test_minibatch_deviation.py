"""Minibatch standard deviation is the formula of its paper, at every batch and precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch


@pytest.mark.parametrize("features", [1, 2, 6])
def test_formula(features: int, lower: Callable[..., Any]) -> None:
    layer = lower("minibatch_deviation", {"features": features}, "f32[B, 6, H, W]")
    x = np.random.default_rng(0).normal(3, 2, (5, 6, 4, 3)).astype(np.float32)
    (y,) = layer.torch(x)
    np.testing.assert_array_equal(y[:, :6], x)
    deviations = np.sqrt(x.astype(np.float64).var(axis=0) + 1e-8)
    means = [group.mean() for group in np.split(deviations, features)]
    for place, expected in enumerate(means, 6):
        np.testing.assert_allclose(y[:, place], np.full((5, 4, 3), expected), rtol=1e-5)


def test_samples_that_are_alike_have_no_deviation(lower: Callable[..., Any]) -> None:
    layer = lower("minibatch_deviation", {}, "f32[B, 3]")
    for batch in (1, 4):
        (y,) = layer.torch(np.full((batch, 3), 7, np.float32))
        np.testing.assert_allclose(y[:, 3], 1e-4, rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 3])
def test_gradients_of_gradients(batch: int, lower: Callable[..., Any]) -> None:
    module = lower("minibatch_deviation", {"features": 2}, "f32[B, 4, T]").fresh()
    x = torch.randn(batch, 4, 2, dtype=torch.float64, requires_grad=True)
    if batch > 1:  # one sample alone is where the root is steepest: differences can't measure it
        assert torch.autograd.gradcheck(module, x)
        assert torch.autograd.gradgradcheck(module, x)
    (slope,) = torch.autograd.grad(module(x).square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(slope.square().sum(), x)
    assert slope.isfinite().all()
    assert second.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keeps_small_deviations(dtype: Any, lower: Callable[..., Any]) -> None:
    """In float16 the 1e-8 would be 0, and the gradient of a constant not a number."""
    module = lower("minibatch_deviation", {}, "f32[B, 2]").fresh()
    x = torch.ones(4, 2, dtype=dtype, requires_grad=True)
    y = module(x)
    assert y.dtype is dtype
    torch.testing.assert_close(y[:, 2], torch.full((4,), 1e-4, dtype=dtype), rtol=0.01, atol=0)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", ["f16", "f64"])
def test_onnx_keeps_the_precision(dtype: str, lower: Callable[..., Any]) -> None:
    layer = lower("minibatch_deviation", {}, f"{dtype}[B, 2, 3]")
    kind = {"f16": np.float16, "f64": np.float64}[dtype]
    x = np.random.default_rng(0).normal(size=(3, 2, 3)).astype(kind)
    (served,), (expected,) = layer.onnx(layer.session(), x), layer.torch(x)
    assert served.dtype == expected.dtype == kind
    np.testing.assert_allclose(served, expected, rtol=1e-3 if dtype == "f16" else 1e-12)
