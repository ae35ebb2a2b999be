"""Naive forecasts of a time series: what any other one has to beat. Torch-free.

Source: Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 5.2: the naive and the
seasonal naive method.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiler.objectives.series_source import Series

Array = NDArray[Any]


@dataclass(frozen=True)
class Naive:
    """Repeats the last values of the past. season: how many of them; places: their columns."""

    season: int
    places: tuple[int, ...]

    @property
    def title(self) -> str:
        """What tables call it."""
        return "last value" if self.season == 1 else f"last {self.season} values"

    def __call__(self, past: Array, horizon: int) -> Array:
        """past: [N, window, C] with window >= season. Returns: [N, horizon, forecast columns]."""
        steps = past.shape[1] - self.season + np.arange(horizon) % self.season
        forecast: Array = past[:, steps][:, :, list(self.places)]
        return forecast


def naive_forecasts(source: object) -> Iterator[Naive]:
    """The forecasts that can be made of a source: of the last value, and of the last season."""
    if not isinstance(source, Series) or not set(source.targets) <= set(source.columns):
        return
    places = tuple(source.columns.index(name) for name in source.targets)
    for season in dict.fromkeys((1, source.season or 1)):
        yield Naive(season, places)
