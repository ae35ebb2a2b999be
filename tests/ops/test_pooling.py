"""Pooling over a grid of windows: the cases where libraries differ."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from netwright.compiler.ir.dims import evaluate
from netwright.compiler.ir.shapes import parse_type
from netwright.compiler.ops.base import Refusal

Lower = Callable[..., Any]

WINDOWS = [
    (kernel, stride, padding, ceil)
    for kernel, stride, padding, ceil in product([2, 3, 5], [1, 2, 4], [0, 1, 2], [0, 1])
    if 2 * padding <= kernel
]


@pytest.mark.parametrize("name", ["max_pool1d", "avg_pool1d", "avg_pool1d_valid"])
@pytest.mark.parametrize(("kernel", "stride", "padding", "ceil"), WINDOWS)
def test_every_window_agrees(
    name: str, kernel: int, stride: int, padding: int, ceil: int, lower: Lower
) -> None:
    """One model with a symbolic length serves every length."""
    name, valid = name.removesuffix("_valid"), name.endswith("_valid")
    arguments = {
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "ceil_mode": bool(ceil),
        **({"count_include_pad": False} if valid else {}),
    }
    layer = lower(name, arguments, parse_type("f32[B, 2, L + 4]"))
    session = layer.session()
    rng = np.random.default_rng(0)
    for length in (5, 6, 8, 11):
        x = rng.standard_normal((1, 2, length), dtype=np.float32) - 1
        (y,) = layer.agree(x, session=session)
        (inferred,) = layer.graph.outputs.values()
        assert y.shape[2] == evaluate(inferred.type.shape[2], {"L": length - 4})


@pytest.mark.parametrize("size", range(1, 8))
@pytest.mark.parametrize("wanted", [1, 2, 3, 5, 7])
def test_adaptive_pooling_is_exact_where_sizes_do_not_divide(
    size: int, wanted: int, lower: Lower
) -> None:
    layer = lower("adaptive_avg_pool2d", {"size": [wanted, 3]}, f"f32[B, 2, {size}, 7]")
    x = np.random.default_rng(0).standard_normal((2, 2, size, 7), dtype=np.float32)
    layer.agree(x, session=layer.session())


def test_adaptive_pooling_says_which_constraint_would_help(lower: Lower) -> None:
    with pytest.raises(Refusal) as refused:
        lower("adaptive_avg_pool2d", {"size": 7}, "f32[B, 3, H, W]").graph  # noqa: B018
    assert "multiple of 7 along axis 2" in refused.value.message
    assert "{H: {multiple_of: 7}}" in refused.value.help
