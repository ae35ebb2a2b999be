"""Recurrent layers compute what torch's do, and honour lengths exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

KINDS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
LENGTHS = (7, 1, 4)

each_kind = pytest.mark.parametrize("kind", KINDS)
each_direction = pytest.mark.parametrize("bidirectional", [False, True], ids=["one", "two"])


def states_of(found: Any) -> list[torch.Tensor]:
    return list(found) if isinstance(found, tuple) else [found]


@each_kind
@each_direction
def test_it_is_torchs_layer(kind: str, bidirectional: bool, lower: Callable[..., Any]) -> None:
    """The same tensors, drawn alike, and the same outputs."""
    arguments = {"hidden": 5, "layers": 2, "bidirectional": bidirectional}
    ours = lower(kind, arguments, "f32[B, T, 3]").fresh()
    torch.manual_seed(0)
    theirs = KINDS[kind](3, 5, 2, batch_first=True, bidirectional=bidirectional)
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(tensor, ours.state_dict()[f"layer.{name}"])
    x = torch.randn(2, 6, 3)
    sequence, last, *states = ours(x)
    outputs, final = theirs(x)
    torch.testing.assert_close(sequence, outputs)
    for state, expected in zip(states, states_of(final), strict=True):
        torch.testing.assert_close(state, expected)
    ends = [outputs[:, -1, :5], outputs[:, 0, 5:]]
    torch.testing.assert_close(last, torch.cat(ends, 1))


@each_kind
@each_direction
def test_a_padded_sample_is_as_if_it_were_alone(
    kind: str, bidirectional: bool, lower: Callable[..., Any]
) -> None:
    """In torch and in ONNX Runtime, to every output; what lies behind the end is 0."""
    layer = lower(
        kind,
        {"hidden": 4, "layers": 2, "bidirectional": bidirectional},
        "f32[B, T, 3]",
        "i64[B]",
    )
    x = np.random.default_rng(0).standard_normal((3, 7, 3), np.float32)
    session = layer.session()
    together = layer.agree(x, np.array(LENGTHS), session=session)
    for index, length in enumerate(LENGTHS):
        cut = x[index : index + 1, :length]
        alone = layer.agree(cut, np.array([length]), session=session)
        np.testing.assert_allclose(together[0][index, :length], alone[0][0], atol=1e-6)
        assert not together[0][index, length:].any()
        np.testing.assert_allclose(together[1][index], alone[1][0], atol=1e-6)
        for many, one in zip(together[2:], alone[2:], strict=True):
            np.testing.assert_allclose(many[:, index], one[:, 0], atol=1e-6)


@each_kind
def test_a_sequence_in_two_parts_is_the_whole(kind: str, lower: Callable[..., Any]) -> None:
    """A state that comes out goes in again."""
    states = ["f32[2, B, 4]"] * (2 if kind == "lstm" else 1)
    layer = lower(kind, {"hidden": 4, "layers": 2}, "f32[B, T, 3]", None, *states)
    x = np.random.default_rng(0).standard_normal((2, 8, 3), np.float32)
    zeros = [np.zeros((2, 2, 4), np.float32) for _ in states]
    session = layer.session()
    whole = layer.agree(x, *zeros, session=session)
    first = layer.agree(x[:, :3], *zeros, session=session)
    second = layer.agree(x[:, 3:], *first[2:], session=session)
    np.testing.assert_allclose(np.concatenate([first[0], second[0]], 1), whole[0], atol=1e-6)
    for found, expected in zip(second[1:], whole[1:], strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@each_kind
@pytest.mark.parametrize("init", ["orthogonal", "identity"])
def test_weights_between_states_begin_gate_by_gate(
    kind: str, init: str, lower: Callable[..., Any]
) -> None:
    arguments = {"hidden": 6, "layers": 2, "bidirectional": True, "recurrent_init": init}
    module = lower(kind, arguments, "f32[B, T, 3]").fresh().layer
    weights = [t for name, t in module.named_parameters() if name.startswith("weight_hh")]
    assert len(weights) == 4
    for gate in (gate for weight in weights for gate in weight.split(6)):
        expected = gate if init == "identity" else gate @ gate.T
        torch.testing.assert_close(expected.detach(), torch.eye(6), atol=1e-5, rtol=0)


def test_gates_that_forget_begin_open(lower: Callable[..., Any]) -> None:
    arguments = {"hidden": 3, "bidirectional": True, "forget_bias": 1.5}
    module = lower("lstm", arguments, "f32[B, T, 2]").fresh().layer
    for end in ("", "_reverse"):
        offsets = [getattr(module, f"bias_{k}_l0{end}").detach().split(3) for k in ("ih", "hh")]
        sums = [a + b for a, b in zip(*offsets, strict=True)]
        assert sums[1].tolist() == [1.5] * 3
        assert all(0 < s.abs().max() < 1.5 for s in (sums[0], sums[2], sums[3]))


def test_the_input_weights_begin_as_asked(lower: Callable[..., Any]) -> None:
    arguments = {"hidden": 4, "layers": 2, "init": {"uniform": {"bound": 1e-3}}}
    module = lower("gru", arguments, "f32[B, T, 2]").fresh().layer
    for layer in (0, 1):
        assert getattr(module, f"weight_ih_l{layer}").abs().max() <= 1e-3
        assert getattr(module, f"weight_hh_l{layer}").abs().max() > 1e-2
