"""Arguments that are symbolic sizes reach PyTorch and ONNX as computed numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from netwright.compiler.ir.dims import Dim, Symbol
from netwright.compiler.ir.shapes import parse_dim, parse_type
from netwright.compiler.language.arguments import build
from netwright.compiler.ops.base import REGISTRY, Refusal
from netwright.compiler.ops.sizes import size_text

KNOWN = {name: Symbol(name, min=4) for name in "HTW"} | {"N": Symbol("N", 2, 8, 2)}


def size(text: str) -> Dim:
    return parse_dim(text, KNOWN)


CASES = [
    ("reshape", {"to": [size("W"), 2, size("H")]}, "f32[B, 2*H, W]", ["f32[B, W, 2, H]"]),
    ("reshape", {"to": [size("H*W"), -1]}, "f32[B, 6, H, W]", ["f32[B, H*W, 6]"]),
    ("slice", {"start": size("N // 2")}, "f32[B, N, 2]", ["f32[B, -(N // 2) + N, 2]"]),
    ("slice", {"start": 1, "stop": size("T - 1")}, "f32[B, T, 2]", ["f32[B, T - 2, 2]"]),
    (
        "split",
        {"into": {"left": size("N // 2"), "right": size("N // 2")}},
        "f32[B, N]",
        ["f32[B, N // 2]", "f32[B, N // 2]"],
    ),
    ("expand", {"to": [size("T"), size("T")]}, "f32[B, T, 1]", ["f32[B, T, T]"]),
]


@pytest.mark.parametrize(("name", "arguments", "given", "expected"), CASES)
def test_torch_and_onnx_agree(
    name: str,
    arguments: dict[str, Any],
    given: str,
    expected: list[str],
    lower: Callable[..., Any],
) -> None:
    x = parse_type(given, KNOWN)
    types = (x, *(None for _ in REGISTRY[name].ports[1:]))
    layer = lower(name, arguments, *types)
    assert [str(t) for t in layer.op.inferred(types)] == expected
    session = layer.session()
    for base in (4, 6):
        sizes = {symbol: base + 2 * place for place, symbol in enumerate("BHTWN")}
        sizes["N"] = base
        shape = tuple(eval(str(dim), {}, sizes) for dim in x.shape)
        values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        found = layer.agree(values, session=session)
        wanted = [
            tuple(eval(str(dim), {}, sizes) for dim in parse_type(t, KNOWN).shape) for t in expected
        ]
        assert [y.shape for y in found] == wanted


@pytest.mark.parametrize(
    ("dim", "text"),
    [
        ("7", "7"),
        ("H", "({x}.shape[1] // 2)"),
        ("T", "({x}.shape[2] + 1)"),
        ("2*H", "{x}.shape[1]"),
        ("T*H + 3", "({x}.shape[1] // 2) * ({x}.shape[2] + 1) + 3"),
        ("W // 3", "({x}.shape[3] // 3)"),
        ("3 - W", "-{x}.shape[3] + 3"),
        ("N", None),
    ],
)
def test_size_text_asks_the_input(dim: str, text: str | None) -> None:
    x = parse_type("f32[B, 2*H, T - 1, W]", KNOWN)
    assert size_text(size(dim), {"x": x}) == text


@pytest.mark.parametrize(
    ("name", "arguments", "given", "help_text"),
    [
        ("slice", {"start": 2}, "f32[B, S]", "declare `dims: {S: {min: 3}}`"),
        ("slice", {"stop": 4}, "f32[B, S]", "declare `dims: {S: {min: 4}}`"),
        ("slice", {"start": -5}, "f32[B, S]", "declare `dims: {S: {min: 5}}`"),
        ("select", {"index": 2}, "f32[B, S]", "declare `dims: {S: {min: 3}}`"),
        ("position_embedding", {"length": 9}, "f32[B, S, 2]", "declare `dims: {S: {max: 9}}`"),
    ],
)
def test_refusal_names_the_constraint(
    name: str, arguments: dict[str, Any], given: str, help_text: str
) -> None:
    with pytest.raises(Refusal) as refused:
        build(REGISTRY[name], arguments).inferred((parse_type(given),))
    assert refused.value.help.startswith(help_text)
