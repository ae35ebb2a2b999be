"""Augmentations that move the pixels of a sample and not those of its target."""

from __future__ import annotations

import pytest
from netwright.compiler.diagnostics import Code

from .conftest import compile_text

SPEC = """\
spec: v1
name: example
data:
  source: {{npz: {{path: data.npz}}}}
  fields:
    photo: {{shape: [B, 3, 16, 16], dtype: uint8, scale: [0, 1]{photo}}}
    drawing: {{shape: [B, 3, 16, 16], dtype: uint8, scale: [0, 1]{drawing}}}
networks:
  net:
    inputs: {{photo: {{shape: [B, 3, 16, 16]}}}}
    layers:
      - {{from: photo, conv2d: {{channels: 3, kernel: 3}}}}
      - relu
    outputs: made
objective:
  supervised:
    network: net
    losses:
      - mse: {{output: made, target: {target}}}
"""


def found(photo: str = "", drawing: str = "", target: str = "drawing") -> list[str]:
    changes = {"photo": photo, "drawing": drawing}
    given = {name: f", augment: [{words}]" if words else "" for name, words in changes.items()}
    text = SPEC.format(**given, target=target)
    diagnostics = [d for d in compile_text(text).diagnostics if d.code is Code.O502]
    return [d.message for d in diagnostics]


@pytest.mark.parametrize(
    ("photo", "drawing", "words"),
    [
        ("flip", "", "`flip` moves the pixels of `photo` but not those of its target `drawing`"),
        ("", "{shift: 2}", "`shift` moves the pixels of `drawing` but not those of `photo`"),
    ],
)
def test_what_is_moved_alone(photo: str, drawing: str, words: str) -> None:
    (message,) = found(photo, drawing)
    assert message.startswith(words)


def test_each_is_moved_by_chance_of_its_own() -> None:
    assert len(found("flip", "flip")) == 2


def test_noise_leaves_pixels_in_place() -> None:
    assert not found("{noise: 0.1}", "{noise: 0.1}")


def test_a_field_that_is_its_own_target_is_moved_once() -> None:
    assert not found("flip", target="photo")
