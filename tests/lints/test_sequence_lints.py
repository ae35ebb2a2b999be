"""Lints of sequence models: long vanilla RNNs, padding that counts as data, images as sequences."""

from __future__ import annotations

import pytest
from netwright.compiler.diagnostics import Diagnostic

from ..objectives.conftest import compile_text

SPEC = """\
spec: v1
name: sequences
dims: {{T: {size}}}
data:
  source: {{npz: {{path: data.npz}}}}
  fields:
    x: {{shape: [B, T, 6], dtype: float32, lengths: n}}
    n: {{shape: [B], dtype: int64}}
    label: {{shape: [B], dtype: int64, below: 4}}
networks:
  net:
    inputs: {{x: {{shape: [B, T, 6]}}, n: {{shape: [B], dtype: int64}}}}
    layers:
      - {{id: s, from: x, linear: 6}}
{layers}
    outputs: {{logits: y}}
objective:
  supervised:
    network: net
    losses:
      - cross_entropy: {{output: logits, target: label}}
"""

END = ["{id: pool, from: {x: prev, lengths: n}, masked_mean: {}}", "{id: y, linear: 4}"]


def findings(layers: list[str], size: str = "{min: 8}") -> list[Diagnostic]:
    lines = "\n".join(f"      - {layer}" for layer in layers)
    return list(compile_text(SPEC.format(layers=lines, size=size)).diagnostics)


def messages(layers: list[str]) -> list[tuple[str, str]]:
    """Code and operator of each finding."""
    return [(d.code.name, d.message.split("`")[1]) for d in findings(layers)]


@pytest.mark.parametrize(
    ("size", "arguments", "found"),
    [
        ("{max: 101}", "6", "up to 101"),
        ("{min: 101, max: 300}", "{hidden: 6, layers: 2}", "up to 300"),
        ("{min: 300, max: 300}", "6", "found 300"),
        ("{min: 101}", "6", "at least 101"),
        ("{max: 400}", "{hidden: 6, nonlinearity: relu}", "up to 400"),
        ("{max: 400}", "{hidden: 6, recurrent_init: identity}", "up to 400"),
        ("{max: 400}", "{hidden: 6, nonlinearity: relu, recurrent_init: identity}", None),
        ("{max: 100}", "6", None),
        ("{min: 100}", "6", None),
        ("{min: 1}", "6", None),
    ],
)
def test_long_vanilla_rnns(size: str, arguments: str, found: str | None) -> None:
    reported = findings([f"{{from: {{lengths: n}}, rnn: {arguments}}}", *END], size)
    assert [d.code.name for d in reported] == (["L901"] if found else [])
    assert all(str(found) in d.message for d in reported)


@pytest.mark.parametrize("layer", ["gru: 6", "lstm: 6"])
def test_gated_layers_may_be_long(layer: str) -> None:
    assert not findings([f"{{from: {{lengths: n}}, {layer}}}", *END], "{max: 400}")


def test_a_shorter_sequence_inside_the_network_is_short() -> None:
    layers = [
        "transpose: [1, 2]",
        "conv1d: {channels: 6, kernel: 4, stride: 4, causal: true}",
        "transpose: [1, 2]",
        "{id: r, rnn: 6}",
        "{id: y, from: r.last, linear: 4}",
    ]
    reported = findings(layers, "{max: 400}")
    assert [d.code.name for d in reported] == ["G303"]  # nothing reads the lengths


READS_PADDING = [
    (["{from: {lengths: n}, gru: 6}", "mean: 1"], "mean"),
    (["{from: {lengths: n}, gru: 6}", "max: {axes: -2}"], "max"),
    (["{from: {lengths: n}, gru: 6}", "select: -1"], "select"),
    (["{from: {lengths: n}, gru: 6}", "masked_mean"], "masked_mean"),
    (["{from: {lengths: n}, gru: 6}", "linear: 5", "relu", "masked_max"], "masked_max"),
    (["{from: {lengths: n}, gru: 6}", "last_step"], "last_step"),
    (["{from: {lengths: n}, gru: 6}", "attention_pool"], "attention_pool"),
    (["{from: {lengths: n}, gru: 6}", "transpose: [1, 2]", "global_max_pool"], "global_max_pool"),
    (["{gru: {hidden: 3, bidirectional: true}}", END[0]], "gru"),
    (
        [
            "{id: r, gru: 6}",
            "{id: p, from: {x: r, lengths: n}, last_step: {}}",
            "{from: [p, r.last], add: {}}",
        ],
        "gru",
    ),
    (["self_attention: 2", END[0]], "self_attention"),
    (["{id: a, from: {x: s, context: s}, cross_attention: 2}", END[0]], "cross_attention"),
]


@pytest.mark.parametrize(("layers", "operator"), READS_PADDING)
def test_layers_that_read_padding(layers: list[str], operator: str) -> None:
    assert messages([*layers, "{id: y, linear: 4}"]) == [("L910", operator)]


LEAVES_PADDING = [
    ["{from: {lengths: n}, gru: {hidden: 3, bidirectional: true}}", END[0]],
    ["gru: 6", END[0]],
    ["{self_attention: {heads: 2, causal: true}}", END[0]],
    ["{from: {lengths: n}, self_attention: 2}", END[0]],
    ["{from: {x: s, context: s, lengths: n}, cross_attention: 2}", END[0]],
    ["linear: 6", "layer_norm", "{from: {x: prev, lengths: n}, attention_pool: {}}"],
    ["{from: {lengths: n}, gru: 6}", "select: 0"],
    ["{from: {lengths: n}, gru: 6}", "{mean: {axes: 2, keepdim: true}}", END[0]],
    ["{id: p, from: {x: s, lengths: n}, masked_mean: {}}", "unsqueeze: 1", "gru: 6", "select: -1"],
]


@pytest.mark.parametrize("layers", LEAVES_PADDING)
def test_layers_that_leave_padding_out(layers: list[str]) -> None:
    assert messages([*layers, "{id: y, linear: 4}"]) == []


def test_a_block_is_reported_once_where_the_layer_stands() -> None:
    block = """\
blocks:
  Look:
    layers: [{self_attention: 2}, {layer_norm: {}}]
networks:
"""
    lines = "\n".join(f"      - {layer}" for layer in ["Look", "Look", *END])
    text = SPEC.format(layers=lines, size="{min: 8}").replace("networks:\n", block)
    (found,) = compile_text(text).diagnostics
    assert (found.code.name, found.span and found.span.line) == ("L910", 12)


def test_a_field_without_lengths_has_no_padding() -> None:
    text = SPEC.format(layers="      - mean: 1\n      - {id: y, linear: 4}", size="{min: 8}")
    text = text.replace(", lengths: n}", "}").replace(", n: {shape: [B], dtype: int64}}", "}")
    text = text.replace("    n: {shape: [B], dtype: int64}\n", "")
    assert not compile_text(text).diagnostics


IMAGES = """\
spec: v1
name: images
data:
  source: {source}
  fields:
    x: {{shape: {shape}, dtype: {dtype}}}
    label: {{shape: [B], dtype: int64, below: 4}}
networks:
  net:
    inputs: {{x: {{shape: {shape}, dtype: {dtype}}}}}
    layers:
      - {{id: s, from: x, cast: float32}}
{layers}
    outputs: {{logits: y}}
objective:
  supervised:
    network: net
    losses:
      - cross_entropy: {{output: logits, target: label}}
"""

NPZ = "{npz: {path: data.npz}}"
READ = ["{id: r, lstm: 5}", "{id: y, from: r.last, linear: 4}"]


def of_images(
    layers: list[str], shape: str = "[B, 3, 8, 8]", dtype: str = "uint8", source: str = NPZ
) -> list[Diagnostic]:
    lines = "\n".join(f"      - {layer}" for layer in layers)
    text = IMAGES.format(layers=lines, shape=shape, dtype=dtype, source=source)
    return list(compile_text(text).diagnostics)


@pytest.mark.parametrize(
    ("layers", "shape", "dtype", "steps"),
    [
        (["reshape: [8, 24]"], "[B, 3, 8, 8]", "uint8", 8),
        (["reshape: [8, 24]", "linear: 6", "relu", "dropout: 0.1"], "[B, 3, 8, 8]", "uint8", 8),
        (["flatten", "unsqueeze: 2"], "[B, 3, 8, 8]", "float32", 192),
        (["flatten: {start: 2}", "transpose: [1, 2]"], "[B, 3, 8, 8]", "float32", 64),
        (["avg_pool2d: 2", "squeeze: 1"], "[B, 1, 8, 8]", "uint8", 4),
        ([], "[B, 8, 8]", "uint8", 8),
    ],
)
def test_images_read_as_sequences(layers: list[str], shape: str, dtype: str, steps: int) -> None:
    (found,) = of_images([*layers, *READ], shape, dtype)
    assert found.code.name == "L911"
    assert f"`lstm` reads the image `x` as a sequence of {steps} steps" in found.message
    assert "lint: {L911: the reason}" in (found.help or "")


def test_the_first_of_several_layers_is_reported() -> None:
    layers = ["reshape: [8, 24]", "{id: a, gru: 4}", "{id: b, gru: 4}", "{from: b.last, linear: 4}"]
    assert [d.span and d.span.line for d in of_images([*layers, "{id: y, relu: {}}"])] == [14]


@pytest.mark.parametrize(
    ("layers", "shape", "dtype"),
    [
        (["conv2d: {channels: 2, kernel: 3}", "reshape: [8, 16]"], "[B, 3, 8, 8]", "uint8"),
        (["self_attention2d: 1", "reshape: [8, 24]"], "[B, 3, 8, 8]", "uint8"),
        (["flatten", "linear: 12", "reshape: [4, 3]"], "[B, 3, 8, 8]", "uint8"),
        (["flatten", "unsqueeze: 1"], "[B, 3, 8, 8]", "uint8"),
        (["squeeze: 1"], "[B, 1, 8, 8]", "float32"),  # a spectrogram
        ([], "[B, 8, 4]", "uint8"),
        ([], "[B, 8, 8]", "float32"),
    ],
)
def test_what_is_no_image_or_was_seen_by_others(layers: list[str], shape: str, dtype: str) -> None:
    assert not of_images([*layers, *READ], shape, dtype)


def test_a_source_of_sequences_wants_them() -> None:
    source = "{sequential_image: {images: {npz: {path: data.npz}}, field: x, by: row}}"
    assert not of_images(READ, "[B, 8, 8]", source=source)
    assert of_images(READ, "[B, 8, 8]")
