"""Generated PyTorch: groups, repeats, shared and tied weights, symbolic sizes."""

from __future__ import annotations

import math
import re

import torch
import torch.nn.functional as F

from tests.torch_tools import compiled, network, networks, shapes


def test_groups_are_sequentials_or_classes() -> None:
    text = """
networks:
  net:
    inputs: {x: {shape: [B, 4]}}
    layers:
      - {id: chain, layers: [{linear: 4}, relu, {linear: 4}]}
      - {id: named, layers: [{id: fc, linear: 4}, {id: norm, layer_norm: {}}]}
      - id: skipping
        layers: [{id: fc, linear: 4}, tanh, {from: [prev, fc], add: {}}]
      - id: gaps
        layers: [{id: 0, linear: 4}, {id: 3, linear: 4}, {id: gain, scale: {axis: 1}}]
    outputs: y
"""
    source = compiled(text).source
    assert re.findall(r"^class (\w+)", source, re.MULTILINE) == ["Skipping", "Gaps", "Net"]
    assert "class Gaps(nn.ModuleDict):" in source
    assert "OrderedDict(" in source
    net, x = network(text), torch.randn(2, 4)
    assert list(shapes(net)) == [
        *("chain.0.weight", "chain.0.bias", "chain.2.weight", "chain.2.bias"),
        *("named.fc.weight", "named.fc.bias", "named.norm.weight", "named.norm.bias"),
        *("skipping.fc.weight", "skipping.fc.bias"),
        *("gaps.gain", "gaps.0.weight", "gaps.0.bias", "gaps.3.weight", "gaps.3.bias"),
    ]
    y = net.named(net.chain(x))
    fc = net.skipping.fc(y)
    y = net.gaps["3"](net.gaps["0"](fc.tanh() + fc)) * net.gaps.gain
    assert torch.allclose(net(x), y)


def test_a_numbered_block_is_an_nn_sequential() -> None:
    source = compiled("""
blocks:
  ConvNorm:
    params: {channels: int, kernel: int}
    inputs: {x: {shape: [B, C, H, W]}}
    layers:
      - {id: 0, conv2d: {channels: $channels, kernel: $kernel, bias: false, init: kaiming_normal}}
      - {id: 1, batch_norm: {}}
      - {id: 2, relu6: {}}
networks:
  net:
    inputs: {x: {shape: [B, 3, 8, 8]}}
    layers:
      - {ConvNorm: {channels: 4, kernel: 3}}
      - {ConvNorm: {channels: 8, kernel: 1}}
    outputs: y
""").source
    assert "class ConvNorm(nn.Sequential):" in source
    assert "padding=kernel // 2" in source
    assert "nn.init.kaiming_normal_(self[0].weight" in source


SHARED = """
networks:
  siamese:
    inputs: {left: {shape: [B, 3, 8, 8]}, right: {shape: [B, 3, 8, 8]}}
    layers:
      - id: features
        from: left
        layers: [{conv2d: {channels: 4, kernel: 3}}, batch_norm, relu, global_avg_pool]
      - {id: features_right, from: right, share: features}
      - {id: code, from: features, linear: 5}
      - {id: code_right, from: features_right, share: code}
      - id: inside
        layers: [tanh, {share: mix}, {from: [prev, code], add: {}}]
        when: $(1 == 2)
      - {from: [code, code_right], sub: {}}
    outputs: difference
"""


def test_share_calls_the_owner_again() -> None:
    net = network(SHARED)
    left, right = torch.randn(2, 2, 3, 8, 8)
    apart = net.code(net.features(left)) - net.code(net.features(right))
    assert torch.allclose(net(left, right), apart)
    assert "features_right" not in dict(net.named_modules())


def test_a_group_may_share_a_layer_from_outside() -> None:
    text = """
networks:
  net:
    inputs: {x: {shape: [B, 4]}}
    layers:
      - {id: a, linear: 4}
      - {id: branch, layers: [relu, {share: a}, {from: [prev, a], mul: {}}]}
    outputs: y
"""
    net, x = network(text), torch.randn(2, 4)
    assert "def forward(self, x: Tensor, a: nn.Module) -> Tensor:" in compiled(text).source
    assert torch.allclose(net(x), net.a(net.a(x).relu()) * net.a(x))


def test_share_of_a_block_whose_layers_depend_on_the_input() -> None:
    """The owner's module can't be called: its reshape is for another size."""
    text = """
blocks:
  Fold:
    inputs: {x: {shape: [B, T, C]}}
    layers: [{linear: 6}, {reshape: {to: [$(T * 3), 2]}}, {linear: 1}]
networks:
  net:
    inputs: {x: {shape: [B, 4, 3]}, z: {shape: [B, 2, 3]}}
    layers:
      - {id: a, from: x, Fold: {}}
      - {id: b, from: z, share: a}
      - {from: [a, b], concat: {axis: 1}}
    outputs: y
"""
    net, x, z = network(text), torch.randn(5, 4, 3), torch.randn(5, 2, 3)
    fold = [net.a.linear_1(net.a.linear_0(v).reshape(5, -1, 2)) for v in (x, z)]
    assert torch.allclose(net(x, z), torch.cat(fold, 1))


def test_a_tied_weight_is_stored_once() -> None:
    text = """
dims: {T: {max: 9}}
networks:
  lm:
    inputs: {tokens: {shape: [B, T], dtype: int64}}
    layers:
      - {id: tokens_table, embedding: {size: 11, dim: 4}}
      - {id: head, linear: 11, tie: {weight: tokens_table.weight}}
    outputs: logits
"""
    lm, tokens = network(text), torch.randint(0, 11, (2, 5))
    assert list(shapes(lm)) == ["tokens_table.weight", "head.bias"]
    table = lm.tokens_table.weight
    assert torch.allclose(lm(tokens), F.linear(table[tokens], table, lm.head.bias))


def test_ties_across_networks() -> None:
    text = """
networks:
  encoder:
    inputs: {x: {shape: [B, 6]}}
    layers: [{id: fc1, linear: 4}, relu, {id: fc2, linear: {features: 2, bias: false}}]
    outputs: code
  decoder:
    inputs: {code: {shape: [B, 2]}}
    layers:
      - {id: fc3, linear: 4, tie: {weight: {of: encoder.fc2.weight, transpose: true}}}
      - id: deep
        layers:
          - {linear: {features: 6, bias: false},
             tie: {weight: {of: encoder.fc1.weight, transpose: true}}}
          - mul: 2.0
    outputs: image
"""
    built = networks(text)
    encoder, decoder, code = built["encoder"], built["decoder"], torch.randn(3, 2)
    assert shapes(decoder) == {"fc3.bias": (4,)}
    hidden = code @ encoder.fc2.weight + decoder.fc3.bias
    assert torch.allclose(decoder(code), 2 * hidden @ encoder.fc1.weight)
    assert len(list(decoder.parameters())) == 1


def test_a_tied_convolution_and_a_tied_norm() -> None:
    """A convolution has a function that takes weights; a norm is applied with functional_call."""
    text = """
networks:
  net:
    inputs: {x: {shape: [B, 4, 8]}}
    layers:
      - {id: c1, conv1d: {channels: 4, kernel: 3}}
      - {id: n1, group_norm: 2}
      - {id: c2, conv1d: {channels: 4, kernel: 3, dilation: 2}, tie: {weight: c1.weight}}
      - {id: n2, group_norm: 4, tie: {weight: n1.weight, bias: n1.bias}}
    outputs: y
"""
    net, x = network(text), torch.randn(2, 4, 8)
    y = F.conv1d(net.n1(net.c1(x)), net.c1.weight, net.c2.bias, padding=2, dilation=2)
    assert torch.allclose(net(x), F.group_norm(y, 4, net.n1.weight, net.n1.bias), atol=1e-6)


def test_layers_that_are_told_the_class_are_repeated_shared_and_tied() -> None:
    text = """
blocks:
  Told:
    inputs: {x: {shape: [B, C]}, label: {shape: [B]}}
    layers: [{from: x, linear: $C}, {from: {label: label}, conditional_batch_norm: 3}]
networks:
  net:
    inputs: {x: {shape: [B, 4]}, label: {shape: [B], dtype: int64}}
    layers:
      - {id: told, from: {x: x, label: label}, Told: {}, repeat: 2}
      - {id: first, from: {label: label}, class_projection: 3}
      - {id: again, from: {x: told, label: label}, share: first}
      - {id: tied, from: {x: x, label: label}, class_projection: 3, tie: {weight: first.weight}}
    outputs: {first: first, again: again, tied: tied}
"""
    net, x, label = network(text).eval(), torch.randn(2, 4), torch.tensor([2, 0])
    assert sum(name.endswith("first.weight") for name in shapes(net)) == 1
    y = x
    for told in net.told:
        y = told.linear_0(y) / math.sqrt(1 + 1e-5)
    first, again, tied = net(x, label)
    table = net.first.weight[label]
    assert torch.allclose(first, (y * table).sum(1, keepdim=True), atol=1e-6)
    assert torch.equal(again, first)
    assert torch.allclose(tied, (x * table).sum(1, keepdim=True))


def test_a_repeat_with_a_second_input_is_a_loop() -> None:
    text = """
blocks:
  Step:
    inputs: {x: {shape: [B, C]}, t: {shape: [B, D]}}
    layers: [{from: t, linear: $C}, {from: [prev, x], add: {}}, tanh]
networks:
  net:
    inputs: {x: {shape: [B, 4]}, t: {shape: [B, 3]}}
    layers: [{id: steps, from: {x: x, t: t}, Step: {}, repeat: 3}]
    outputs: y
"""
    source = compiled(text).source
    assert "for step in self.steps:\n            x = step(x, t)\n" in source
    net, x, t = network(text), torch.randn(2, 4), torch.randn(2, 3)
    y = x
    for step in net.steps:
        y = torch.tanh(step.linear_0(t) + y)
    assert torch.allclose(net(x, t), y)


def test_copies_whose_results_are_read_one_by_one() -> None:
    net = network("""
blocks:
  Down:
    inputs: {x: {shape: [B, C]}}
    layers: [{id: keep, linear: $C}, {id: less, linear: $(C // 2)}]
    outputs: {y: less, skip: keep}
networks:
  net:
    inputs: {x: {shape: [B, 8]}}
    layers:
      - {id: down, Down: {}, repeat: 2}
      - {from: [down.1.skip, down.0], add: {}}
    outputs: y
""")
    x = torch.randn(3, 8)
    first = net.down[0].less(net.down[0].keep(x))
    assert torch.allclose(net(x), net.down[1].keep(first) + first)


def test_copies_of_plain_layers_are_read_one_by_one() -> None:
    net = network("""
networks:
  net:
    inputs: {x: {shape: [B, 8]}}
    layers:
      - {id: down, repeat: 3, layers: [{linear: 8}, relu]}
      - {from: [prev, {of: down, at: 1}], add: {}}
    outputs: {y: prev, first: down.0}
""")
    x = torch.randn(3, 8)
    first = net.down[0](x)
    second = net.down[1](first)
    y, seen = net(x)
    assert torch.equal(seen, first)
    assert torch.allclose(y, net.down[2](second) + second)


def test_repeated_bare_tensors_are_a_parameter_list() -> None:
    net = network("""
networks:
  net:
    inputs: {x: {shape: [B, 4]}}
    layers: [{id: scales, scale: {axis: 1}, repeat: 2}]
    outputs: y
""")
    assert list(shapes(net)) == ["scales.0", "scales.1"]
    x = torch.randn(2, 4)
    assert torch.allclose(net(x), x * net.scales[0] * net.scales[1])


def test_symbolic_sizes_are_read_off_tensors() -> None:
    text = """
dims: {H: {max: 64}, W: {max: 64}}
blocks:
  Tokens:
    inputs: {x: {shape: [B, C, H, W]}}
    layers:
      - {reshape: {to: [$C, $(H * W)]}}
      - {permute: [0, 2, 1]}
      - {linear: 2}
      - {permute: [0, 2, 1]}
      - {reshape: {to: [2, $H, $W]}}
networks:
  net:
    inputs: {image: {shape: [B, 3, H, W]}}
    layers: [{id: tokens, Tokens: {}}]
    outputs: y
"""
    net = network(text)
    for height, width in ((4, 6), (1, 3)):
        image = torch.randn(2, 3, height, width)
        tokens = net.tokens.linear_0(image.flatten(2).transpose(1, 2))
        expected = tokens.transpose(1, 2).reshape(2, 2, height, width)
        assert torch.allclose(net(image), expected)
