"""Resampling and padding over grids of sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from netwright.compiler.backends.onnx_model import IR_VERSIONS

Lower = Callable[..., Any]


@pytest.mark.parametrize("opset", IR_VERSIONS)
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("scale", [1, 2, 3, [2, 5], 7])
def test_upsampling_agrees_at_odd_sizes(opset: int, mode: str, scale: Any, lower: Lower) -> None:
    layer = lower("upsample", {"scale": scale, "mode": mode}, "f32[B, 2, H, W]")
    session = layer.session(opset)
    for height, width in [(1, 1), (3, 5), (7, 2), (13, 11)]:
        shape = (2, 2, height, width)
        x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        layer.agree(x, session=session)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate"])
@pytest.mark.parametrize("rank", [3, 4, 5])
def test_padding_agrees_on_every_side(mode: str, rank: int, lower: Lower) -> None:
    before, after = [1, 0, 2][: rank - 2], [0, 3, 1][: rank - 2]
    arguments = {"before": before, "after": after, "mode": mode}
    shape = (2, 3, 4, 5, 6)[:rank]
    layer = lower("pad", arguments, f"f32[{', '.join(map(str, shape))}]")
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    (y,) = layer.agree(x, session=layer.session())
    inside = tuple(slice(b, b + n) for b, n in zip(before, shape[2:], strict=True))
    np.testing.assert_array_equal(y[(slice(None), slice(None), *inside)], x)
