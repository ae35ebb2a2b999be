"""The section of `gan`: what the generator makes, and how good it is beside real samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...compiler.driver import Compilation
from ..judging.names import MADE, REAL
from ..runs import JUDGE, NEAREST
from .made import picture, pictures
from .markup import table
from .numbers import percent
from .section import Piece, Pieces, Section
from .subject import Subject

TITLES = {
    "samples": (
        "Generated samples",
        "What the generator makes of the same noise at each step; where it reads a label too, of "
        "the labels of real samples.",
    ),
    "points": (
        "Generated points",
        "Real samples, and on top of them as many generated ones, of the same noise at each step.",
    ),
}
"""Name of a picture -> title, and a note."""


def gan(subject: Subject, compilation: Compilation) -> Pieces:
    """Pictures that were made while training, and what the judge has found."""
    yield from pictures(subject, compilation, TITLES)
    yield from _classes(subject)
    yield from _nearest(subject)


def _classes(subject: Subject) -> Iterator[Piece]:
    """The shares of the classes, where a classifier has told them."""
    details = subject.summary.details if subject.summary else {}
    real, made = (_shares(details.get(name)) for name in (REAL, MADE))
    if not real or len(real) != len(made):
        return
    names = _names(subject, len(real))
    rows = [[name, percent(a), percent(b)] for name, a, b in zip(names, real, made, strict=True)]
    note = (
        "What the judging classifier takes samples for. A class that is common among real samples "
        "and rare among generated ones is one that the generator has lost."
    )
    yield Section("Classes", table(["class", "real", "generated"], rows, kind="figures"), note)


def _shares(row: Sequence[float | None] | None) -> list[float]:
    """A row of the summary as shares, whatever stands in the file; empty where it is no such."""
    shares = [value for value in row or [] if value is not None and 0 <= value <= 1]
    return shares if len(shares) == len(row or []) else []


def _names(subject: Subject, count: int) -> list[str]:
    recorded = subject.record.get(JUDGE)
    names = recorded.get("classes") if isinstance(recorded, dict) else None
    if isinstance(names, list) and len(names) == count:
        return [str(name) for name in names]
    return [str(index) for index in range(count)]


def _nearest(subject: Subject) -> Iterator[Piece]:
    """Generated samples beside training samples, where a finished run has drawn them."""
    file = subject.folder / NEAREST
    if file.exists():
        note = (
            "Generated samples above the training samples whose features are nearest to theirs: "
            "those of all judged ones that are nearest. Where both are the same but for noise, the "
            "generator has learnt training samples by heart."
        )
        yield picture("Nearest training samples", note, file, subject.folder)
