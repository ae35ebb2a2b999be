"""How a run came to its end, written down in its folder, and the words for it. Torch-free.

`outcome.json` is written when training begins, as `running`, and again when it ends in whatever
way; a process that was killed could write nothing, and is known by what it wrote at its start.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..compiler.diagnostics import Code, NetwrightError, failure
from .files import read_json, write_json
from .lock import holder
from .runs import SUMMARY

OUTCOME = "outcome.json"

BEGAN = "the weights it began with"
"""What the state of step 0 is."""

How = Literal["running", "cut off", "stopped", "diverged", "gated", "early", "finished"]


class Outcome(BaseModel):
    """How far a run came, and why no further.

    how: `early` finished by early stopping; `cut off` was killed or ended by an error; `gated` did
        not come to what `stop_if` asks for.
    step: of the end: the last that was taken, or the one that gave a number that is not finite;
        None where nothing tells. total_steps: those that were planned; None likewise.
    rewinds: how often it went back before it diverged. signal: which one stopped it.
    why: what was found where it diverged, and in which layer; or by which gate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    how: How
    step: int | None = Field(default=None, ge=0)
    total_steps: int | None = Field(default=None, ge=0)
    rewinds: int = Field(default=0, ge=0)
    signal: int | None = None
    why: str = ""

    @property
    def is_finished(self) -> bool:
        """Whether all went as the spec says."""
        return self.how in ("finished", "early")

    def __str__(self) -> str:
        """What became of the run: `diverged at step 16 of 960, after 3 rewinds`."""
        if self.how == "early":
            return f"finished by early stopping{self._place()}"
        if self.how == "diverged":
            return f"diverged{self._place()}{_after(self.rewinds)}"
        if self.how == "gated":
            return f"ended by `stop_if`{self._place()}"
        if self.how == "stopped":
            return f"stopped{self._place()}{_by(self.signal)}"
        return {"running": "still training", "cut off": CUT_OFF}.get(self.how, self.how)

    @property
    def predicate(self) -> str:
        """The same as what a sentence says of the run: `was stopped at step 80 of 960`."""
        return {"stopped": "was ", "gated": "was ", "running": "is "}.get(self.how, "") + str(self)

    def limits(self, step: int) -> str | None:
        """What whoever uses the checkpoint of a step must know; None where the run finished."""
        if self.is_finished:
            return None
        code = {"diverged": " (R904)", "gated": " (R909)"}.get(self.how, "")
        return f"the run {self.predicate}{code}; this is its state of {self._state(step)}"

    def _state(self, step: int) -> str:
        if step == 0:
            return f"step 0: {BEGAN}"
        if self.how in ("stopped", "gated") and step == self.step:
            return "that step"
        told = self.how in ("stopped", "gated", "diverged") or self.total_steps is None
        return f"step {step:,}" + ("" if told else f" of {self.total_steps:,}")

    def _place(self) -> str:
        if self.step is None:
            return ""
        total = "" if self.total_steps is None else f" of {self.total_steps:,}"
        return f" at step {self.step:,}{total}"


CUT_OFF = "did not finish: it was killed, or an error ended it"


def _after(rewinds: int) -> str:
    if not rewinds:
        return ""
    return ", after a rewind" if rewinds == 1 else f", after {rewinds} rewinds"


def _by(number: int | None) -> str:
    known = [name.name for name in signal.Signals if name.value == number]
    return f", by {known[0]}" if known else ""


def write_outcome(run: Path, outcome: Outcome) -> None:
    """Raises: NetwrightError: R903."""
    write_json(run / OUTCOME, outcome.model_dump(exclude_none=True))


def note_divergence(
    run: Path, error: NetwrightError, step: int, total_steps: int, rewinds: int
) -> None:
    """Write down that a run ended in an R904, which is about to be told.

    A disk that fails now is passed over: the error that is told must not be its own.
    """
    found = error.diagnostics[0]
    why = "; ".join([found.message, *found.notes[:1]])
    outcome = Outcome(how="diverged", step=step, total_steps=total_steps, rewinds=rewinds, why=why)
    with suppress(NetwrightError):
        write_outcome(run, outcome)


def note_gate(run: Path, error: NetwrightError, step: int, total_steps: int) -> None:
    """Write down that a run ended in an R909, which is about to be told; as the one above."""
    why = error.diagnostics[0].message
    with suppress(NetwrightError):
        write_outcome(run, Outcome(how="gated", step=step, total_steps=total_steps, why=why))


def outcome_of(run: Path) -> Outcome:
    """What became of a run, by its record and by whether a process trains it.

    A run of an older version has no record: what it left tells whether it finished.

    Raises: NetwrightError: R901: the record is damaged.
    """
    known, has_summary = _recorded(run / OUTCOME), (run / SUMMARY).is_file()
    total_steps = known.total_steps if known else None
    if holder(run):
        return Outcome(how="running", total_steps=total_steps)
    if known is None:
        return Outcome(how="finished" if has_summary else "cut off")
    if known.how == "running" or (known.is_finished and not has_summary):
        return Outcome(how="cut off", total_steps=total_steps)
    return known


def readable_outcome(run: Path) -> tuple[Outcome, str]:
    """The same where nothing may fail. Returns: besides, what is wrong with its record."""
    try:
        return outcome_of(run), ""
    except NetwrightError as error:
        how: How = "finished" if (run / SUMMARY).is_file() else "cut off"
        return Outcome(how=how), error.diagnostics[0].message


def _recorded(path: Path) -> Outcome | None:
    if not path.exists():
        return None
    try:
        return Outcome.model_validate(read_json(path))
    except (OSError, ValueError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise failure(
            Code.R901,
            f"`{path}` is damaged: {first}",
            help="delete it, or write it anew with `netwright train --resume`",
        ) from error
