"""A sequence of steps [B, T, ...] into one element for each sample; what is padding has no say."""

from __future__ import annotations

import math
from typing import ClassVar

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.graph import Parameter
from ..ir.shapes import TensorType, elements
from .attention import LENGTHS, need_lengths
from .attention_onnx import project
from .base import (
    Construct,
    Emitter,
    Example,
    Handle,
    Helper,
    Op,
    Port,
    Refusal,
    Reject,
    Torch,
    attribute,
    register,
)
from .checks import need_float, need_rank
from .linear import static_size
from .sequence_pooling_onnx import divided_by, last_of, real_steps, unpadded
from .sequence_pooling_torch import ATTENTION_POOL, LAST_STEP, MASKED_MAX, MASKED_MEAN
from .spatial import require_size
from .streamed import Axes
from .streaming import OF_WHOLE, all_steps, stays, unstreamable, without


class SequencePooling(Op):
    """The steps, axis 1, reduced to one."""

    ports: ClassVar[tuple[Port, ...]] = (Port("x"), LENGTHS)

    def infer(self, x: TensorType, lengths: TensorType | None = None) -> TensorType:
        need_float(self.name, x)
        if x.rank < 3:
            raise Refusal(
                Code.D401,
                f"`{self.name}` needs a sequence {x.dtype}[B, T, C], found {x}",
                label=f"this has {x.rank} {'axis' if x.rank == 1 else 'axes'}",
            )
        require_size(self.name, x, 1, 1, "over a sequence")
        need_lengths(self.name, lengths, x)
        return x.with_shape((x.shape[0], *x.shape[2:]))

    def stream_axis(
        self, axes: Axes, x: TensorType, lengths: TensorType | None = None
    ) -> int | None:
        return without(stays(axes, 1, what="needs"), [1])

    def window(self, *inputs: TensorType | None) -> None:
        return None


class PlainPooling(SequencePooling):
    """A pooling without weights: a module with lengths, an expression of torch without."""

    helper: ClassVar[Helper]
    expression: ClassVar[str]
    examples = (
        Example("{}", x="f32[B, T, 4]", y="f32[B, 4]"),
        Example("{}", x="f32[B, 5, H, W]", y="f32[B, H, W]"),
        Example(
            "{}",
            bounds={"T": (4, None)},
            x="f32[B, T, 3]",
            lengths="i64[B]",
            ranges={"lengths": (1, 5)},
            y="f32[B, 3]",
        ),
        Example(
            "{}",
            x="f32[B, 5, C, 2]",
            lengths="i32[B]",
            ranges={"lengths": (1, 6)},
            y="f32[B, C, 2]",
        ),
    )
    rejects = (
        Reject("{}", x="f32[B, 3]", code=Code.D401),
        Reject("{}", x="i64[B, T, 3]", code=Code.D401),
        Reject("{}", x="f32[B, 0, 3]", code=Code.D403),
        Reject("{}", x="f32[B, T, 3]", lengths="f32[B]", code=Code.D401),
        Reject("{}", x="f32[B, T, 3]", lengths="i64[B, 1]", code=Code.D401),
        Reject("{}", x="f32[B, T, 3]", lengths="i64[2*B]", code=Code.D402),
    )

    def torch(self, x: TensorType, lengths: TensorType | None = None) -> Torch:
        if lengths is None:
            return Torch(expression=self.expression)
        return Torch(module=Construct(self.helper.name), helper=self.helper)


@register
class MaskedMean(PlainPooling):
    """Average the real steps of each sample.

    Inputs:  x: f32[B, T, C], or with further axes
             lengths: i64[B] or i32[B], optional: how many first steps of a sample are real, each in
             [1, T]; others do not count
    Outputs: y: f32[B, C], with x's further axes
    Errors:  D401 x has fewer than three axes or does not hold floating-point numbers, or lengths
             are not integers [B]. D402 not as many lengths as samples. D403 T may be 0.
    Source:  torch.Tensor.masked_fill and sum; ONNX Where, ReduceSum and Div.
    """

    helper, expression = MASKED_MEAN, "{x}.mean(dim=1)"

    def flops(self, x: TensorType, lengths: TensorType | None = None) -> Dim:
        return elements(x.shape)

    def onnx(self, e: Emitter, x: Handle, lengths: Handle | None = None) -> Handle:
        if lengths is None:
            return e.op("ReduceMean", x, e.ints([1]), keepdims=0)
        real = unpadded(e, x, real_steps(e, lengths), 0.0)
        total = e.op("ReduceSum", real, e.ints([1]), keepdims=0)
        return divided_by(e, total, lengths)


@register
class MaskedMax(PlainPooling):
    """Keep the largest element among the real steps of each sample.

    Inputs:  x: f32[B, T, C], or with further axes
             lengths: i64[B] or i32[B], optional: how many first steps of a sample are real, each in
             [1, T]; others do not count
    Outputs: y: f32[B, C], with x's further axes
    Errors:  D401 x has fewer than three axes or does not hold floating-point numbers, or lengths
             are not integers [B]. D402 not as many lengths as samples. D403 T may be 0.
    Source:  torch.Tensor.masked_fill and amax; ONNX Where and ReduceMax.
    """

    helper, expression = MASKED_MAX, "{x}.amax(dim=1)"

    def flops(self, x: TensorType, lengths: TensorType | None = None) -> Dim:
        return elements(x.shape)

    def onnx(self, e: Emitter, x: Handle, lengths: Handle | None = None) -> Handle:
        if lengths is not None:
            x = unpadded(e, x, real_steps(e, lengths), -math.inf)
        return e.op("ReduceMax", x, e.ints([1]), keepdims=0)


@register
class LastStep(PlainPooling):
    """Take the last real step of each sample, as the end of a causal network is read.

    Inputs:  x: f32[B, T, C], or with further axes
             lengths: i64[B] or i32[B], optional: how many first steps of a sample are real, each in
             [1, T]; the last one is at lengths - 1, else at T - 1
    Outputs: y: f32[B, C], with x's further axes
    Errors:  D401 x has fewer than three axes or does not hold floating-point numbers, or lengths
             are not integers [B]. D402 not as many lengths as samples. D403 T may be 0.
    Source:  torch indexing; ONNX GatherND.
    """

    helper, expression = LAST_STEP, "{x}[:, -1]"

    def stream_axis(
        self, axes: Axes, x: TensorType, lengths: TensorType | None = None
    ) -> int | None:
        if axes[0] != 1:
            return super().stream_axis(axes, x, lengths)
        if lengths is not None:
            raise unstreamable(OF_WHOLE)
        return None

    def onnx(self, e: Emitter, x: Handle, lengths: Handle | None = None) -> Handle:
        import numpy as np

        if lengths is None:
            return e.op("Gather", x, e.array(np.int64(-1)), axis=1)
        return last_of(e, x, lengths)


@register
class AttentionPool(SequencePooling):
    """Average the steps by learned weights: y = sum over t of a_t x_t.

    The weights a are the softmax over the real steps of query . tanh(W x_t + b).

    Inputs:  x: f32[B, T, C]
             lengths: i64[B] or i32[B], optional: how many first steps of a sample are real, each in
             [1, T]; others get the weight 0
    Outputs: y: f32[B, C]
    Errors:  D401 x is not f32[B, T, C] with a fixed C, or lengths are not integers [B]. D402 not as
             many lengths as samples. D403 T may be 0.
    Source:  Yang et al. 2016, "Hierarchical Attention Networks", equations 5 to 7; the scores are
             the additive ones of Bahdanau et al. 2015; ONNX MatMul, Tanh and Softmax.
    """

    stream_axis = all_steps
    hidden: int | None = attribute(
        default=None,
        main=True,
        minimum=1,
        doc="Size of the query and of what a step is compared with it by; C unless given.",
    )

    examples = (
        Example("{}", x="f32[B, T, 4]", y="f32[B, 4]"),
        Example("{hidden: 6}", x="f32[B, 5, 3]", y="f32[B, 3]"),
        Example(
            "{hidden: 2}",
            bounds={"T": (4, None)},
            x="f32[B, T, 3]",
            lengths="i64[B]",
            ranges={"lengths": (1, 5)},
            y="f32[B, 3]",
        ),
        Example(
            "{}", x="f32[B, 5, 4]", lengths="i32[B]", ranges={"lengths": (1, 6)}, y="f32[B, 4]"
        ),
    )
    rejects = (
        Reject("{}", x="f32[B, 3]", code=Code.D401),
        Reject("{}", x="f32[B, 5, 3, 2]", code=Code.D401),
        Reject("{}", x="f32[B, T, C]", code=Code.D401),
        Reject("{}", x="i64[B, T, 3]", code=Code.D401),
        Reject("{}", x="f32[B, 0, 3]", code=Code.D403),
        Reject("{}", x="f32[B, T, 3]", lengths="f32[B]", code=Code.D401),
        Reject("{}", x="f32[B, T, 3]", lengths="i64[2*B]", code=Code.D402),
    )

    def infer(self, x: TensorType, lengths: TensorType | None = None) -> TensorType:
        pooled = super().infer(x, lengths)
        need_rank(self.name, x, 3, "f32[B, T, C]")
        self._sizes(x)
        return pooled

    def _sizes(self, x: TensorType) -> tuple[int, int]:
        """Of a step, and of the query."""
        channels = static_size(self.name, x, 2)
        return channels, self.hidden or channels

    def parameters(self, x: TensorType, lengths: TensorType | None = None) -> tuple[Parameter, ...]:
        channels, hidden = self._sizes(x)
        return (
            Parameter("query", (hidden,)),
            Parameter("proj.weight", (hidden, channels)),
            Parameter("proj.bias", (hidden,)),
        )

    def flops(self, x: TensorType, lengths: TensorType | None = None) -> Dim:
        channels, hidden = self._sizes(x)
        return 2 * x.shape[0] * x.shape[1] * (channels * hidden + hidden + channels)

    def torch(self, x: TensorType, lengths: TensorType | None = None) -> Torch:
        return Torch(module=Construct(ATTENTION_POOL.name, self._sizes(x)), helper=ATTENTION_POOL)

    def onnx(self, e: Emitter, x: Handle, lengths: Handle | None = None) -> Handle:
        real = None if lengths is None else real_steps(e, lengths)
        if real is not None:
            x = unpadded(e, x, real, 0.0)
        compared = e.op("Tanh", project(e, x, "proj.weight", "proj.bias"))
        scores = e.op("MatMul", compared, e.weight("query"))
        if real is not None:
            scores = e.op("Where", real, scores, e.scalar(-math.inf))
        weights = e.op("Unsqueeze", e.op("Softmax", scores, axis=-1), e.ints([1]))
        return e.op("Squeeze", e.op("MatMul", weights, x), e.ints([1]))
