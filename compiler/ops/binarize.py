"""Raw or scaled numbers into 0 and 1: the end of what a program does to a field that wants it."""

from __future__ import annotations

from ..ir.dims import Dim
from ..ir.shapes import DType, TensorType, elements
from .arithmetic import ONNX_DTYPES
from .base import Emitter, Example, Handle, Op, Torch, attribute, internal
from .streaming import same_axis


@internal
class Binarize(Op):
    """Turn numbers of any type into 0 and 1 in f32: y = 1 where x > threshold, else 0.

    Numbers and threshold are compared in float32. NaN becomes 0.

    Inputs:  x: any type[B, *]; true counts as 1, false as 0
    Outputs: y: f32[B, *], each 0 or 1
    Errors:  none.
    Source:  torch.gt; ONNX Greater and Cast, as the Binarizer of ONNX-ML.
    """

    stream_axis = same_axis
    threshold: float = attribute(default=0.0, main=True, doc="The largest number that becomes 0.")

    examples = (
        Example("{threshold: 0.5}", x="f32[B, 1, 8, 8]", y="f32[B, 1, 8, 8]"),
        Example("{threshold: 127.5}", x="u8[B, 1, H, W]", y="f32[B, 1, H, W]"),
        Example("{threshold: -0.1}", x="f32[B, T, 2]", y="f32[B, T, 2]"),
        Example("{threshold: 3}", x="i64[B]", y="f32[B]"),
        Example("{threshold: 0.1}", x="f64[B, 3]", y="f32[B, 3]"),
        Example("{}", x="bool[B, 3]", y="f32[B, 3]"),
    )

    def infer(self, x: TensorType) -> TensorType:
        return TensorType(DType.F32, x.shape)

    def flops(self, x: TensorType) -> Dim:
        return elements(x.shape)

    def torch(self, x: TensorType) -> Torch:
        text = "{x}" if x.dtype is DType.F32 else "{x}.float()"
        return Torch(expression=f"({text} > {float(self.threshold)!r}).float()")

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        import numpy as np

        (given,) = e.inputs
        assert given is not None
        single = ONNX_DTYPES[DType.F32]
        numbers = x if given.dtype is DType.F32 else e.op("Cast", x, to=single)
        limit = e.array(np.array(self.threshold, dtype=np.float32))
        return e.op("Cast", e.op("Greater", numbers, limit), to=single)
