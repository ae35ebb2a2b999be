"""The section of `seq2seq`: sources, true answers and the network's own, wrong ones first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compiler.diagnostics import NetwrightError
from ...compiler.driver import Compilation
from ...compiler.objectives.fields import Field
from ...compiler.objectives.losses import INTEGERS
from ...compiler.objectives.seq2seq import Seq2Seq
from ..data.dataset import Dataset, Part
from ..opening import objective_of
from ..spoken import in_words
from .markup import Html, element, table
from .section import LeftOut, Piece, Pieces, Section, reason
from .subject import Subject

TITLE = "Answers"

LOOKED_AT = 512
"""How many samples are answered."""

SHOWN = 20
"""How many of them stand on the page."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Answered:
    """A sample: what was asked, what is true and what the network said, in words."""

    source: str
    truth: str
    said: str
    right: bool


def translations(subject: Subject, compilation: Compilation) -> Pieces:
    """Answers of the tested checkpoint to test samples; to those of validation before the end."""
    if subject.tested_step is None:
        return [LeftOut(TITLE, "the run has no checkpoint")]
    try:
        return [_section(subject, compilation, subject.tested_step)]
    except NetwrightError as error:
        return [LeftOut(TITLE, reason(error))]


def _section(subject: Subject, compilation: Compilation, step: int) -> Piece:
    from ..objectives.seq2seq import answered
    from .trained import open_trained

    opened = open_trained(subject, compilation, step)
    if opened is None:
        why = "the run was not finished, and only a finished one looks at its test samples"
        return LeftOut(TITLE, why)
    part, dataset = opened.part, opened.dataset
    count = min(dataset.size(part), LOOKED_AT)
    answers = answered(opened.objective, dataset, part, opened.device, count)
    found = list(_in_words(compilation, dataset, part, answers))
    wrong = [item for item in found if not item.right]
    right = [item for item in found if item.right]
    body = table(["source", "true answer", "its answer"], map(_row, [*wrong, *right][:SHOWN]))
    note = f"{len(right):,} of the first {count:,} {part} samples are right as a whole"
    return Section(TITLE, body, f"{note}; wrong ones first." if wrong else f"{note}.")


def _row(item: Answered) -> list[Html | str]:
    return [item.source, item.truth, element("b", item.said) if item.right else item.said]


def _in_words(
    compilation: Compilation, dataset: Dataset, part: Part, answers: Array
) -> Iterator[Answered]:
    """answers: tokens i64[N, S] of the first N samples, -1 behind their ends."""
    settings = objective_of(compilation)
    assert isinstance(settings, Seq2Seq)
    columns, fields = dataset.parts[part], dataset.fields
    first = np.arange(len(answers))
    raw = {name: column.take(first) for name, column in columns.items()}
    of = fields[settings.target]
    assert of.lengths, "a checked target has lengths"
    asked = next(iter(settings.encoder_fields(compilation.graphs).values()))
    for row in first.tolist():
        true = raw[settings.target][row, : int(raw[of.lengths][row])].tolist()
        told = [token for token in answers[row].tolist() if token >= 0]
        ended = told[-1:] == [settings.end]
        said = in_words(told[:-1], of.classes) if ended else f"{in_words(told, of.classes)} …"
        source = _tokens(asked, fields, raw, row) or columns[asked].where(row)
        right = told == [*true, settings.end]
        yield Answered(source, in_words(true, of.classes), said, right)


def _tokens(name: str, fields: Mapping[str, Field], raw: Mapping[str, Array], row: int) -> str:
    """The real tokens of a sample; nothing where the field holds none."""
    field = fields[name]
    if field.element_type not in INTEGERS or field.rank != 2:
        return ""
    size = int(raw[field.lengths][row]) if field.lengths else raw[name].shape[1]
    return in_words(raw[name][row, :size].tolist(), field.classes)
