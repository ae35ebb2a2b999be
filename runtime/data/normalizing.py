"""Which `normalize` brings the values of a field to mean 0 and deviation 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...compiler.objectives.fields import Field, Normalize
from .spelling import flow
from .statistics import Numbers

MOST_APART = 64
"""Up to this many channels or columns are normalized each by its own mean."""

NEAR = 0.05
"""How far mean and deviation may be from 0 and 1 to count as normalized."""


def is_split(shape: Sequence[int], field: Field) -> bool:
    """Whether the values have channels or columns that `normalize` may treat apart."""
    fixed = field.rank > 1 and isinstance((field.shape or ["B", "T"])[1], int)
    return fixed and 1 < shape[1] <= MOST_APART


def transformed(field: Field, found: Numbers) -> Numbers:
    """What the rule of a field makes of mean and deviation."""
    shift, factor = (np.array(values) for values in field.affine())
    squeezed = (shift[0], factor[0]) if len(shift) == 1 else (shift, factor)
    means = (found.mean - squeezed[0]) * squeezed[1]
    return Numbers(found.low, found.high, np.asarray(means), np.abs(found.std * squeezed[1]))


def fitting_normalize(field: Field, found: Numbers) -> str | None:
    """The settings of the field, `{normalize: ...}`, in the units that it wants.

    found: the values as stored.
    Returns: None where it has them already, or all values are the same.
    """
    mean, std = transformed(field, found).whole()
    if abs(mean) < NEAR and abs(std - 1) < NEAR:
        return None
    plain = field.model_copy(update={"scale": None, "normalize": Normalize(mean=[0.0], std=[1.0])})
    units = transformed(plain, found)
    if not (units.std > 0).any():
        return None
    stds = np.where(units.std > 0, units.std, 1.0)  # a constant can't be stretched
    return flow({"normalize": {"mean": _plain(units.mean), "std": _plain(stds)}})


def _plain(values: NDArray[np.float64]) -> float | list[float]:
    found: float | list[float] = values.tolist()
    return found
