"""Pooling over time computes what its formula says, and padding has no say, whatever it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

LENGTHS = np.array([7, 1, 4])
POOLINGS: dict[str, dict[str, Any]] = {
    "masked_mean": {},
    "masked_max": {},
    "last_step": {},
    "attention_pool": {"hidden": 5},
}

Lower = Callable[..., Any]
each_pooling = pytest.mark.parametrize("name", POOLINGS)


def sequences() -> np.ndarray:
    """f32[3, 7, 4], negative on average, so that a 0 from padding would be the largest element."""
    drawn = np.random.default_rng(0).standard_normal((3, 7, 4), np.float32)
    return drawn - np.float32(2)


def padded(x: np.ndarray, filling: float) -> np.ndarray:
    """The same samples with another number behind their ends."""
    behind = np.arange(x.shape[1]) >= LENGTHS[:, None]
    return np.where(behind[..., None], np.float32(filling), x)


def lowered(lower: Lower, name: str, *, lengths: str | None = "i64[B]") -> Any:
    return lower(name, POOLINGS[name], "f32[B, T, 4]", lengths)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("masked_mean", lambda steps: steps.mean(0)),
        ("masked_max", lambda steps: steps.max(0)),
        ("last_step", lambda steps: steps[-1]),
    ],
)
def test_it_is_numpys(name: str, expected: Callable[..., Any], lower: Lower) -> None:
    x, layer = sequences(), lowered(lower, name)
    (found,) = layer.agree(x, LENGTHS, session=layer.session())
    by_hand = [expected(x[k, :length]) for k, length in enumerate(LENGTHS)]
    np.testing.assert_allclose(found, np.stack(by_hand), rtol=1e-5)


def test_attention_follows_its_equations(lower: Lower) -> None:
    """Yang et al. 2016, equations 5 to 7, one sample after the other."""
    x, layer = sequences(), lowered(lower, "attention_pool")
    (found,) = layer.agree(x, LENGTHS, session=layer.session())
    state = {name: tensor.numpy() for name, tensor in layer.module.state_dict().items()}
    weight, bias, query = (state[f"layer.{k}"] for k in ("proj.weight", "proj.bias", "query"))
    for index, length in enumerate(LENGTHS):
        steps = x[index, :length]
        weights = np.exp(np.tanh(steps @ weight.T + bias) @ query)
        np.testing.assert_allclose(found[index], weights @ steps / weights.sum(), rtol=1e-4)


@each_pooling
@pytest.mark.parametrize("filling", [1e30, np.inf, -np.inf, np.nan])
def test_padding_never_counts(name: str, filling: float, lower: Lower) -> None:
    """To the last bit, in torch and in ONNX Runtime."""
    x, layer = sequences(), lowered(lower, name)
    session = layer.session()
    expected = layer.agree(padded(x, 0), LENGTHS, session=session)
    found = layer.agree(padded(x, filling), LENGTHS, session=session)
    np.testing.assert_array_equal(found, expected)
    changed = layer.torch(padded(x, filling), LENGTHS)
    np.testing.assert_array_equal(changed, layer.torch(padded(x, 0), LENGTHS))


@each_pooling
def test_a_padded_sample_is_as_if_it_were_alone(name: str, lower: Lower) -> None:
    x, layer = sequences(), lowered(lower, name)
    session = layer.session()
    (together,) = layer.agree(x, LENGTHS, session=session)
    for index, length in enumerate(LENGTHS):
        given = x[index : index + 1, :length], np.array([length])
        (alone,) = layer.agree(*given, session=session)
        np.testing.assert_allclose(together[index], alone[0], rtol=1e-5)


@each_pooling
def test_full_lengths_are_none(name: str, lower: Lower) -> None:
    x, lengths = torch.from_numpy(sequences()), torch.tensor([7, 7, 7])
    plain, masked = (lowered(lower, name, lengths=kind).fresh() for kind in (None, "i64[B]"))
    torch.testing.assert_close(plain(x), masked(x, lengths))


@each_pooling
@pytest.mark.parametrize("filling", [0.0, np.inf, np.nan])
def test_no_gradient_reaches_padding(name: str, filling: float, lower: Lower) -> None:
    module = lowered(lower, name).fresh()
    x = torch.from_numpy(padded(sequences(), filling)).requires_grad_()
    module(x, torch.from_numpy(LENGTHS)).square().sum().backward()
    assert x.grad is not None
    for index, length in enumerate(LENGTHS):
        assert x.grad[index, :length].any()
        assert not x.grad[index, length:].any()
    for name_, parameter in module.named_parameters():
        assert parameter.grad.isfinite().all(), name_


def test_a_query_starts_as_torchs_linear_layers_do(lower: Lower) -> None:
    module = lower("attention_pool", {"hidden": 64}, "f32[B, T, 4]").fresh().layer
    assert 0.9 / 8 < module.query.abs().max() <= 1 / 8
