"""Networks over sequences: the same weights at every step, shared and tied, in both backends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from netwright.compiler.driver import check
from netwright.runtime.generated import build_networks

from tests.onnx_tools import close, proto_of, run, run_proto
from tests.torch_tools import compiled, network, shapes

GRU_CLASSIFIER = Path(__file__).parents[1] / "fixtures" / "specs" / "gru_classifier.yaml"

MODEL = """
dims: {T: {min: 1}}
networks:
  lm:
    inputs: {tokens: {shape: [B, T], dtype: int64}}
    layers:
      - {id: table, embedding: {size: 11, dim: 6}}
      - {id: states, gru: 6}
      - {id: mix, from: states.sequence, linear: 6}
      - {id: again, from: mix, share: mix}
      - {id: head, linear: 11, tie: {weight: table.weight}}
    outputs: logits
"""
"""A language model: its last layer is its table, and one linear layer is applied twice."""


def test_a_linear_layer_is_applied_to_each_step() -> None:
    text = """
dims: {T: {min: 1}}
networks:
  net:
    inputs: {x: {shape: [B, T, 4]}}
    layers: [{id: fc, linear: 3}]
    outputs: y
"""
    net, graph = network(text), compiled(text).graphs["net"]
    weights = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    assert shapes(net) == {"fc.weight": (3, 4), "fc.bias": (3,)}
    for steps in (1, 6):
        x = torch.randn(2, steps, 4)
        one_by_one = torch.stack([net.fc(x[:, t]) for t in range(steps)], 1).detach()
        assert torch.allclose(net(x), one_by_one, atol=1e-6)
        assert close(run(graph, weights, {"x": x.numpy()})["y"], one_by_one.numpy())


def test_a_language_model_shares_and_ties_over_steps() -> None:
    lm, graph = network(MODEL), compiled(MODEL).graphs["lm"]
    assert {name: shape for name, shape in shapes(lm).items() if "states" not in name} == {
        "table.weight": (11, 6),
        "mix.weight": (6, 6),
        "mix.bias": (6,),
        "head.bias": (11,),
    }
    weights = {name: tensor.numpy() for name, tensor in lm.state_dict().items()}
    proto = proto_of(graph, weights)
    tables = [t.name for t in proto.graph.initializer if list(t.dims) in ([11, 6], [6, 11])]
    assert tables == ["table.weight"]
    for steps in (1, 5):
        tokens = torch.randint(0, 11, (2, steps))
        sequence = lm.states(lm.table(tokens))[0]
        expected = F.linear(lm.mix(lm.mix(sequence)), lm.table.weight, lm.head.bias).detach()
        assert torch.allclose(lm(tokens), expected, atol=1e-6)
        found = run_proto(proto.SerializeToString(), {"tokens": tokens.numpy()})
        assert close(found["logits"], expected.numpy())


def test_a_recurrent_and_a_causal_layer_can_be_shared_and_tied() -> None:
    text = """
dims: {T: {min: 1}}
networks:
  net:
    inputs: {x: {shape: [B, T, 4]}, n: {shape: [B], dtype: int64}}
    layers:
      - {id: first, from: {x: x, lengths: n}, gru: 4}
      - {id: second, from: {x: first.sequence, lengths: n}, share: first}
      - {id: channels, from: second.sequence, transpose: [1, 2]}
      - {id: c1, conv1d: {channels: 4, kernel: 2, causal: true}}
      - id: c2
        conv1d: {channels: 4, kernel: 2, causal: true, dilation: 2}
        tie: {weight: c1.weight}
      - {id: steps, transpose: [1, 2]}
      - {id: pool, from: {x: steps, lengths: n}, attention_pool: 3}
    outputs: y
"""
    net, graph = network(text), compiled(text).graphs["net"]
    assert not [name for name in shapes(net) if name.startswith(("second", "c2.weight"))]
    x, lengths = torch.randn(3, 5, 4), torch.tensor([5, 1, 3])
    y = net.first(net.first(x, lengths)[0], lengths)[0].transpose(1, 2)
    y = net.c1(y)
    y = F.conv1d(F.pad(y, (2, 0)), net.c1.weight, net.c2.bias, dilation=2)
    expected = net.pool(y.transpose(1, 2), lengths).detach()
    assert torch.allclose(net(x, lengths), expected, atol=1e-6)
    weights = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    found = run(graph, weights, {"x": x.numpy(), "n": lengths.numpy()})
    assert close(found["y"], expected.numpy())


@pytest.mark.parametrize("steps", [9, 4])
def test_a_classifier_of_padded_texts_agrees_whatever_the_padding(steps: int) -> None:
    """The program `predict` in torch and in ONNX Runtime, with ids of all kinds as padding."""
    compilation = check(GRU_CLASSIFIER)
    assert not compilation.diagnostics
    torch.manual_seed(0)
    graph = compilation.graphs["classifier"]
    net = build_networks(compilation.source, compilation.graphs)["classifier"].eval()
    weights = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    proto = proto_of(graph, weights).SerializeToString()
    lengths = np.array([steps, 1, 3, steps - 1])
    tokens = np.random.default_rng(0).integers(1, 8000, (4, steps))
    zeros = np.where(np.arange(steps) < lengths[:, None], tokens, 0)
    with torch.no_grad():
        expected = net(torch.from_numpy(zeros), torch.from_numpy(lengths)).numpy()
        again = net(torch.from_numpy(tokens), torch.from_numpy(lengths)).numpy()
    np.testing.assert_array_equal(again, expected)
    for given in (zeros, tokens):
        found = run_proto(proto, {"tokens": given, "lengths": lengths})["logits"]
        assert close(found, expected)
