"""Lints of generators and discriminators: batch norm beside penalties, and sizes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from netwright.compiler.diagnostics import Diagnostic, Severity

from ..objectives.conftest import compile_text
from ..objectives.test_encoder_decoder import Change

GAN = """\
spec: v1
name: example
data:
  source: {npz: {path: data.npz}}
  fields:
    image: {shape: [B, 1, 8, 8], dtype: uint8, scale: [-1, 1]}
    label: {shape: [B], dtype: int64, below: 10}
networks:
  generator:
    inputs: {z: {shape: [B, 8]}, label: {shape: [B], dtype: int64}}
    layers:
      - {from: z, linear: {features: 64, bias: false}}
      - {from: {label: label}, conditional_batch_norm: 10}
      - tanh
      - reshape: [1, 8, 8]
    outputs: made
  discriminator:
    inputs: {image: {shape: [B, 1, 8, 8]}, label: {shape: [B], dtype: int64}}
    layers:
      - {from: image, conv2d: {channels: 4, kernel: 3, bias: false}}
      - NORM
      - {id: features, flatten: {}}
      - {id: real, linear: 1}
      - {id: fits, from: {x: features, label: label}, class_projection: 10}
      - {from: [real, fits], add: {}}
    outputs: score
objective:
  gan:
    generator: generator
    discriminator: discriminator
    real: image
    loss: non_saturating
    regularizers: [{r1: {weight: 1}}]
training:
  optimizers: {generator: {adam: {lr: 1e-3}}, discriminator: {adam: {lr: 1e-3}}}
"""

BATCH: Change = ("NORM", "batch_norm")
GROUP: Change = ("NORM", "group_norm: 2")
CONDITIONAL: Change = ("NORM", "{from: {label: label}, conditional_batch_norm: 10}")
R1 = "[{r1: {weight: 1}}]"
WIDE: Change = ("{id: real, linear: 1}", "{linear: 999}\n      - {id: real, linear: 1}")
DEEP: Change = ("{from: z, linear: {", "{from: z, linear: 2999}\n      - {linear: {")


def frozen(names: str) -> Change:
    return ("training:\n", f'training:\n  parameters: [{{match: "{names}", freeze: true}}]\n')


FOUND: list[tuple[str, Sequence[Change]]] = [
    ("L905", [BATCH]),
    ("L905", [CONDITIONAL]),
    ("L905", [BATCH, (R1, "[{r2: {weight: {start: 1, end: 0, steps: 9}}}]")]),
    ("L905", [BATCH, (R1, "[gradient_penalty]")]),
    ("L905", [BATCH, frozen("discriminator.linear_0.*"), WIDE]),
    ("L913", [GROUP, WIDE]),
    ("L913", [GROUP, DEEP]),
]
"""Code, changes of the spec."""

QUIET: list[Sequence[Change]] = [
    [GROUP],
    [("NORM", "minibatch_deviation")],
    [BATCH, (R1, "[]")],
    [BATCH, (R1, "[{r1: {weight: 0}}]")],
    [BATCH, frozen("discriminator.batch_norm_0.**")],
    [GROUP, WIDE, DEEP],
    [GROUP, WIDE, frozen("discriminator.linear_0.*")],
]


def found(*changes: Change) -> list[Diagnostic]:
    text = GAN
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the spec"
        text = text.replace(old, new)
    diagnostics = compile_text(text).diagnostics
    assert not [d for d in diagnostics if d.severity is Severity.ERROR], diagnostics
    return list(diagnostics)


@pytest.mark.parametrize(("code", "changes"), FOUND)
def test_found(code: str, changes: Sequence[Change]) -> None:
    (finding,) = found(*changes)
    assert finding.code.name == code
    assert finding.help
    assert finding.span


@pytest.mark.parametrize("changes", QUIET)
def test_quiet(changes: Sequence[Change]) -> None:
    assert found(*changes) == []


def test_a_table_gets_another_norm_than_an_image() -> None:
    (of_image,) = found(BATCH)
    assert "group_norm" in (of_image.help or "")
    rows = "{from: image, flatten: {}}\n      - {linear: {features: 9, bias: false}}"
    (of_row,) = found(("{from: image, conv2d: {channels: 4, kernel: 3, bias: false}}", rows), BATCH)
    assert "layer_norm" in (of_row.help or "")
