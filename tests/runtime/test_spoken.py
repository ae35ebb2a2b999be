"""Between text and tokens, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from netwright.compiler.diagnostics import NetwrightError
from netwright.compiler.objectives.text_sources import UNKNOWN
from netwright.runtime.spoken import Vocabulary

BYTES = Vocabulary(None)


@given(st.text())
def test_bytes_say_any_text(text: str) -> None:
    tokens = BYTES.encode(text)
    assert tokens.tolist() == list(text.encode())
    assert BYTES.decode(tokens) == text


@given(st.binary())
def test_bytes_that_are_no_text_come_and_go(given: bytes) -> None:
    """As Python decodes what a command line is given."""
    assert BYTES.encode(given.decode(errors="surrogateescape")).tolist() == list(given)


def test_bytes_cut_apart_are_marked() -> None:
    assert BYTES.decode("é".encode()[:1]) == "\ufffd"


def test_characters_have_numbers() -> None:
    known = Vocabulary([" ", "a", "é"])
    assert known.encode("aé a").tolist() == [1, 2, 0, 1]
    assert known.decode([1, 2, 0, 1]) == "aé a"
    with pytest.raises(NetwrightError, match="'b' at position 2"):
        known.encode("aab")


def test_other_characters_may_have_one_number() -> None:
    known = Vocabulary([UNKNOWN, "a"])
    assert known.encode("ab").tolist() == [1, 0]
    assert known.decode([1, 0]) == "a\ufffd"
