"""A comparison of runs for a terminal: one column a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO

from ..side_by_side import Group, Row, Sheet, count_text, figure_row, print_sheet, time_text
from .comparison import Comparison, Kind
from .read import Run
from .settings import value_text

LONGEST = 90
"""Letters of a value; longer ones end in dots."""

KINDS: dict[Kind, str] = {
    "best": "validation, best",
    "last": "validation, last",
    "test": "test",
}


def print_comparison(comparison: Comparison, stream: IO[str]) -> None:
    """Print a comparison, as wide as the stream's terminal; 80 letters where it is none."""
    groups = tuple(_groups(comparison))
    print_sheet(Sheet(comparison.labels, groups, "the best of all runs", comparison.notes), stream)


def _groups(comparison: Comparison) -> Iterator[Group]:
    settings = tuple(
        Row(d.path, tuple(_clipped(value_text(value)) for value in d.values))
        for d in comparison.settings
    )
    yield Group("settings that differ", settings or (_same(len(comparison.runs)),))
    yield Group("run", tuple(_run_rows(comparison.runs)))
    for kind, title in KINDS.items():
        rows = tuple(
            figure_row(f.name, f.values, f.best) for f in comparison.figures if f.kind == kind
        )
        if rows:
            yield Group(title, rows)


def _same(count: int) -> Row:
    return Row("none", ("",) * count)


def _run_rows(runs: Sequence[Run]) -> Iterator[Row]:
    yield Row("state", tuple(str(run.outcome) for run in runs))
    yield Row("device", tuple(run.device for run in runs))
    yield Row("precision", tuple(run.precision for run in runs))
    yield Row("parameters", tuple(count_text(run.parameters) for run in runs))
    if any(run.trained != run.parameters for run in runs):
        yield Row("of these trained", tuple(count_text(run.trained) for run in runs))
    yield Row("epochs", tuple(_of(run.epoch, run.total_epochs) for run in runs))
    yield Row("steps", tuple(_of(run.step, run.total_steps) for run in runs))
    yield Row("time", tuple(time_text(run.seconds) for run in runs))
    yield Row("samples a second", tuple(count_text(run.rate) for run in runs))


def _of(done: int, total: int | None) -> str:
    return f"{done:,}" if total in (None, done) else f"{done:,} of {total:,}"


def _clipped(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
