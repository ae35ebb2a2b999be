"""Runs side by side: what their specs differ in, how far they came and how well they did.

Torch-free. read.py reads a run, settings.py finds what differs, table.py
and plot.py show it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..side_by_side import best_of
from .read import Run, read
from .settings import ABSENT, Difference, differences

SAMPLES = re.compile(r"data\.(source|split)\b|data\.fields\b(?!.*\baugment\b)")
"""Settings that decide of which samples the figures are, and in which units."""

JUDGING = re.compile(r"objective\b(?!.*\b(metrics|predict|stream|sample)\b)")
"""Settings that decide what a loss means."""

SHOWN_APART = ("device", "precision")
"""Decisions that every comparison shows, the same or not."""

Kind = Literal["best", "last", "test"]


@dataclass(frozen=True)
class Figure:
    """One figure of all runs.

    kind: `best` and `last` of a run's validations; `test`, measured at its end.
    values: one for each run, None where it has none.
    best: the numbers of the runs with the best value; empty where no value is better.
    """

    kind: Kind
    name: str
    values: tuple[float | None, ...]
    best: frozenset[int]


@dataclass(frozen=True)
class Comparison:
    """Several runs.

    labels: the shortest ends of their folders' paths that tell them apart.
    settings: what is not the same in all of them. notes: what limits the comparison.
    """

    runs: tuple[Run, ...]
    labels: tuple[str, ...]
    settings: tuple[Difference, ...]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]


def compare(folders: Sequence[Path]) -> Comparison:
    """Set runs side by side.

    Args:
        folders: of runs, finished or not; one that is named twice is taken once.
    Raises: NetwrightError: R901: one is no run, or its record is damaged.
    """
    folders = list({folder.resolve(): folder for folder in folders}.values())
    runs = tuple(read(folder) for folder in folders)
    labels, settings = _labels(folders), tuple(_settings(runs))
    figures = tuple(_figures(runs, settings))
    return Comparison(runs, labels, settings, figures, tuple(_notes(runs, labels, settings)))


def _labels(folders: Sequence[Path]) -> tuple[str, ...]:
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        labels = ["/".join(part[-length:]) for part in parts]
        if len(set(labels)) == len(labels):
            break
    return tuple(labels)


# What differs


def _settings(runs: Sequence[Run]) -> Iterator[Difference]:
    """What differs between the specs, then between what the runs recorded."""
    known = [run.settings for run in runs if run.settings]
    for found in differences(known) if known else []:
        values = iter(found.values)
        yield Difference(
            found.path, tuple(next(values) if run.settings else ABSENT for run in runs)
        )
    yield from _recorded("data folder", [run.data for run in runs])
    for prefix, maps in (
        ("plan", [_without(run.decisions, SHOWN_APART) for run in runs]),
        ("versions", [run.versions for run in runs]),
    ):
        for name in dict.fromkeys(name for values in maps for name in values):
            yield from _recorded(f"{prefix}.{name}", [values.get(name, ABSENT) for values in maps])


def _without(values: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in names}


def _recorded(title: str, values: Sequence[Any]) -> Iterator[Difference]:
    """A difference, unless all that is said is that one run recorded it and another did not."""
    if len(set(values) - {ABSENT}) > 1:
        yield Difference(title, tuple(values))


# Figures


def _figures(runs: Sequence[Run], settings: Sequence[Difference]) -> Iterator[Figure]:
    directions = _directions(runs)
    if any(JUDGING.match(difference.path) for difference in settings):
        named = {name for run in runs for name in run.figures}
        directions = {name: higher for name, higher in directions.items() if name in named}
    for kind, columns in _columns(runs).items():
        for name in dict.fromkeys(name for figures in columns for name in figures):
            values = tuple(figures.get(name) for figures in columns)
            yield Figure(kind, name, values, best_of(values, directions.get(name)))


def _columns(runs: Sequence[Run]) -> dict[Kind, list[Mapping[str, float | None]]]:
    """Kind -> the figures of each run."""
    return {
        "best": [{name: span.best for name, span in run.validation.items()} for run in runs],
        "last": [{name: span.last for name, span in run.validation.items()} for run in runs],
        "test": [dict(run.test) for run in runs],
    }


def _directions(runs: Sequence[Run]) -> dict[str, bool]:
    """Figure -> whether higher is better, where the specs agree on it."""
    found: dict[str, set[bool]] = {}
    for run in runs:
        for name, higher in run.higher.items():
            found.setdefault(name, set()).add(higher)
    return {name: higher.pop() for name, higher in found.items() if len(higher) == 1}


# Notes


def _notes(
    runs: Sequence[Run], labels: Sequence[str], settings: Sequence[Difference]
) -> Iterator[str]:
    for run, label in zip(runs, labels, strict=True):
        yield from (f"{label}: {note}" for note in run.notes)
    paths = [difference.path for difference in settings]
    other = [path for path in paths if SAMPLES.match(path)]
    if other:
        yield f"the runs' figures may be of other samples or units: {other[0]} differs"
    if any(JUDGING.match(path) for path in paths):
        yield "no loss is marked as the best, since the runs' objectives differ"


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison for machines; a setting that a spec lacks is left out of `values`."""
    labels = comparison.labels
    return {
        "runs": {label: _run_json(run) for label, run in zip(labels, comparison.runs, strict=True)},
        "settings": [
            {
                "path": difference.path,
                "values": {
                    label: value
                    for label, value in zip(labels, difference.values, strict=True)
                    if value is not ABSENT
                },
            }
            for difference in comparison.settings
        ],
        "figures": [
            {
                "kind": figure.kind,
                "name": figure.name,
                "values": dict(zip(labels, figure.values, strict=True)),
                "best": [labels[index] for index in sorted(figure.best)],
            }
            for figure in comparison.figures
        ],
        "notes": list(comparison.notes),
    }


def _run_json(run: Run) -> dict[str, Any]:
    return {
        "folder": str(run.folder),
        "name": run.name,
        "status": run.status,
        "ended": str(run.outcome),
        "parameters": run.parameters,
        "trained": run.trained,
        "epoch": run.epoch,
        "epochs": run.total_epochs,
        "step": run.step,
        "steps": run.total_steps,
        "device": run.device,
        "precision": run.precision,
        "seconds": run.seconds,
        "samples_per_second": run.rate,
    }
