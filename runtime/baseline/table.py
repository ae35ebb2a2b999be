"""Baselines for a terminal: one column a model, the network's at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from ..side_by_side import Group, Row, Sheet, best_of, figure_row, print_sheet, time_text
from .baselines import Baselines


def print_baselines(found: Baselines, stream: IO[str]) -> None:
    """Print the figures, as wide as the stream's terminal; 80 letters where it is none."""
    labels = [model.name for model in found.models]
    labels += [f"network {found.network.folder.name}"] if found.network else []
    groups = tuple(_groups(found))
    print_sheet(Sheet(tuple(labels), groups, "the best of all", found.notes), stream)


def _groups(found: Baselines) -> Iterator[Group]:
    """The test figures, then the times."""
    columns = [model.figures for model in found.models]
    seconds: list[float | None] = [model.seconds for model in found.models]
    if found.network:
        columns.append(found.network.figures)
        seconds.append(found.network.seconds)
    rows = []
    for name, higher in found.higher.items():
        values = [figures.get(name) for figures in columns]
        rows.append(figure_row(name, values, best_of(values, higher)))
    yield Group(f"{found.tested:,} test samples of {found.name}", tuple(rows))
    yield Group("training", (Row("time", tuple(map(time_text, seconds))),))
