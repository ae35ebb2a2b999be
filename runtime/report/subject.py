"""What a run's folder holds, as far as it can be read. Torch-free.

A run may be unfinished, made by an older version, or damaged in parts: whatever can't be read is
left out with its reason, and the rest is shown. Only a folder that is no run is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    ValidationError,
)

from ...compiler.diagnostics import NetwrightError
from ...compiler.driver import Compilation
from .. import checkpoint
from ..files import read_json
from ..gradient_log import read_gradients
from ..history import Record, read_history
from ..opening import open_run
from ..outcome import OUTCOME, Outcome, readable_outcome
from ..runs import PLAN, RUN, SPEC, SUMMARY, read_run
from .section import reason

LAST = 2**53
"""Steps and epochs beyond this are no counts: a float would not hold them."""

Model = TypeVar("Model", bound=BaseModel)


class Summary(BaseModel):
    """summary.json, which a finished run has."""

    model_config = ConfigDict(allow_inf_nan=False)

    step: int
    chosen: str
    total_steps: int
    seconds: float
    metrics: dict[str, dict[str, float | None]]
    confusion: list[list[NonNegativeInt]] | None = None
    details: dict[str, list[float | None]] = Field(default={})

    @property
    def main_part(self) -> str | None:
        """The part whose figures count: what neither trained nor chose."""
        return next((part for part in ("test", "validation") if part in self.metrics), None)


class Decision(BaseModel):
    """One line of plan.json. by: a key of `plan.BY_WORDS`."""

    what: str
    value: str | int | float | bool | None
    why: str = ""
    by: str = ""


class Plan(BaseModel):
    """plan.json."""

    format: Literal[1]
    decisions: list[Decision] = Field(default=[])


@dataclass(frozen=True)
class Subject:
    """A run to report on.

    outcome: how it came to its end.
    history, gradients: records of metrics.jsonl and gradients.jsonl, their steps ascending.
    compilation: of its spec; None where that can't be compiled here.
    problems: name of a file -> why it is not used, of files that exist and can't be.
    data_dir, device, plugins: what the caller asked for; None for what run.json says.
    """

    folder: Path
    record: Mapping[str, Any]
    outcome: Outcome
    history: list[Record]
    gradients: list[Record]
    plan: Plan | None
    summary: Summary | None
    spec_text: str | None
    compilation: Compilation | None
    problems: Mapping[str, str]
    data_dir: Path | None = None
    device: str | None = None
    plugins: tuple[Path, ...] = field(default=())

    @property
    def name(self) -> str:
        return str(self.record.get("name") or self.folder.name)

    def why(self, file: str, otherwise: str = "") -> str:
        """Why a file is not used: what is wrong with it, or that it is not there."""
        return self.problems.get(file, otherwise or f"the run has no `{file}`")

    @property
    def finished(self) -> bool:
        """Whether training came to its end, and was measured."""
        return self.summary is not None

    @property
    def last_step(self) -> int:
        """The optimizer steps that are known to be done."""
        recorded: list[int] = [record["step"] for record in self.history]
        return max([0, *recorded, *checkpoint.steps(self.folder)[:1]])

    @property
    def tested_step(self) -> int | None:
        """The step of the checkpoint that the report looks into; None where there is none."""
        if self.summary:
            return self.summary.step
        return next(iter(checkpoint.steps(self.folder)), None)

    @property
    def total_steps(self) -> int | None:
        """The optimizer steps that were planned; None where nothing tells."""
        return self.summary.total_steps if self.summary else self.outcome.total_steps

    @property
    def data_folder(self) -> Path:
        """What the data's paths are relative to."""
        recorded = self.record.get("data")
        return self.data_dir or (Path(recorded) if isinstance(recorded, str) else self.folder)

    @property
    def began(self) -> datetime | None:
        """When the run began, in UTC; None where no version recorded it."""
        try:
            return datetime.fromisoformat(str(self.record.get("began"))).astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    @property
    def dated(self) -> datetime:
        """The date of run.json, which is written once, when a run begins."""
        return datetime.fromtimestamp((self.folder / RUN).stat().st_mtime, UTC)


def read_subject(
    folder: Path,
    data_dir: Path | None = None,
    device: str | None = None,
    plugins: tuple[Path, ...] = (),
) -> Subject:
    """Read a run.

    Raises: NetwrightError: R901: the folder is no run, or run.json is damaged.
    """
    record, problems = read_run(folder), dict[str, str]()
    outcome, problem = readable_outcome(folder)
    problems |= {OUTCOME: problem} if problem else {}
    return Subject(
        folder=folder,
        record=record,
        outcome=outcome,
        history=[_sound(record) for record in _in_order(read_history(folder))],
        gradients=_in_order(read_gradients(folder)),
        plan=_model(folder / PLAN, Plan, problems),
        summary=_model(folder / SUMMARY, Summary, problems),
        spec_text=_text(folder / SPEC, problems),
        compilation=_compilation(folder, problems),
        problems=problems,
        data_dir=data_dir,
        device=device,
        plugins=plugins,
    )


def _model(path: Path, kind: type[Model], problems: dict[str, str]) -> Model | None:
    """A file of JSON as its model; None where it is missing or, with its reason, damaged."""

    def read() -> Model:
        return kind.model_validate(read_json(path))

    return _attempt(path, read, problems)


def _text(path: Path, problems: dict[str, str]) -> str | None:
    return _attempt(path, lambda: path.read_text(encoding="utf-8", errors="replace"), problems)


Found = TypeVar("Found")


def _attempt(path: Path, read: Callable[[], Found], problems: dict[str, str]) -> Found | None:
    if not path.is_file():
        return None
    try:
        return read()
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "its top"
        problems[path.name] = f"`{path.name}` is damaged at {place}: {first['msg']}"
    except (OSError, ValueError) as error:
        problems[path.name] = f"`{path.name}` can't be read: {error}"
    return None


def _compilation(folder: Path, problems: dict[str, str]) -> Compilation | None:
    """The run's spec, compiled, if it is still the one that was trained."""
    try:
        return open_run(folder)
    except NetwrightError as error:
        problems[SPEC] = f"the run's spec can't be compiled here ({reason(error)})"
        return None


def _in_order(records: Sequence[Record]) -> list[Record]:
    """Records by their steps, each step once, as a run writes them that nobody touched."""
    known = {r["step"]: r for r in records if 0 <= r["step"] < LAST and r.get("epoch", 0) < LAST}
    return [known[step] for step in sorted(known)]


def _sound(record: Record) -> Record:
    """A record whose figures are finite numbers or None, whatever stands in the file."""
    cleaned = {part: {str(k): number(v) for k, v in record[part].items()} for part in _PARTS}
    return {**record, **cleaned, "lr": number(record["lr"])}


_PARTS = ("train", "validation")


def number(value: object) -> float | None:
    """A finite number, or None."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if abs(value) < 1e300 else None
