"""`gradients.jsonl`: the size of each parameter's gradient over a run. Torch-free to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .files import writing
from .history import cut_records, read_lines
from .runs import GRADIENTS

if TYPE_CHECKING:
    from .gradients import Norms

RECORDS = 200
"""How many records a run writes at most: measuring all gradients takes time."""


class GradientLog:
    """Writes the records of one run, at even distances."""

    def __init__(self, run: Path, total_steps: int) -> None:
        self._path = run / GRADIENTS
        self._every = -(-total_steps // RECORDS)
        self._pending: list[Norms] = []

    def due(self, step: int) -> Norms | None:
        """What measures the step that makes `step` of them, where it is to be recorded."""
        if step != 1 and step % self._every:
            return None
        from .gradients import Norms

        self._pending.append(Norms(step))
        return self._pending[-1]

    def write(self, *, forgets: bool = False) -> None:
        """Write what was measured; a process that writes nothing forgets it instead.

        Raises: NetwrightError: R903.
        """
        if forgets:
            self._pending = []
        if not self._pending:
            return
        lines = [json.dumps({"step": n.step, "norms": n.read()}) + "\n" for n in self._pending]
        self._pending = []
        with writing(self._path), self._path.open("a", encoding="utf-8") as file:
            file.writelines(lines)

    def cut(self, step: int) -> int:
        """See `cut_records`."""
        self._pending = []
        return cut_records(self._path, _is_whole, step)


def read_gradients(run: Path) -> list[dict[str, Any]]:
    """The records of a run, in order: `step`, and `norms` by parameter; None if not finite."""
    return [r for r in read_lines(run / GRADIENTS) if _is_whole(r)]


def _is_whole(record: dict[str, Any]) -> bool:
    return isinstance(record.get("step"), int) and isinstance(record.get("norms"), dict)
