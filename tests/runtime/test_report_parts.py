"""What pages about runs are made of: answers, pictures, escaped text, numbers, axes."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from netwright.compiler.objectives.fields import Field
from netwright.compiler.objectives.losses import BceLogits, CrossEntropy, Mse
from netwright.runtime.report.answers import Judged, answer
from netwright.runtime.report.markup import Html, element, joined, prose, text
from netwright.runtime.report.matrix import RIGHT, WRONG, draw_matrix, shade
from netwright.runtime.report.numbers import figure_text, percent, tick_text
from netwright.runtime.report.pictures import mask, sample_view
from netwright.runtime.report.scales import axis_of, count_axis

from .pages import Page, decoded

LABELS = Field(shape=["B"], dtype="int64", classes=["a", "b", "c"])
CLASSES = CrossEntropy(output="o", target="t")
YES = Field(shape=["B"], dtype="int64", below=2)
ASKED = BceLogits(output="o", target="t")
HEIGHT = Field(shape=["B"], dtype="float32")
SIZE = Mse(output="o", target="t")


def judged(loss: object, field: Field, output: object, truth: object) -> Judged:
    return Judged(loss, field, np.array(output), np.array(truth))  # type: ignore[arg-type]


ANSWERS: list[tuple[Judged, bool | None, str]] = [
    (judged(CLASSES, LABELS, [0.0, 0.0, math.log(2)], 2), True, "c 50.0%"),
    (judged(CLASSES, LABELS, [0.0, 0.0, math.log(2)], 0), False, "c 50.0% a 25.0%"),
    (judged(CLASSES, LABELS, [[2.0, 0], [0, 1], [0, 0]], [0, 0]), None, "50.0% of the places"),
    (judged(ASKED, YES, math.log(3), 1), True, "yes 75.0%"),
    (judged(ASKED, YES, [math.log(3)], [0]), False, "yes 75.0% no 25.0%"),
    (judged(ASKED, YES, [5.0, -5.0, 0.1], [1, 0, 1]), True, "all 3 answers right"),
    (judged(ASKED, YES, [5.0, 5.0, 0.1], [1, 0, 0]), False, "2 of 3 answers wrong question 1"),
    (judged(SIZE, HEIGHT, 13.0, 12.0), None, "predicted 13 true 12 off by 1"),
    (judged(SIZE, HEIGHT, [10.0, 12.0], [10.0, 10.0]), None, "predicted 10, 12 true 10, 10 off"),
]


@pytest.mark.parametrize(("case", "right", "words"), ANSWERS)
def test_answers_in_words(case: Judged, right: bool | None, words: str) -> None:
    found = answer(case)
    assert found.right is right
    shown = Page(f"<div>{found.words}</div>").text
    assert words in re.sub(r"\s+", " ", shown)
    assert not found.pictures


def test_answers_in_pictures() -> None:
    yes = Field(shape=["B", 1, 2, 2], dtype="uint8", scale=[0, 1])
    found = answer(judged(ASKED, yes, [[[9.0, -9], [9, -9]]], [[[255, 0], [255, 255]]]))
    truth, chance = (np.asarray(decoded(_src(view))) for _, view in found.pictures)
    assert truth.tolist() == [[255, 0], [255, 255]]
    assert chance.tolist() == [[255, 0], [255, 0]]
    assert "75.0% of the pixels right" in Page(f"<div>{found.words}</div>").text


def _src(view: str) -> object:
    return Page(f"<div>{view}</div>").named("img")[0]["src"]


def test_samples_of_every_kind_can_be_seen() -> None:
    floats = Field(shape=["B", 3, 4, 4], dtype="float32")
    picture = np.asarray(decoded(_src(sample_view(floats, np.eye(4)[None] * [[[2.0]]] * 3, "x"))))
    assert picture.shape == (4, 4)
    assert picture.max() == 255
    large = np.zeros((3, 400, 300), np.uint8)
    assert decoded(_src(sample_view(Field(dtype="uint8"), large, "x"))).size == (168, 224)
    empty = np.full((1, 3, 3), np.nan, np.float32)
    assert decoded(_src(sample_view(floats, empty, "x"))).size == (3, 3)
    wave = sample_view(Field(dtype="float32"), np.sin(np.arange(300.0))[None], "x")
    assert len(Page(wave).named("polyline")) == 1
    assert "a, b, c, 3, 4, 5, 6, 7, … (9 numbers)" in sample_view(LABELS, np.arange(9), "x")
    assert decoded(_src(mask(np.array([[0, 57]]), None, "x"))).mode == "RGBA"


@pytest.mark.parametrize("classes", [3, 30, 65])
def test_a_matrix_shows_every_pair_of_classes(classes: int) -> None:
    counts = [[10 * (row == column) for column in range(classes)] for row in range(classes)]
    counts[0][1] = 30
    shown = Page(f"<div>{draw_matrix(counts, [f'class {i}' for i in range(classes)])}</div>")
    if classes < 60:
        assert len(shown.named("rect", "right")) == classes
        (wrong,) = shown.named("rect", "wrong")
        assert float(str(wrong["fill-opacity"])) == pytest.approx(shade(0.75), abs=0.01)
        assert "class 0 taken for class 1: 30 of 40" in shown.text
        assert ("30 " in shown.text.replace("30 of", "")) is (classes == 3)
        return
    pixels = np.asarray(decoded(shown.named("img")[0]["src"])).astype(int)
    assert pixels.shape == (classes, classes, 4)
    assert (pixels[..., 3] > 0).sum() == classes + 1
    assert pixels[5, 5].tolist() == [*RIGHT, 255]
    assert pixels[0, 1, :3].tolist() == list(WRONG)


# Text, numbers and axes


def test_text_is_escaped_and_markup_is_not() -> None:
    assert text("<a & 'b'>") == "&lt;a &amp; &#x27;b&#x27;&gt;"
    assert text(Html("<a>")) == "<a>"
    assert element("p", "<", element("b", "x")) == "<p>&lt;<b>x</b></p>"
    assert element("img", alt='"', src=None, hidden=True) == '<img alt="&quot;" hidden>'
    assert joined(["<", Html("<br>")], "&") == "&lt;&amp;<br>"
    assert prose("`a<b` c") == "<code>a&lt;b</code> c"
    assert prose("one ` alone") == "one ` alone"
    assert text("\0\ud800") == "\N{REPLACEMENT CHARACTER}?"


@pytest.mark.parametrize(
    ("value", "figure", "tick"),
    [(0.99722, "0.9972", "0.9972"), (5433.8, "5,434", "5434"), (None, "\N{EN DASH}", "0"),
     (1.2e-6, "1.200e-06", "1.2e-6"), (20000.0, "20,000", "20k"), (2.5e6, "2.500e+06", "2.5M")],
)  # fmt: skip
def test_numbers_as_text(value: float | None, figure: str, tick: str) -> None:
    assert figure_text(value) == figure
    assert tick_text(value or 0.0) == tick


def test_shares_as_text() -> None:
    shown = [percent(share) for share in (0, 1e-9, 0.004, 0.5, 0.99999, 1)]
    assert shown == ["0%", "<0.1%", "0.4%", "50.0%", ">99.9%", "100%"]


@given(
    st.lists(st.floats(-1e12, 1e12) | st.floats(1e-12, 1.0), min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from([None, 0.0]),
)
def test_axes_hold_every_value_and_few_round_ticks(
    values: list[float], may_be_log: bool, floor: float | None
) -> None:
    axis = axis_of(values, floor=floor, may_be_log=may_be_log)
    assert axis.low < axis.high
    assert all(-1e-9 <= axis.place(value) <= 1 + 1e-9 for value in values)
    ticks = axis.ticks()
    assert len(ticks) <= 7
    assert ticks == sorted(ticks)
    assert all(-1e-6 <= axis.place(tick) <= 1 + 1e-6 for tick in ticks)


def test_axes_of_counts_name_whole_numbers() -> None:
    assert count_axis([1, 2, 3]).ticks() == [1, 2, 3]
    assert count_axis([7]).ticks() == [7]
