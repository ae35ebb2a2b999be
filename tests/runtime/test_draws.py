"""Which tokens torch and ONNX Runtime may draw differently, and which differences are faults."""

from __future__ import annotations

import numpy as np
import pytest
from netwright.runtime.draws import Draws

MANY = 200_000
"""So many tokens of one probability have a border near every random number."""


def draws(scores: np.ndarray) -> Draws:
    """What judges a network that always gives the same scores."""
    return Draws(lambda given: {"y": np.tile(scores, (*given["x"].shape, 1))}, "x", "y")


def inputs(random: float) -> dict[str, np.ndarray]:
    return {
        "prompt": np.zeros((1, 2), np.int64),
        "random": np.array([[random]], np.float32),
        "temperature": np.array(1, np.float32),
        "top_k": np.array(0),
    }


def tokens(token: int) -> dict[str, np.ndarray]:
    return {"tokens": np.array([[token]]), "lengths": np.array([1])}


@pytest.mark.parametrize(
    ("random", "other", "rightly"),
    [(0.250004, 1, True), (0.249996, 1, True), (0.3, 1, False), (0.250004, 2, False)],
)
def test_only_neighbours_of_a_border_are_right(random: float, other: int, rightly: bool) -> None:
    judge = draws(np.zeros(4, np.float32))
    for one, two in ((0, other), (other, 0)):
        found = judge.settled(inputs(random), tokens(one), tokens(two))["tokens"].item()
        assert found == (one if rightly else two)


def test_a_token_far_away_is_wrong_though_borders_are_everywhere() -> None:
    judge = draws(np.zeros(MANY, np.float32))
    expected = tokens(MANY // 2)
    assert judge.settled(inputs(0.5), expected, tokens(MANY // 2 + 1))["tokens"] == MANY // 2
    far = tokens(MANY // 4)
    assert judge.settled(inputs(0.5), expected, far)["tokens"] == MANY // 4


def test_a_sample_that_ended_is_no_matter_of_rounding() -> None:
    judge = draws(np.zeros(4, np.float32))
    assert judge.settled(inputs(0.25), tokens(0), tokens(-1))["tokens"][0, 0] == -1
