"""Attention with lengths: what padding holds has no say, not even where it is no number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

LENGTHS = np.array([7, 1, 4])
FILLINGS = [1e30, np.inf, -np.inf, np.nan]
KINDS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "self": ("self_attention", {"heads": 2}, ("f32[B, T, 4]",)),
    "causal": ("self_attention", {"heads": 2, "causal": True}, ("f32[B, T, 4]",)),
    "cross": ("cross_attention", {"heads": 2}, ("f32[B, S, 4]", "f32[B, T, 4]")),
    "narrow": ("cross_attention", {"heads": 2}, ("f32[B, S, 4]", "f32[B, T, 3]")),
    "dot": ("luong_attention", {"score": "dot"}, ("f32[B, S, 4]", "f32[B, T, 4]")),
    "general": ("luong_attention", {}, ("f32[B, S, 4]", "f32[B, T, 4]")),
}
"""Operator, arguments, and the types of its inputs; the lengths are those of the last one."""

Lower = Callable[..., Any]
each_kind = pytest.mark.parametrize("kind", KINDS)


def lowered(lower: Lower, kind: str) -> Any:
    name, arguments, types = KINDS[kind]
    return lower(name, arguments, *types, "i64[B]")


def given(kind: str, filling: float) -> tuple[np.ndarray, ...]:
    """The inputs before the lengths, with this number behind the end of the padded one."""
    rng, channels = np.random.default_rng(0), 3 if kind == "narrow" else 4
    x = rng.standard_normal((3, 7, channels), np.float32)
    behind = np.arange(7) >= LENGTHS[:, None]
    padded = np.where(behind[..., None], np.float32(filling), x)
    return (padded,) if len(KINDS[kind][2]) == 1 else (rng.random((3, 5, 4), np.float32), padded)


@each_kind
@pytest.mark.parametrize("filling", FILLINGS)
def test_padding_never_counts(kind: str, filling: float, lower: Lower) -> None:
    """To the last bit, in torch and in ONNX Runtime."""
    layer = lowered(lower, kind)
    session = layer.session()
    expected = layer.agree(*given(kind, 0), LENGTHS, session=session)
    found = layer.agree(*given(kind, filling), LENGTHS, session=session)
    np.testing.assert_array_equal(found, expected)
    zeros = layer.torch(*given(kind, 0), LENGTHS)
    np.testing.assert_array_equal(layer.torch(*given(kind, filling), LENGTHS), zeros)


@each_kind
@pytest.mark.parametrize("filling", [0.0, *FILLINGS])
def test_no_gradient_reaches_padding(kind: str, filling: float, lower: Lower) -> None:
    module = lowered(lower, kind).fresh()
    tensors = [torch.from_numpy(array).requires_grad_() for array in given(kind, filling)]
    module(*tensors, torch.from_numpy(LENGTHS)).square().sum().backward()
    padded = tensors[-1]
    assert padded.grad is not None
    for index, length in enumerate(LENGTHS):
        assert padded.grad[index, :length].any()
        assert not padded.grad[index, length:].any()
    for name, parameter in module.named_parameters():
        assert parameter.grad.isfinite().all(), name


@each_kind
def test_a_padded_sample_is_as_if_it_were_alone(kind: str, lower: Lower) -> None:
    layer = lowered(lower, kind)
    session, inputs = layer.session(), given(kind, np.nan)
    (together,) = layer.agree(*inputs, LENGTHS, session=session)
    for index, length in enumerate(LENGTHS):
        *others, padded = (array[index : index + 1] for array in inputs)
        (alone,) = layer.agree(*others, padded[:, :length], LENGTHS[index, None], session=session)
        real = together[index, : alone.shape[1]]
        np.testing.assert_allclose(real, alone[0], rtol=1e-4, atol=1e-6)
