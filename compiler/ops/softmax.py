"""Logits into probabilities."""

from __future__ import annotations

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.shapes import TensorType, elements
from .activations import Elementwise
from .base import Construct, Emitter, Example, Handle, Reject, Torch, Window, attribute, register
from .checks import need_axis, need_float
from .streaming import one_axis


class AlongAxis(Elementwise):
    """A softmax: it turns the numbers along an axis into (log-)probabilities."""

    stream_axis = one_axis

    axis: int = attribute(
        default=-1,
        main=True,
        doc="The axis of the classes, the batch counted as 0: the last one unless given, "
        "1 for logits [B, C, H, W].",
    )

    examples = (
        Example("{}", x="f32[B, 10]", y="f32[B, 10]"),
        Example("{axis: 1}", x="f32[B, 4, H, W]", y="f32[B, 4, H, W]"),
        Example("{}", x="f32[B, T, 6]", y="f32[B, T, 6]"),
    )
    rejects = (
        *Elementwise.rejects,
        Reject("{axis: 0}", x="f32[B, 10]", code=Code.D401),
        Reject("{axis: 2}", x="f32[B, 10]", code=Code.D401),
        Reject("{}", x="f32[B]", code=Code.D401),
    )

    def infer(self, x: TensorType) -> TensorType:
        need_float(self.name, x)
        need_axis(self.name, x, self.axis)
        return x

    def flops(self, x: TensorType) -> Dim:
        return 3 * elements(x.shape)

    def window(self, x: TensorType) -> Window | None:
        spatial = x.rank > 3 and need_axis(self.name, x, self.axis) > 1
        return None if spatial else ()

    def torch(self, x: TensorType) -> Torch:
        kind = type(self).__name__
        return Torch(
            module=Construct(f"nn.{kind}", (), {"dim": self.axis}),
            expression=f"F.{self.name}({{x}}, dim={{axis}})",
            numbers={"axis": self.axis},
        )

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op(type(self).__name__, x, axis=self.axis)


@register
class Softmax(AlongAxis):
    """Turn logits into probabilities: y = exp(x) / sum(exp(x)) along an axis.

    Inputs:  x: f32[B, *]
    Outputs: y: f32[B, *], positive, with the sum 1 along the axis
    Errors:  D401 x does not hold floating-point numbers, has no such axis, or it is the batch.
    Source:  torch.nn.Softmax; ONNX Softmax.
    """


@register
class LogSoftmax(AlongAxis):
    """The logarithm of softmax, computed without underflow.

    Inputs:  x: f32[B, *]
    Outputs: y: f32[B, *], at most 0
    Errors:  D401 x does not hold floating-point numbers, has no such axis, or it is the batch.
    Source:  torch.nn.LogSoftmax; ONNX LogSoftmax.
    """
