"""Which samples train, validate and test.

They are drawn by a seed, with the classes' shares kept; samples that follow each other in time are
cut, so that nothing is trained on what came after what is tested.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def split(
    count: int, fraction: float, seed: int, labels: NDArray[Any] | None = None
) -> tuple[Indices, Indices]:
    """Draw a part of the samples.

    The samples are shuffled, sorted by label, and taken at even distances, so that the part holds
    every class in its share to within one sample.

    Args:
        count: how many samples there are. fraction: the part to draw, 0 <= fraction < 1.
        labels: [count]; None where the samples have no classes.
    Returns: the indices that stay and those drawn, each ascending; floor(count * fraction) are
        drawn, at least one if the fraction is above 0 and two samples are there.
    """
    wanted = _wanted(count, fraction)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(count)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    steps = np.arange(count + 1, dtype=np.int64) * wanted // count
    drawn = np.diff(steps).astype(bool)
    return np.sort(order[~drawn]), np.sort(order[drawn])


def split_in_order(count: int, fraction: float) -> tuple[Indices, Indices]:
    """The first samples, and as many of the last as `split` would draw."""
    order = np.arange(count, dtype=np.int64)
    first = count - _wanted(count, fraction)
    return order[:first], order[first:]


def _wanted(count: int, fraction: float) -> int:
    return min(int(count * fraction) or int(fraction > 0), count - 1)
