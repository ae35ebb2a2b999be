"""Numbers as people read them: in lines, tables and pages alike."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from netwright.runtime.number_text import figure_text, figures_text, row_texts, short_text


@pytest.mark.parametrize(
    ("value", "figure", "short"),
    [
        (0.0, "0.000", "0"),
        (1.0, "1.000", "1"),
        (0.95, "0.9500", "0.95"),
        (0.99722, "0.9972", "0.9972"),
        (-12.3, "-12.30", "-12.3"),
        (999.99, "1,000", "1,000"),
        (5433.8, "5,434", "5,434"),
        (51935.2, "51,935", "51,935"),
        (0.0312, "0.03120", "0.0312"),
        (0.0001, "0.0001000", "0.0001"),
        (1.2e-6, "1.200e-06", "1.2e-06"),
        (2.5e6, "2.500e+06", "2.5e+06"),
        (118240624255445760241173830565888.0, "1.182e+32", "1.182e+32"),
        (None, "-", "-"),
        (math.nan, "nan", "nan"),
        (-math.inf, "-inf", "-inf"),
    ],
)
def test_numbers_as_text(value: float | None, figure: str, short: str) -> None:
    assert figure_text(value) == figure
    assert short_text(value) == short


@given(st.floats(-1e308, 1e308))
def test_no_number_is_long_and_each_can_be_read_back(value: float) -> None:
    for text in (figure_text(value), short_text(value)):
        assert len(text) <= 11
        assert float(text.replace(",", "")) == pytest.approx(value, rel=6e-4)


def test_figures_by_name() -> None:
    figures = {"loss": 1.1824062425544576e32, "accuracy": 0.5}
    assert figures_text(figures) == "loss 1.182e+32  accuracy 0.5000"
    assert figures_text({"a": None, "b": 1.0}, ", ") == "a -, b 1.000"


def test_figures_in_a_row_are_written_alike() -> None:
    assert row_texts([468012.0, 51935.2, None]) == ["468,012", "51,935", "-"]
    assert row_texts([4.68e27, 51935.2, 0.5]) == ["4.680e+27", "5.194e+04", "0.5000"]
