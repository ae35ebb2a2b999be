"""`conv1d: {causal: true}`: an output sees no later input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.ir.shapes import parse_type
from netwright.compiler.language.arguments import build
from netwright.compiler.ops.base import REGISTRY, Refusal

STEPS = 13
ARGUMENTS: list[dict[str, Any]] = [
    {"kernel": 3},
    {"kernel": 4},
    {"kernel": 2, "dilation": 4},
    {"kernel": 3, "stride": 2},
    {"kernel": 4, "stride": 3, "dilation": 2, "bias": False},
    {"kernel": 3, "groups": 2},
    {"kernel": 3, "dilation": 2, "weight_norm": "spectral"},
    {"kernel": 1},
]
each_form = pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)

Lower = Callable[..., Any]


def lowered(lower: Lower, arguments: dict[str, Any], x: str = "f32[B, 2, T]") -> Any:
    return lower("conv1d", {"channels": 4, "causal": True, **arguments}, x)


@each_form
def test_later_inputs_change_nothing(arguments: dict[str, Any], lower: Lower) -> None:
    """To the last bit, in torch and in ONNX Runtime; the input at its own place does change it."""
    layer, stride = lowered(lower, arguments), arguments.get("stride", 1)
    session, x = layer.session(), np.random.default_rng(0).standard_normal((1, 2, STEPS))
    x = x.astype(np.float32)
    backends = layer.torch, lambda *given: layer.onnx(session, *given)
    for run in backends:
        (y,) = run(x)
        assert y.shape[2] == -(-STEPS // stride)
        for t in range(y.shape[2]):
            later, own = x.copy(), x.copy()
            later[:, :, t * stride + 1 :] += 100
            own[:, :, t * stride] += 100
            np.testing.assert_array_equal(run(later)[0][:, :, : t + 1], y[:, :, : t + 1])
            assert (run(own)[0][:, :, t] != y[:, :, t]).all()


@each_form
def test_a_prefix_gives_a_prefix(arguments: dict[str, Any], lower: Lower) -> None:
    """At every length, in both backends."""
    layer, stride = lowered(lower, arguments), arguments.get("stride", 1)
    session = layer.session()
    x = np.random.default_rng(0).standard_normal((2, 2, STEPS), np.float32)
    (whole,) = layer.agree(x, session=session)
    for length in range(1, STEPS):
        (part,) = layer.agree(x[:, :, :length], session=session)
        np.testing.assert_allclose(part, whole[:, :, : -(-length // stride)], atol=1e-6)


def test_it_is_torchs_convolution_behind_zeros(lower: Lower) -> None:
    layer = lowered(lower, {"kernel": 3, "dilation": 2, "stride": 2}).module.layer
    x = torch.randn(2, 2, STEPS)
    expected = F.conv1d(F.pad(x, (4, 0)), layer.weight, layer.bias, stride=2, dilation=2)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("kernel", [2, 3])
def test_padding_excludes_it(kernel: int) -> None:
    arguments = {"channels": 4, "kernel": kernel, "dilation": 5, "causal": True, "padding": 1}
    with pytest.raises(NetwrightError) as refused:
        build(REGISTRY["conv1d"], arguments)
    (found,) = refused.value.diagnostics
    assert found.code is Code.E202
    assert found.message == (
        f"`conv1d` with `causal` puts {5 * (kernel - 1)} zeros before the first step, none behind "
        "the last, found padding 1"
    )
    assert found.help == "remove `padding`; a `pad` layer before this one adds further zeros"


def test_an_empty_sequence_is_refused_in_its_own_words() -> None:
    op = build(REGISTRY["conv1d"], {"channels": 4, "kernel": 3, "causal": True})
    with pytest.raises(Refusal) as refused:
        op.infer(parse_type("f32[B, 2, 0]"))
    assert refused.value.message == (
        "`conv1d` with `causal` needs at least 1 element along axis 2, found 0 in f32[B, 2, 0]"
    )


@pytest.mark.parametrize("name", ["conv2d", "conv3d", "conv_transpose1d"])
def test_others_do_not_take_it(name: str) -> None:
    with pytest.raises(NetwrightError, match="unknown argument `causal`"):
        build(REGISTRY[name], {"channels": 4, "kernel": 3, "causal": True})
