"""The confusion matrix: what was taken for what."""

from __future__ import annotations

from collections.abc import Sequence

from ...compiler.driver import Compilation
from ..opening import class_names, settings_of
from ..runs import SUMMARY
from .markup import Html, element, joined, table
from .matrix import Counts, draw_matrix
from .numbers import percent
from .section import LeftOut, Piece, Section
from .subject import Subject

TITLE = "Confusion"

OPEN = 20
"""Up to this many classes, the table by class is unfolded."""

PAIRS = 8
"""How many of the most frequent confusions are listed."""


def confusion(subject: Subject, compilation: Compilation) -> Piece:
    """The matrix, the most frequent confusions and a table by class."""
    if subject.summary is None:
        return LeftOut(TITLE, subject.why(SUMMARY, "the run was not finished, and nothing tested"))
    counts = subject.summary.confusion
    if not counts or any(len(row) != len(counts) for row in counts):
        return LeftOut(TITLE, "a matrix is kept for 2 to 200 classes")
    names = class_names(compilation, len(counts))
    right, total = sum(row[i] for i, row in enumerate(counts)), sum(map(sum, counts))
    part = subject.summary.main_part or "tested"
    share, unit = percent(right / max(total, 1)), _unit(compilation)
    of_samples = "" if unit == "samples" else f"{unit} of "
    note = f"{right:,} of {total:,} right among the {of_samples}{part} samples ({share})."
    matrix = element("div", draw_matrix(counts, names), class_="matrix scroll")
    beside = element("div", _pairs(counts, names), _by_class(counts, names, unit), class_="beside")
    return Section(TITLE, element("div", matrix, beside, class_="two"), note)


def _unit(compilation: Compilation) -> str:
    """What has one label each."""
    losses = (item.loss for item in settings_of(compilation).losses)
    loss = next(loss for loss in losses if loss.kind == "classes")
    rank = compilation.fields[loss.target].rank
    return {1: "samples", 3: "pixels"}.get(rank, "places")


def _pairs(counts: Counts, names: Sequence[str]) -> Html:
    """The most frequent confusions, the largest first."""
    wrong = [
        (count, row, column)
        for row, line in enumerate(counts)
        for column, count in enumerate(line)
        if count and row != column
    ]
    worst = sorted(wrong, key=lambda item: (-item[0], item[1:]))[:PAIRS]
    if not worst:
        return element("p", "Nothing was confused.")
    items = (_pair(names[row], names[column], count) for count, row, column in worst)
    return joined([element("h3", "Most often confused"), element("ol", joined(items))])


def _pair(true: str, predicted: str, count: int) -> Html:
    return element("li", element("b", true), " taken for ", element("b", predicted), f": {count:,}")


def _by_class(counts: Counts, names: Sequence[str], unit: str) -> Html:
    """How often each class is true, and its recall and precision."""
    predicted = [sum(column) for column in zip(*counts, strict=True)]
    rows = (
        [name, f"{sum(line):,}", _share(line[i], sum(line)), _share(line[i], predicted[i])]
        for i, (name, line) in enumerate(zip(names, counts, strict=True))
    )
    shown = table(["class", unit, "recall", "precision"], rows, kind="figures")
    title = element("summary", "By class: recall and precision")
    return element("details", title, shown, open=len(names) <= OPEN)


def _share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else "–"  # noqa: RUF001 - an en dash, as in tables
