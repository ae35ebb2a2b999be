"""Which `normalize` brings the values of a field to mean 0 and deviation 1.

`fitting_normalize` suggests one, and `measure` finds the numbers of `normalize: training`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...compiler.objectives.field_checks import LARGEST
from ...compiler.objectives.fields import Field, Normalize, Steps
from .columns import Columns
from .spelling import flow
from .statistics import Numbers, looked_at, numbers

MOST_APART = 64
"""Up to this many channels or columns are normalized each by its own mean."""

NEAR = 0.05
"""How far mean and deviation may be from 0 and 1 to count as normalized."""


CONSTANT = 1e-9
"""A deviation below this part of the mean is what rounding leaves of a constant."""


def split_axis(shape: Sequence[int], field: Field) -> int | None:
    """The axis of the channels or columns that `normalize` may treat apart; None for none."""
    axis = field.channel_axis
    fixed = field.rank > axis and field.channels is not None and not _counts_steps(field)
    return axis if fixed and 1 < shape[axis] <= MOST_APART else None


def _counts_steps(field: Field) -> bool:
    """Whether the axis of the channels is the one along which samples differ in length."""
    return field.lengths is not None and field.channel_axis == 1


def transformed(field: Field, found: Numbers) -> Numbers:
    """What the rule of a field makes of mean and deviation."""
    shift, factor = (np.array(values) for values in field.affine())
    squeezed = (shift[0], factor[0]) if len(shift) == 1 else (shift, factor)
    means = (found.mean - squeezed[0]) * squeezed[1]
    return Numbers(found.low, found.high, np.asarray(means), np.abs(found.std * squeezed[1]))


def fitting_normalize(field: Field, found: Numbers) -> str | None:
    """The settings of the field, `{normalize: ...}`, in the units that it wants.

    A series has `training`, so that past and future have the same.

    found: the values as stored.
    Returns: None where it has them already, or all values are the same.
    """
    mean, std = transformed(field, found).whole()
    if abs(mean) < NEAR and abs(std - 1) < NEAR:
        return None
    units = _in_units(field, found)
    if not (units.std > 0).any():
        return None
    if isinstance(field, Steps):
        return flow({"normalize": "training"})
    stds = np.where(units.std > 0, units.std, 1.0)  # a constant can't be stretched
    return flow({"normalize": {"mean": _plain(units.mean), "std": _plain(stds)}})


def measure(fields: Mapping[str, Field], train: Columns) -> tuple[dict[str, Normalize], list[str]]:
    """Mean and deviation of the training samples, of the fields that ask for them.

    Args:
        train: field -> its training samples, before augmentation.
    Returns: field -> its `normalize` with the numbers; and what is constant, in sentences.
    """
    waiting = [name for name, field in fields.items() if field.awaits_data]
    pairs = {name: _measured(name, fields[name], train) for name in waiting}
    notes = [note for _, notes in pairs.values() for note in notes]
    return {name: normalize for name, (normalize, _) in pairs.items()}, notes


def _measured(name: str, field: Field, train: Columns) -> tuple[Normalize, list[str]]:
    assert field.normalize
    # What samples are made of lacks their axis of steps, but ends with the same one.
    is_last = field.channel_axis == field.rank - 1
    column = looked_at({name: train[name].distinct() if is_last else train[name]})[name]
    is_one = field.channels == 1 or _counts_steps(field)
    axis = None if is_one else field.channel_axis - field.rank
    units = _in_units(field, numbers(column, axis=axis))
    means, stds = np.atleast_1d(units.mean), np.atleast_1d(units.std)
    constant = stds <= np.maximum(CONSTANT * np.abs(means), 1 / LARGEST)
    found = {"mean": means.tolist(), "std": np.where(constant, 1.0, stds).tolist()}
    notes = [_told_constant(name, np.flatnonzero(constant).tolist(), len(means))]
    return field.normalize.model_copy(update=found), notes if constant.any() else []


def _told_constant(name: str, channels: list[int], total: int) -> str:
    places = f"channels {channels} of `{name}`" if total > 1 else f"`{name}`"
    return (
        f"{places} has one value in all training samples: it is divided by 1, since a deviation of "
        "0 can't be"
    )


def _in_units(field: Field, found: Numbers) -> Numbers:
    """Mean and deviation in the units of `normalize`: those of [0, 1] for uint8."""
    plain = {"scale": None, "normalize": Normalize(mean=[0.0], std=[1.0])}
    return transformed(field.model_copy(update=plain), found)


def _plain(values: NDArray[np.float64]) -> float | list[float]:
    found: float | list[float] = values.tolist()
    return found
