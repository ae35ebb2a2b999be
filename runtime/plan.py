"""How steps are executed: what was decided, why, and by whom. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .files import read_json, write_json
from .runs import PLAN

if TYPE_CHECKING:
    import torch

Kind = Literal["cpu", "cuda"]
By = Literal["spec", "netwright", "measured"]
Data = Literal["device", "loader"]
MemoryFormat = Literal["contiguous", "channels_last", "channels_last_3d"]
Precision = Literal["fp32", "tf32", "bf16", "fp16"]
Form = Literal["fused", "foreach", "plain"]
What = Literal[
    "precision",
    "deterministic",
    "memory_format",
    "data",
    "workers",
    "optimizer",
    "compile",
    "graphs",
]
"""Every field of `Choices`."""

FORMAT = 1

BY_WORDS: Mapping[By, str] = {"spec": "spec", "netwright": "rule", "measured": "measured"}
"""Who decided, as the table for people says it."""


class Decision(BaseModel):
    """One decision. by: who took it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: What
    value: str
    why: str
    by: By


class Timing(BaseModel):
    """What a candidate took. milliseconds: the median of a step; null where it can't work here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: What
    value: str
    milliseconds: float | None
    note: str = ""


class Choices(BaseModel):
    """The values of a plan.

    workers: processes of the loader. memory_format: of images, or of volumes. deterministic: only
    kernels that give the same bits each time. compile: steps run through torch.compile.
    graphs: a step is recorded once and replayed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    precision: Precision = "fp32"
    deterministic: bool = False
    memory_format: MemoryFormat = "contiguous"
    data: Data = "device"
    workers: int = Field(default=0, ge=0, le=256)
    optimizer: Form | None = None
    compile: bool = False
    graphs: bool = False


class Plan(Choices):
    """How steps are executed. device: `cpu` or `cuda`. timings: of a plan that was measured."""

    device: Kind = "cpu"
    decisions: tuple[Decision, ...] = ()
    timings: tuple[Timing, ...] = ()

    @classmethod
    def of(cls, device: Kind, decisions: list[Decision], timings: list[Timing]) -> Plan:
        """The plan that decisions make; each value is parsed from its text.

        Raises: ValidationError: a value is none of those that there are.
        """
        values: dict[str, Any] = {decision.what: decision.value for decision in decisions}
        return cls(**values, device=device, decisions=tuple(decisions), timings=tuple(timings))

    def changed(self, decision: Decision) -> Plan:
        """The plan with another decision in the place of the one that it has."""
        decisions = [decision if d.what == decision.what else d for d in self.decisions]
        return Plan.of(self.device, decisions, list(self.timings))

    @property
    def layout(self) -> torch.memory_format:
        """The memory format as torch names it."""
        import torch

        names = {"contiguous": "contiguous_format"}
        found: torch.memory_format = getattr(
            torch, names.get(self.memory_format, self.memory_format)
        )
        return found

    @property
    def reads_numbers(self) -> bool:
        """Whether a step must read its scheduled numbers from tensors."""
        return self.compile or self.graphs

    def workers_of(self, home: str) -> int:
        """The processes that bring batches of data at home in one way or the other."""
        return self.workers if home == "loader" else 0

    def record(self) -> dict[str, Any]:
        """What `plan.json` holds."""
        return {
            "format": FORMAT,
            "device": self.device,
            "decisions": [decision.model_dump() for decision in self.decisions],
            "timings": [timing.model_dump() for timing in self.timings],
        }

    def write(self, run: Path) -> None:
        """Raises: NetwrightError: R903."""
        write_json(run / PLAN, self.record())


class DamagedPlan(Exception):  # noqa: N818 - a finding; who reads a plan decides what follows
    """A `plan.json` that does not hold a plan."""


class _File(BaseModel):
    """What `plan.json` holds, whoever wrote it."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[1]
    device: Kind
    decisions: list[Decision]
    timings: list[Timing] = Field(default=[])


def parse_plan(record: object) -> Plan:
    """The plan of a record. Raises: DamagedPlan."""
    try:
        file = _File.model_validate(record)
        plan = Plan.of(file.device, file.decisions, file.timings)
    except ValidationError as error:
        raise DamagedPlan(_first_mistake(error)) from error
    decided = sorted(decision.what for decision in plan.decisions)
    if decided != sorted(Choices.model_fields):
        raise DamagedPlan("it does not decide everything once")
    return plan


def read_plan(run: Path) -> Plan:
    """The plan that a run began with. Raises: DamagedPlan: it is missing or damaged."""
    try:
        record = read_json(run / PLAN)
    except FileNotFoundError as error:
        raise DamagedPlan("it is missing") from error
    except (OSError, ValueError) as error:
        raise DamagedPlan(f"it is not readable: {error}") from error
    return parse_plan(record)


def _first_mistake(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"


def table(plan: Plan) -> list[str]:
    """The plan for people: what was decided, by whom, and why."""
    rows = [("what", "value", "by", "why")]
    rows += [(d.what, d.value, BY_WORDS[d.by], d.why) for d in plan.decisions]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [
        "  ".join([*(cell.ljust(w) for cell, w in zip(row[:3], widths, strict=True)), row[3]])
        for row in rows
    ]
