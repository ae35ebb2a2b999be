"""The settings of losses, and which types of outputs and targets each of them takes."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ..ir.proofs import equal
from ..ir.shapes import DType, TensorType
from .numbers import IN_FLOAT32
from .schedules import Schedule
from .section import OneKey, Section

Kind = Literal["classes", "binary", "values"]
Axis = Literal[1, -1]
"""What an output means: scores of exclusive classes, of yes-or-no questions, or plain numbers."""

INTEGERS = (DType.U8, DType.I32, DType.I64)


class Loss(Section):
    """A number to make small, from one output of the network and one data field."""

    name: ClassVar[str]
    kind: ClassVar[Kind]
    raw_target: ClassVar[bool] = False
    """Whether the target is used as stored, so that `scale` or `normalize` would spoil it."""

    output: str = Field(description="The network's output that is judged.")
    target: str = Field(description="The data field that it is compared with.")

    @abstractmethod
    def misfit(self, output: TensorType, target: TensorType) -> str | None:
        """What is expected of the two types, where they do not fit; else None.

        output: the network's. target: the field's, after its `scale` or `normalize`.
        """

    def setting_problem(self, classes: int | None) -> str | None:
        """Why the settings do not fit an output of a type that fits, or None.

        classes: how many scores there are for each label; None where that is not a fixed number.
        """
        return None

    def setting_help(self, classes: int | None) -> str | None:
        """The next step where `setting_problem` has found something."""
        return None


def same_shape(a: TensorType, b: TensorType) -> bool:
    """Whether two shapes are proved equal."""
    return a.rank == b.rank and all(
        equal(x, y) is True for x, y in zip(a.shape, b.shape, strict=True)
    )


FIRST: Axis = 1
LAST: Axis = -1
"""Where scores may have their classes: right behind the batch, or on the last of several axes."""


def without_classes(output: TensorType, axis: Axis = FIRST) -> TensorType:
    """The type that labels for class scores have: [B, ...] of integers.

    axis: of the classes, `FIRST` or `LAST`.
    """
    sizes = output.shape[2:] if axis == FIRST else output.shape[1:-1]
    return TensorType(DType.I64, (output.shape[0], *sizes))


def class_count(output: TensorType, axis: Axis = FIRST) -> int | None:
    """K of class scores with their classes on an axis; None where it is not a fixed number."""
    size = output.shape[axis] if output.rank >= 2 else None
    return size if isinstance(size, int) else None


class CrossEntropy(Loss):
    """Cross-entropy of class scores (logits) and integer labels; the softmax is inside.

    Takes scores [B, K] with labels [B], per pixel [B, K, H, W] with labels [B, H, W], or per step
    [B, T, K] with labels [B, T]: the sizes of the labels tell where the classes are.
    """

    name: ClassVar[str] = "cross_entropy"
    title: ClassVar[str] = "the loss `cross_entropy`"
    kind: ClassVar[Kind] = "classes"
    raw_target: ClassVar[bool] = True

    smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="The part of each target spread evenly over classes."
    )
    class_weights: list[Annotated[float, Field(ge=0), IN_FLOAT32]] | None = Field(
        default=None, min_length=1, description="One weight per class, in the order of the labels."
    )
    ignore: int | None = Field(
        default=None, description="A label whose samples or pixels do not count."
    )

    axis: Axis | None = Field(
        default=None,
        description="The axis of the classes: 1, or -1 for the last one. Needed only where the "
        "labels fit both, such as [B, 5] for scores [B, 5, 5].",
    )

    def readings(self, output: TensorType, target: TensorType) -> list[Axis]:
        """The axes that may be that of the classes, by the sizes of both."""
        axes: list[Axis] = [FIRST, LAST] if output.rank > 2 else [FIRST]  # one axis of [B, K]
        if self.axis is not None and output.rank > 2:
            axes = [self.axis]
        return [axis for axis in axes if same_shape(without_classes(output, axis), target)]

    def class_axis(self, output: TensorType, target: TensorType) -> Axis:
        """The axis of the classes, of types that fit."""
        return (self.readings(output, target) or [FIRST])[0]

    def misfit(self, output: TensorType, target: TensorType) -> str | None:
        scores = {FIRST: "f32[B, K, ...]", LAST: "f32[B, ..., K]"}
        either = " or ".join(scores.values()) if self.axis is None else scores[self.axis]
        wanted = f"scores {either} and integer labels [B, ...]"
        if output.rank < 2 or not output.dtype.is_float or target.dtype not in INTEGERS:
            return wanted
        return None if self.readings(output, target) else wanted

    def setting_problem(self, classes: int | None) -> str | None:
        if self.class_weights is not None and not any(self.class_weights):
            return "`class_weights` expects one weight above 0 at least, found none"
        if self.class_weights is None or classes in (None, len(self.class_weights)):
            return None
        return (
            f"`class_weights` expects one weight for each of the {classes} classes of "
            f"`{self.output}`, found {len(self.class_weights)}"
        )

    def setting_help(self, classes: int | None) -> str | None:
        count = classes or 0
        ones = ", ".join(["1"] * count) if count <= 10 else "1, 1, ..."
        return f"list them in the order of the labels: `class_weights: [{ones}]` weighs all alike"


class BceLogits(Loss):
    """Binary cross-entropy of scores (logits) and targets in [0, 1]; the sigmoid is inside.

    Output and target have the same shape: [B], [B, K] for K separate questions, [B, 1, H, W].
    """

    name: ClassVar[str] = "bce_logits"
    title: ClassVar[str] = "the loss `bce_logits`"
    kind: ClassVar[Kind] = "binary"

    pos_weight: Annotated[float, Field(gt=0), IN_FLOAT32] | None = Field(
        default=None, description="How much more a positive counts than a negative."
    )

    def misfit(self, output: TensorType, target: TensorType) -> str | None:
        fits = output.dtype.is_float and same_shape(output, target)
        return None if fits else "scores and targets of the same shape"


class Difference(Loss):
    """A loss of the difference between an output and a target of the same shape."""

    kind: ClassVar[Kind] = "values"

    def misfit(self, output: TensorType, target: TensorType) -> str | None:
        fits = output.dtype.is_float and same_shape(output, target)
        return None if fits else "an output and a target of the same shape"


class Mse(Difference):
    """Mean of the squared difference."""

    name: ClassVar[str] = "mse"
    title: ClassVar[str] = "the loss `mse`"


class L1(Difference):
    """Mean of the absolute difference."""

    name: ClassVar[str] = "l1"
    title: ClassVar[str] = "the loss `l1`"


class Huber(Difference):
    """Squared near zero, absolute beyond `delta`: less pulled by outliers than `mse`."""

    name: ClassVar[str] = "huber"
    title: ClassVar[str] = "the loss `huber`"

    delta: Annotated[float, Field(gt=0), IN_FLOAT32] = Field(
        default=1.0, description="The difference from which on it grows linearly."
    )


LOSSES: dict[str, type[Loss]] = {cls.name: cls for cls in (CrossEntropy, BceLogits, Mse, L1, Huber)}


class WeightedLoss(Section):
    """One term of the training loss: `{mse: {output: age, target: age}, weight: 0.1}`."""

    title: ClassVar[str] = "an item of `losses`"

    loss: Annotated[Loss, OneKey(LOSSES, "loss", inline=True)] = Field(
        description="The loss and its settings."
    )
    weight: Schedule = Field(
        default=Schedule.constant(1.0), description="The factor of this term; may change over time."
    )
