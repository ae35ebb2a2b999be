"""N-grams give the probabilities that one counts by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from netwright.compiler.objectives.text_sources import NEXT, TOKENS
from netwright.runtime.baseline.ngrams import chances, text_of, witten_bell
from netwright.runtime.data.columns import as_columns

TEXTS = st.lists(st.integers(0, 3), min_size=1, max_size=40)


def found(train: Sequence[int], test: Sequence[int], vocabulary: int, n: int) -> list[float]:
    *_, last = chances(np.array(train, np.uint8), np.array(test, np.uint8), vocabulary, n)
    return last.tolist()


def test_single_tokens_by_hand() -> None:
    """0, 0, 1: three tokens of two types, so that 2/5 is shared out by 1/3 each."""
    expected = [(2 + 2 / 3) / 5, (1 + 2 / 3) / 5, (0 + 2 / 3) / 5]
    assert found([0, 0, 1], [0, 1, 2], 3, 1) == pytest.approx(expected)
    assert sum(expected) == pytest.approx(1)


def test_pairs_by_hand() -> None:
    """0 is followed by 0 and by 1, once each; 1 by nothing, so that its successors are p(x)."""
    alone = [(2 + 2 / 3) / 5, (1 + 2 / 3) / 5, (0 + 2 / 3) / 5]
    after_0 = [(1 + 2 * alone[0]) / 4, (1 + 2 * alone[1]) / 4, (0 + 2 * alone[2]) / 4]
    assert found([0, 0, 1], [0, 0], 3, 2) == pytest.approx([alone[0], after_0[0]])
    assert found([0, 0, 1], [0, 2], 3, 2) == pytest.approx([alone[0], after_0[2]])
    assert found([0, 0, 1], [1, 0], 3, 2) == pytest.approx([alone[1], alone[0]])
    bits = -(math.log2(alone[0]) + math.log2(after_0[1])) / 2
    assert witten_bell(np.array([0, 0, 1]), np.array([0, 1]), 3, 2) == pytest.approx(bits)


@given(train=TEXTS, history=st.lists(st.integers(0, 3), max_size=5), n=st.integers(1, 5))
def test_the_probabilities_of_all_tokens_are_1_together(
    train: list[int], history: list[int], n: int
) -> None:
    total = sum(found(train, [*history, token], 4, n)[-1] for token in range(4))
    assert total == pytest.approx(1)


def counted(train: Sequence[int], before: Sequence[int], token: int, vocabulary: int) -> float:
    """The formula, one history after the other."""
    p = 1 / vocabulary
    for k in range(len(before) + 1):
        history = list(before[len(before) - k :])
        after = [train[i + k] for i in range(len(train) - k) if list(train[i : i + k]) == history]
        if after:
            p = (after.count(token) + len(set(after)) * p) / (len(after) + len(set(after)))
    return p


@given(train=TEXTS, test=TEXTS, n=st.integers(1, 6))
def test_they_are_those_of_the_formula(train: list[int], test: list[int], n: int) -> None:
    expected = [
        counted(train, test[max(0, i - n + 1) : i], token, 4) for i, token in enumerate(test)
    ]
    assert found(train, test, 4, n) == pytest.approx(expected)


def test_every_order_comes_on_the_way() -> None:
    generator = np.random.default_rng(0)
    train, test = (generator.integers(0, 9, size) for size in (500, 100))
    orders = list(chances(train, test, 9, 4))
    for n, expected in enumerate(orders, start=1):
        assert found(train.tolist(), test.tolist(), 9, n) == pytest.approx(expected.tolist())


def test_a_rule_is_learnt_and_chance_is_not() -> None:
    line = np.tile(np.arange(8), 500)
    assert witten_bell(line, line[:800], 8, 2) < 0.05
    noise = np.random.default_rng(0).integers(0, 8, 20_000)
    assert 3 <= witten_bell(noise[:10_000], noise[10_000:], 8, 3) < 3.1


def test_the_text_of_windows_is_whole_again() -> None:
    text = np.arange(13, dtype=np.uint8)
    windows = {TOKENS: text[:12].reshape(3, 4), NEXT: text[1:].reshape(3, 4)}
    assert text_of(as_columns(windows)).tolist() == text.tolist()
