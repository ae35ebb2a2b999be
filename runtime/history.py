"""`metrics.jsonl`: a line of JSON for each record, readable while the run goes on. Torch-free.

A record is written where an epoch or the run ends and where validation samples are measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .files import write_text, writing
from .observer import EpochEnd
from .runs import METRICS

Record = dict[str, Any]


class History:
    """Writes the records of one run."""

    def __init__(self, run: Path) -> None:
        self._path = run / METRICS

    def append(self, end: EpochEnd) -> None:
        """Raises: NetwrightError: R903."""
        record = {
            "epoch": end.epoch,
            "step": end.step,
            "train": rounded(end.losses),
            "validation": rounded(end.validation),
            "lr": end.lr,
            "samples_per_second": round(end.rate, 1),
            "seconds": round(end.seconds, 3),
            "best": end.best,
        }
        with writing(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")

    def cut(self, step: int) -> int:
        """See `cut_records`."""
        return cut_records(self._path, _is_whole, step)


def rounded(figures: Mapping[str, float]) -> dict[str, float | None]:
    """Figures for JSON, which has no NaN: a figure without a value is null."""
    return {
        name: float(f"{value:.6g}") if math.isfinite(value) else None
        for name, value in figures.items()
    }


def read_history(run: Path) -> list[Record]:
    """The records of a run, in order; a last line that was cut short is left out."""
    return [record for record in read_lines(run / METRICS) if _is_whole(record)]


def cut_records(path: Path, is_whole: Callable[[Record], bool], step: int) -> int:
    """Drop what was recorded after a step, since it will be recorded again.

    Lines that can't be read go as well.

    Returns: how many these were, but for a last line without an end: a process was killed while it
        wrote that, and so before the checkpoint that would have followed.
    Raises: NetwrightError: R903.
    """
    text = _text(path)
    lines = [line for line in text.splitlines() if line.strip()]
    records = [record if record and is_whole(record) else None for record in map(_parsed, lines)]
    kept = [json.dumps(r) + "\n" for r in records if r is not None and r["step"] <= step]
    write_text(path, "".join(kept))
    was_cut_short = bool(lines) and not text.endswith("\n") and records[-1] is None
    return records.count(None) - was_cut_short


def read_lines(path: Path) -> list[Record]:
    """The JSON objects in a file's lines; a missing file has none, other lines are left out."""
    records = map(_parsed, _text(path).splitlines())
    return [record for record in records if record is not None]


def _text(path: Path) -> str:
    """What a file holds, if it is there."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _parsed(line: str) -> Record | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _is_whole(record: Record) -> bool:
    """Whether a line holds what those who read records rely on."""
    counted = all(isinstance(record.get(key), int) for key in ("step", "epoch"))
    figures = all(_is_figures(record.get(key)) for key in ("train", "validation"))
    return counted and figures and isinstance(record.get("lr"), float)


def _is_figures(found: object) -> bool:
    return isinstance(found, dict) and all(
        value is None or isinstance(value, float | int) for value in found.values()
    )
