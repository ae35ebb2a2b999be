"""Where scores have their classes: as the sizes of the labels say, or as the spec does."""

from __future__ import annotations

import pytest
from netwright.compiler.diagnostics import Code

from .conftest import compile_text

SPEC = """\
spec: v1
name: tags
dims: {T: {min: 1}}
data:
  source: {npz: {path: tags.npz}}
  fields:
    x: {shape: [B, SIZE, 4], dtype: float32}
    tag: {shape: [B, SIZE], dtype: int64, classes: [a, b, c]}
networks:
  net:
    inputs: {x: {shape: [B, SIZE, 4]}}
    layers: [{linear: 3}LAYERS]
    outputs: scores
objective:
  supervised:
    network: net
    losses:
      - cross_entropy: {output: scores, target: tagSETTINGS}
    metrics: [METRIC]
"""


def spec(size: str = "T", layers: str = "", settings: str = "", metric: str = "accuracy") -> str:
    changes = {"SIZE": size, "LAYERS": layers, "SETTINGS": settings, "METRIC": metric}
    text = SPEC
    for name, value in changes.items():
        text = text.replace(name, value)
    return text if size == "T" else text.replace("dims: {T: {min: 1}}\n", "")


FIRST = ", {transpose: [1, 2]}"


@pytest.mark.parametrize(
    ("size", "layers", "settings", "axis"),
    [
        ("T", "", "", -1),
        ("T", FIRST, "", 1),
        ("T", "", ", axis: -1", -1),
        ("T", FIRST, ", axis: 1", 1),
        ("3", "", ", axis: -1", -1),
        ("3", "", ", axis: 1", 1),
        ("T", "", ", class_weights: [1, 2, 3]", -1),
    ],
)
def test_the_program_takes_the_softmax_of_the_classes(
    size: str, layers: str, settings: str, axis: int
) -> None:
    compilation = compile_text(spec(size, layers, settings))
    assert not compilation.diagnostics
    program = compilation.programs["predict"]
    (softmax,) = [node.op for node in program.nodes if node.op.name == "softmax"]
    assert softmax.axis == axis  # type: ignore[attr-defined]
    assert compilation.labels["probabilities"] == ["a", "b", "c"]


def test_so_does_the_program_of_a_chunk() -> None:
    compilation = compile_text(spec().replace("    metrics:", "    stream: T\n    metrics:"))
    assert not compilation.diagnostics
    for program in compilation.programs.values():
        (softmax,) = [node.op for node in program.nodes if node.op.name == "softmax"]
        assert softmax.axis == -1  # type: ignore[attr-defined]
    assert compilation.programs.keys() == {"predict", "step"}


@pytest.mark.parametrize(
    ("text", "message", "help_"),
    [
        (spec("3"), "fit one axis of `scores` f32[B, 3, 3]", "`axis: 1`, or `axis: -1`"),
        (spec("T", settings=", axis: 1"), "expects scores f32[B, K, ...] and", None),
        (spec("T", FIRST, ", axis: -1"), "expects scores f32[B, ..., K] and", None),
        (spec("T", ", flatten"), "scores f32[B, K, ...] or f32[B, ..., K] and", None),
        (spec("T", settings=", class_weights: [1, 2]"), "each of the 3 classes", None),
        (spec("T", metric="{top_k: 3}"), "less than the 3 classes", None),
        (spec("T").replace("linear: 3", "linear: 5"), "3 classes of `tag`, found 5", None),
    ],
)  # fmt: skip
def test_what_does_not_fit(text: str, message: str, help_: str | None) -> None:
    (found,) = compile_text(text).diagnostics
    assert found.code is Code.O501
    assert message in found.message
    assert help_ is None or help_ in (found.help or "")


def test_an_axis_is_the_first_or_the_last() -> None:
    (found,) = compile_text(spec(settings=", axis: 2")).diagnostics
    assert found.code is Code.S102
