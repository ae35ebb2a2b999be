"""Convolutions over one, two or three spatial axes. The channels are axis 1."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from fractions import Fraction
from math import prod
from typing import Any, ClassVar

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.graph import Parameter
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
from .causal_convolution import causal_conv1d
from .linear import static_size
from .merge import Concat
from .slicing import Slice
from .spatial import Spatial, compact, onnx_pads, require_rank, require_size
from .spectral import (
    RESTART,
    WEIGHT_NORM_DOC,
    WEIGHT_NORMS,
    spectral_buffers,
    spectral_module,
    spectral_weight,
)
from .streamed import Axes, Streamed, Streamer
from .streaming import stays, unstreamable
from .weights import Init

KERNEL = "Size of the kernel, one number or one per axis."
STRIDE = "Step between windows, one number or one per axis."
DILATION = "Distance between the taps of the kernel."
GROUPS = "Channels are split into this many groups that do not see each other."
INIT = "How the weight starts."


def divide_channels(op: str, x: TensorType, groups: int, channels: int) -> None:
    """Raises: Refusal: D404: `groups` does not divide the channels going in and coming out."""
    inside = static_size(op, x, 1)
    for side, count in (("input", inside), ("output", channels)):
        if count % groups:
            raise Refusal(
                Code.D404,
                f"`{op}` with {groups} groups needs {side} channels that are a multiple of "
                f"{groups}, found {count}",
                label=f"reads {x}",
                help=f"choose `groups` to divide both {inside} and {channels}",
            )


class Kernel(Spatial, ABC):
    """What convolutions and transposed convolutions have in common."""

    output_axis: ClassVar[int] = 0
    """The axis of the weight that counts outputs."""

    channels: int = attribute(main=True, minimum=1, doc="Number of output channels.")
    kernel: tuple[int, ...] = attribute(spread=1, minimum=1, doc=KERNEL)
    stride: tuple[int, ...] = attribute(default=1, spread=1, minimum=1, doc=STRIDE)
    padding: tuple[int, ...] | None = attribute(
        default=None,
        spread=1,
        minimum=0,
        words={"same": None},
        doc="Zeros added on both sides of each axis; `same` keeps the size at stride 1 "
        "and is the default for odd kernels.",
    )
    dilation: tuple[int, ...] = attribute(default=1, spread=1, minimum=1, doc=DILATION)
    groups: int = attribute(default=1, minimum=1, doc=GROUPS)
    bias: bool = attribute(default=True, doc="Add a learned offset to each channel.")
    init: Init | None = attribute(default=None, doc=INIT)
    weight_norm: str | None = attribute(default=None, choices=WEIGHT_NORMS, doc=WEIGHT_NORM_DOC)

    @abstractmethod
    def _pads(self) -> tuple[int, ...]:
        """Zeros on either side of each axis."""

    @abstractmethod
    def _weight_shape(self, inside: int) -> tuple[int, ...]: ...

    @abstractmethod
    def _size(self, size: Dim, axis: int) -> Dim:
        """Size of an output axis; `axis` counts spatial axes from 0."""

    def _extent(self, axis: int) -> int:
        """How many elements the kernel spans along an axis."""
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1

    def _why(self, axis: int) -> str:
        """The arguments that decide how large an input must be, for messages."""
        dilation = self.dilation[axis]
        spread = f", dilation {dilation}" if dilation > 1 else ""
        return f"with kernel {self.kernel[axis]}{spread} and padding {self._pads()[axis]}"

    def parameters(self, x: TensorType) -> tuple[Parameter, ...]:
        weight = Parameter("weight", self._weight_shape(static_size(self.name, x, 1)))
        bias = (Parameter("bias", (self.channels,)),) if self.bias else ()
        if self.weight_norm is None:
            return (weight, *bias)
        return (weight, *bias, *spectral_buffers(weight.shape, self.output_axis))

    def torch(self, x: TensorType) -> Torch:
        spectral = self.weight_norm is not None
        base = type(self).__name__
        statements = self.init.statements(bias=self.bias) if self.init else ()
        return Torch(
            module=Construct(
                f"Spectral{base}" if spectral else f"nn.{base}",
                (x.shape[1], self.channels),
                self._keywords(),
            ),
            init=(*statements, RESTART) if spectral and statements else statements,
            helper=spectral_module(base) if spectral else None,
        )

    def _keywords(self) -> dict[str, Any]:
        """torch's keyword arguments, without those that have torch's default."""
        given = {
            "stride": (compact(self.stride), 1),
            "padding": (compact(self._pads()), 0),
            "dilation": (compact(self.dilation), 1),
            "groups": (self.groups, 1),
            "bias": (self.bias, True),
        }
        changed = {word: value for word, (value, usual) in given.items() if value != usual}
        return {"kernel_size": compact(self.kernel), **changed}

    def _weight(self, e: Emitter) -> Handle:
        if self.weight_norm is None:
            return e.weight("weight")
        return spectral_weight(e, rank=self.axes + 2, output_axis=self.output_axis)

    def _onnx_attributes(self) -> dict[str, Any]:
        pads = self._pads()
        return {
            "kernel_shape": list(self.kernel),
            "strides": list(self.stride),
            "pads": onnx_pads(pads, pads),
            "dilations": list(self.dilation),
            "group": self.groups,
        }


class Convolution(Kernel):
    """A convolution over `axes` spatial axes."""

    _hint: ClassVar[str] = ""
    """What makes it see no later step."""

    def check(self) -> None:
        even = next((k for k in self.kernel if k % 2 == 0), None)
        if self.padding is None and even is not None:
            raise Refusal(
                Code.E202,
                f"`{self.name}` with the even kernel {even} needs `padding`, "
                "since `same` is defined for odd kernels",
                label="no padding is given",
                help=f"state it: `padding: {(even - 1) // 2}`",
            )

    def _pads(self) -> tuple[int, ...]:
        if self.padding is not None:
            return self.padding
        return tuple((self._extent(axis) - 1) // 2 for axis in range(self.axes))

    def _added(self, axis: int) -> int:
        """Zeros along an axis, those of both sides together."""
        return 2 * self._pads()[axis]

    def _weight_shape(self, inside: int) -> tuple[int, ...]:
        return (self.channels, inside // self.groups, *self.kernel)

    def _size(self, size: Dim, axis: int) -> Dim:
        return (size + self._added(axis) - self._extent(axis)) // self.stride[axis] + 1

    def infer(self, x: TensorType) -> TensorType:
        require_rank(self.name, x, self.axes + 2)
        divide_channels(self.name, x, self.groups, self.channels)
        for axis in range(self.axes):
            least = self._extent(axis) - self._added(axis)
            require_size(self.name, x, axis + 2, least, self._why(axis))
        sizes = (self._size(size, axis) for axis, size in enumerate(x.shape[2:]))
        return x.with_shape((x.shape[0], self.channels, *sizes))

    def flops(self, x: TensorType) -> Dim:
        sizes = (self._size(size, axis) for axis, size in enumerate(x.shape[2:]))
        inside = static_size(self.name, x, 1) // self.groups
        return 2 * elements((x.shape[0], self.channels, *sizes)) * (inside * prod(self.kernel))

    def window(self, x: TensorType) -> Window:
        return tuple((self._extent(a), Fraction(self.stride[a])) for a in range(self.axes))

    def stream_axis(self, axes: Axes, x: TensorType) -> int:
        axis = stays(axes, what="")
        self._need_every_step(axis - 2)
        if self.kernel[axis - 2] > 1 or self._added(axis - 2):
            raise unstreamable(f"sees later steps with kernel {self.kernel[axis - 2]}", self._hint)
        return axis

    def _need_every_step(self, axis: int) -> None:
        if self.stride[axis] > 1:
            raise unstreamable(f"skips steps with stride {self.stride[axis]}")

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        bias = e.weight("bias") if self.bias else None
        return e.op("Conv", x, self._weight(e), bias, **self._onnx_attributes())


@register
class Conv1d(Convolution):
    """Slide learned kernels along a sequence.

    Inputs:  x: f32[B, C, L]
    Outputs: y: f32[B, channels, L'], L' = (L + 2 padding - dilation (kernel - 1) - 1) // stride + 1
             or with `causal` (L - 1) // stride + 1, where y at t sees x up to t * stride
    Errors:  D401 x has other axes, or its channels are symbolic; D403 L' could be less than 1;
             D404 `groups` does not divide the channels; E202 an even kernel without `padding` or
             `causal`, or both of these.
    Source:  torch.nn.Conv1d; ONNX Conv. `causal`: van den Oord et al. 2016, "WaveNet", section 2.1.
    """

    causal: bool = attribute(
        default=False,
        doc="Let no output see a later input: the zeros are added before the first step alone, "
        "dilation (kernel - 1) of them. It replaces `padding`, and keeps the size at stride 1 too.",
    )

    axes = 1
    _hint = "`causal: true` lets no output see a later step"
    examples = (
        Example("{channels: 6, kernel: 3}", x="f32[B, 4, T]", y="f32[B, 6, T]"),
        Example("{channels: 3, kernel: 1, bias: false}", x="f32[B, 4, T]", y="f32[B, 3, T]"),
        Example(
            "{channels: 4, kernel: 2, stride: 2, padding: 0, groups: 2, bias: false}",
            x="f32[B, 4, 9]",
            y="f32[B, 4, 4]",
        ),
        Example(
            "{channels: 3, kernel: 5, dilation: 2, weight_norm: spectral, init: orthogonal}",
            x="f32[B, 2, T]",
            y="f32[B, 3, T]",
        ),
        Example("{channels: 4, kernel: 3, causal: true}", x="f32[B, 2, T]", y="f32[B, 4, T]"),
        Example(
            "{channels: 4, kernel: 2, causal: true, stride: 2, dilation: 3, bias: false}",
            x="f32[B, 2, T]",
            y="f32[B, 4, (T - 1) // 2 + 1]",
        ),
        Example(
            "{channels: 3, kernel: 4, causal: true, weight_norm: spectral, init: orthogonal}",
            x="f32[B, 2, 6]",
            y="f32[B, 3, 6]",
        ),
    )
    rejects = (
        Reject("{channels: 6, kernel: 3}", x="f32[B, 4]", code=Code.D401),
        Reject("{channels: 6, kernel: 3}", x="f32[B, C, T]", code=Code.D401),
        Reject("{channels: 6, kernel: 7, padding: 0}", x="f32[B, 4, T]", code=Code.D403),
        Reject("{channels: 6, kernel: 3, groups: 3}", x="f32[B, 4, 9]", code=Code.D404),
        Reject("{channels: 6, kernel: 4}", x="f32[B, 4, 9]", code=Code.E202),
        Reject(
            "{channels: 6, kernel: 3, causal: true, padding: 1}", x="f32[B, 4, 9]", code=Code.E202
        ),
        Reject("{channels: 6, kernel: 3, causal: true}", x="f32[B, 4, 0]", code=Code.D403),
    )

    def check(self) -> None:
        if not self.causal:
            super().check()
        elif self.padding is not None:
            raise Refusal(
                Code.E202,
                f"`conv1d` with `causal` puts {self._added(0)} zeros before the first step, none "
                f"behind the last, found padding {self.padding[0]}",
                label="`causal` and `padding` exclude each other",
                help="remove `padding`; a `pad` layer before this one adds further zeros",
            )

    def _pads(self) -> tuple[int, ...]:
        return (0,) if self.causal else super()._pads()

    def _added(self, axis: int) -> int:
        return self._extent(0) - 1 if self.causal else super()._added(axis)

    def _why(self, axis: int) -> str:
        return "with `causal`" if self.causal else super()._why(axis)

    def torch(self, x: TensorType) -> Torch:
        usual = super().torch(x)
        if not self.causal:
            return usual
        assert usual.module
        helper = causal_conv1d(usual.helper)
        return replace(usual, module=replace(usual.module, function=helper.name), helper=helper)

    def stream(self, s: Streamer, x: Streamed) -> tuple[Streamed, ...]:
        """A causal one keeps its last inputs, which stand before the next chunk."""
        kept = self._extent(0) - 1
        if not self.causal or not kept:
            return s.each_step(self, x)
        self._need_every_step(0)
        if self.weight_norm and s.tied:
            raise unstreamable("has a normalised weight that is tied to another layer's")
        past = s.state("past", x.value.type.with_axis(2, kept))
        joined = s.add("joined", Concat(axis=2), past, x.value)
        s.keep("past", s.add("past", Slice(axis=2, start=-kept), joined))
        given = {name: getattr(self, name) for name in self.attributes}
        (y,) = s.apply(_Unpadded(**{**given, "causal": False, "padding": (0,)}), joined)
        return (Streamed(y, 2),)

    def _onnx_attributes(self) -> dict[str, Any]:
        both = super()._onnx_attributes()
        return {**both, "pads": onnx_pads([self._added(0)], [0])} if self.causal else both


class _Unpadded(Conv1d):
    """What a causal convolution does behind the inputs that stand before the chunk."""

    def torch(self, x: TensorType) -> Torch:
        usual = Conv1d(**{name: getattr(self, name) for name in self.attributes}).torch(x)
        assert usual.module
        return replace(usual, expression=f"{usual.module.function}.forward({{self}}, {{x}})")


@register
class Conv2d(Convolution):
    """Slide learned kernels over an image.

    Inputs:  x: f32[B, C, H, W]
    Outputs: y: f32[B, channels, H', W'],
             H' = (H + 2 padding - dilation (kernel - 1) - 1) // stride + 1
    Errors:  D401 x has other axes, or its channels are symbolic; D403 H' or W' could be less
             than 1; D404 `groups` does not divide the channels; E202 an even kernel without
             `padding`.
    Source:  torch.nn.Conv2d; ONNX Conv.
    """

    axes = 2
    examples = (
        Example("{channels: 8, kernel: 3}", x="f32[B, 3, 8, 8]", y="f32[B, 8, 8, 8]"),
        Example(
            "{channels: 6, kernel: [3, 5], stride: [2, 1], bias: false}",
            x="f32[B, 3, H, W]",
            y="f32[B, 6, (H - 1) // 2 + 1, W]",
        ),
        Example("{channels: 2, kernel: [1, 3]}", x="f32[B, 3, T, 4]", y="f32[B, 2, T, 4]"),
        Example(
            "{channels: 8, kernel: 3, stride: 2, dilation: 2, groups: 4}",
            x="f32[B, 4, 9, 8]",
            y="f32[B, 8, 5, 4]",
        ),
        Example(
            "{channels: 4, kernel: 4, stride: 2, padding: 1, weight_norm: spectral}",
            x="f32[B, 3, 8, 8]",
            y="f32[B, 4, 4, 4]",
        ),
        Example(
            "{channels: 2, kernel: 3, padding: same, init: zeros}",
            x="f32[B, 3, 5, 5]",
            y="f32[B, 2, 5, 5]",
        ),
    )
    rejects = (
        Reject("{channels: 8, kernel: 3}", x="f32[B, 32]", code=Code.D401),
        Reject("{channels: 8, kernel: 3}", x="u8[B, 3, 8, 8]", code=Code.D401),
        Reject("{channels: 8, kernel: 7, padding: 0}", x="f32[B, 3, 5, 8]", code=Code.D403),
        Reject("{channels: 8, kernel: 7, padding: 0}", x="f32[B, 3, H, W]", code=Code.D403),
        Reject("{channels: 8, kernel: 3, groups: 2}", x="f32[B, 3, 8, 8]", code=Code.D404),
        Reject("{channels: 9, kernel: 3, groups: 2}", x="f32[B, 4, 8, 8]", code=Code.D404),
        Reject("{channels: 8, kernel: 2, stride: 2}", x="f32[B, 3, 8, 8]", code=Code.E202),
    )


@register
class Conv3d(Convolution):
    """Slide learned kernels over a volume or a clip.

    Inputs:  x: f32[B, C, D, H, W]
    Outputs: y: f32[B, channels, D', H', W'],
             D' = (D + 2 padding - dilation (kernel - 1) - 1) // stride + 1
    Errors:  D401 x has other axes, or its channels are symbolic; D403 D', H' or W' could be less
             than 1; D404 `groups` does not divide the channels; E202 an even kernel without
             `padding`.
    Source:  torch.nn.Conv3d; ONNX Conv.
    """

    axes = 3
    examples = (
        Example(
            "{channels: 4, kernel: 3, stride: [1, 2, 2]}",
            x="f32[B, 2, T, 6, 6]",
            y="f32[B, 4, T, 3, 3]",
        ),
        Example("{channels: 2, kernel: [1, 3, 3]}", x="f32[B, 2, T, 4, 4]", y="f32[B, 2, T, 4, 4]"),
        Example(
            "{channels: 2, kernel: 2, padding: [0, 1, 1], weight_norm: spectral}",
            x="f32[B, 2, 4, 4, 4]",
            y="f32[B, 2, 3, 5, 5]",
        ),
    )
    rejects = (
        Reject("{channels: 4, kernel: 3}", x="f32[B, 2, 6, 6]", code=Code.D401),
        Reject("{channels: 4, kernel: 3, padding: 0}", x="f32[B, 2, 2, 6, 6]", code=Code.D403),
        Reject("{channels: 4, kernel: 3, groups: 3}", x="f32[B, 2, 6, 6, 6]", code=Code.D404),
        Reject("{channels: 4, kernel: 2}", x="f32[B, 2, 6, 6, 6]", code=Code.E202),
    )
