"""One tensor in, one of the same shape out: learned factors, limits, lengths and element types."""

from __future__ import annotations

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.graph import Parameter
from ..ir.proofs import equal
from ..ir.shapes import SPEC_DTYPES, DType, TensorType, elements
from .agreement import Mismatch, disagreement
from .base import (
    Construct,
    Emitter,
    Example,
    Handle,
    Op,
    Refusal,
    Reject,
    Torch,
    Window,
    attribute,
    register,
)
from .checks import need_axis, need_float, number_for
from .linear import static_size
from .streaming import one_axis, same_axis

ONNX_DTYPES = {
    DType.F32: 1,
    DType.U8: 2,
    DType.I32: 6,
    DType.I64: 7,
    DType.BOOL: 9,
    DType.F16: 10,
    DType.F64: 11,
    DType.BF16: 16,
}
"""The numbers of onnx.TensorProto.DataType."""


@register
class Scale(Op):
    """Multiply by a learned factor for each index of an axis.

    The factor is one tensor at the layer's own path, [C, 1, 1] for channels of [B, C, H, W].

    Inputs:  x: f32[B, C, *]
    Outputs: y: f32[B, C, *]
    Errors:  D401 x does not hold floating-point numbers, has no such axis, or its size is
             symbolic. D402 `shape` does not broadcast to x. E202 `axis` with `shape`.
    Source:  Touvron et al. 2021 (LayerScale), as in torchvision's ConvNeXt; ONNX Mul.
    """

    stream_axis = same_axis
    init: float = attribute(default=1.0, main=True, doc="Every factor before training.")
    axis: int | None = attribute(
        default=None,
        doc="The axis with a factor for each index, the batch counted as 0; 1 unless given.",
    )
    shape: tuple[int, ...] | None = attribute(
        default=None,
        minimum=1,
        doc="The tensor's shape where it is another; it must broadcast to a sample.",
    )

    examples = (
        Example("{}", x="f32[B, 3, H, W]", y="f32[B, 3, H, W]"),
        Example("{init: 0.5, axis: -1}", x="f32[B, T, 4]", y="f32[B, T, 4]"),
        Example("{shape: [1], init: 2.0}", x="f32[B, T]", y="f32[B, T]"),
    )
    rejects = (
        Reject("{}", x="f32[B, C, 3]", code=Code.D401),
        Reject("{}", x="i64[B, 3]", code=Code.D401),
        Reject("{axis: 0}", x="f32[B, 3]", code=Code.D401),
        Reject("{shape: [2]}", x="f32[B, 3]", code=Code.D402),
        Reject("{shape: [1, 1, 3]}", x="f32[B, 3]", code=Code.D402),
        Reject("{axis: 1, shape: [3]}", x="f32[B, 3]", code=Code.E202),
    )

    def check(self) -> None:
        if self.axis is not None and self.shape is not None:
            raise Refusal(
                Code.E202,
                f"`scale` takes `axis` or `shape`, found axis {self.axis} and shape "
                f"{list(self.shape)}",
                help="leave out `axis`; `shape` says it all",
            )

    def infer(self, x: TensorType) -> TensorType:
        need_float(self.name, x)
        self._factors(x)
        return x

    def _factors(self, x: TensorType) -> tuple[int, ...]:
        if self.shape is None:
            axis = need_axis(self.name, x, 1 if self.axis is None else self.axis)
            return (static_size(self.name, x, axis), *(1,) * (x.rank - axis - 1))
        message = f"`scale` needs a shape that broadcasts to a sample of {x}"
        message = f"{message}, found {list(self.shape)}"
        if len(self.shape) >= x.rank:
            label = f"{len(self.shape)} axes for {x.rank - 1}"
            raise Refusal(Code.D402, message, label=label)
        wrong = [
            Mismatch(x.rank - place, x.shape[-place], size)
            for place, size in enumerate(reversed(self.shape), 1)
            if size != 1 and equal(x.shape[-place], size) is not True
        ]
        if wrong:
            raise disagreement(message, wrong)
        return self.shape

    def parameters(self, x: TensorType) -> tuple[Parameter, ...]:
        return (Parameter("", self._factors(x)),)

    def flops(self, x: TensorType) -> Dim:
        return elements(x.shape)

    def torch(self, x: TensorType) -> Torch:
        shape = self._factors(x)
        start = (
            Construct("torch.ones", (shape,))
            if self.init == 1
            else Construct("torch.full", (shape, self.init))
        )
        return Torch(expression="{x} * {self}", parameter=start)

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Mul", x, e.weight(""))


@register
class Clamp(Op):
    """Limit elements to an interval: y = min(max(x, min), max).

    Inputs:  x: f32[*], or integers
    Outputs: y: of x's type
    Errors:  E202 neither limit is given, or min > max. D401 x does not hold numbers, or holds
             integers where a limit is none.
    Source:  torch.clamp; ONNX Clip.
    """

    stream_axis = same_axis
    min: float | None = attribute(default=None, doc="The lower limit.")
    max: float | None = attribute(default=None, doc="The upper limit.")

    examples = (
        Example("{min: -0.5, max: 0.5}", x="f32[B, 8]", y="f32[B, 8]"),
        Example("{min: 0}", x="f32[B, T]", y="f32[B, T]"),
        Example("{max: 3}", x="i64[B, T]", ranges={"x": (0, 9)}, y="i64[B, T]"),
    )
    rejects = (
        Reject("{}", x="f32[B, 3]", code=Code.E202),
        Reject("{min: 1, max: 0}", x="f32[B, 3]", code=Code.E202),
        Reject("{min: 0.5}", x="i64[B, 3]", code=Code.D401),
        Reject("{min: 0}", x="bool[B, 3]", code=Code.D401),
    )

    def check(self) -> None:
        if self.min is None and self.max is None:
            raise Refusal(Code.E202, "`clamp` needs `min`, `max` or both, found neither")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise Refusal(
                Code.E202, f"`clamp` needs min <= max, found min {self.min:g}, max {self.max:g}"
            )

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype is DType.BOOL:
            raise Refusal(Code.D401, f"`clamp` needs numbers, found {x}", label="true or false")
        self._limits(x)
        return x

    def _limits(self, x: TensorType) -> dict[str, float | int]:
        given = (("min", self.min), ("max", self.max))
        return {name: number_for(self.name, x, limit) for name, limit in given if limit is not None}

    def flops(self, x: TensorType) -> Dim:
        return elements(x.shape)

    def torch(self, x: TensorType) -> Torch:
        limits = self._limits(x)
        arguments = ", ".join(f"{name}={{{name}}}" for name in limits)
        return Torch(expression=f"{{x}}.clamp({arguments})", numbers=limits)

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        low, high = (None if limit is None else e.scalar(limit) for limit in (self.min, self.max))
        return e.op("Clip", x, low, *(() if high is None else (high,)))


@register
class Identity(Op):
    """Pass the input on.

    Inputs:  x: any type
    Outputs: y: x's type
    Errors:  none
    Source:  torch.nn.Identity; ONNX Identity.
    """

    stream_axis = same_axis
    examples = (
        Example("{}", x="f32[B, 8]", y="f32[B, 8]"),
        Example("{}", x="i64[B, T]", ranges={"x": (0, 9)}, y="i64[B, T]"),
    )

    def infer(self, x: TensorType) -> TensorType:
        return x

    def torch(self, x: TensorType) -> Torch:
        return Torch(module=Construct("nn.Identity"), expression="{x}")

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Identity", x)


@register
class L2Normalize(Op):
    """Divide by the Euclidean length along an axis: y = x / max(|x|, eps).

    Inputs:  x: f32[B, *]
    Outputs: y: f32[B, *], of length 1 along the axis
    Errors:  D401 x does not hold floating-point numbers, has no such axis, or it is the batch.
    Source:  torch.nn.functional.normalize; ONNX ReduceL2, Max and Div.
    """

    stream_axis = one_axis
    axis: int = attribute(default=1, main=True, doc="The axis, the batch counted as 0.")
    eps: float = attribute(default=1e-12, above=0, doc="The least length to divide by.")

    examples = (
        Example("{}", x="f32[B, 8]", y="f32[B, 8]"),
        Example("{axis: -1, eps: 0.001}", x="f32[B, T, 4]", y="f32[B, T, 4]"),
        Example("{}", x="f32[B, 3, H, W]", y="f32[B, 3, H, W]"),
    )
    rejects = (
        Reject("{}", x="i64[B, 3]", code=Code.D401),
        Reject("{axis: 0}", x="f32[B, 3]", code=Code.D401),
        Reject("{axis: 2}", x="f32[B, 3]", code=Code.D401),
    )

    def infer(self, x: TensorType) -> TensorType:
        need_float(self.name, x)
        need_axis(self.name, x, self.axis)
        return x

    def flops(self, x: TensorType) -> Dim:
        return 3 * elements(x.shape)

    def window(self, x: TensorType) -> Window | None:
        return None if x.rank > 3 and need_axis(self.name, x, self.axis) > 1 else ()

    def torch(self, x: TensorType) -> Torch:
        eps = "" if self.eps == 1e-12 else ", eps={eps}"
        return Torch(
            expression=f"F.normalize({{x}}, dim={{axis}}{eps})",
            numbers={"axis": self.axis} | ({"eps": self.eps} if eps else {}),
        )

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        length = e.op("ReduceL2", x, e.ints([self.axis]), keepdims=1)
        return e.op("Div", x, e.op("Max", length, e.scalar(self.eps)))


@register
class Cast(Op):
    """Turn elements into another type; fractions are cut off where integers result.

    Inputs:  x: any type
    Outputs: y: x's shape, elements of type `dtype`
    Errors:  none; a number that the new type can't hold gives an undefined one.
    Source:  torch.Tensor.to; ONNX Cast.
    """

    stream_axis = same_axis
    dtype: str = attribute(
        main=True, choices=tuple(SPEC_DTYPES), doc="The element type, by numpy's name."
    )

    examples = (
        Example("{dtype: float32}", x="i64[B, T]", ranges={"x": (0, 9)}, y="f32[B, T]"),
        Example("{dtype: int64}", x="f32[B, 3]", y="i64[B, 3]"),
        Example("{dtype: float32}", x="u8[B, 1, H, W]", y="f32[B, 1, H, W]"),
        Example("{dtype: bool}", x="i64[B, 3]", ranges={"x": (0, 2)}, y="bool[B, 3]"),
    )

    def infer(self, x: TensorType) -> TensorType:
        return TensorType(SPEC_DTYPES[self.dtype], x.shape)

    def torch(self, x: TensorType) -> Torch:
        return Torch(expression=f"{{x}}.to(torch.{self.dtype})")

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Cast", x, to=ONNX_DTYPES[SPEC_DTYPES[self.dtype]])
