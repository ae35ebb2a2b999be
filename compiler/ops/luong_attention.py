"""Attention of a decoder to what an encoder gives, by Luong et al."""

from __future__ import annotations

import math

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.graph import Parameter
from ..ir.proofs import equal
from ..ir.shapes import TensorType
from .agreement import disagreement, mismatches
from .attention import LENGTHS, need_lengths
from .attention_onnx import are_real, project, without_padding
from .base import (
    Construct,
    Emitter,
    Example,
    Handle,
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
from .luong_attention_torch import LUONG_ATTENTION
from .spatial import require_size
from .streamed import Axes
from .streaming import stays, unstreamable

SCORES = ("general", "dot")


@register
class LuongAttention(Op):
    """Let each step of a decoder look at all steps of an encoder: y_t = tanh(W [c_t; h_t]).

    h_t is a step of x, and c_t = sum over s of a_ts e_s the mean of the context's steps e_s by the
    weights a_t = softmax over the real s of score(h_t, e_s), which is h_t . e_s (`dot`) or
    h_t . (V e_s) (`general`). x is what a recurrent layer gives; y is not fed back into it.

    Inputs:  x: f32[B, T, C]
             context: f32[B, S, K]; with `dot`, K is C
             lengths: i64[B] or i32[B], optional: how many first steps of the context are real, each
             in [1, S]; others are not looked at
    Outputs: y: f32[B, T, hidden]
    Errors:  D401 x or context are not f32 with three axes, the last of a fixed size, or lengths are
             not integers [B]. D402 another batch, not as many lengths as samples, or `dot` with
             K and C that differ. D403 S may be 0.
    Source:  Luong et al. 2015, "Effective Approaches to Attention-based Neural Machine
             Translation", section 3.1, equations 5, 7 and 8, without input feeding; ONNX MatMul,
             Softmax and Tanh.
    """

    hidden: int | None = attribute(
        default=None, main=True, minimum=1, doc="Size of the result; that of x, C, unless given."
    )
    score: str = attribute(
        default="general",
        choices=SCORES,
        doc="How well a step of x and one of the context fit: `dot` multiplies them, `general` "
        "maps the context's by a learned matrix first.",
    )

    tolerance = 1e-5
    ports = (Port("x"), Port("context"), LENGTHS)
    examples = (
        Example("{}", x="f32[B, T, 4]", context="f32[B, S, 6]", y="f32[B, T, 4]"),
        Example(
            "{hidden: 5, score: dot}", x="f32[B, T, 4]", context="f32[B, 3, 4]", y="f32[B, T, 5]"
        ),
        Example(
            "{hidden: 3}",
            bounds={"S": (4, None)},
            x="f32[B, T, 2]",
            context="f32[B, S, 3]",
            lengths="i64[B]",
            ranges={"lengths": (1, 5)},
            y="f32[B, T, 3]",
        ),
        Example(
            "{score: dot}",
            x="f32[B, 5, 4]",
            context="f32[B, 5, 4]",
            lengths="i32[B]",
            ranges={"lengths": (1, 6)},
            y="f32[B, 5, 4]",
        ),
    )
    rejects = (
        Reject("{}", x="f32[B, 4]", context="f32[B, S, 4]", code=Code.D401),
        Reject("{}", x="f32[B, T, 4]", context="f32[B, 4]", code=Code.D401),
        Reject("{}", x="f32[B, T, C]", context="f32[B, S, 4]", code=Code.D401),
        Reject("{}", x="f32[B, T, 4]", context="f32[B, S, K]", code=Code.D401),
        Reject("{}", x="f32[B, T, 4]", context="i64[B, S, 4]", code=Code.D401),
        Reject("{}", x="f32[B, T, 4]", context="f32[2*B, S, 4]", code=Code.D402),
        Reject("{score: dot}", x="f32[B, T, 4]", context="f32[B, S, 6]", code=Code.D402),
        Reject("{}", x="f32[B, T, 4]", context="f32[B, 0, 4]", code=Code.D403),
        Reject("{}", x="f32[B, T, 4]", context="f32[B, S, 4]", lengths="i64[2*B]", code=Code.D402),
    )

    def infer(
        self, x: TensorType, context: TensorType, lengths: TensorType | None = None
    ) -> TensorType:
        need_float(self.name, x, context)
        need_rank(self.name, x, 3, "f32[B, T, C]")
        need_rank(self.name, context, 3, "f32[B, S, K] as context")
        channels, width, hidden = self._sizes(x, context)
        if equal(x.shape[0], context.shape[0]) is not True:
            wrong = mismatches(x.shape, context.shape, [0])
            raise disagreement(f"`{self.name}` needs one batch, found {x} and {context}", wrong)
        if self.score == "dot" and width != channels:
            raise Refusal(
                Code.D402,
                f"`{self.name}` needs steps of one size for `dot`, found {x} and {context}",
                help="use `score: general`, which maps one size to the other",
            )
        require_size(self.name, context, 1, 1, "over a sequence")
        need_lengths(self.name, lengths, x)
        return x.with_axis(2, hidden)

    def _sizes(self, x: TensorType, context: TensorType) -> tuple[int, int, int]:
        """C, K and `hidden`."""
        channels = static_size(self.name, x, 2)
        return channels, static_size(self.name, context, 2), self.hidden or channels

    def parameters(
        self, x: TensorType, context: TensorType, lengths: TensorType | None = None
    ) -> tuple[Parameter, ...]:
        channels, width, hidden = self._sizes(x, context)
        mapped = (Parameter("score.weight", (channels, width)),) if self.score == "general" else ()
        return (*mapped, Parameter("combine.weight", (hidden, width + channels)))

    def flops(self, x: TensorType, context: TensorType, lengths: TensorType | None = None) -> Dim:
        channels, width, hidden = self._sizes(x, context)
        batch, queries, keys = x.shape[0], x.shape[1], context.shape[1]
        mapped = keys * channels * width if self.score == "general" else 0
        looked = queries * keys * (channels + width)
        return 2 * batch * (mapped + looked + queries * hidden * (width + channels))

    def stream_axis(
        self, axes: Axes, x: TensorType, context: TensorType, lengths: TensorType | None = None
    ) -> int:
        if axes[1] is not None:
            raise unstreamable("looks at all steps of its context")
        return stays(axes, what="")

    def torch(self, x: TensorType, context: TensorType, lengths: TensorType | None = None) -> Torch:
        score = {} if self.score == "general" else {"score": self.score}
        sizes = self._sizes(x, context)
        return Torch(module=Construct(LUONG_ATTENTION.name, sizes, score), helper=LUONG_ATTENTION)

    def onnx(self, e: Emitter, x: Handle, context: Handle, lengths: Handle | None = None) -> Handle:
        looked_at = e.inputs[1]
        assert looked_at is not None
        steps = looked_at.shape[1]
        context = without_padding(e, context, lengths, steps)
        mapped = project(e, context, "score.weight", None) if self.score == "general" else context
        scores = e.op("MatMul", x, e.op("Transpose", mapped, perm=[0, 2, 1]))
        if lengths is not None:
            real = e.op("Unsqueeze", are_real(e, lengths, steps), e.ints([1]))
            scores = e.op("Where", real, scores, e.scalar(-math.inf))
        mixed = e.op("MatMul", e.op("Softmax", scores, axis=-1), context)
        joined = e.op("Concat", mixed, x, axis=-1)
        return e.op("Tanh", project(e, joined, "combine.weight", None))
