"""Small specs for tests of the runtime, and how tests compile them."""

from __future__ import annotations

from pathlib import Path

from netwright.compiler.driver import Compilation, check_source
from netwright.compiler.render import render
from netwright.compiler.source import SourceFile

SPEC = """\
spec: v1
name: tiny_digits
params: {width: 8}
data:
  source: digits
  fields: {image: {augment: [{shift: 1}, {noise: 0.05}]}}
  split: {validation: 0.2}
networks:
  classifier:
    inputs: {image: {shape: [B, 1, 8, 8]}}
    layers:
      - conv2d: {channels: $width, kernel: 3, bias: false}
      - batch_norm
      - relu
      - max_pool2d: 2
      - flatten
      - dropout: 0.1
      - linear: 10
    outputs: logits
objective:
  supervised:
    network: classifier
    losses: [{cross_entropy: {output: logits, target: label}}]
    metrics: [accuracy, {top_k: 3}]
training:
  seed: 3
  batch: 64
  epochs: 4
  optimizer: {adamw: {lr: 1e-2}}
  schedule: one_cycle
  clip_norm: 1.0
  checkpoint: {best: accuracy}
"""

SEQUENCES = """\
spec: v1
name: topics
dims: {T: {min: 1, max: 400}}
data:
  source: {npz: {path: texts.npz}}
  fields:
    tokens: {shape: [B, T], dtype: int64, below: 12, lengths: n}
    n: {shape: [B], dtype: int64}
    label: {shape: [B], dtype: int64, below: 3}
networks:
  net:
    inputs: {tokens: {shape: [B, T], dtype: int64}, n: {shape: [B], dtype: int64}}
    layers:
      - {from: tokens, embedding: {size: 12, dim: 4}}
      - {id: memory, from: {lengths: n}, gru: 5}
      - {from: memory.last, linear: 3}
    outputs: logits
objective:
  supervised: {network: net, losses: [{cross_entropy: {output: logits, target: label}}]}
training: {batch: 4, steps: 2}
"""
"""Padded sequences of ids, from an array file."""

SMALL = """\
networks:
  net:
    inputs: {image: {shape: [B, 2, 4, 4]}}
    layers:
      - {id: conv, conv2d: {channels: 3, kernel: 3, bias: false}}
      - {id: bn, batch_norm: {}}
      - flatten
      - {id: fc, linear: 4}
    outputs: y
"""
"""A network with convolution, normalisation and a linear layer, for what needs no data."""


def compile_text(
    changes: dict[str, str] | None = None, *, text: str = SPEC, folder: Path = Path()
) -> Compilation:
    """Compile a spec's text after replacing parts of it, each of which it must have."""
    for old, new in (changes or {}).items():
        assert old in text, old
        text = text.replace(old, new)
    compilation = check_source(SourceFile("tiny_digits.yaml", text), folder)
    assert not compilation.has_errors, render(compilation.diagnostics, "text")
    return compilation
