"""Functions of one element at a time, and softmax."""

from __future__ import annotations

from ..diagnostics import Code
from ..ir.shapes import Dim, TensorType, elements
from .base import Construct, Emitter, Example, Handle, Op, Refusal, Reject, Torch, register


class Elementwise(Op):
    """A function of each element: the output has the input's type."""

    rejects = (Reject("{}", x="i64[B, 3]", code=Code.D401),)

    def infer(self, x: TensorType) -> TensorType:
        if not x.dtype.is_float:
            raise Refusal(
                Code.D401,
                f"`{self.name}` needs floating-point numbers, found {x}",
                label=f"elements of type {x.dtype}",
            )
        return x

    def flops(self, x: TensorType) -> Dim:
        return elements(x.shape)


@register
class Relu(Elementwise):
    """Set negative elements to zero: y = max(x, 0).

    Inputs:  x: f32[*]
    Outputs: y: f32[*]
    Errors:  D401 x does not hold floating-point numbers.
    Source:  torch.nn.ReLU; ONNX Relu.
    """

    examples = (Example("{}", x="f32[B, 8]", y="f32[B, 8]"),)

    def torch(self, x: TensorType) -> Torch:
        return Torch(module=Construct("nn.ReLU"), expression="F.relu({x})")

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Relu", x)
