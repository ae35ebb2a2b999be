"""Receptive fields of published networks. Source: Araujo et al. 2019, table 1."""

import pytest
from netwright.compiler.ir.builder import GraphBuilder
from netwright.compiler.language.arguments import build
from netwright.compiler.ops.base import REGISTRY
from netwright.compiler.ops.receptive_field import receptive_fields


def seen(*layers: tuple[str, dict]) -> tuple[int, ...]:
    """What one place of the last layer's result sees."""
    builder = GraphBuilder("net")
    x = builder.input("x", "f32[B, 3, 224, 224]")
    for index, (name, arguments) in enumerate(layers):
        x = builder.add(f"layer_{index}", build(REGISTRY[name], arguments), x)
    graph = builder.graph(y=x)
    view = receptive_fields(graph)[graph.outputs["y"].name]
    assert view
    return view.elements()


def conv(kernel: int, stride: int = 1, padding: int | None = None) -> tuple[str, dict]:
    pad = {} if padding is None else {"padding": padding}
    return "conv2d", {"channels": 4, "kernel": kernel, "stride": stride, **pad}


def pool(kernel: int, stride: int) -> tuple[str, dict]:
    return "max_pool2d", {"kernel": kernel, "stride": stride}


def test_vgg_16():
    layers = []
    for depth in (2, 2, 3, 3, 3):
        layers += [conv(3)] * depth + [pool(2, 2)]
    assert seen(*layers) == (212, 212)


def test_alexnet():
    layers = [
        conv(11, 4, 2),
        pool(3, 2),
        conv(5),
        pool(3, 2),
        conv(3),
        conv(3),
        conv(3),
        pool(3, 2),
    ]
    assert seen(*layers) == (195, 195)


def test_a_transposed_convolution_steps_by_half():
    up = "conv_transpose2d", {"channels": 4, "kernel": 4, "stride": 2, "padding": 1}
    assert seen(conv(3), pool(2, 2)) == (4, 4)
    assert seen(conv(3), pool(2, 2), up) == (6, 6)
    assert seen(conv(3), pool(2, 2), up, conv(3)) == (8, 8)


def test_pointwise_layers_see_their_own_place():
    assert seen(("relu", {}), ("identity", {}), ("batch_norm", {})) == (1, 1)


def test_two_ways_give_the_larger():
    builder = GraphBuilder("net")
    x = builder.input("x", "f32[B, 3, 32, 32]")
    wide = builder.add("wide", build(REGISTRY["conv2d"], {"channels": 3, "kernel": 7}), x)
    graph = builder.graph(y=builder.add("sum", build(REGISTRY["add"]), wide, x))
    view = receptive_fields(graph)["sum"]
    assert view
    assert view.elements() == (7, 7)


def test_global_pooling_sees_everything():
    builder = GraphBuilder("net")
    x = builder.input("x", "f32[B, 3, 32, 32]")
    graph = builder.graph(y=builder.add("pool", build(REGISTRY["global_avg_pool"]), x))
    assert receptive_fields(graph)["pool"] is None


@pytest.mark.parametrize(
    ("name", "arguments"), [("transpose", {"axes": [1, 2]}), ("permute", {"axes": [0, 2, 1]})]
)
def test_a_sequence_whose_steps_become_places_is_not_known(name, arguments):
    """[B, T, C] was taken for [B, channels, places]: what a place sees of it counts channels."""
    builder = GraphBuilder("net")
    x = builder.input("x", "f32[B, 100, 8]")
    turned = builder.add("turned", build(REGISTRY[name], arguments), x)
    convolution = build(REGISTRY["conv1d"], {"channels": 4, "kernel": 3})
    graph = builder.graph(y=builder.add("conv", convolution, turned))
    assert receptive_fields(graph)["conv"] is None
