"""The modules that operators bring along: they do what torch's own do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import yaml
from netwright.compiler.ir.dims import Poly, evaluate
from netwright.compiler.ir.shapes import TensorType, parse_type
from netwright.compiler.language.arguments import build
from netwright.compiler.ops.attention_torch import CROSS_ATTENTION, SELF_ATTENTION
from netwright.compiler.ops.base import REGISTRY, Construct, Helper, Torch
from netwright.compiler.ops.embedding import SINUSOIDAL
from netwright.compiler.ops.regularization import DROP_PATH
from torch import nn


def namespace(*helpers: Helper) -> dict[str, Any]:
    """The names that a generated file with these helpers has."""
    names: dict[str, Any] = {"torch": torch, "nn": nn, "F": nn.functional}
    for helper in helpers:
        names = {**names, **namespace(*helper.needs)} if helper.needs else names
        exec(helper.source, names)
    return names


def made(construct: Construct, names: dict[str, Any]) -> nn.Module:
    module: nn.Module = eval(construct.function, names)(*construct.args, **construct.kwargs)
    return module


def pairs() -> list[Any]:
    """Every example whose operator may stand in nn.Sequential as well as in an expression."""
    found = []
    for name, cls in REGISTRY.items():
        for index, example in enumerate(cls.examples):
            types = example.types.get(cls.ports[0].name) if cls.ports else None
            if not isinstance(types, str) or len(example.types) > 2:
                continue
            x = parse_type(types, example.symbols)
            lowered = build(cls, yaml.safe_load(example.arguments)).torch(x)
            if lowered.module and lowered.expression and "{self}" not in lowered.expression:
                found.append(pytest.param(lowered, x, id=f"{name}-{index}"))
    return found


@pytest.mark.parametrize(("lowered", "x"), pairs())
def test_module_and_expression_agree(lowered: Torch, x: TensorType) -> None:
    sizes = {symbol.name: 3 + symbol.multiple_of for symbol in x.symbols()}
    value = torch.randn([evaluate(size, sizes) for size in x.shape])
    names = namespace(*([lowered.helper] if lowered.helper else []))
    numbers = {
        name: evaluate(number, sizes) if isinstance(number, Poly) else repr(number)
        for name, number in lowered.numbers.items()
    }
    assert lowered.module
    assert lowered.expression
    text = lowered.expression.format("x", x="x", inputs="x", **numbers)
    expected = eval(text, {**names, "x": value})
    torch.testing.assert_close(made(lowered.module, names).eval()(value), expected)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("lengths", [None, [1, 7, 4]])
def test_self_attention_is_that_of_torch(
    bias: bool, causal: bool, lengths: list[int] | None
) -> None:
    reference = nn.MultiheadAttention(16, 4, batch_first=True, bias=bias).eval()
    ours = namespace(SELF_ATTENTION)["SelfAttention"](16, 4, causal=causal, bias=bias).eval()
    disturb(reference)
    ours.load_state_dict(reference.state_dict())
    x, later = torch.randn(3, 7, 16), torch.triu(torch.ones(7, 7, dtype=torch.bool), 1)
    expected, _ = reference(
        x,
        x,
        x,
        attn_mask=later if causal else None,
        key_padding_mask=lengths and padding(lengths, 7),
    )
    given = (x,) if lengths is None else (x, torch.tensor(lengths))
    real = ~padding(lengths or [7, 7, 7], 7)
    torch.testing.assert_close(ours(*given)[real], expected[real])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("width", [16, 6])
@pytest.mark.parametrize("lengths", [None, [1, 5, 2]])
def test_cross_attention_is_that_of_torch(
    bias: bool, width: int, lengths: list[int] | None
) -> None:
    reference = nn.MultiheadAttention(
        16, 4, batch_first=True, bias=bias, kdim=width, vdim=width
    ).eval()
    ours = namespace(CROSS_ATTENTION)["CrossAttention"](16, width, 4, bias=bias).eval()
    disturb(reference)
    ours.load_state_dict(reference.state_dict())
    x, context = torch.randn(3, 7, 16), torch.randn(3, 5, width)
    expected, _ = reference(x, context, context, key_padding_mask=lengths and padding(lengths, 5))
    given = (x, context) if lengths is None else (x, context, torch.tensor(lengths))
    torch.testing.assert_close(ours(*given), expected)


def disturb(module: nn.Module) -> None:
    """Away from biases of zero, which would hide a bias that is never added."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)


def padding(lengths: list[int], size: int) -> torch.Tensor:
    return torch.arange(size) >= torch.tensor(lengths)[:, None]


def test_self_attention_starts_as_that_of_torch() -> None:
    torch.manual_seed(3)
    expected = nn.MultiheadAttention(8, 2).state_dict()
    torch.manual_seed(3)
    found = namespace(SELF_ATTENTION)["SelfAttention"](8, 2).state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_attention_looks_at_no_later_position() -> None:
    module = namespace(SELF_ATTENTION)["SelfAttention"](8, 2, causal=True)
    x = torch.randn(2, 6, 8)
    changed = x.clone()
    changed[:, 4:] += 1
    torch.testing.assert_close(module(x)[:, :4], module(changed)[:, :4])
    assert not torch.allclose(module(x)[:, 4:], module(changed)[:, 4:])


def test_drop_path_drops_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    module = namespace(DROP_PATH)["DropPath"](0.25)
    y = module.train()(torch.ones(20_000, 3))
    assert y.unique().tolist() == [0, pytest.approx(4 / 3)]
    assert (y == y[:, :1]).all()
    assert y.mean().item() == pytest.approx(1, abs=0.02)
    assert namespace(DROP_PATH)["DropPath"](1.0).train()(torch.ones(5, 2)).sum() == 0
    assert torch.equal(module.eval()(torch.ones(5, 2)), torch.ones(5, 2))


def test_sinusoidal_embedding_is_cosines_then_sines_of_falling_frequencies() -> None:
    module = namespace(SINUSOIDAL)["SinusoidalEmbedding"](6, 1000.0)
    frequencies = np.array([1, 1000 ** (-1 / 3), 1000 ** (-2 / 3)])
    t = np.array([0, 1, 250])
    angles = t[:, None] * frequencies
    expected = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    np.testing.assert_allclose(module(torch.from_numpy(t)).numpy(), expected, atol=2e-5)
    assert not module.state_dict()
