"""How values that are not what `fields` says are put right: the help texts of check.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...compiler.ir.shapes import SPEC_DTYPES
from ...compiler.objectives.fields import Field
from .columns import Column
from .scan import Scan

CHANNELS_FIRST = {3: "(0, 2, 1)", 4: "(0, 3, 1, 2)", 5: "(0, 4, 1, 2, 3)"}
"""Number of axes -> the transposition that brings the last axis behind the batch."""

LENGTHS_HELP = (
    "a length counts the elements of its sample that are real, along axis 1: correct it, and leave "
    "out samples without any"
)


def stored_help(name: str, dtype: np.dtype[Any], shape: Sequence[int], field: Field) -> str | None:
    """The next step for an array of another shape or element type than its field's."""
    declared = list(field.shape or [])
    labels = field.class_total is not None
    if dtype.kind not in "biuf":
        return (
            f"store numbers, and their names in `classes`: `names, {name} = "
            f"numpy.unique({name}, return_inverse=True)`"
            if dtype.kind in "US" and labels
            else "store numbers"
        )
    if labels and len(shape) == len(declared) + 1 and shape[-1] == field.class_total:
        return f"labels are numbers, not rows of one-hot: store `{name}.argmax(axis=-1)`"
    if len(shape) == len(declared) and _is_channels_last(shape[1:], declared[1:]):
        axes = CHANNELS_FIRST[len(shape)]
        return f"channels come first: store `{name}.transpose{axes}`"
    if labels and dtype.kind == "f" and len(shape) == len(declared):
        return f"labels are whole numbers: store `{name}.astype(numpy.int64)`"
    return _as_stored(name, dtype, shape)


def _is_channels_last(found: Sequence[int], declared: Sequence[int | str]) -> bool:
    moved = [found[-1], *found[:-1]] if found else []
    fits = all(
        isinstance(wanted, str) or size == wanted
        for size, wanted in zip(moved, declared, strict=True)
    )
    return len(found) + 1 in CHANNELS_FIRST and fits and isinstance(declared[0], int)


def _as_stored(name: str, dtype: np.dtype[Any], shape: Sequence[int]) -> str | None:
    """The field as the file has it, where the language has a word for its element type."""
    if str(dtype) not in SPEC_DTYPES or not shape:
        return None
    sizes = ", ".join(["B", *map(str, shape[1:])])
    return (
        f"declare what the file holds: `{name}: {{shape: [{sizes}], dtype: {dtype}}}`, or change "
        "the file"
    )


def finite_help(name: str, column: Column) -> str:
    """The next step for NaN or infinity."""
    if column.in_table:
        return "correct the value, or leave its cell empty and set `missing: drop`"
    if column.extent is not None:
        return "leave out the samples that hold them, of every field"
    axes = ", ".join(str(axis) for axis in range(1, len(column.shape)))
    rows = f".all(axis=({axes},))" if len(column.shape) == 2 else f".all(axis=({axes}))"
    kept = f"numpy.isfinite({name}){rows if axes else ''}"
    return f"store the samples without them, of every field: those of `{kept}`"


def labels_help(name: str, seen: Scan, total: int, what: str, judged: bool) -> str:
    """The next step for labels or ids outside 0 to below `total`.

    seen: what a scan found. what: they are. judged: whether a loss of classes reads them.
    """
    if seen.low == 1 and seen.high == total:
        return f"{what} begin at 0: store `{name} - 1`"
    if seen.low < 0 and judged:
        return (
            f"labels begin at 0; where {seen.low:g} marks samples without one, write "
            f"`ignore: {seen.low:g}` in the loss `cross_entropy`"
        )
    if seen.low < 0:
        return f"{what} begin at 0 and end at {total - 1}: correct them"
    room = f"{seen.high + 1:g} classes" if what == "labels" else f"{seen.high + 1:g} of them"
    return (
        f"{what} begin at 0 and end at {total - 1}: correct them, or make room for {room} in "
        "`fields` and in the network"
    )
