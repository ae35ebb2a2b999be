"""What the run's figures did over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..number_text import counted
from .chart import Frame, Series, finite, line_chart
from .markup import Html, element, joined, table
from .numbers import figure_text, short_text
from .scales import axis_of, count_axis
from .section import LeftOut, Piece, Section
from .subject import Subject, number

TRAIN, VALIDATION, OTHER = 0, 1, 2
"""Numbers of colours: the first two mean the same everywhere on the page."""

MOST_ROWS = 400
"""How many rows the table of figures has at most."""


@dataclass(frozen=True)
class Timeline:
    """The records of a run with their place in it: epochs, or steps where epochs have several."""

    records: Sequence[Mapping[str, Any]]
    unit: str

    @property
    def x(self) -> list[float]:
        return [float(record[self.unit]) for record in self.records]

    def values(self, part: str, name: str) -> list[float | None]:
        """A figure over time: of `train` or `validation`."""
        return [record[part].get(name) for record in self.records]

    def top(self, name: str) -> list[float | None]:
        """A number that stands beside both: the learning rate, the throughput."""
        return [number(record.get(name)) for record in self.records]

    def names(self, part: str) -> list[str]:
        """Every figure that a part ever had, in the order of their appearance."""
        return list(dict.fromkeys(name for record in self.records for name in record[part]))


def curves(subject: Subject) -> Piece:
    """Loss, each metric, learning rate and throughput."""
    if not subject.history:
        return LeftOut("Curves", "the run ended before its first epoch did")
    epochs = [record["epoch"] for record in subject.history]
    unit = "epoch" if len(set(epochs)) == len(epochs) else "step"
    line = Timeline(subject.history, unit)
    note = "" if line.names("validation") else "No validation samples were set aside."
    if len(line.records) == 1:
        note = f"{note} A single {unit} was recorded, and makes no curve.".strip()
        return Section("Curves", _figures(line, is_open=True), note)
    charts = element("div", joined(_charts(line, _mark(subject, unit))), class_="charts")
    return Section("Curves", joined([charts, _figures(line)]), note)


def _mark(subject: Subject, unit: str) -> tuple[float, str] | None:
    """Where the tested checkpoint stands, unless it is the last one."""
    summary = subject.summary
    if summary is None or summary.chosen != "best":
        return None
    place = next((r[unit] for r in subject.history if r["step"] == summary.step), None)
    return None if place is None else (float(place), "tested")


def _charts(line: Timeline, mark: tuple[float, str] | None) -> Iterator[Html]:
    trained, judged = line.names("train"), line.names("validation")
    for name in dict.fromkeys([*trained, *judged]):
        series = []
        if name in trained:
            series.append(Series("training", line.values("train", name), TRAIN))
        if name in judged:
            series.append(Series("validation", line.values("validation", name), VALIDATION))
        yield _chart(line, name, series, mark, is_loss=name in trained)
    learning = Series("last", line.top("lr"), OTHER)
    yield _chart(line, "learning rate", [learning], None, is_loss=True)
    if finite(line.top("samples_per_second")):
        speed = Series("samples/s", line.top("samples_per_second"), OTHER)
        yield _chart(line, "throughput", [speed], None, is_loss=True)


def _chart(
    line: Timeline,
    title: str,
    series: list[Series],
    mark: tuple[float, str] | None,
    *,
    is_loss: bool,
) -> Html:
    """One figure over time. is_loss: whether 0 is a meaningful floor."""
    shown = [value for one in series for value in finite(one.values)]
    may_be_log = is_loss and title not in ("learning rate", "throughput")
    y = axis_of(shown, floor=0.0 if is_loss else None, may_be_log=may_be_log)
    return line_chart(title, line.x, series, Frame(count_axis(line.x), y, line.unit), mark)


def _figures(line: Timeline, *, is_open: bool = False) -> Html:
    """Every figure as a table, folded away unless it is to be open."""
    columns = [("train", name) for name in line.names("train")]
    columns += [("validation", name) for name in line.names("validation")]
    head = [line.unit, *(f"{part} {name}" for part, name in columns), "learning rate"]
    records = line.records[:: -(-len(line.records) // MOST_ROWS)]
    rows = (
        [
            f"{record[line.unit]:,}",
            *(figure_text(record[part].get(name)) for part, name in columns),
            short_text(record["lr"]),
        ]
        for record in records
    )
    title = f"All figures: {counted(len(records), 'row')}"
    shown = table(head, rows, kind="figures")
    return element("details", element("summary", title), shown, open=is_open)
