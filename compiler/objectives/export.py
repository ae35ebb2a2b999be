"""The section `export`: what the bundle holds and how exact it must be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from pydantic import Field as Setting

from ..diagnostics import Code
from ..suggest import did_you_mean
from .problem import FIRST, Problem, repeats
from .section import Section

OPSETS = (18, 20, 22)
"""ONNX opsets that every operator is tested with."""

PRECISIONS = ("float32",)


class Export(Section):
    """What is exported and how exact it must be."""

    title: ClassVar[str] = "`export`"

    programs: list[str] | None = Setting(
        default=None, min_length=1, description="Which of the objective's programs; all by default."
    )
    opset: int = Setting(default=20, description="ONNX opset: 18, 20 or 22.")
    precision: str = Setting(default="float32", description="Element type of weights: float32.")
    tolerance: float = Setting(
        default=1e-4,
        gt=0,
        description="How far torch and ONNX Runtime may differ, relative to the largest output.",
    )

    def problems(self, programs: Sequence[str] | None) -> Iterator[Problem]:
        """Requests that cannot be met. programs: the objective's; None where it is not known."""
        if self.opset not in OPSETS:
            yield Problem(
                Code.X701,
                f"`opset` expects one of {', '.join(map(str, OPSETS))}, found {self.opset}",
                ("opset",),
            )
        if self.precision not in PRECISIONS:
            yield Problem(
                Code.X701,
                f"`precision` of an export can only be `float32`, found `{self.precision}`",
                ("precision",),
            )
        yield from self._wrong_programs(programs)

    def _wrong_programs(self, known: Sequence[str] | None) -> Iterator[Problem]:
        wanted = self.programs or []
        for index, name in enumerate(wanted):
            if known is not None and name not in known and name not in wanted[:index]:
                yield Problem(
                    Code.O501,
                    f"the objective has no program `{name}`",
                    ("programs", index),
                    help=did_you_mean(name, known, "program"),
                )
        for index, first in repeats(wanted):
            yield Problem(
                Code.S102,
                f"`programs` expects different programs, found `{wanted[index]}` twice",
                ("programs", index),
                also=(("programs", first), FIRST),
            )
