"""What an operator says of its receptive field is what gradients show."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

SIZE = 24

OPERATORS = [
    ("conv1d", {"channels": 1, "kernel": 3}),
    ("conv1d", {"channels": 1, "kernel": 5, "stride": 2, "dilation": 3, "padding": 0}),
    ("conv1d", {"channels": 1, "kernel": 4, "causal": True}),
    ("conv1d", {"channels": 1, "kernel": 3, "stride": 2, "dilation": 2, "causal": True}),
    ("conv_transpose1d", {"channels": 1, "kernel": 4, "stride": 2}),
    ("conv_transpose1d", {"channels": 1, "kernel": 3, "stride": 1}),
    ("conv_transpose1d", {"channels": 1, "kernel": 3, "stride": 3}),
    ("max_pool1d", {"kernel": 3, "stride": 2, "padding": 1}),
    ("avg_pool1d", {"kernel": 4}),
    ("upsample", {"scale": 3}),
]


@pytest.mark.parametrize(("name", "arguments"), OPERATORS)
def test_window_is_what_gradients_reach(
    name: str, arguments: dict[str, Any], lower: Callable[..., Any]
) -> None:
    layer = lower(name, arguments, f"f32[B, 1, {SIZE}]")
    ((extent, step),) = layer.op.window(*layer.types)
    reaches = [reach(layer, index) for index in range(layer.graph.outputs["out_y"].type.shape[2])]
    inner = [(low, high) for low, high in reaches if low > 0 and high < SIZE - 1]
    if name == "max_pool1d":  # a gradient reaches the largest element alone
        assert all(high - low < extent for low, high in inner)
    else:
        assert max(high - low + 1 for low, high in inner) == extent
    starts = [Fraction(low + high, 2) for low, high in inner]
    assert abs((starts[-1] - starts[0]) - step * (len(starts) - 1)) < extent


def reach(layer: Any, index: int) -> tuple[int, int]:
    """The first and the last input element that an output depends on."""
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 1, SIZE), dtype=np.float32))
    x.requires_grad_()
    layer.module(x)[0, 0, index].backward()
    touched = x.grad[0, 0].nonzero().flatten()
    return int(touched[0]), int(touched[-1])
