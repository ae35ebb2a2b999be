"""Outputs are served in the raw units of the field that they were compared with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from netwright.compiler.diagnostics import Code, Diagnostic
from netwright.compiler.driver import Compilation
from netwright.compiler.ir.printer import print_graph
from netwright.compiler.objectives.fields import Field, Normalize
from netwright.compiler.passes.pipeline import run_passes
from netwright.runtime.generated import build_networks, build_program

from ..onnx_tools import run
from .conftest import compile_text

Compiled = Callable[..., Compilation]
Found = Callable[..., list[Diagnostic]]

RULES = {
    "normalize: {mean: 40, std: 20}": lambda y: y * 20 + 40,
    "normalize: {mean: 0, std: 0.5}": lambda y: y * 0.5,
    "range: [0, 100], scale: [-1, 1]": lambda y: (y + 1) * 50,
    "range: [0, 100], scale: [1, -1]": lambda y: (1 - y) * 50,
}

SPEC = """\
spec: v1
name: several
data:
  source: {npz: {path: data.npz}}
  fields:
    x: {shape: [B, 4], dtype: float32}
    pose: {shape: [B, 3], dtype: float64, normalize: {mean: [1, 20, 300], std: [0.5, 2, 30]}}
    photo: {shape: [B, 3, 2, 2], dtype: uint8, normalize: {mean: [0.5, 0.4, 0.3], std: 0.2}}
    plain: {shape: [B, 1], dtype: float32}
    mask: {shape: [B, 2], dtype: bool, scale: [0, 1]}
networks:
  net:
    inputs: {x: {shape: [B, 4]}}
    layers:
      - {id: code, linear: 8}
      - {id: pose, linear: 3}
      - {from: code, linear: 12}
      - {id: photo, reshape: [3, 2, 2]}
      - {id: plain, from: code, linear: 1}
      - {id: mask, from: code, linear: 2}
    outputs: {pose: pose, photo: photo, plain: plain, mask: mask}
objective:
  supervised:
    network: net
    losses:
      - mse: {output: pose, target: pose}
      - l1: {output: photo, target: photo}
      - huber: {output: plain, target: plain}
      - mse: {output: mask, target: mask}
    metrics: [mae, rmse]
"""


def served(compilation: Compilation, inputs: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """What the network gives, and what the program gives in torch and in ONNX Runtime."""
    networks = build_networks(compilation.source, ["net"])
    net = networks["net"].eval()
    program = build_program(compilation.source, "predict", networks).eval()
    graph = compilation.programs["predict"]
    tensors = [torch.from_numpy(inputs[value.name]) for value in graph.inputs]
    with torch.no_grad():
        ours = dict(zip(graph.outputs, [t.numpy() for t in program(*tensors)], strict=True))
        results = net(*tensors)
    bare = {n: t.numpy() for n, t in zip(compilation.graphs["net"].outputs, results, strict=True)}
    weights = {f"net.{name}": tensor.numpy() for name, tensor in net.state_dict().items()}
    return [bare, ours, run(*run_passes(graph, weights), inputs)]


def test_per_channel_statistics_and_several_outputs() -> None:
    compilation = compile_text(SPEC)
    assert not compilation.diagnostics
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    bare, ours, onnx = served(compilation, {"x": x})
    channels = (1, 3, 1, 1)
    expected = {
        "pose": bare["pose"] * np.array([0.5, 2, 30]) + np.array([1, 20, 300]),
        "photo": (bare["photo"] * 0.2 + np.array([0.5, 0.4, 0.3]).reshape(channels)) * 255,
        "plain": bare["plain"],
        "mask": bare["mask"],
    }
    assert list(ours) == list(expected)
    paths = [node.path for node in compilation.programs["predict"].nodes]
    assert paths == ["net", "pose_raw", "photo_raw"]
    for name, values in expected.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(onnx[name], values, rtol=1e-4, atol=1e-4)
        assert ours[name].dtype == onnx[name].dtype == np.float32


@pytest.mark.parametrize("setting", RULES)
def test_each_rule_is_undone(compiled: Compiled, setting: str) -> None:
    compilation = compiled(
        ("{shape: [B, 1], dtype: float32}", f"{{shape: [B, 1], dtype: float32, {setting}}}"),
        ("uint8, scale: [0, 1]", "float32"),
    )
    assert not compilation.diagnostics
    image = np.random.default_rng(1).normal(size=(2, 3, 16, 16)).astype(np.float32)
    bare, ours, onnx = served(compilation, {"image": image})
    np.testing.assert_allclose(ours["age"], RULES[setting](bare["age"]), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(onnx["age"], ours["age"], rtol=1e-4, atol=1e-4)


AGE = (
    "{shape: [B, 1], dtype: float32}",
    "{shape: [B, 1], dtype: float32, normalize: {mean: 40, std: 20}}",
)


def test_the_program(compiled: Compiled) -> None:
    result = compiled(AGE, ("network: net", "network: net\n    predict: [age]"))
    graph = print_graph(result.programs["predict"])
    assert "%age_raw = rescale(%net.age) {shift: [-2.0], factor: [20.0]} : f32[B, 1]" in graph
    assert "age = %age_raw" in graph
    assert "return (age + 2.0) * 20.0" in result.source


@pytest.mark.parametrize(
    "field",
    [
        Field(shape=["B", 3], dtype="uint8", scale=[-1, 1]),
        Field(shape=["B", 3], dtype="float32", normalize=Normalize(mean=[5], std=[0.1])),
        Field(shape=["B", 3], dtype="uint8", normalize=Normalize(mean=[0.1, 0.5, 0], std=[0.3])),
    ],
)
def test_the_inverse_of_a_rule(field: Field) -> None:
    raw = np.array([[3.0, 77.0, 200.0]])
    shift, factor = (np.array(constants) for constants in field.affine())
    back_shift, back_factor = (np.array(constants) for constants in field.inverse())
    np.testing.assert_allclose(((raw - shift) * factor - back_shift) * back_factor, raw)


INCOME = (
    "    flags:",
    "    income: {shape: [B, 1], dtype: float32, normalize: {mean: 9, std: 2}}\n    flags:",
)
TWO_UNITS = [
    ("mse: {output: age, target: income}", "`age` has `normalize`|`income` has `normalize`"),
    (
        "bce_logits: {output: age, target: answer}",
        "`age` has `normalize`|scores of `bce_logits` have no units",
    ),
]


@pytest.mark.parametrize(("loss", "words"), TWO_UNITS)
def test_two_units_for_one_output(found: Found, loss: str, words: str) -> None:
    answer = ("    flags:", "    answer: {shape: [B, 1], dtype: bool}\n    flags:")
    changes = (
        AGE,
        INCOME if "income" in loss else answer,
        ("    metrics", f"      - {loss}\n    metrics"),
    )
    (diagnostic,) = found(*changes)
    assert diagnostic.code is Code.O502
    assert "gives `age` in raw units and expects those of one target" in diagnostic.message
    assert "|".join(label.text for label in reversed(diagnostic.labels)) == words
    assert diagnostic.help
    kept = ("network: net", "network: net\n    predict: [logits]")
    assert not found(*changes, kept), "an output that is not served needs no unit"


@pytest.mark.parametrize("income", ["mean: 40, std: 20", "mean: [40], std: 20"])
def test_targets_that_are_scaled_alike(found: Found, income: str) -> None:
    assert not found(
        AGE,
        (INCOME[0], INCOME[1].replace("mean: 9, std: 2", income)),
        ("    metrics", "      - mse: {output: age, target: income}\n    metrics"),
    )


def test_constants_that_float32_cannot_undo(found: Found) -> None:
    (diagnostic,) = found((AGE[0], AGE[1].replace("mean: 40, std: 20", "mean: 1e20, std: 1e-20")))
    assert diagnostic.code is Code.S102
    assert "float32 can hold" in diagnostic.message


def test_a_field_of_truths_as_input(compiled: Compiled) -> None:
    compilation = compiled(("uint8, scale: [0, 1]", "bool, scale: [-1, 1]"))
    assert not compilation.diagnostics
    image = np.random.default_rng(1).integers(0, 2, (2, 3, 16, 16)).astype(bool)
    networks = build_networks(compilation.source, ["net"])
    program = build_program(compilation.source, "predict", networks).eval()
    with torch.no_grad():
        ours = program(torch.from_numpy(image))[0]
        bare = networks["net"](torch.from_numpy(image * 2.0 - 1.0).float())[0]
    torch.testing.assert_close(ours, bare)
    weights = {f"net.{k}": v.numpy() for k, v in networks["net"].state_dict().items()}
    onnx = run(*run_passes(compilation.programs["predict"], weights), {"image": image})
    np.testing.assert_allclose(onnx["logits"], ours.numpy(), rtol=1e-4, atol=1e-5)


def test_a_target_that_does_not_fit_is_told_once(found: Found) -> None:
    (diagnostic,) = found(
        AGE, ("    metrics", "      - mse: {output: age, target: mask}\n    metrics")
    )
    assert diagnostic.code is Code.O501
