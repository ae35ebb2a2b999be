"""`metrics.jsonl`: a line of JSON for each record, readable while the run goes on. Torch-free.

A record is written where an epoch or the run ends and where validation samples are measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
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

    def cut(self, step: int) -> None:
        """Drop what was recorded after a step, since it will be recorded again."""
        kept = [json.dumps(r) + "\n" for r in read_history(self._path.parent) if r["step"] <= step]
        write_text(self._path, "".join(kept))


def rounded(figures: Mapping[str, float]) -> dict[str, float | None]:
    """Figures for JSON, which has no NaN: a figure without a value is null."""
    return {
        name: float(f"{value:.6g}") if math.isfinite(value) else None
        for name, value in figures.items()
    }


def read_history(run: Path) -> list[Record]:
    """The records of a run, in order; a last line that was cut short is left out."""
    return [record for record in read_lines(run / METRICS) if _is_whole(record)]


def read_lines(path: Path) -> list[Record]:
    """The JSON objects in a file's lines; a missing file has none, other lines are left out."""
    if not path.is_file():
        return []
    records: list[Record] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def _is_whole(record: Record) -> bool:
    """Whether a line holds what those who read records rely on."""
    counted = all(isinstance(record.get(key), int) for key in ("step", "epoch"))
    figures = all(_is_figures(record.get(key)) for key in ("train", "validation"))
    return counted and figures and isinstance(record.get("lr"), float)


def _is_figures(found: object) -> bool:
    return isinstance(found, dict) and all(
        value is None or isinstance(value, float | int) for value in found.values()
    )
