"""`samples.jsonl`: what a network makes while it is trained, for people to look at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .files import writing
from .history import cut_records, read_lines
from .runs import SAMPLES

if TYPE_CHECKING:
    from .objectives.base import Objective


class Samples:
    """Takes and records the samples of one run; an objective without any leaves no file."""

    def __init__(self, run: Path, objective: Objective) -> None:
        self._path, self._objective = run / SAMPLES, objective

    def take(self, step: int, weights: AbstractContextManager[None]) -> Iterator[str]:
        """Let the networks make samples, write them down, and tell them in lines.

        weights: within it, the networks hold those that are used.
        Raises: NetwrightError: R903.
        """
        with weights:
            texts = self._objective.samples(step)
        if not texts:
            return
        record = json.dumps({"step": step, "texts": texts}, ensure_ascii=False)
        with writing(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(record + "\n")
        for text in texts:
            yield f"at step {step}:\n" + "\n".join(f"  {line}" for line in text.splitlines())

    def cut(self, step: int) -> int:
        """See `cut_records`."""
        return cut_records(self._path, _is_whole, step) if self._path.exists() else 0


def read_samples(run: Path) -> list[dict[str, Any]]:
    """The records of a run, in order: `step`, and `texts`."""
    return [record for record in read_lines(run / SAMPLES) if _is_whole(record)]


def _is_whole(record: dict[str, Any]) -> bool:
    texts = record.get("texts")
    said = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
    return said and isinstance(record.get("step"), int)
