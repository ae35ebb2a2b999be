"""Lints of encoders and decoders: codes as large as the data, activations, ranges, `beta`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from netwright.compiler.driver import check_source
from netwright.compiler.fixes import apply_fixes
from netwright.compiler.source import SourceFile

from ..objectives.conftest import compile_text
from ..objectives.test_encoder_decoder import (
    PIXELS,
    TARGET,
    VAE,
    Change,
    added,
    changed,
    condition,
    field,
    found,
)

LAST = "      - reshape: [1, 16, 16]\n"
WIDE = (("linear: 8\n", "linear: 256\n"), ("{shape: [B, 8]}", "{shape: [B, 256]}"))
SIGMOID, TANH = (LAST, f"{LAST}      - sigmoid\n"), (LAST, f"{LAST}      - tanh\n")
INNER = (LAST, f"      - sigmoid\n{LAST}")
"""A sigmoid before layers that only move its numbers."""

GAUSSIAN = ("bernoulli", "gaussian")
CLEAN = field("clean: {shape: [B, 1, 16, 16], dtype: uint8, scale: [0, 1]}")

DENSITY = """\
  density:
    inputs: {noise: {shape: [B, 8]}, choice: {shape: [B]}}
    layers:
      - {from: {noise: noise, choice: choice}, gaussian_mixture: 3}
    outputs: z
objective:
"""

FOUND: list[tuple[str, str, Sequence[Change]]] = [
    ("L903", "autoencoder", WIDE),
    ("L903", "autoencoder", [*WIDE, added("sparsity: {l1: {weight: 0}}")]),
    ("L904", "vae", [SIGMOID]),
    ("L904", "vae", [INNER]),
    ("L904", "vae", [(LAST, f"{LAST}      - hardsigmoid\n")]),
    ("L904", "autoencoder", [SIGMOID, added("loss: bce_logits")]),
    ("L904", "vq_vae", [("padding: 0}\n    out", "padding: 0}\n      - sigmoid\n    out"),
                        added("loss: bce_logits")]),
    ("L907", "autoencoder", [SIGMOID, ("scale: [0, 1]", "scale: [-1, 1]")]),
    ("L907", "autoencoder", [INNER, ("scale: [0, 1]", "scale: [-1, 1]"), added("loss: l1")]),
    ("L907", "vq_vae", [("padding: 0}\n    out", "padding: 0}\n      - relu\n    out"),
                        (PIXELS, "dtype: uint8, scale: [-1, 1]}")]),
    ("L907", "vae", [TANH, GAUSSIAN, ("scale: [0, 1]", "scale: [0, 255]")]),
    ("L907", "vae", [SIGMOID, GAUSSIAN]),
    ("L907", "vae", [SIGMOID, GAUSSIAN, ("scale: [0, 1]", "scale: [-1, 1]")]),
    ("L907", "vae", [SIGMOID, GAUSSIAN, (PIXELS, "dtype: float32}")]),
    ("L909", "autoencoder", [("      - flatten\n", "      - conv2d: {channels: 4, kernel: 3}\n"
                                                   "      - global_avg_pool\n")]),
    ("L912", "vae", [added("beta: 0")]),
    ("L912", "vae", [added("beta: {start: 1, end: 0, steps: 9}")]),
]  # fmt: skip
"""Code, objective, changes of its spec."""

QUIET: list[tuple[str, Sequence[Change]]] = [
    ("autoencoder", [*WIDE, added("noise: {masking: 0.2}")]),
    ("autoencoder", [*WIDE, added("sparsity: {l1: {weight: 0.1}}")]),
    ("autoencoder", [*WIDE, CLEAN, (TARGET, "target: clean\n")]),  # it can't copy what it can't see
    ("autoencoder", [(old, new.replace("256", "255")) for old, new in WIDE]),
    ("vae", [(old.replace("linear: 8\n", "id: mean, linear: 8"),
              new.replace("linear: 256\n", "id: mean, linear: 256")) for old, new in WIDE]
            + [("flat, linear: 8", "flat, linear: 256")]),
    ("autoencoder", [SIGMOID]),
    ("autoencoder", [TANH, ("scale: [0, 1]", "scale: [-1, 1]")]),
    ("autoencoder", [SIGMOID, (PIXELS, "dtype: float32}")]),
    ("vae", [GAUSSIAN, TANH, ("scale: [0, 1]", "scale: [-1, 1]")]),
    ("vae", [added("beta: {start: 0, end: 1, steps: 9}")]),
    ("vae", [added("bound: iwae\nsamples: 5")]),
    ("vae", [added("capacity: {nats: 0}")]),
    ("vae", [added("beta: 0\ndensity: density"), ("objective:\n", DENSITY)]),
    ("vq_vae", [("- conv_transpose2d:", "- {id: whole, global_avg_pool: {}}\n      - {id: wide, "
                 "reshape: [8, 1, 1]}\n      - {from: [z, wide], mul: {broadcast: true}}\n"
                 "      - conv_transpose2d:")]),
]  # fmt: skip


@pytest.mark.parametrize(("code", "spec", "changes"), FOUND)
def test_found(code: str, spec: str, changes: Sequence[Change]) -> None:
    (finding,) = found(spec, *changes)
    assert finding.code.name == code
    assert finding.help
    assert finding.span


@pytest.mark.parametrize(("spec", "changes"), QUIET)
def test_quiet(spec: str, changes: Sequence[Change]) -> None:
    assert found(spec, *changes) == []


def test_a_code_that_is_the_sample_is_shown_at_the_encoder() -> None:
    text = changed(
        "autoencoder",
        ("      - flatten\n      - linear: 8\n    outputs: code", "      - {id: x, identity: {}}\n"
         "    outputs: {code: image}"),
        ("{shape: [B, 8]}", "{shape: [B, 1, 16, 16]}"),
        ("      - linear: 256\n      - reshape: [1, 16, 16]\n",
         "      - conv2d: {channels: 1, kernel: 3}\n"),
    )  # fmt: skip
    diagnostics = [d for d in compile_text(text).diagnostics if d.code.name != "G303"]
    assert [d.code.name for d in diagnostics] == ["L903"]


def test_the_fix_of_l904() -> None:
    result = compile_text(changed("vae", SIGMOID))
    text = apply_fixes(result.file.text, result.fixes)
    assert text == VAE
    assert not check_source(SourceFile("spec.yaml", text), Path()).diagnostics


def test_no_fix_where_layers_follow() -> None:
    (finding,) = found("vae", INNER)
    assert not finding.fixes


@pytest.mark.parametrize(
    ("scale", "offered"), [("[0, 1]", True), ("[-1, 1]", False)], ids=["unit", "signed"]
)
def test_bernoulli_is_offered_for_values_between_0_and_1(scale: str, offered: bool) -> None:
    (finding,) = found("vae", SIGMOID, GAUSSIAN, ("scale: [0, 1]", f"scale: {scale}"))
    assert ("likelihood: bernoulli" in (finding.help or "")) is offered
    assert "scale" not in (finding.help or "")  # which would lead to the next warning


CONVOLVED = """\
      - {id: u, from: c, unsqueeze: 1}
      - {id: k, conv1d: {channels: 1, kernel: 3}}
      - {id: s, squeeze: 1}
      - {from: [z, s], concat: 1}
"""


def test_conditions_that_are_tables() -> None:
    scaled = "normalize: {mean: [1, 2, 3], std: [4, 5, 6]}"
    text = changed("vae", *condition("c")).replace("float32}", f"float32, {scaled}}}")
    assert not compile_text(text).diagnostics
    text = text.replace("      - {from: [z, c], concat: 1}\n", CONVOLVED)
    assert [d.code.name for d in compile_text(text).diagnostics] == ["L902"]


PADDED = """\
    words: {shape: [B, 12], dtype: int64, below: 50, lengths: n}
    n: {shape: [B], dtype: int64}
networks:
"""

READING = """\
      - {id: e, from: words, embedding: {size: 50, dim: 8}}
      - {id: text, mean: 1}
      - {id: pixels, from: image, flatten: {}}
      - {from: [pixels, text], concat: 1}
"""


def test_padding_that_an_encoder_takes_for_data() -> None:
    text = changed(
        "autoencoder",
        ("networks:\n", PADDED),
        (
            "{image: {shape: [B, 1, 16, 16]}}",
            "{image: {shape: [B, 1, 16, 16]}, words: {shape: [B, 12], dtype: int64}, "
            "n: {shape: [B], dtype: int64}}",
        ),
        ("      - flatten\n", READING),
    )
    found = [d.code.name for d in compile_text(text).diagnostics if d.code.name != "G303"]
    assert found == ["L910"]
    told = text.replace("mean: 1", "from: {x: e, lengths: n}, masked_mean: {}")
    assert not compile_text(told).diagnostics


def test_rows_that_an_encoder_reads_as_a_sequence() -> None:
    rows = "      - squeeze: 1\n      - {id: r, gru: 8}\n      - {from: r.last, linear: 8}\n"
    (finding,) = found("autoencoder", ("      - flatten\n      - linear: 8\n", rows))
    assert finding.code.name == "L911"
