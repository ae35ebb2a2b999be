"""Data fields: what one batch holds, and how raw values become the network's input.

The rule is (x - shift) * factor in float32, per channel where `normalize` has lists. It runs
before the network in training, and as the first nodes of every exported program; backwards, it ends
a program whose outputs were compared with a field that has one.

`binarize` makes 0 and 1 of what the rule gives. That has no way back, so that backwards the rule
alone is undone: a probability p of a field that had `scale: [0, 1]` is 255 p of uint8.

`normalize: training` leaves mean and deviation to the data. Until that is opened they stand at 0
and 1 (`Field.awaits_data`), so that programs have their form; `with_statistics` gives the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field as Setting
from pydantic import PlainValidator

from ..ir.dims import Dim, Poly, Symbol
from ..ir.shapes import SPEC_DTYPES, DType, TensorType
from .augmentations import AUGMENTATIONS, Augmentation
from .numbers import IN_FLOAT32
from .section import OneKey, Section

Interval = tuple[float, float]
ANYTHING: Interval = (-math.inf, math.inf)


def _size(value: Any) -> int | str | Poly:
    if isinstance(value, Poly) or (isinstance(value, str) and value.isidentifier()):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError("expects a size of at least 1 or the name of a size such as `B`")


Size = Annotated[Any, PlainValidator(_size, json_schema_input_type=int | str)]
Pair = Annotated[list[float], Setting(min_length=2, max_length=2)]


class Normalize(Section):
    """Subtract a mean and divide by a standard deviation, per channel where lists are given.

    `normalize: training` measures both on the training samples, for each channel, when a run
    begins. The run and its bundle keep the numbers. A channel that is constant there is divided by
    1, with a warning. Of more than 1 GiB, samples at even distances stand for all. Before a run, as
    in what `compile` writes, 0 and 1 stand in their place.
    """

    title: ClassVar[str] = "`normalize`"
    expects: ClassVar[str] = "a map or `training`"

    measured: Literal["training"] | None = Setting(
        default=None,
        description="Which samples mean and deviation are measured on; in place of `mean` and "
        "`std`.",
    )
    mean: list[float] | None = Setting(
        default=None, min_length=1, description="One number, or one for each channel."
    )
    std: list[Annotated[float, Setting(gt=0)]] | None = Setting(
        default=None, min_length=1, description="One number, or one for each channel."
    )
    axis: int | None = Setting(
        default=None,
        ge=1,
        description="The axis of the channels, the batch being 0: 1 unless given, and 2 for a "
        "`series`.",
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"measured": data}
        if not isinstance(data, Mapping):
            return super().desugar(data)
        lists = ("mean", "std")
        return {k: [v] if k in lists and isinstance(v, int | float) else v for k, v in data.items()}

    @property
    def awaits_data(self) -> bool:
        """Whether the numbers are still to be measured."""
        return self.measured is not None and self.mean is None

    def numbers(self, channels: int) -> tuple[list[float], list[float]]:
        """Mean and deviation, of the same length; 0 and 1 for each channel until measured."""
        means, deviations = self.mean or [0.0] * channels, self.std or [1.0] * channels
        count = max(len(means), len(deviations))
        return _repeat(means, count), _repeat(deviations, count)


class Field(Section):
    """One tensor of a batch.

    A source that knows its fields needs no `shape` and `dtype`; what is given here overrides it.
    """

    title: ClassVar[str] = "a data field"
    usual_axis: ClassVar[int] = 1
    """Where the channels stand unless `normalize` says otherwise."""

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
        description="Subtract a mean and divide by a deviation: given ones, or with `normalize: "
        "training` those of the training samples. The raw range of uint8 is mapped to [0, 1] "
        "first, so that mean and std are those of values in [0, 1].",
    )
    binarize: Annotated[float, IN_FLOAT32] | None = Setting(
        default=None,
        description="Give the network 1 where the value after `scale`, or the raw value where "
        "there is no `scale`, is above this number, and 0 elsewhere.",
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
        description="The field that holds how many elements along axis 1 are real; a network that "
        "reads this one must read it too.",
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
    def is_rescaled(self) -> bool:
        """Whether `affine` says how values change; outputs compared with them change back."""
        return self.scale is not None or self.normalize is not None

    @property
    def is_transformed(self) -> bool:
        """Whether the network gets other values than those stored."""
        return self.is_rescaled or self.binarize is not None

    @property
    def unbinarized(self) -> Field:
        """The same field as it would be without `binarize`.

        Its rule is that of numbers between 0 and 1 too, such as what a network gives for the field.
        """
        return self.model_copy(update={"binarize": None}) if self.binarize is not None else self

    @property
    def awaits_data(self) -> bool:
        """Whether mean and deviation are still to be measured: `affine` has 0 and 1 for them."""
        return self.normalize is not None and self.normalize.awaits_data

    @property
    def channel_axis(self) -> int:
        """The axis of the channels; of a resolved field that has it, or of [B] with one channel."""
        given = self.normalize.axis if self.normalize else None
        return given or self.usual_axis

    @property
    def channels(self) -> int | None:
        """How many channels a resolved field has: 1 for [B]; None where the number is open."""
        assert self.shape is not None
        size = self.shape[self.channel_axis] if self.rank > self.channel_axis else 1
        return size if isinstance(size, int) else None

    def along_channels(self, constants: Sequence[float]) -> tuple[int, ...]:
        """The shape in which constants, one for each channel, meet a batch of a resolved field."""
        return () if len(constants) == 1 else (-1, *(1,) * (self.rank - self.channel_axis - 1))

    def raw_type(self, dims: Mapping[str, Symbol]) -> TensorType:
        """The type as stored, of a resolved field. `dims` holds every size that is named."""
        assert self.shape is not None
        return TensorType(self.element_type, tuple(_dim(size, dims) for size in self.shape))

    def network_type(self, dims: Mapping[str, Symbol]) -> TensorType:
        """The type after `scale`, `normalize` or `binarize`: f32 if there is one.

        float64 is always cast.
        """
        raw = self.raw_type(dims)
        return TensorType(DType.F32, raw.shape) if self.is_converted else raw

    @property
    def is_converted(self) -> bool:
        """Whether the network gets anything but the stored tensor itself."""
        other_float = self.element_type.is_float and self.element_type is not DType.F32
        return self.is_transformed or other_float

    def affine(self) -> tuple[list[float], list[float]]:
        """`shift` and `factor` of (x - shift) * factor: one number each, or one per channel.

        `binarize` comes after it. The field's settings must have passed `field_problems`.
        """
        if self.scale is not None:
            assert self.raw_range is not None
            low, high = self.raw_range
            factor = (self.scale[1] - self.scale[0]) / (high - low)
            return [low - self.scale[0] / factor], [factor]
        if self.normalize is None:
            return [0.0], [1.0]
        low, high = self._unit_range()
        means, deviations = self.normalize.numbers(self.channels or 1)
        return (
            [low + mean * (high - low) for mean in means],
            [1 / (std * (high - low)) for std in deviations],
        )

    def inverse(self) -> tuple[list[float], list[float]]:
        """`shift` and `factor` of the same rule backwards: network numbers into raw ones.

        What `binarize` did is not undone.
        """
        rule = list(zip(*self.affine(), strict=True))
        return [-shift * factor for shift, factor in rule], [1 / factor for _, factor in rule]

    def _unit_range(self) -> Interval:
        """The raw interval that `normalize` maps to [0, 1] first; (0, 1) leaves values alone."""
        return self.raw_range if self.dtype == "uint8" and self.raw_range else (0.0, 1.0)

    def interval(self) -> Interval:
        """Where the values lie that the network sees; infinite where that is not known."""
        if self.binarize is not None:
            return 0.0, 1.0
        if self.scale is not None:
            return min(self.scale), max(self.scale)
        if self.raw_range is None or self.awaits_data:
            return ANYTHING
        low, high = self.raw_range
        shift, factor = self.affine()
        pairs = list(zip(shift, factor, strict=True))
        return min((low - s) * f for s, f in pairs), max((high - s) * f for s, f in pairs)


class Steps(Field):
    """A field [B, steps, channels] of a source: its channels are the last axis."""

    usual_axis: ClassVar[int] = 2


def with_classes(
    fields: Mapping[str, Field], names: Mapping[str, Sequence[str]]
) -> dict[str, Field]:
    """Fields by name, some with names of classes that the data gives and not the spec."""
    return {
        name: field.model_copy(update={"classes": list(names[name])}) if name in names else field
        for name, field in fields.items()
    }


def with_statistics(
    fields: Mapping[str, Field], measured: Mapping[str, Normalize]
) -> dict[str, Field]:
    """Fields by name, some with the mean and deviation that their training samples have."""
    return {
        name: field.model_copy(update={"normalize": measured[name]}) if name in measured else field
        for name, field in fields.items()
    }


def _repeat(values: list[float], count: int) -> list[float]:
    return values * count if len(values) == 1 else values


def _dim(size: int | str | Poly, dims: Mapping[str, Symbol]) -> Dim:
    return Poly.of(dims[size]) if isinstance(size, str) else size
