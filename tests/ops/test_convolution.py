"""Convolutions beyond the conformance tests: default padding, costs, messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.ir.dims import evaluate
from netwright.compiler.ir.shapes import parse_type
from netwright.compiler.language.arguments import build
from netwright.compiler.ops.base import REGISTRY, Refusal
from torch.utils.flop_counter import FlopCounterMode

Lower = Callable[..., Any]


def output_shape(name: str, arguments: dict[str, Any], x: str) -> str:
    return str(build(REGISTRY[name], arguments).infer(parse_type(x)))


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_default_padding_keeps_the_size(kernel: int, dilation: int) -> None:
    arguments = {"channels": 2, "kernel": kernel, "dilation": dilation}
    assert output_shape("conv2d", arguments, "f32[B, 3, H, 9]") == "f32[B, 2, H, 9]"


@pytest.mark.parametrize(
    ("kernel", "stride", "output_padding"),
    [(3, 1, 0), (5, 1, 0), (2, 2, 0), (4, 2, 0), (3, 2, 1), (6, 3, 1), (3, 3, 0), (8, 4, 0)],
)
def test_default_padding_of_the_transpose_multiplies_the_size(
    kernel: int, stride: int, output_padding: int
) -> None:
    arguments = {
        "channels": 2,
        "kernel": kernel,
        "stride": stride,
        "output_padding": output_padding,
    }
    if (kernel + output_padding - stride) % 2:
        with pytest.raises(NetwrightError, match="E202"):
            build(REGISTRY["conv_transpose1d"], arguments)
        return
    shape = output_shape("conv_transpose1d", arguments, "f32[B, 3, 5]")
    assert shape == f"f32[B, 2, {5 * stride}]"


@pytest.mark.parametrize(
    ("name", "arguments", "x"),
    [
        ("conv1d", {"channels": 6, "kernel": 3, "stride": 2, "groups": 2}, "f32[B, 4, 9]"),
        ("conv1d", {"channels": 6, "kernel": 4, "stride": 2, "causal": True}, "f32[B, 4, 9]"),
        ("conv2d", {"channels": 6, "kernel": [3, 5], "dilation": 2}, "f32[B, 4, 9, 12]"),
        ("conv3d", {"channels": 2, "kernel": 3, "padding": 0}, "f32[B, 3, 5, 4, 6]"),
        ("conv_transpose1d", {"channels": 6, "kernel": 4, "stride": 2}, "f32[B, 4, 9]"),
        (
            "conv_transpose2d",
            {"channels": 4, "kernel": 4, "stride": 2, "groups": 2},
            "f32[B, 4, 5, 3]",
        ),
        ("linear", {"features": 7}, "f32[B, 3, 5]"),
    ],
)
def test_flops_are_those_that_torch_counts(
    name: str, arguments: dict[str, Any], x: str, lower: Lower
) -> None:
    layer = lower(name, {**arguments, "bias": False}, x)
    given = parse_type(x)
    shape = [evaluate(size, {"B": 2}) for size in given.shape]
    with FlopCounterMode(display=False) as counter:
        layer.module(torch.zeros(shape))
    assert evaluate(layer.op.flops(given), {"B": 2}) == counter.get_total_flops()


def test_a_symbolic_size_that_may_vanish_names_the_constraint() -> None:
    op = build(REGISTRY["conv2d"], {"channels": 4, "kernel": 7, "padding": 0})
    with pytest.raises(Refusal) as refused:
        op.infer(parse_type("f32[B, 3, H, W]"))
    assert refused.value.code is Code.D403
    assert refused.value.message == (
        "`conv2d` with kernel 7 and padding 0 needs at least 7 elements along axis 2, "
        "found H in f32[B, 3, H, W]"
    )
    assert refused.value.help == "declare `dims: {H: {min: 7}}`"


def test_a_fixed_size_that_vanishes_says_what_to_change() -> None:
    op = build(REGISTRY["conv1d"], {"channels": 4, "kernel": 9, "padding": 1})
    with pytest.raises(Refusal) as refused:
        op.infer(parse_type("f32[B, 3, 5]"))
    assert refused.value.code is Code.D403
    assert refused.value.message == (
        "`conv1d` with kernel 9 and padding 1 needs at least 7 elements along axis 2, "
        "found 5 in f32[B, 3, 5]"
    )


def test_zeros_start_a_convolution_at_zero(lower: Lower) -> None:
    layer = lower("conv2d", {"channels": 3, "kernel": 3, "init": "zeros"}, "f32[B, 2, 4, 4]")
    assert not layer.fresh()(torch.randn(2, 2, 4, 4)).any()


def test_weights_are_drawn_around_a_mean(lower: Lower) -> None:
    arguments = {"init": {"normal": {"mean": 1, "std": 0.02}}}
    weight = lower("batch_norm", arguments, "f32[B, 1000, 4, 4]").fresh().layer.weight.detach()
    assert abs(float(weight.mean()) - 1) < 0.01
    assert 0.015 < float(weight.std()) < 0.025


def test_init_of_a_normalised_weight_restarts_its_singular_vectors(lower: Lower) -> None:
    arguments = {"channels": 4, "kernel": 3, "weight_norm": "spectral"}
    orthogonal = {**arguments, "init": {"orthogonal": {"gain": 3.0}}}
    module = lower("conv1d", orthogonal, "f32[B, 4, T]").fresh().eval()
    matrix = module.layer.weight.flatten(1).detach()
    sigma = module.layer.weight_u @ matrix @ module.layer.weight_v
    np.testing.assert_allclose(sigma.numpy(), 3.0, rtol=1e-3)
