"""Drawing tokens: the same ones by numpy, torch and ONNX Runtime, within rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from netwright.compiler.ir.shapes import parse_type
from netwright.compiler.language.arguments import build
from netwright.compiler.ops.base import INTERNAL

from tests.ops.conftest import Layer

CLOSE = 1e-5
"""A random number this near to a boundary of the distribution may fall to either side."""


def drawer(classes: int) -> Layer:
    types = (f"f32[B, {classes}]", "f32[B]", "f32[]", "i64[]")
    return Layer(build(INTERNAL["draw_token"], {}), tuple(parse_type(text) for text in types))


def distribution(scores: np.ndarray, temperature: float, top_k: int) -> np.ndarray:
    """Cumulative probabilities [B, K], in float64."""
    scores = scores.astype(np.float64)
    kth = np.sort(scores, axis=1)[:, -(top_k or scores.shape[1])][:, None]
    scaled = np.where(scores >= kth, (scores - scores.max(1, keepdims=True)) / temperature, -np.inf)
    odds = np.exp(scaled)
    return np.cumsum(odds / odds.sum(1, keepdims=True), axis=1)


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, 0), (0.7, 5), (1.5, 1), (0.3, 40)])
def test_tokens_are_those_of_the_distribution(temperature: float, top_k: int) -> None:
    rng, layer = np.random.default_rng(top_k), drawer(40)
    scores = rng.normal(size=(400, 40)).astype(np.float32) * 3
    random = rng.random(400, np.float32)
    cumulative = distribution(scores, temperature, top_k)
    expected = (cumulative <= random[:, None]).sum(1)
    near = np.abs(cumulative - random[:, None]).min(1) < CLOSE
    for found in both(layer, scores, random, temperature, top_k):
        assert found.dtype == np.int64
        assert ((found == expected) | near).all()
        assert near.sum() < 40, "most draws say something"


@pytest.mark.parametrize("random", [0.0, 0.5, np.nextafter(np.float32(1), np.float32(0))])
def test_temperature_zero_takes_the_likeliest(random: float) -> None:
    rng, layer = np.random.default_rng(0), drawer(9)
    scores = rng.normal(size=(50, 9)).astype(np.float32)
    for found in both(layer, scores, np.full(50, random, np.float32), 0.0, 0):
        assert (found == scores.argmax(1)).all()


def test_the_largest_random_number_draws_a_token_that_is_possible() -> None:
    scores = np.array([[0.0, 1.0, -np.inf, -np.inf]], np.float32).repeat(3, 0)
    below_one = np.nextafter(np.float32(1), np.float32(0))
    for found in both(drawer(4), scores, np.full(3, below_one, np.float32), 1.0, 0):
        assert (found == 1).all()


def both(
    layer: Layer, scores: np.ndarray, random: np.ndarray, temperature: float, top_k: int
) -> list[Any]:
    given = [scores, random, np.array(temperature, np.float32), np.array(top_k)]
    return [layer.torch(*given)[0], layer.onnx(layer.session(), *given)[0]]
