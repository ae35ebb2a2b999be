"""Many numbers into one: means, sums and the largest along axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.shapes import DType, TensorType, elements
from .base import Emitter, Example, Handle, Op, Refusal, Reject, Torch, Window, attribute, register
from .checks import need_axis, need_float, need_numbers
from .streamed import Axes
from .streaming import stays, without


class Reduction(Op):
    """One number from all that stand along the axes."""

    axes: tuple[int, ...] = attribute(main=True, doc="The axes, the batch counted as 0.")
    keepdim: bool = attribute(default=False, doc="Keep the axes with size 1.")

    examples: ClassVar[Sequence[Example]] = (
        Example("{axes: [2, 3]}", x="f32[B, 3, H, W]", y="f32[B, 3]"),
        Example("{axes: 1, keepdim: true}", x="f32[B, 3, H, W]", y="f32[B, 1, H, W]"),
        Example("{axes: -1}", x="f32[B, T, 4]", y="f32[B, T]"),
    )
    rejects: ClassVar[Sequence[Reject]] = (
        Reject("{axes: 0}", x="f32[B, 3]", code=Code.D401),
        Reject("{axes: 2}", x="f32[B, 3]", code=Code.D401),
        Reject("{axes: [1, -1]}", x="f32[B, 3]", code=Code.D401),
        Reject("{axes: []}", x="f32[B, 3]", code=Code.E202),
        Reject("{axes: 1}", x="bool[B, 3]", code=Code.D401),
    )
    torch_name: ClassVar[str]
    onnx_name: ClassVar[str]

    def check(self) -> None:
        if not self.axes:
            raise Refusal(Code.E202, f"`{self.name}` needs one axis or more, found none")

    def infer(self, x: TensorType) -> TensorType:
        need_numbers(self.name, x)
        places = self._places(x)
        kept = (
            1 if axis in places else size
            for axis, size in enumerate(x.shape)
            if self.keepdim or axis not in places
        )
        return x.with_shape(kept)

    def stream_axis(self, axes: Axes, x: TensorType) -> int:
        places = self._places(x)
        axis = stays(axes, *places, what="needs")
        return axis if self.keepdim else without(axis, places)

    def _places(self, x: TensorType) -> list[int]:
        places = [need_axis(self.name, x, axis) for axis in self.axes]
        if len(set(places)) < len(places):
            raise Refusal(
                Code.D401, f"`{self.name}` needs different axes, found {list(self.axes)} of {x}"
            )
        return places

    def flops(self, x: TensorType) -> Dim:
        return elements(x.shape)

    def window(self, x: TensorType) -> Window | None:
        return () if x.rank > 3 and self._places(x) == [1] else None

    def torch(self, x: TensorType) -> Torch:
        axes = self.axes if len(self.axes) > 1 else self.axes[0]
        keepdim = ", keepdim=True" if self.keepdim else ""
        return Torch(expression=f"{{x}}.{self.torch_name}({axes}{keepdim})")

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op(self.onnx_name, x, e.ints(self.axes), keepdims=int(self.keepdim))


@register
class Mean(Reduction):
    """Average over axes.

    Inputs:  x: f32[B, *]
    Outputs: y: f32[B, *] without the axes, or with size 1 there
    Errors:  D401 x does not hold floating-point numbers, an axis does not exist, is the batch or
             stands twice. E202 no axis is given.
    Source:  torch.mean; ONNX ReduceMean.
    """

    torch_name, onnx_name = "mean", "ReduceMean"
    rejects = (*Reduction.rejects, Reject("{axes: 1}", x="i64[B, 3]", code=Code.D401))

    def infer(self, x: TensorType) -> TensorType:
        need_float(self.name, x)
        return super().infer(x)


@register
class Sum(Reduction):
    """Add up over axes.

    Inputs:  x: f32[B, *], or i64
    Outputs: y: of x's element type, without the axes, or with size 1 there
    Errors:  D401 x does not hold such numbers, an axis does not exist, is the batch or stands
             twice. E202 no axis is given.
    Source:  torch.sum; ONNX ReduceSum.
    """

    torch_name, onnx_name = "sum", "ReduceSum"
    examples = (
        *Reduction.examples,
        Example("{axes: 1}", x="i64[B, T]", ranges={"x": (0, 9)}, y="i64[B]"),
    )
    rejects = (*Reduction.rejects, Reject("{axes: 1}", x="i32[B, 3]", code=Code.D401))

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype is DType.I32:  # torch.sum would give int64
            raise Refusal(
                Code.D401,
                f"`sum` needs floating-point numbers or int64, found {x}",
                help="turn them into int64 with `cast: int64` first",
            )
        return super().infer(x)


@register
class Max(Reduction):
    """The largest number along axes.

    Inputs:  x: f32[B, *], or integers
    Outputs: y: of x's element type, without the axes, or with size 1 there
    Errors:  D401 x does not hold such numbers, an axis does not exist, is the batch or stands
             twice. E202 no axis is given.
    Source:  torch.amax; ONNX ReduceMax.
    """

    torch_name, onnx_name = "amax", "ReduceMax"


@register
class Min(Reduction):
    """The smallest number along axes.

    Inputs:  x: f32[B, *], or integers
    Outputs: y: of x's element type, without the axes, or with size 1 there
    Errors:  D401 x does not hold such numbers, an axis does not exist, is the batch or stands
             twice. E202 no axis is given.
    Source:  torch.amin; ONNX ReduceMin.
    """

    torch_name, onnx_name = "amin", "ReduceMin"


@register
class Argmax(Op):
    """The index of the largest number along an axis, such as the class of the largest logit.

    Inputs:  x: f32[B, *], or integers
    Outputs: y: i64[B, *] without the axis; of equal numbers ONNX takes the first, torch any
    Errors:  D401 x does not hold numbers, has no such axis, or it is the batch.
    Source:  torch.argmax; ONNX ArgMax.
    """

    axis: int = attribute(default=1, main=True, doc="The axis, the batch counted as 0.")

    examples = (
        Example("{}", x="f32[B, 10]", y="i64[B]"),
        Example("{}", x="f32[B, 4, H, W]", y="i64[B, H, W]"),
        Example("{axis: -1}", x="f32[B, T, 4]", y="i64[B, T]"),
    )
    rejects = (
        Reject("{axis: 0}", x="f32[B, 3]", code=Code.D401),
        Reject("{}", x="f32[B]", code=Code.D401),
        Reject("{}", x="bool[B, 3]", code=Code.D401),
    )

    def infer(self, x: TensorType) -> TensorType:
        need_numbers(self.name, x)
        axis = need_axis(self.name, x, self.axis)
        return TensorType(DType.I64, x.shape[:axis] + x.shape[axis + 1 :])

    def flops(self, x: TensorType) -> Dim:
        return elements(x.shape)

    def window(self, x: TensorType) -> Window | None:
        return () if x.rank > 3 and need_axis(self.name, x, self.axis) == 1 else None

    def stream_axis(self, axes: Axes, x: TensorType) -> int:
        place = need_axis(self.name, x, self.axis)
        return without(stays(axes, place, what="needs"), [place])

    def torch(self, x: TensorType) -> Torch:
        return Torch(expression="{x}.argmax({axis})", numbers={"axis": self.axis})

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("ArgMax", x, axis=self.axis, keepdims=0)
