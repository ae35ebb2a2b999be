"""Normalisation of each position over one axis: layer norm and RMS norm."""

from __future__ import annotations

from typing import Any

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.graph import Parameter
from ..ir.shapes import TensorType, elements
from .base import (
    Construct,
    Emitter,
    Example,
    Handle,
    Helper,
    Reject,
    Torch,
    attribute,
    register,
)
from .checks import need_axis, need_float
from .linear import static_size
from .normalization import EPS, Normalization, differing, first_input, input_size
from .streaming import one_axis

F32_EPSILON = 2.0**-23
"""What torch's RMSNorm adds to the mean square of float32."""


class _AxisNorm(Normalization):
    """Normalisation of each position over one axis."""

    stream_axis = one_axis
    axis: int = attribute(
        default=-1, doc="The axis to normalise over: -1 is the last, 1 the channels of an image."
    )

    def infer(self, x: TensorType) -> TensorType:
        need_float(self.name, x)
        static_size(self.name, x, need_axis(self.name, x, self.axis))
        return x

    def parameters(self, x: TensorType) -> tuple[Parameter, ...]:
        return self._affine(static_size(self.name, x, self.axis))

    def _last(self, x: TensorType) -> bool:
        return self.axis in (-1, x.rank - 1)

    def _construct(self, x: TensorType, base: str, kwargs: dict[str, Any]) -> Torch:
        size = x.shape[self.axis]
        if self._last(x):
            module = Construct(f"nn.{base}", (size,), kwargs)
            return Torch(module=module, init=self._statements())
        helper = _along_axis(base)
        module = Construct(helper.name, (size,), {"axis": self.axis, **kwargs})
        return Torch(module=module, init=self._statements(), helper=helper)


def _along_axis(base: str) -> Helper:
    """nn.LayerNorm or nn.RMSNorm over an axis that is not the last."""
    name = f"Axis{base}"
    source = f'''class {name}(nn.{base}):
    """nn.{base} over an axis that is not the last, such as the channels of an image."""

    def __init__(self, size: int, axis: int, **kwargs) -> None:
        super().__init__(size, **kwargs)
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(self.axis, -1)).movedim(-1, self.axis)
'''
    return Helper(name, source)


@register
class LayerNorm(_AxisNorm):
    """Normalise each position over one axis by its mean and variance.

    Inputs:  x: f32[B, *, C]; with `axis: 1` f32[B, C, *]
    Outputs: y: the type of x
    Errors:  D401 x has no such axis besides the batch, or its size is symbolic; E202 `bias`
             without `affine`, or `init` does not fit.
    Source:  Ba et al. 2016; torch.nn.LayerNorm; Liu et al. 2022 (ConvNeXt) for `axis: 1`;
             ONNX LayerNormalization.
    """

    eps: float = attribute(default=1e-5, above=0, doc=EPS)
    affine: bool = attribute(default=True, doc="Learn a scale per element of the axis.")
    bias: bool = attribute(default=True, doc="Learn a shift too, where `affine` is true.")

    examples = (
        Example("{}", x="f32[B, 8]", y="f32[B, 8]"),
        Example("{eps: 0.001, bias: false}", x="f32[B, T, 6]", y="f32[B, T, 6]"),
        Example("{axis: 1, eps: 1.0e-6}", x="f32[B, 4, H, W]", y="f32[B, 4, H, W]"),
        Example("{affine: false}", x="f32[B, T, 6]", y="f32[B, T, 6]"),
        Example("{axis: 2, init: zeros}", x="f32[B, 3, 4, 5]", y="f32[B, 3, 4, 5]"),
    )
    rejects = (
        Reject("{}", x="f32[B]", code=Code.D401),
        Reject("{}", x="f32[B, 8, T]", code=Code.D401),
        Reject("{axis: 3}", x="f32[B, 8, 4]", code=Code.D401),
        Reject("{axis: 0}", x="f32[B, 8, 4]", code=Code.D401),
        Reject("{affine: false, init: ones}", x="f32[B, 8]", code=Code.E202),
    )

    def _scales(self) -> bool:
        return self.affine

    def _shifts(self) -> bool:
        return self.affine and self.bias

    def torch(self, x: TensorType) -> Torch:
        kwargs = differing(
            eps=(self.eps, 1e-5),
            elementwise_affine=(self.affine, True),
            bias=(self.bias, True),
        )
        return self._construct(x, "LayerNorm", kwargs)

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        given = first_input(e)
        if self._last(given):
            return self._normalise(e, x)
        order, back = _exchange(given.rank, self.axis % given.rank)
        y = self._normalise(e, e.op("Transpose", x, perm=order))
        return e.op("Transpose", y, perm=back)

    def _normalise(self, e: Emitter, x: Handle) -> Handle:
        weight = self._weight(e, input_size(e, self.axis))
        bias = e.weight("bias") if self._shifts() else None
        return e.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=self.eps)


def _exchange(rank: int, axis: int) -> tuple[list[int], list[int]]:
    """The order that moves an axis to the end, and the one that moves it back."""
    order = [*(a for a in range(rank) if a != axis), axis]
    return order, [order.index(a) for a in range(rank)]


@register
class RmsNorm(_AxisNorm):
    """Divide each position by its root mean square over one axis.

    Inputs:  x: f32[B, *, C]; with `axis: 1` f32[B, C, *]
    Outputs: y: the type of x
    Errors:  D401 x has no such axis besides the batch, or its size is symbolic; E202 `init` does
             not fit.
    Source:  Zhang and Sennrich 2019; torch.nn.RMSNorm; ONNX primitives, since RMSNormalization
             came with opset 23.
    """

    eps: float = attribute(
        default=F32_EPSILON, above=0, doc="Added to the mean square, so that it is never 0."
    )
    affine: bool = attribute(default=True, doc="Learn a scale per element of the axis.")

    examples = (
        Example("{}", x="f32[B, 8]", y="f32[B, 8]"),
        Example("{eps: 1.0e-6, axis: 1}", x="f32[B, 4, H, W]", y="f32[B, 4, H, W]"),
        Example("{affine: false}", x="f32[B, T, 6]", y="f32[B, T, 6]"),
    )
    rejects = (
        Reject("{}", x="f32[B]", code=Code.D401),
        Reject("{}", x="f32[B, 8, T]", code=Code.D401),
        Reject("{init: xavier_normal}", x="f32[B, 8]", code=Code.E202),
    )

    def _scales(self) -> bool:
        return self.affine

    def _shifts(self) -> bool:
        return False

    def flops(self, x: TensorType) -> Dim:
        """Squares and their sum, then divide and scale."""
        return 4 * elements(x.shape)

    def torch(self, x: TensorType) -> Torch:
        # Without eps torch takes that of the element type, which autocast changes.
        kwargs = {"eps": self.eps, **differing(elementwise_affine=(self.affine, True))}
        return self._construct(x, "RMSNorm", kwargs)

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        given = first_input(e)
        square = e.op("ReduceMean", e.op("Mul", x, x), e.ints([self.axis]), keepdims=1)
        y = e.op("Div", x, e.op("Sqrt", e.op("Add", square, e.scalar(self.eps))))
        if not self._scales():
            return y
        weight = e.weight("weight")
        behind = given.rank - 1 - self.axis % given.rank
        if behind:
            weight = e.op("Reshape", weight, e.ints([-1] + [1] * behind))
        return e.op("Mul", y, weight)
