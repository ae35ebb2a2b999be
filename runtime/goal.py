"""What decides which state of a run is the best, and when it no longer gets better."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A figure of the validation samples."""

    figure: str
    higher_is_better: bool

    def better(self, value: float, best: float | None, by: float = 0.0) -> bool:
        """Whether a value beats the best so far, by more than `by` of its units.

        NaN and infinity, which checkpoints don't hold, are never better.
        """
        if best is None or not math.isfinite(value):
            return math.isfinite(value)
        return value > best + by if self.higher_is_better else value < best - by


@dataclass(frozen=True)
class Patience:
    """Ends a run after so many measurements that were not better by more than `min_delta`."""

    goal: Goal
    measurements: int
    min_delta: float
