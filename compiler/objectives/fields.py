"""Data fields: what one batch holds, and how raw values become the network's input.

The rule is (x - shift) * factor in float32, per channel (axis 1) where `normalize` has lists. It
runs before the network in training, and as the first nodes of every exported program.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field as Setting
from pydantic import PlainValidator

from ..diagnostics import Code
from ..ir.dims import Dim, Poly, Symbol
from ..ir.shapes import SPEC_DTYPES, DType, TensorType
from .augmentations import AUGMENTATIONS, Augmentation
from .problem import Problem
from .section import OneKey, Section

Interval = tuple[float, float]
ANYTHING: Interval = (-math.inf, math.inf)

LARGEST = 1e30
"""Limit of what raw values are shifted by or multiplied with: float32 ends at 3.4e38."""


def _size(value: Any) -> int | str | Poly:
    if isinstance(value, Poly) or (isinstance(value, str) and value.isidentifier()):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError("expects a size of at least 1 or the name of a size such as `B`")


Size = Annotated[Any, PlainValidator(_size, json_schema_input_type=int | str)]
Pair = Annotated[list[float], Setting(min_length=2, max_length=2)]


class Normalize(Section):
    """Subtract a mean and divide by a standard deviation, per channel where lists are given."""

    title: ClassVar[str] = "`normalize`"

    mean: list[float] = Setting(
        min_length=1, description="One number, or one for each channel (axis 1)."
    )
    std: list[Annotated[float, Setting(gt=0)]] = Setting(
        min_length=1, description="One number, or one for each channel (axis 1)."
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return super().desugar(data)
        return {k: [v] if isinstance(v, int | float) else v for k, v in data.items()}


class Field(Section):
    """One tensor of a batch.

    A source that knows its fields needs no `shape` and `dtype`; what is given here overrides it.
    """

    title: ClassVar[str] = "a data field"

    shape: list[Size] | None = Setting(
        default=None,
        min_length=1,
        description="Sizes as stored, the batch `B` first: `[B, 1, 28, 28]`.",
    )
    dtype: Literal["uint8", "int32", "int64", "float16", "float32", "float64", "bool"] | None = (
        Setting(default=None, description="The element type as stored.")
    )
    range: Pair | None = Setting(
        default=None,
        description="The smallest and largest raw value; uint8 has [0, 255] unless this says less.",
    )
    scale: Pair | None = Setting(
        default=None, description="Map the raw range to this interval, such as [-1, 1]."
    )
    normalize: Normalize | None = Setting(
        default=None,
        description="Subtract a mean and divide by a deviation. The raw range of uint8 is mapped "
        "to [0, 1] first, so that mean and std are those of values in [0, 1].",
    )
    below: int | None = Setting(
        default=None, ge=1, description="Integers from 0 to below this: labels or token ids."
    )
    classes: list[str] | None = Setting(
        default=None, min_length=1, description="The names of the labels 0, 1, 2, ..."
    )
    augment: list[Annotated[Augmentation, OneKey(AUGMENTATIONS, "augmentation")]] = Setting(
        default=[], description="Random changes of training samples, in this order."
    )
    lengths: str | None = Setting(
        default=None,
        description="The field that holds how many elements along axis 1 are real.",
    )

    @property
    def element_type(self) -> DType:
        """The element type as stored, of a resolved field."""
        assert self.dtype is not None
        return SPEC_DTYPES[self.dtype]

    @property
    def rank(self) -> int:
        """How many axes a resolved field has, the batch included."""
        assert self.shape is not None
        return len(self.shape)

    @property
    def class_total(self) -> int | None:
        """How many different labels there are, where the field says so."""
        return len(self.classes) if self.classes else self.below

    @property
    def raw_range(self) -> Interval | None:
        """The interval of raw values, where it is known."""
        if self.range is not None:
            return self.range[0], self.range[1]
        if self.class_total is not None:
            return 0.0, self.class_total - 1.0
        return {"uint8": (0.0, 255.0), "bool": (0.0, 1.0)}.get(self.dtype or "")

    @property
    def is_transformed(self) -> bool:
        return self.scale is not None or self.normalize is not None

    def raw_type(self, dims: Mapping[str, Symbol]) -> TensorType:
        """The type as stored, of a resolved field. `dims` holds every size that is named."""
        assert self.shape is not None
        return TensorType(self.element_type, tuple(_dim(size, dims) for size in self.shape))

    def network_type(self, dims: Mapping[str, Symbol]) -> TensorType:
        """The type after `scale` or `normalize`: f32 if there is one; float64 is always cast."""
        raw = self.raw_type(dims)
        return TensorType(DType.F32, raw.shape) if self.is_converted else raw

    @property
    def is_converted(self) -> bool:
        """Whether the network gets anything but the stored tensor itself."""
        other_float = self.element_type.is_float and self.element_type is not DType.F32
        return self.is_transformed or other_float

    def affine(self) -> tuple[list[float], list[float]]:
        """`shift` and `factor` of (x - shift) * factor: one number each, or one per channel.

        The field's settings must have passed `problems`.
        """
        if self.scale is not None:
            assert self.raw_range is not None
            low, high = self.raw_range
            factor = (self.scale[1] - self.scale[0]) / (high - low)
            return [low - self.scale[0] / factor], [factor]
        if self.normalize is None:
            return [0.0], [1.0]
        low, high = self._unit_range()
        count = max(len(self.normalize.mean), len(self.normalize.std))
        means, deviations = _repeat(self.normalize.mean, count), _repeat(self.normalize.std, count)
        return (
            [low + mean * (high - low) for mean in means],
            [1 / (std * (high - low)) for std in deviations],
        )

    def _unit_range(self) -> Interval:
        """The raw interval that `normalize` maps to [0, 1] first; (0, 1) leaves values alone."""
        return self.raw_range if self.dtype == "uint8" and self.raw_range else (0.0, 1.0)

    def interval(self) -> Interval:
        """Where the values lie that the network sees; infinite where that is not known."""
        if self.scale is not None:
            return min(self.scale), max(self.scale)
        if self.raw_range is None:
            return ANYTHING
        low, high = self.raw_range
        shift, factor = self.affine()
        pairs = list(zip(shift, factor, strict=True))
        return min((low - s) * f for s, f in pairs), max((high - s) * f for s, f in pairs)

    def problems(self) -> Iterator[Problem]:
        """Settings that exclude each other or do not fit; of a resolved field."""
        yield from _exclusions(self)
        yield from _limits(self)
        yield from _normalize_lengths(self)
        yield from _augmentations(self)


def _repeat(values: list[float], count: int) -> list[float]:
    return values * count if len(values) == 1 else values


def _dim(size: int | str | Poly, dims: Mapping[str, Symbol]) -> Dim:
    return Poly.of(dims[size]) if isinstance(size, str) else size


def _exclusions(field: Field) -> Iterator[Problem]:
    if field.scale is not None and field.normalize is not None:
        yield Problem(
            Code.O502,
            "`scale` and `normalize` exclude each other, found both",
            ("normalize",),
            help="keep the one that the network shall see",
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
        key = "scale" if field.scale is not None else "normalize"
        yield Problem(
            Code.O502,
            f"`{labels}` says that the values are labels or ids, and `{key}` would change them",
            (key,),
            help=f"remove `{key}`",
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
    yield from _constants(field)
    if field.classes is not None and len(set(field.classes)) < len(field.classes):
        twice = next(c for c in field.classes if field.classes.count(c) > 1)
        yield Problem(
            Code.S102, f"`classes` expects different names, found `{twice}` twice", ("classes",)
        )


def _constants(field: Field) -> Iterator[Problem]:
    """What the network's input is made with must be numbers that float32 holds."""
    key = "scale" if field.scale is not None else "normalize"
    ranged = field.raw_range is None or field.raw_range[0] < field.raw_range[1]
    known = field.scale is None or (
        field.raw_range is not None and field.scale[0] != field.scale[1]
    )
    if not field.is_transformed or not ranged or not known:
        return
    shift, factor = field.affine()
    if any(abs(s) > LARGEST for s in shift) or any(
        not 1 / LARGEST < abs(f) < LARGEST for f in factor
    ):
        yield Problem(
            Code.S102,
            f"`{key}` expects numbers that float32 can hold, found (x - {shift[0]:g}) * "
            f"{factor[0]:g}",
            (key,),
        )


def _inside(pair: list[float], low: float, high: float) -> bool:
    return low <= pair[0] and pair[1] <= high


def _normalize_lengths(field: Field) -> Iterator[Problem]:
    if field.normalize is None or field.shape is None:
        return
    channels = field.shape[1] if len(field.shape) > 1 else 1
    for key in ("mean", "std"):
        count = len(getattr(field.normalize, key))
        if count not in (1, channels):
            yield Problem(
                Code.S102,
                f"`{key}` expects one number or one for each of the {channels} channels "
                f"(axis 1), found {count}",
                ("normalize", key),
            )


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
