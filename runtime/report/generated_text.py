"""The section of `language_model`: what it wrote while it was trained."""

from __future__ import annotations

from ...compiler.driver import Compilation
from ..history import Record
from ..samples import read_samples
from .markup import Html, element, joined
from .section import LeftOut, Pieces, Section
from .subject import Subject

TITLE = "What it wrote"

SHOWN = 6
"""How many texts stand on the page, at even distances, the first and the last among them."""


def generated_text(subject: Subject, compilation: Compilation) -> Pieces:
    """Texts that were generated while training, the newest first."""
    records = read_samples(subject.folder)
    if not records:
        why = "the spec asks for no text: `sample: {}` in the objective generates some"
        return [LeftOut(TITLE, why)]
    texts = joined([_text(record) for record in reversed(_some(records))])
    note = f"{len(records):,} texts in `samples.jsonl`; the newest first."
    return [Section(TITLE, texts, note)]


def _some(records: list[Record]) -> list[Record]:
    if len(records) <= SHOWN:
        return records
    return [records[index * (len(records) - 1) // (SHOWN - 1)] for index in range(SHOWN)]


def _text(record: Record) -> Html:
    said = (element("pre", text, class_="said") for text in record["texts"])
    return joined([element("h3", f"Step {record['step']:,}"), *said])
