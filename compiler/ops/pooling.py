"""Pooling: windows of an image or sequence reduced to one number each. The channels are axis 1."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import Any

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.shapes import TensorType, elements
from .base import (
    Construct,
    Emitter,
    Example,
    Handle,
    Refusal,
    Reject,
    Torch,
    Window,
    attribute,
    register,
)
from .spatial import Spatial, compact, onnx_pads, require_rank, require_size
from .streamed import Axes
from .streaming import several_steps, stays


class Pooling(Spatial):
    """A sliding window over `axes` spatial axes."""

    kernel: tuple[int, ...] = attribute(
        main=True, spread=1, minimum=1, doc="Size of the window, one number or one per axis."
    )
    stride: tuple[int, ...] | None = attribute(
        default=None, spread=1, minimum=1, doc="Step between windows; the kernel's size by default."
    )
    padding: tuple[int, ...] = attribute(
        default=0, spread=1, minimum=0, doc="Border added on both sides; at most half the kernel."
    )
    ceil_mode: bool = attribute(
        default=False, doc="Keep a last window that reaches beyond the padded input."
    )

    def check(self) -> None:
        for kernel, padding in zip(self.kernel, self.padding, strict=True):
            if 2 * padding > kernel:
                raise Refusal(
                    Code.E202,
                    f"`{self.name}` needs padding of at most half the kernel, "
                    f"found padding {padding} with kernel {kernel}",
                    help=f"at most {kernel // 2} can be padded here; `pad` adds more",
                )

    def _steps(self) -> tuple[int, ...]:
        return self.kernel if self.stride is None else self.stride

    def _ends(self) -> tuple[int, ...]:
        """What to add behind each axis so that windows laid without `ceil_mode` come out right.

        With `ceil_mode` a last window may reach out, but must start within the input or the
        padding before it.
        """
        if not self.ceil_mode:
            return self.padding
        return tuple(
            min(kernel - 1, padding + step - 1)
            for kernel, padding, step in zip(self.kernel, self.padding, self._steps(), strict=True)
        )

    def infer(self, x: TensorType) -> TensorType:
        require_rank(self.name, x, self.axes + 2)
        sizes: list[Dim] = []
        for axis, size in enumerate(x.shape[2:]):
            kernel, padding = self.kernel[axis], self.padding[axis]
            around = padding + self._ends()[axis]
            why = f"with kernel {kernel} and padding {padding}"
            require_size(self.name, x, axis + 2, kernel - around, why)
            sizes.append((size + (around - kernel)) // self._steps()[axis] + 1)
        return x.with_shape((*x.shape[:2], *sizes))

    def flops(self, x: TensorType) -> Dim:
        return elements(self.infer(x).shape) * prod(self.kernel)

    def window(self, x: TensorType) -> Window:
        steps = zip(self.kernel, self._steps(), strict=True)
        return tuple((kernel, Fraction(step)) for kernel, step in steps)

    def stream_axis(self, axes: Axes, x: TensorType) -> int | None:
        axis = stays(axes, what="")
        place = axis - 2
        if (self.kernel[place], self._steps()[place], self.padding[place]) != (1, 1, 0):
            return several_steps(self, axes, x)
        return axis

    def torch(self, x: TensorType) -> Torch:
        return Torch(module=Construct(f"nn.{self._torch_name()}", (), self._keywords()))

    def _torch_name(self) -> str:
        kind = "MaxPool" if self.name.startswith("max") else "AvgPool"
        return f"{kind}{self.axes}d"

    def _keywords(self) -> dict[str, Any]:
        """torch's keyword arguments, without those that have torch's default."""
        keywords: dict[str, Any] = {"kernel_size": compact(self.kernel)}
        if self._steps() != self.kernel:
            keywords["stride"] = compact(self._steps())
        if any(self.padding):
            keywords["padding"] = compact(self.padding)
        if self.ceil_mode:
            keywords["ceil_mode"] = True
        return keywords

    def _windows(self) -> dict[str, Any]:
        return {"kernel_shape": list(self.kernel), "strides": list(self._steps())}


class MaxPooling(Pooling):
    """The largest element of each window."""

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("MaxPool", x, **self._windows(), pads=onnx_pads(self.padding, self._ends()))


class AveragePooling(Pooling):
    """The mean of each window."""

    count_include_pad: bool = attribute(
        default=True, doc="Count the zeros of the padding as elements of the mean."
    )

    def _keywords(self) -> dict[str, Any]:
        keywords = super()._keywords()
        return keywords if self.count_include_pad else {**keywords, "count_include_pad": False}

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        # What ceil_mode reaches beyond the padding never counts, so where the padding counts it
        # must be made before.
        before, ends = self.padding, self._ends()
        counted = self.count_include_pad and any(before)
        if counted and ends != before:
            spatial = e.ints(range(2, 2 + self.axes))  # named axes keep ONNX Runtime from fusing it
            x = e.op("Pad", x, e.ints(onnx_pads(before, before)), None, spatial, mode="constant")
            ends = tuple(end - padding for end, padding in zip(ends, before, strict=True))
            before, counted = (0,) * self.axes, False
        pads = onnx_pads(before, ends)
        return e.op("AveragePool", x, **self._windows(), pads=pads, count_include_pad=int(counted))


@register
class MaxPool1d(MaxPooling):
    """Keep the largest element of each window of a sequence.

    Inputs:  x: f32[B, C, L]
    Outputs: y: f32[B, C, L'], L' = (L + 2 padding - kernel) // stride + 1
    Errors:  D401 x has other axes; D403 L' could be less than 1; E202 the padding is more than
             half the kernel.
    Source:  torch.nn.MaxPool1d; ONNX MaxPool.
    """

    axes = 1
    stream_axis = several_steps
    examples = (
        Example("{kernel: 2}", x="f32[B, 3, 9]", y="f32[B, 3, 4]"),
        Example(
            "{kernel: 3, stride: 2, padding: 1, ceil_mode: true}",
            x="f32[B, 3, 8]",
            y="f32[B, 3, 5]",
        ),
    )
    rejects = (
        Reject("{kernel: 2}", x="f32[B, 3, 8, 8]", code=Code.D401),
        Reject("{kernel: 2}", x="f32[B, 3, T]", code=Code.D403),
        Reject("{kernel: 2, padding: 2}", x="f32[B, 3, 8]", code=Code.E202),
    )


@register
class MaxPool2d(MaxPooling):
    """Keep the largest element of each window of an image.

    Inputs:  x: f32[B, C, H, W]
    Outputs: y: f32[B, C, H', W'], H' = (H + 2 padding - kernel) // stride + 1
    Errors:  D401 x has other axes; D403 H' or W' could be less than 1; E202 the padding is more
             than half the kernel.
    Source:  torch.nn.MaxPool2d; ONNX MaxPool.
    """

    axes = 2
    examples = (
        Example("{kernel: 2}", x="f32[B, 3, 8, 8]", y="f32[B, 3, 4, 4]"),
        Example("{kernel: [1, 2]}", x="f32[B, 3, T, 6]", y="f32[B, 3, T, 3]"),
        Example(
            "{kernel: 3, stride: 2, padding: 1}",
            x="f32[B, 3, H, W]",
            y="f32[B, 3, (H - 1) // 2 + 1, (W - 1) // 2 + 1]",
        ),
        Example("{kernel: 2, ceil_mode: true}", x="f32[B, 3, 7, 7]", y="f32[B, 3, 4, 4]"),
        Example(
            "{kernel: [2, 3], stride: [3, 2], padding: [1, 1], ceil_mode: true}",
            x="f32[B, 2, 6, 8]",
            y="f32[B, 2, 3, 5]",
        ),
    )
    rejects = (
        Reject("{kernel: 2}", x="f32[B, 64]", code=Code.D401),
        Reject("{kernel: 2}", x="i64[B, 1, 8, 8]", code=Code.D401),
        Reject("{kernel: 3}", x="f32[B, 3, 2, 8]", code=Code.D403),
        Reject("{kernel: 3, padding: 2}", x="f32[B, 3, 8, 8]", code=Code.E202),
    )


@register
class AvgPool1d(AveragePooling):
    """Average each window of a sequence.

    Inputs:  x: f32[B, C, L]
    Outputs: y: f32[B, C, L'], L' = (L + 2 padding - kernel) // stride + 1
    Errors:  D401 x has other axes; D403 L' could be less than 1; E202 the padding is more than
             half the kernel.
    Source:  torch.nn.AvgPool1d; ONNX AveragePool.
    """

    axes = 1
    stream_axis = several_steps
    examples = (
        Example("{kernel: 2}", x="f32[B, 3, 8]", y="f32[B, 3, 4]"),
        Example("{kernel: 3, stride: 1, padding: 1}", x="f32[B, 3, T]", y="f32[B, 3, T]"),
    )
    rejects = (
        Reject("{kernel: 2}", x="f32[B, 3]", code=Code.D401),
        Reject("{kernel: 4}", x="f32[B, 3, 3]", code=Code.D403),
        Reject("{kernel: 3, padding: 2}", x="f32[B, 3, 8]", code=Code.E202),
    )


@register
class AvgPool2d(AveragePooling):
    """Average each window of an image.

    Inputs:  x: f32[B, C, H, W]
    Outputs: y: f32[B, C, H', W'], H' = (H + 2 padding - kernel) // stride + 1
    Errors:  D401 x has other axes; D403 H' or W' could be less than 1; E202 the padding is more
             than half the kernel.
    Source:  torch.nn.AvgPool2d; ONNX AveragePool.
    """

    axes = 2
    examples = (
        Example("{kernel: 2}", x="f32[B, 3, 8, 8]", y="f32[B, 3, 4, 4]"),
        Example("{kernel: [1, 2]}", x="f32[B, 3, T, 6]", y="f32[B, 3, T, 3]"),
        Example(
            "{kernel: 3, stride: 2, padding: 1, ceil_mode: true}",
            x="f32[B, 3, 8, 6]",
            y="f32[B, 3, 5, 4]",
        ),
        Example(
            "{kernel: 3, stride: 2, padding: 1, count_include_pad: false, ceil_mode: true}",
            x="f32[B, 3, H, W]",
            y="f32[B, 3, H // 2 + 1, W // 2 + 1]",
        ),
    )
    rejects = (
        Reject("{kernel: 2}", x="f32[B, 64]", code=Code.D401),
        Reject("{kernel: 4}", x="f32[B, 3, H, 8]", code=Code.D403),
        Reject("{kernel: 3, padding: 2}", x="f32[B, 3, 8, 8]", code=Code.E202),
    )
