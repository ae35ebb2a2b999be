"""Transposed convolutions, which enlarge. The channels are axis 1."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import Any

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.shapes import TensorType, elements
from .base import (
    Emitter,
    Example,
    Handle,
    Refusal,
    Reject,
    Window,
    attribute,
    register,
)
from .convolution import Kernel, divide_channels
from .spatial import compact, require_rank, require_size


class TransposedConvolution(Kernel):
    """A transposed convolution over `axes` spatial axes."""

    output_axis = 1

    padding: tuple[int, ...] | None = attribute(
        default=None,
        spread=1,
        minimum=0,
        words={"same": None},
        doc="How much of the full result is cut off both sides of each axis. `same`, the default, "
        "makes the output `stride` times as large as the input: "
        "(dilation (kernel - 1) + 1 + output_padding - stride) / 2, where that is a whole number.",
    )
    output_padding: tuple[int, ...] = attribute(
        default=0,
        spread=1,
        minimum=0,
        doc="Elements added at the end of each axis; less than the stride or the dilation.",
    )

    def check(self) -> None:
        for axis, extra in enumerate(self.output_padding):
            limit = max(self.stride[axis], self.dilation[axis])
            if extra >= limit:
                raise Refusal(
                    Code.E202,
                    f"`{self.name}` needs `output_padding` less than the stride or the dilation, "
                    f"found {extra} with stride {self.stride[axis]} and dilation "
                    f"{self.dilation[axis]}",
                    help=f"at most {limit - 1} can be added here",
                )
            if self.padding is None:
                self._require_same(axis)

    def _require_same(self, axis: int) -> None:
        twice = self._twice_same(axis)
        if twice >= 0 and twice % 2 == 0:
            return
        kernel, stride = self.kernel[axis], self.stride[axis]
        fits = twice >= -1 and self.output_padding[axis] + 1 < max(stride, self.dilation[axis])
        raise Refusal(
            Code.E202,
            f"`{self.name}` with kernel {kernel} and stride {stride} needs `padding`, "
            f"since no padding makes the output exactly {stride} times as large",
            label="no padding is given",
            help=f"state it: `padding: {max(twice, 0) // 2}`"
            + (f", or `output_padding: {self.output_padding[axis] + 1}`" if fits else ""),
        )

    def _twice_same(self, axis: int) -> int:
        return self._extent(axis) + self.output_padding[axis] - self.stride[axis]

    def _pads(self) -> tuple[int, ...]:
        if self.padding is not None:
            return self.padding
        return tuple(self._twice_same(axis) // 2 for axis in range(self.axes))

    def _weight_shape(self, inside: int) -> tuple[int, ...]:
        return (inside, self.channels // self.groups, *self.kernel)

    def _size(self, size: Dim, axis: int) -> Dim:
        return (size - 1) * self.stride[axis] + self._added(axis)

    def _added(self, axis: int) -> int:
        """Size of the output of one element."""
        return self._extent(axis) + self.output_padding[axis] - 2 * self._pads()[axis]

    def infer(self, x: TensorType) -> TensorType:
        require_rank(self.name, x, self.axes + 2)
        divide_channels(self.name, x, self.groups, self.channels)
        for axis, stride in enumerate(self.stride):
            least = 1 - (self._added(axis) - 1) // stride
            require_size(self.name, x, axis + 2, least, self._why(axis))
        sizes = (self._size(size, axis) for axis, size in enumerate(x.shape[2:]))
        return x.with_shape((x.shape[0], self.channels, *sizes))

    def flops(self, x: TensorType) -> Dim:
        return 2 * elements(x.shape) * (self.channels // self.groups * prod(self.kernel))

    def window(self, x: TensorType) -> Window:
        return tuple(
            ((self._extent(a) - 1) // self.stride[a] + 1, Fraction(1, self.stride[a]))
            for a in range(self.axes)
        )

    def _keywords(self) -> dict[str, Any]:
        keywords = super()._keywords()
        if any(self.output_padding):
            keywords["output_padding"] = compact(self.output_padding)
        return keywords

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        bias = e.weight("bias") if self.bias else None
        attributes = self._onnx_attributes()
        if any(self.output_padding):
            attributes["output_padding"] = list(self.output_padding)
        return e.op("ConvTranspose", x, self._weight(e), bias, **attributes)


@register
class ConvTranspose1d(TransposedConvolution):
    """Lay learned kernels along a sequence, one for each element: the transpose of conv1d.

    Inputs:  x: f32[B, C, L]
    Outputs: y: f32[B, channels, L'],
             L' = (L - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1
    Errors:  D401 x has other axes, or its channels are symbolic; D403 L' could be less than 1;
             D404 `groups` does not divide the channels; E202 there is no default padding, or
             `output_padding` is too large.
    Source:  torch.nn.ConvTranspose1d; ONNX ConvTranspose.
    """

    axes = 1
    examples = (
        Example("{channels: 3, kernel: 4, stride: 2}", x="f32[B, 4, T]", y="f32[B, 3, 2*T]"),
        Example(
            "{channels: 4, kernel: 3, stride: 2, output_padding: 1, groups: 2, bias: false}",
            x="f32[B, 4, 5]",
            y="f32[B, 4, 10]",
        ),
        Example(
            "{channels: 6, kernel: 3, dilation: 2, weight_norm: spectral}",
            x="f32[B, 4, 5]",
            y="f32[B, 6, 5]",
        ),
    )
    rejects = (
        Reject("{channels: 3, kernel: 4, stride: 2}", x="f32[B, 4]", code=Code.D401),
        Reject("{channels: 3, kernel: 2, padding: 2}", x="f32[B, 4, 3]", code=Code.D403),
        Reject("{channels: 3, kernel: 4, stride: 2, groups: 3}", x="f32[B, 4, 9]", code=Code.D404),
        Reject("{channels: 3, kernel: 3, stride: 2}", x="f32[B, 4, 9]", code=Code.E202),
        Reject(
            "{channels: 3, kernel: 4, stride: 2, output_padding: 2}",
            x="f32[B, 4, 9]",
            code=Code.E202,
        ),
    )


@register
class ConvTranspose2d(TransposedConvolution):
    """Lay learned kernels on an image, one for each element: the transpose of conv2d.

    Inputs:  x: f32[B, C, H, W]
    Outputs: y: f32[B, channels, H', W'],
             H' = (H - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1
    Errors:  D401 x has other axes, or its channels are symbolic; D403 H' or W' could be less
             than 1; D404 `groups` does not divide the channels; E202 there is no default padding,
             or `output_padding` is too large.
    Source:  torch.nn.ConvTranspose2d; ONNX ConvTranspose.
    """

    axes = 2
    examples = (
        Example(
            "{channels: 3, kernel: 4, stride: 2, padding: 1}",
            x="f32[B, 4, H, W]",
            y="f32[B, 3, 2*H, 2*W]",
        ),
        Example("{channels: 3, kernel: 2, stride: 2}", x="f32[B, 4, 3, 5]", y="f32[B, 3, 6, 10]"),
        Example(
            "{channels: 2, kernel: 3, stride: [2, 1], output_padding: [1, 0], bias: false}",
            x="f32[B, 4, 3, 5]",
            y="f32[B, 2, 6, 5]",
        ),
        Example(
            "{channels: 4, kernel: 4, stride: 1, padding: 0, weight_norm: spectral}",
            x="f32[B, 6, 1, 1]",
            y="f32[B, 4, 4, 4]",
        ),
    )
    rejects = (
        Reject("{channels: 3, kernel: 4, stride: 2}", x="f32[B, 4, 3]", code=Code.D401),
        Reject("{channels: 3, kernel: 2, padding: 2}", x="f32[B, 4, H, W]", code=Code.D403),
        Reject(
            "{channels: 4, kernel: 2, stride: 2, groups: 3}", x="f32[B, 3, 4, 4]", code=Code.D404
        ),
        Reject("{channels: 3, kernel: 3, stride: 2}", x="f32[B, 4, 9, 9]", code=Code.E202),
        Reject("{channels: 3, kernel: 1, stride: 2}", x="f32[B, 4, 9, 9]", code=Code.E202),
    )
