"""Settings of a data field that exclude each other or do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..diagnostics import Code
from ..ir.shapes import DType
from .fields import Field, Normalize
from .problem import FIRST, Problem, repeats

LARGEST = 1e30
"""Limit of what raw values are shifted by or multiplied with: float32 ends at 3.4e38."""


def field_problems(field: Field) -> Iterator[Problem]:
    """What is wrong with the settings of a resolved field."""
    yield from _exclusions(field)
    yield from _limits(field)
    yield from _binarize(field)
    # The rule of a field pairs its means with its deviations, which only lists that fit have.
    yield from list(_normalize(field)) or _constants(field)
    yield from _augmentations(field)


def unmeasured(fields: Mapping[str, Field]) -> str | None:
    """The first field whose measured mean and deviation are lacking or do not fit; else None."""
    for name, field in fields.items():
        normalize = field.normalize
        if normalize is None or not normalize.measured:
            continue
        fits = normalize.mean is not None and normalize.std is not None
        if not fits or list(_normalize_lengths(field, normalize)) or list(_constants(field)):
            return name
    return None


def _exclusions(field: Field) -> Iterator[Problem]:
    if field.scale is not None and field.normalize is not None:
        yield Problem(
            Code.O502,
            "`scale` and `normalize` exclude each other, found both",
            ("normalize",),
            help="keep the one that the network shall see",
        )
    if field.binarize is not None and field.normalize is not None:
        yield Problem(
            Code.O502,
            "`binarize` and `normalize` exclude each other, found both",
            ("binarize",),
            help="remove `normalize`; the threshold is one of the values after `scale`, or of raw "
            "ones",
        )
    if field.below is not None and field.classes is not None:
        yield Problem(
            Code.O502,
            f"`below` and `classes` exclude each other, found `below: {field.below}` and "
            f"{len(field.classes)} classes",
            ("below",),
            help="remove `below`; the names say how many there are",
        )
    labels = "classes" if field.classes is not None else "below"
    if field.class_total is not None and field.element_type not in (
        DType.U8,
        DType.I32,
        DType.I64,
    ):
        yield Problem(
            Code.O502,
            f"`{labels}` needs a field of integers, found `dtype: {field.dtype}`",
            (labels,),
            help="labels and ids are stored as int64, int32 or uint8",
        )
    if field.class_total is not None and field.is_transformed:
        key = next(key for key in CHANGING if getattr(field, key) is not None)
        yield Problem(
            Code.O502,
            f"`{labels}` says that the values are labels or ids, and `{key}` would change them",
            (key,),
            help=f"remove `{key}`",
        )


CHANGING = ("scale", "normalize", "binarize")
"""Settings that change values."""


def _binarize(field: Field) -> Iterator[Problem]:
    """A threshold must leave values on both sides, where it is known how far these reach."""
    if field.binarize is None or field.normalize is not None or field.class_total is not None:
        return
    low, high = field.unbinarized.interval()
    # The lowest value may be the threshold: it alone is not above itself.
    if low <= field.binarize < high or low >= high:
        return
    all_alike = 1 if field.binarize < low else 0
    what = "scaled" if field.scale is not None else "raw"
    yield Problem(
        Code.O502,
        f"`binarize` expects a threshold of {what} values, from {low:g} to below {high:g}, found "
        f"{field.binarize:g}: all would become {all_alike}",
        ("binarize",),
        help=f"write `binarize: {(low + high) / 2:g}` for the middle of them",
    )


def _limits(field: Field) -> Iterator[Problem]:
    if field.range is not None and field.range[0] >= field.range[1]:
        low, high = field.range
        yield Problem(
            Code.S102, f"`range` expects [low, high], found [{low:g}, {high:g}]", ("range",)
        )
    if field.range is not None and field.dtype == "uint8" and not _inside(field.range, 0, 255):
        low, high = field.range
        yield Problem(
            Code.S102,
            f"`range` expects values that uint8 holds, 0 to 255, found [{low:g}, {high:g}]",
            ("range",),
        )
    if field.scale is not None and field.scale[0] == field.scale[1]:
        yield Problem(
            Code.S102,
            f"`scale` expects two different ends, found {field.scale[0]:g} twice",
            ("scale",),
        )
    if field.scale is not None and field.raw_range is None:
        yield Problem(
            Code.S102,
            f"`scale` needs the range of the raw values, which {field.dtype} does not tell",
            ("scale",),
            help="add `range: [low, high]`, or use `normalize`",
        )
    for index, first in repeats(field.classes or ()):
        yield Problem(
            Code.S102,
            f"`classes` expects different names, found `{(field.classes or ())[index]}` twice",
            ("classes", index),
            also=(("classes", first), FIRST),
        )


def _constants(field: Field) -> Iterator[Problem]:
    """What the network's input is made with, and undone with, must be numbers of float32."""
    key = "scale" if field.scale is not None else "normalize"
    ranged = field.raw_range is None or field.raw_range[0] < field.raw_range[1]
    known = field.scale is None or (
        field.raw_range is not None and field.scale[0] != field.scale[1]
    )
    if not field.is_transformed or not ranged or not known:
        return
    shift, factor = field.affine()
    factors_fit = all(1 / LARGEST < abs(f) < LARGEST for f in factor)
    if not factors_fit or any(abs(s) > LARGEST for s in (*shift, *field.inverse()[0])):
        yield Problem(
            Code.S102,
            f"`{key}` expects numbers that float32 can hold, found (x - {shift[0]:g}) * "
            f"{factor[0]:g}",
            (key,),
        )


def _inside(pair: list[float], low: float, high: float) -> bool:
    return low <= pair[0] and pair[1] <= high


def _normalize(field: Field) -> Iterator[Problem]:
    """What is wrong with the settings of `normalize`, one after the other."""
    if field.normalize is None or field.shape is None:
        return
    yield from (
        list(_channel_axis(field, field.normalize))
        or list(_numbers(field, field.normalize))
        or _normalize_lengths(field, field.normalize)
    )


def _channel_axis(field: Field, normalize: Normalize) -> Iterator[Problem]:
    if normalize.axis is not None and normalize.axis >= field.rank:
        yield Problem(
            Code.S102,
            f"`axis` expects an axis behind the batch, found {normalize.axis} for a field of "
            f"{field.rank} axes",
            ("normalize", "axis"),
        )
    elif normalize.measured and field.channels is None:
        axis = field.channel_axis
        fixed = [i for i in range(1, field.rank) if isinstance((field.shape or [])[i], int)]
        yield Problem(
            Code.S102,
            f"`normalize: training` expects a fixed number of channels on axis {axis}, found "
            f"`{(field.shape or [])[axis]}`",
            ("normalize",),
            help=f"name the axis of the channels: `normalize: {{measured: training, axis: "
            f"{fixed[-1]}}}`"
            if fixed
            else "write `mean` and `std` as numbers; `netwright data` prints them",
        )


def _numbers(field: Field, normalize: Normalize) -> Iterator[Problem]:
    """Numbers are given, or they are measured."""
    given = [key for key in ("mean", "std") if key in normalize.model_fields_set]
    if normalize.measured:
        if given:
            yield Problem(
                Code.O502,
                f"`measured` and `{given[0]}` exclude each other, found both",
                ("normalize", given[0]),
                help=f"remove `{given[0]}`, and the training samples tell it",
            )
        return
    for key in ("mean", "std"):
        if getattr(normalize, key) is None:
            yield Problem(
                Code.S102,
                f"`normalize` needs `{key}`",
                ("normalize",),
                help=f"add `{key}:` (one number, or one for each channel), or write `normalize: "
                "training` to have both measured",
            )


def _normalize_lengths(field: Field, normalize: Normalize) -> Iterator[Problem]:
    axis = field.channel_axis
    channels = (field.shape or [])[axis] if field.rank > axis else 1
    for key in ("mean", "std"):
        count = len(getattr(normalize, key) or [0.0])
        if count not in (1, channels):
            yield Problem(
                Code.S102,
                f"`{key}` expects one number or one for each of the {channels} channels "
                f"(axis {axis}), found {count}",
                ("normalize", key),
                help=_fitting_axis(field, count) or FITTING_LINE,
            )


FITTING_LINE = "`netwright data` prints the line that fits the data"


def _fitting_axis(field: Field, count: int) -> str | None:
    """The next step where another axis has as many elements as there are numbers."""
    axes = [axis for axis, size in enumerate(field.shape or []) if axis and size == count]
    return f"name their axis: `axis: {axes[0]}`" if len(axes) == 1 else None


def _augmentations(field: Field) -> Iterator[Problem]:
    assert field.shape is not None
    if field.augment and field.class_total is not None:
        yield Problem(
            Code.O502,
            "`augment` changes values, and this field holds labels or ids",
            ("augment",),
            help="move `augment` to the field that the network reads",
        )
    for index, augmentation in enumerate(field.augment):
        if augmentation.moves_pixels and len(field.shape) != 4:
            yield Problem(
                Code.O502,
                f"`{augmentation.name}` needs images [B, C, H, W], found a field of "
                f"{len(field.shape)} axes",
                ("augment", index),
            )
