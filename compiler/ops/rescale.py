"""Raw numbers into network input, and outputs back into raw numbers: the ends of a program."""

from __future__ import annotations

from typing import Any

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.shapes import DType, TensorType, elements
from .base import (
    Construct,
    Emitter,
    Example,
    Handle,
    Helper,
    Op,
    Refusal,
    Reject,
    Torch,
    attribute,
    register,
)
from .streaming import same_axis

ONNX_FLOAT = 1
"""onnx.TensorProto.FLOAT"""

_MODULE = Helper(
    "RescaleChannels",
    '''class RescaleChannels(nn.Module):
    """Rescale numbers in float32: (x - shift) * factor, with a constant for each channel."""

    def __init__(self, shift: tuple[float, ...], factor: tuple[float, ...], axis: int = 1) -> None:
        super().__init__()
        self.axis = axis
        self.register_buffer("shift", torch.tensor(shift), persistent=False)
        self.register_buffer("factor", torch.tensor(factor), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        along_channels = (-1,) + (1,) * (x.ndim - self.axis - 1)
        shift, factor = self.shift.view(along_channels), self.factor.view(along_channels)
        return (x.float() - shift) * factor
''',
)


@register
class Rescale(Op):
    """Turn numbers of any type into f32 with fixed constants: y = (x - shift) * factor.

    Inputs:  x: any type[B, *]; true counts as 1, false as 0
    Outputs: y: f32[B, *]
    Errors:  D401 lists of several constants without as many channels on `axis`.
    Source:  torch arithmetic; ONNX Cast, Sub and Mul.
    """

    stream_axis = same_axis
    shift: tuple[float, ...] = attribute(
        default=(0.0,), doc="What is subtracted: one number, or one for each channel."
    )
    factor: tuple[float, ...] = attribute(
        default=(1.0,), doc="What is multiplied with: one number, or one for each channel."
    )
    axis: int = attribute(default=1, minimum=1, doc="The axis of the channels, the batch being 0.")

    examples = (
        Example("{shift: 127.5, factor: 0.0078125}", x="u8[B, 1, 8, 8]", y="f32[B, 1, 8, 8]"),
        Example(
            "{shift: [0.5, 0.25], factor: [2.0, 4.0]}", x="f32[B, 2, H, W]", y="f32[B, 2, H, W]"
        ),
        Example(
            "{shift: [0.5, 0.25], factor: [2.0, 4.0], axis: 2}", x="f32[B, T, 2]", y="f32[B, T, 2]"
        ),
        Example("{factor: 0.5}", x="i64[B]", y="f32[B]"),
        Example("{}", x="f32[B, 3]", y="f32[B, 3]"),
        Example("{shift: -2.0, factor: 20.0}", x="f32[B, 3]", y="f32[B, 3]"),
        Example("{shift: 0.5, factor: 2.0}", x="bool[B, 3]", y="f32[B, 3]"),
    )
    rejects = (
        Reject("{shift: [1.0, 2.0]}", x="f32[B, 3]", code=Code.D401),
        Reject("{factor: [1.0, 2.0]}", x="f32[B]", code=Code.D401),
        Reject("{shift: [1.0, 2.0], axis: 2}", x="f32[B, 2, 3]", code=Code.D401),
    )

    def infer(self, x: TensorType) -> TensorType:
        channels = x.shape[self.axis] if x.rank > self.axis else 1
        for name, constants in (("shift", self.shift), ("factor", self.factor)):
            if len(constants) not in (1, channels):
                raise Refusal(
                    Code.D401,
                    f"`rescale` needs one `{name}` or one for each channel (axis {self.axis}), "
                    f"found {len(constants)} for {x}",
                    label=f"{channels} on axis {self.axis}"
                    if x.rank > self.axis
                    else f"no axis {self.axis}",
                )
        return TensorType(DType.F32, x.shape)

    def flops(self, x: TensorType) -> Dim:
        return 2 * elements(x.shape)

    def torch(self, x: TensorType) -> Torch:
        if len(self.shift) > 1 or len(self.factor) > 1:
            constants: dict[str, Any] = {"shift": list(self.shift), "factor": list(self.factor)}
            constants |= {"axis": self.axis} if self.axis != 1 else {}
            return Torch(module=Construct(_MODULE.name, (), constants), helper=_MODULE)
        changes = any(self.shift) or self.factor != (1.0,)
        text = "{x}" if changes and x.dtype is DType.F32 else "{x}.float()"
        if any(self.shift):
            shift = float(self.shift[0])
            text = f"({text} {'-' if shift > 0 else '+'} {abs(shift)!r})"
        if self.factor != (1.0,):
            text = f"{text} * {float(self.factor[0])!r}"
        return Torch(expression=text)

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        (given,) = e.inputs
        assert given is not None
        y = x if given.dtype is DType.F32 else e.op("Cast", x, to=ONNX_FLOAT)
        if any(self.shift):
            y = e.op("Sub", y, self._array(e, self.shift, given.rank))
        if set(self.factor) != {1.0}:
            y = e.op("Mul", y, self._array(e, self.factor, given.rank))
        return y if y is not x else e.op("Identity", x)

    def _array(self, e: Emitter, constants: tuple[float, ...], rank: int) -> Handle:
        import numpy as np

        array = np.array(constants, dtype=np.float32)
        shape = () if len(constants) == 1 else (-1, *(1,) * (rank - self.axis - 1))
        return e.array(array.reshape(shape))
