"""The settings of an exponential moving average of the weights."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field as Setting

from .numbers import Range
from .schedules import Schedule
from .section import Section


class Averaging(Section):
    """Keep a moving average of the weights: measured, tested and exported instead of them.

    After each step, average = d average + (1 - d) weights. Batch-norm statistics are averaged as
    weights are; counters are copied, and tables stay as they are.
    Source: Polyak & Juditsky 1992; the warm-up is that of TensorFlow's ExponentialMovingAverage.
    """

    title: ClassVar[str] = "`ema`"
    expects: ClassVar[str] = "a number or a map"

    decay: Annotated[Schedule, Range(gt=0, lt=1, reaches=True)] = Setting(
        default=Schedule.constant(0.999),
        description="d: the part of the average that a step keeps, above 0 and below 1; one that "
        "moves may begin or end at 0.",
    )
    warmup: bool = Setting(
        default=True,
        description="Begin with a shorter memory: d is at most (1 + n) / (10 + n) after n steps.",
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        return {"decay": data} if is_number else super().desugar(data)

    def decay_at(self, step: int) -> float:
        """d for the optimizer step that makes `step` of them, step >= 1."""
        decay = self.decay.at(step - 1)
        return min(decay, (1 + step) / (10 + step)) if self.warmup else decay
