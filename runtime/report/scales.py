"""Axes of charts: from numbers to places, and the round numbers to name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

WIDE = 30
"""A positive quantity that spans more than this factor is drawn on a logarithmic axis."""


@dataclass(frozen=True)
class Axis:
    """An interval of numbers, low < high, drawn evenly or by their logarithms.

    whole: what stands on it is counted, so that only whole numbers are named.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def place(self, value: float) -> float:
        """Where a number stands: 0 at `low`, 1 at `high`."""
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            return (math.log10(max(value, self.low)) - low) / (high - low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, most: int = 5) -> list[float]:
        """Round numbers inside the interval, ascending."""
        found = _log_ticks(self, most) if self.log else _even_ticks(self.low, self.high, most)
        return [tick for tick in found if tick == round(tick)] if self.whole else found


def axis_of(
    values: Iterable[float], *, floor: float | None = None, may_be_log: bool = False
) -> Axis:
    """An axis that shows every value, with a little room.

    Args:
        values: finite ones; none at all give the axis from 0 to 1.
        floor: where the axis shall begin unless values lie below.
        may_be_log: use logarithms where all values are above 0 and span more than `WIDE`.
    """
    shown = list(values) or [0.0, 1.0]
    low, high = min(shown), max(shown)
    if may_be_log and low > 0 and high > WIDE * low:
        return Axis(low / 1.15, high * 1.15, log=True)
    if floor is not None and low >= floor:
        return Axis(floor, floor + 1.06 * (high - floor) if high > floor else floor + 1.0)
    room = 0.06 * (high - low) or 0.06 * abs(high) or 0.5
    return Axis(low - room, high + room)


def count_axis(values: Iterable[float]) -> Axis:
    """An axis for epochs or steps, ascending: from the first to the last."""
    shown = list(values)
    low, high = shown[0], shown[-1]
    room = 0.02 * (high - low) or 0.5
    return Axis(low - room, high + room, whole=True)


def _even_ticks(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def _log_ticks(axis: Axis, most: int) -> list[float]:
    for multiples in ((1, 2, 5), (1, 3), (1,)):
        found = list(_between(axis, multiples))
        if len(found) <= most:
            return found
    return found[:: -(-len(found) // most)]


def _between(axis: Axis, multiples: tuple[int, ...]) -> Iterator[float]:
    first, last = math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high))
    for exponent in range(first, last + 1):
        for multiple in multiples:
            if axis.low <= multiple * 10.0**exponent <= axis.high:
                yield multiple * 10.0**exponent
