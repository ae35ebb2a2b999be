"""`training.grow`: networks that are trained stage by stage, each beginning with the one before."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field as Setting

from ..diagnostics import Code
from .problem import Problem
from .schedules import Schedule
from .section import Section

if TYPE_CHECKING:
    from .training import Training

FADE = "fade"
"""What the fade is called among the numbers and the state of an objective."""


class Rise(Schedule):
    """A schedule that begins at a step of its own."""

    begin: int = Setting(ge=0, description="The step until which it is `start`.")

    def at(self, step: int) -> float:
        """The value for an optimizer step; the first step is 0."""
        return super().at(max(0, step - self.begin))


class Fade(Section):
    """Bring in what a stage adds little by little.

    The input takes one number for each sample: 1 in the first stage; in others 0 at the first step,
    rising evenly to 1 over `steps`. Measurements and pictures use the newest; in exported programs
    it is 1, so that an export is what a stage comes to at the end of its fade.
    """

    title: ClassVar[str] = "`fade`"

    input: str = Setting(min_length=1, description="The input f32[B] of networks that takes it.")
    steps: int = Setting(ge=1, description="Optimizer steps from 0 to 1.")


class Grow(Section):
    """Train the networks of one value of a parameter after those of another.

    At each of `steps` the networks of the next value take over: they keep the tensors that have the
    same names, of the moving averages too, and draw the others. Optimizers begin anew. `best` and
    `early_stopping` look at the last stage alone, once its fade is over; it is also what is checked
    and exported unless another one is asked for. Source: Karras et al. 2018, progressive growing.
    """

    title: ClassVar[str] = "`grow`"

    param: str = Setting(min_length=1, description="The parameter that changes.")
    values: list[Any] = Setting(
        min_length=2, max_length=20, description="Its values, the one of the spec itself last."
    )
    steps: list[int] = Setting(
        min_length=1, description="The optimizer steps at which the next value takes over."
    )
    fade: Fade | None = Setting(
        default=None, description="How what is new comes in little by little; only in a `gan`."
    )

    def stage_at(self, step: int) -> int:
        """The number of the stage to which the state after `step` steps belongs."""
        return bisect_right(self.steps, step)

    def begin(self, stage: int) -> int:
        """The steps that are done when a stage begins."""
        return self.steps[stage - 1] if stage else 0

    def end(self, stage: int) -> int | None:
        """The steps that are done when a stage ends; None of the last one."""
        return self.steps[stage] if stage < len(self.steps) else None

    @property
    def last(self) -> int:
        """The number of the last stage."""
        return len(self.steps)

    def settled(self, stage: int) -> int:
        """The steps after which a stage is all there: its fade is over."""
        fade = self.fade.steps + 1 if self.fade and stage else 0
        return self.begin(stage) + fade

    def fading(self, stage: int) -> Schedule:
        """The fade of a stage."""
        if self.fade is None or stage == 0:
            return Schedule.constant(1.0)
        return Rise(start=0.0, end=1.0, steps=self.fade.steps, begin=self.begin(stage))

    def problems(self, training: Training) -> Iterator[Problem]:
        """What does not go together, by paths within the section."""
        yield from self._counts()
        yield from self._again()
        yield from self._excluded(training)
        if training.steps is None:
            yield Problem(
                Code.O502,
                "`grow` counts optimizer steps, and expects a run that does so, found "
                + (f"`epochs: {training.epochs}`" if training.epochs else "no `steps`"),
                help="give `training` its `steps`",
            )
        else:
            yield from self._order(training.steps)

    def _counts(self) -> Iterator[Problem]:
        if len(self.steps) != len(self.values) - 1:
            yield Problem(
                Code.O502,
                f"`steps` of `grow` expects one less than the {len(self.values)} `values`, found "
                f"{len(self.steps)}",
                ("steps",),
                help="name the step at which each value but the first takes over",
            )

    def _again(self) -> Iterator[Problem]:
        for index, value in enumerate(self.values):
            if value in self.values[:index]:
                yield Problem(
                    Code.O502,
                    f"`values` of `grow` expects each value once, found `{value}` again",
                    ("values", index),
                    help="remove one of them",
                )

    @staticmethod
    def _excluded(training: Training) -> Iterator[Problem]:
        if training.on_divergence.action == "rewind":
            yield Problem(
                Code.O502,
                "`grow` and `on_divergence: rewind` exclude each other, found both",
                help="remove `on_divergence`",
            )

    def _order(self, total: int) -> Iterator[Problem]:
        """Whether the stages follow each other, and each fade ends within its own."""
        for index, step in enumerate(self.steps):
            first = self.begin(index) + 1
            if not first <= step < total:
                yield Problem(
                    Code.O502,
                    f"`steps` of `grow` expects rising numbers from 1 to below the {total} steps "
                    f"of the run, found {step}" + (f" after {first - 1}" if index else ""),
                    ("steps", index),
                )
                return
        shortest = min(end - begin for begin, end in pairwise([*self.steps, total]))
        if self.fade and shortest <= self.fade.steps:
            yield Problem(
                Code.G303,
                f"`fade` expects stages of more than its {self.fade.steps} steps, found one of "
                f"{shortest}: programs are exported as they are at the end of a fade, which it "
                "would not come to",
                ("fade", "steps"),
                help="lower it, or make the stages longer",
            )
