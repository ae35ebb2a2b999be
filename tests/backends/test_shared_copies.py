"""A layer that shares one copy of a repeat: the generated module and ONNX compute the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ..onnx_tools import close, run
from ..torch_tools import HEAD, compiled, networks

LAYERS = {
    "operator": "{id: a, linear: 8, repeat: 3}",
    "group": "{id: a, layers: [{id: fc, linear: 8}, tanh], repeat: 3}",
    "block": "{id: a, Unit: {n: 8}, repeat: 3}",
    "lists": "{id: a, Unit: {n: $n}, repeat: {over: {n: [8, 8, 8]}}}",
}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("tapped", [False, True])
def test_both_backends_share_the_copy(kind: str, *, tapped: bool) -> None:
    text = f"""\
blocks:
  Unit: {{params: {{n: int}}, layers: [{{id: fc, linear: $n}}, relu]}}
networks:
  net:
    inputs: {{x: {{shape: [B, 8]}}}}
    layers:
      - {LAYERS[kind]}
      - {{id: b, share: a.1}}
      - {{id: c, from: {"a.0" if tapped else "x"}, share: b, repeat: 2}}
      - {{from: [b, c, prev], add: {{}}}}
    outputs: y
"""
    graph = compiled(HEAD + text).graphs["net"]
    assert graph.parameter_count() == 3 * 72
    module = networks(text)["net"]
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    weights = {f"net.{name}": t.numpy() for name, t in module.state_dict().items()}
    with torch.no_grad():
        expected = module(x).numpy()
    by_onnx = run(graph, {k.removeprefix("net."): v for k, v in weights.items()}, {"x": x.numpy()})
    assert close(by_onnx["y"], expected)
    assert not np.allclose(expected, 0)
