"""One pass over the values of a column, piece by piece: their range and their mistakes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import Column, Indices


@dataclass
class Wrong:
    """Values of one kind that should not be there: the first of them, and how many there are.

    index: of the sample. place: in it.
    """

    index: int
    place: tuple[int, ...]
    value: float
    count: int = 0


@dataclass
class Scan:
    """What a pass found.

    low, high: of the finite values; inf and -inf where there are none.
    infinite: NaN or infinity. outside: values beyond the interval and not ignored.
    counts: [K] how often each label below K occurs, where labels were counted.
    """

    low: float = math.inf
    high: float = -math.inf
    infinite: Wrong | None = None
    outside: Wrong | None = None
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


def scan(
    column: Column,
    interval: tuple[float, float] | None = None,
    *,
    ignored: frozenset[int] = frozenset(),
    labels: int = 0,
) -> Scan:
    """Look at every value once, padding left out.

    Args:
        interval: where values may lie. ignored: values that may lie anywhere.
        labels: count the integers from 0 to below this.
    """
    found = Scan(counts=np.zeros(labels, np.int64))
    for places, values in column.elements():
        if values.size == 0:
            continue
        finite = _finite(found, places, values)
        if finite.size:
            found.low = min(found.low, finite.min().item())
            found.high = max(found.high, finite.max().item())
        if interval is not None:
            _outside(found, places, values, interval, ignored)
        if labels:
            found.counts += _counted(values, labels)
    return found


def _finite(found: Scan, places: Indices, values: NDArray[Any]) -> NDArray[Any]:
    """The finite values of a chunk; notes the others."""
    if values.dtype.kind != "f":
        return values
    finite = np.isfinite(values)
    if finite.all():
        return values
    found.infinite = _noted(found.infinite, places, values, ~finite)
    kept: NDArray[Any] = values[finite]
    return kept


def _outside(
    found: Scan,
    places: Indices,
    values: NDArray[Any],
    interval: tuple[float, float],
    ignored: frozenset[int],
) -> None:
    low, high = interval
    if values.min() >= low and values.max() <= high:
        return
    wrong = (values < low) | (values > high)
    for label in ignored:
        wrong &= values != label
    if wrong.any():
        found.outside = _noted(found.outside, places, values, wrong)


def _noted(
    known: Wrong | None, places: Indices, values: NDArray[Any], wrong: NDArray[np.bool_]
) -> Wrong:
    if known is None:
        first, *within = (int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))
        sample, *step = places[first].tolist()
        known = Wrong(sample, (*step, *within), values[(first, *within)].item())
    known.count += int(wrong.sum())
    return known


def _counted(values: NDArray[Any], labels: int) -> NDArray[np.int64]:
    known = values[(values >= 0) & (values < labels)]
    return np.bincount(known.astype(np.int64, copy=False), minlength=labels)
