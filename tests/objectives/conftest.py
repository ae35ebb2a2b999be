"""A whole spec as text, and what checking it says."""

from collections.abc import Callable
from pathlib import Path

import pytest
from netwright.compiler.diagnostics import Diagnostic
from netwright.compiler.driver import Compilation, check_source
from netwright.compiler.source import SourceFile

SPEC = """\
spec: v1
name: example
data:
  source: {npz: {path: data.npz}}
  fields:
    image: {shape: [B, 3, 16, 16], dtype: uint8, scale: [0, 1]}
    label: {shape: [B], dtype: int64, below: 10}
    mask: {shape: [B, 16, 16], dtype: uint8, below: 4}
    age: {shape: [B, 1], dtype: float32}
    flags: {shape: [B, 5], dtype: bool}
networks:
  net:
    inputs: {image: {shape: [B, 3, 16, 16]}}
    layers:
      - {id: features, conv2d: {channels: 8, kernel: 3}}
      - {id: pixels, conv2d: {channels: 4, kernel: 1}}
      - {id: flat, from: features, flatten: {}}
      - {id: scores, linear: 10}
      - {id: years, from: flat, linear: 1}
      - {id: answers, from: flat, linear: 5}
    outputs: {logits: scores, pixels: pixels, age: years, flags: answers}
objective:
  supervised:
    network: net
    losses:
      - {cross_entropy: {output: logits, target: label}, weight: 1.0}
      - cross_entropy: {output: pixels, target: mask}
      - {huber: {output: age, target: age}, weight: {start: 0, end: 1, steps: 10}}
      - bce_logits: {output: flags, target: flags}
    metrics: [accuracy, {top_k: {k: 3}}, mae]
training:
  epochs: 2
"""


def compile_text(text: str) -> Compilation:
    return check_source(SourceFile("spec.yaml", text), Path())


@pytest.fixture
def compiled() -> Callable[..., Compilation]:
    """Compile the example with parts of its text replaced."""

    def compile_with(*changes: tuple[str, str]) -> Compilation:
        text = SPEC
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the spec"
            text = text.replace(old, new)
        return compile_text(text)

    return compile_with


@pytest.fixture
def found(compiled: Callable[..., Compilation]) -> Callable[..., list[Diagnostic]]:
    """The diagnostics of the example with parts of its text replaced."""
    return lambda *changes: list(compiled(*changes).diagnostics)
