"""Suggestions for names that do not exist."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from netwright.compiler.suggest import did_you_mean, distance, listing, suggest

WORDS = st.text("abc_", max_size=6)


@pytest.mark.parametrize(
    ("name", "choices", "found"),
    [
        ("kernal", ["kernel", "channels"], "kernel"),
        ("ReLU", ["relu", "elu"], "relu"),
        ("batchnorm", ["batch_norm", "layer_norm"], "batch_norm"),
        ("BatchNorm2d", ["batch_norm"], "batch_norm"),
        ("corss_entropy", ["cross_entropy"], "cross_entropy"),
        ("x", ["y", "z"], None),
        ("ab", ["cd"], None),
        ("stride", [], None),
        ("k" * 100, ["k" * 99], None),
    ],
)
def test_the_nearest_choice(name: str, choices: list[str], found: str | None) -> None:
    assert suggest(name, choices) == found


def test_help_texts() -> None:
    assert did_you_mean("mian", ["main", "skip"], "layer") == (
        "a layer with a similar name exists: `main`"
    )
    assert did_you_mean("adam2000", ["sgd"], "optimizer") == (
        "choose an optimizer that exists: `sgd`"
    )
    assert did_you_mean("x", [], "block") == "no block exists here"
    assert listing(["a", "b", "c"], limit=2) == "`a`, `b` and 1 more"


@given(WORDS, WORDS, WORDS)
def test_the_distance_counts_edits(a: str, b: str, c: str) -> None:
    assert distance(a, b) == distance(b, a)
    assert (distance(a, b) == 0) == (a == b)
    assert abs(len(a) - len(b)) <= distance(a, b) <= max(len(a), len(b))
    assert distance(a + c, b + c) <= distance(a, b)
