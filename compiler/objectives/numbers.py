"""Numbers that a run may change: a plain number or a schedule, with limits for both of its ends.

    lr: Annotated[Schedule, Range(ge=0)] = Field(...)

takes `lr: 0.1`, `lr: {start: 0.1, end: 0.01, steps: 1000}` and, in Python, `lr=0.1`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import pack, unpack
from typing import Annotated, Any

from pydantic import AfterValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import (
    no_info_after_validator_function,
    no_info_before_validator_function,
)

from .schedules import Schedule

OUT_OF_RANGE = "out_of_range"
"""The kind of pydantic's error; its context has `wanted`, `found` and `end`."""

SINGLE = "a number that float32 can hold"


def fits_single(value: float) -> bool:
    """Whether float32 holds a number, rounded, as neither infinity nor 0 in place of another."""
    try:
        (stored,) = unpack("<f", pack("<f", value))
    except OverflowError:
        return False
    return bool(stored) or not value


def _single(value: float) -> float:
    if not fits_single(value):
        context = {"wanted": SINGLE, "found": value}
        raise PydanticCustomError(OUT_OF_RANGE, "expects {wanted}, found {found}", context)
    return value


IN_FLOAT32 = AfterValidator(_single)
"""Metadata of a number that tensors of float32 are made of, or meet; it stands behind limits."""


@dataclass(frozen=True)
class Range:
    """Metadata of a field with a schedule: the limits that its values must keep.

    ge, le: inclusive limits. gt, lt: exclusive ones.
    reaches: a number that moves may begin or end at `gt` itself: a rate that falls to 0.
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    reaches: bool = False

    def refuse(self, value: float, *, moves: bool = False) -> str | None:
        """What is expected of a value that lies outside, in words; None where it is inside."""
        if self.ge is not None and value < self.ge:
            return f"at least {self.ge:g}"
        if self.gt is not None and value <= self.gt and not (moves and value == self._touched):
            return f"at least {self.gt:g}" if moves and self.reaches else f"more than {self.gt:g}"
        if self.le is not None and value > self.le:
            return f"at most {self.le:g}"
        if self.lt is not None and value >= self.lt:
            return f"less than {self.lt:g}"
        return None

    @property
    def _touched(self) -> float | None:
        return self.gt if self.reaches else None

    def limits(self) -> dict[str, float]:
        """The limits of a single number in the words of JSON Schema."""
        words = {
            "minimum": self.ge,
            "exclusiveMinimum": self.gt,
            "maximum": self.le,
            "exclusiveMaximum": self.lt,
        }
        return {word: limit for word, limit in words.items() if limit is not None}

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        checked = no_info_after_validator_function(self._check, handler(source))
        return no_info_before_validator_function(_as_schedule, checked)

    def _check(self, schedule: Schedule) -> Schedule:
        moves = not schedule.is_constant
        for end, value in _ends(schedule):
            wanted = self.refuse(value, moves=moves) or (None if fits_single(value) else SINGLE)
            if wanted:
                found = int(value) if value.is_integer() and fits_single(value) else value
                context = {"wanted": wanted, "found": found, "end": end}
                raise PydanticCustomError(OUT_OF_RANGE, "expects {wanted}, found {found}", context)
        problem = schedule.problem()
        if problem:
            raise ValueError(problem)
        return schedule


def _as_schedule(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Schedule.constant(float(value)) if is_number else value


def _ends(schedule: Schedule) -> Iterator[tuple[str, float]]:
    """The values at both ends, with the key where each stands; no key for a plain number."""
    if schedule.is_constant:
        yield "", schedule.start
        return
    yield "start", schedule.start
    yield "end", schedule.end


Rate = Annotated[Schedule, Range(gt=0, reaches=True)]
"""Above 0; one that moves may begin or end at 0."""

Positive = Annotated[Schedule, Range(gt=0)]
NonNegative = Annotated[Schedule, Range(ge=0)]
Decay = Annotated[Schedule, Range(ge=0, lt=1)]
"""The part of a running average that a step keeps: 0 <= x < 1."""
