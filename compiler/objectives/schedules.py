"""Settings that change during training: any number, and the learning rate."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar, Literal

from pydantic import Field

from .section import Section


class Schedule(Section):
    """A number that moves from `start` to `end` over `steps` optimizer steps and then stays.

    A plain number is the schedule that never moves. Limits hold for both ends, but a learning rate
    may begin or end at 0. Both ends of an exponential curve must be above 0.
    """

    title: ClassVar[str] = "a schedule"
    expects: ClassVar[str] = "a number or a schedule `{start, end, steps}`"

    start: float = Field(description="The value at the first step.")
    end: float = Field(description="The value from step `steps` on.")
    steps: int = Field(ge=1, description="How many optimizer steps the change takes.")
    curve: Literal["linear", "cosine", "exponential"] = Field(
        default="linear",
        description="linear: evenly; cosine: slow at both ends; exponential: by equal ratios.",
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        if isinstance(data, int | float) and not isinstance(data, bool):
            return {"start": data, "end": data, "steps": 1}
        return super().desugar(data)

    @classmethod
    def constant(cls, value: float) -> Schedule:
        return cls(start=value, end=value, steps=1)

    @property
    def is_constant(self) -> bool:
        return self.start == self.end

    def problem(self) -> str | None:
        """Why the settings do not go together, or None."""
        if self.curve == "exponential" and min(self.start, self.end) <= 0:
            return (
                "an exponential schedule expects `start` and `end` above 0, "
                f"found {self.start:g} and {self.end:g}"
            )
        return None

    def at(self, step: int) -> float:
        """The value for an optimizer step; the first step is 0."""
        if self.is_constant:
            return self.start
        done = min(max(step / self.steps, 0.0), 1.0)
        if self.curve == "exponential":
            return float(self.start * (self.end / self.start) ** done)
        if self.curve == "cosine":
            done = (1 - math.cos(math.pi * done)) / 2
        return self.start + (self.end - self.start) * done


class Lazy(Schedule):
    """A weight that counts at each `every`-th step alone, and as many times as much there.

    Source: Karras et al. 2020, section 3.1, lazy regularization.
    """

    every: int = Field(ge=1, description="Steps from one to the next.")

    @classmethod
    def of(cls, weight: Schedule, every: int) -> Schedule:
        """The same weight, lazily; itself where every step counts."""
        return weight if every == 1 else cls(**dict(weight), every=every)

    @property
    def is_constant(self) -> bool:
        return False

    def at(self, step: int) -> float:
        """The value for an optimizer step; 0 where it is left out."""
        return 0.0 if step % self.every else self.every * self._whole(step)

    def _whole(self, step: int) -> float:
        return self.start if self.start == self.end else super().at(step)


class LearningRateSchedule(Section):
    """A factor on the optimizer's `lr`, as a function of the step."""

    name: ClassVar[str]

    @abstractmethod
    def factor(self, step: int, total_steps: int) -> float:
        """The factor for one optimizer step.

        Args:
            step: 0 <= step < total_steps.
            total_steps: how many steps the whole run has, at least 1.
        Returns: a number of at least 0 that the optimizer's `lr` is multiplied with.
        """


def _warm_up(step: int, warmup: int) -> float:
    """Rises evenly to 1, which the last warm-up step reaches."""
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


class Constant(LearningRateSchedule):
    """The same learning rate throughout, after an optional warm-up."""

    name: ClassVar[str] = "constant"
    title: ClassVar[str] = "the schedule `constant`"

    warmup: int = Field(
        default=0, ge=0, description="Steps over which the rate rises evenly from 0."
    )

    def factor(self, step: int, total_steps: int) -> float:
        return _warm_up(step, self.warmup)


class Cosine(LearningRateSchedule):
    """Warm up, then fall along half a cosine to `final` times the rate.

    Source: Loshchilov & Hutter 2017, equation 5, without restarts.
    """

    name: ClassVar[str] = "cosine"
    title: ClassVar[str] = "the schedule `cosine`"

    warmup: int = Field(
        default=0, ge=0, description="Steps over which the rate rises evenly from 0."
    )
    final: float = Field(
        default=0.0, ge=0, le=1, description="What is left of the rate at the end, as a fraction."
    )

    def factor(self, step: int, total_steps: int) -> float:
        if step < self.warmup:
            return _warm_up(step, self.warmup)
        done = min(1.0, (step - self.warmup) / max(1, total_steps - self.warmup))
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2


class Step(LearningRateSchedule):
    """Multiply the rate by `gamma` after every `every` steps, as torch's StepLR."""

    name: ClassVar[str] = "step"
    title: ClassVar[str] = "the schedule `step`"

    every: int = Field(ge=1, description="Optimizer steps between two drops of the rate.")
    gamma: float = Field(default=0.1, gt=0, le=1, description="The factor of each drop.")
    warmup: int = Field(
        default=0, ge=0, description="Steps over which the rate rises evenly from 0."
    )

    def factor(self, step: int, total_steps: int) -> float:
        return float(_warm_up(step, self.warmup) * self.gamma ** (step // self.every))


class OneCycle(LearningRateSchedule):
    """Rise to the optimizer's `lr` along a cosine, then fall far below where it began.

    The optimizer's momentum stays as it is.
    Source: Smith & Topin 2018, as in torch's OneCycleLR with two phases and cosine annealing.
    """

    name: ClassVar[str] = "one_cycle"
    title: ClassVar[str] = "the schedule `one_cycle`"

    warmup_fraction: float = Field(
        default=0.3, ge=0, le=1, description="The part of all steps that the rise takes."
    )
    div_factor: float = Field(
        default=25.0, ge=1, description="The first rate is `lr` divided by this."
    )
    final_div_factor: float = Field(
        default=1e4, ge=1, description="The last rate is the first one divided by this."
    )

    def factor(self, step: int, total_steps: int) -> float:
        first = 1 / self.div_factor
        last = first / self.final_div_factor
        peak = self.warmup_fraction * total_steps - 1
        if step <= peak:
            return _cosine_between(first, 1.0, step / peak if peak > 0 else 1.0)
        return _cosine_between(1.0, last, (step - peak) / (total_steps - 1 - peak))


def _cosine_between(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(done, 1.0))) / 2


LR_SCHEDULES: dict[str, type[LearningRateSchedule]] = {
    cls.name: cls for cls in (Constant, Cosine, Step, OneCycle)
}
