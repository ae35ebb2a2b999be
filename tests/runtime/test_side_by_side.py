"""Tables for a terminal: nothing is cut off, and no word is broken that has room."""

from __future__ import annotations

import io

import pytest
from netwright.runtime.side_by_side import Group, Row, Sheet, figure_row, print_sheet


def printed(sheet: Sheet, width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    stream = io.StringIO()
    print_sheet(sheet, stream)
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


def test_headings_and_values_are_broken_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = ("logistic regression", "gradient boosting", "network cancer-1")
    rule = "match: [classifier.conv1.**, classifier.conv2.**], lr_factor: 0.1"
    losses = figure_row("loss", [4.68e27, 51935.2, None])
    rows = (Row("training.parameters", (rule, "-", "none")), losses)
    text = printed(Sheet(labels, (Group("settings", rows),), ""), 80, monkeypatch)
    words = text.split()
    for word in ("network", "cancer-1", "[classifier.conv1.**,", "4.680e+27", "5.194e+04"):
        assert word in words


def test_a_word_without_room_is_broken_after_a_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/data/of/a_rather_long/folder/with_many_parts/and_then_some/more"
    sheet = Sheet(("a", "b"), (Group("run", (Row("data", (path, "x" * 75)),)),), "")
    text = printed(sheet, 80, monkeypatch)
    cells = [line.split() for line in text.splitlines() if "xxx" in line]
    assert [cell for line in cells for cell in line if cell.endswith("/")] == [
        "/data/of/a_rather_long/folder/",
        "with_many_parts/and_then_some/",
    ]
    for width in (80, 40):
        assert printed(sheet, width, monkeypatch).count("x") == 75
