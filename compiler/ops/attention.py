"""Attention between the places of a sequence or an image.

The weights are named, shaped and initialised as those of torch.nn.MultiheadAttention.
"""

from __future__ import annotations

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.graph import Parameter
from ..ir.proofs import equal
from ..ir.shapes import TensorType, elements
from .agreement import disagreement, mismatches
from .attention_onnx import Attention, attend, project, without_padding
from .attention_torch import CROSS_ATTENTION, SELF_ATTENTION, SELF_ATTENTION_2D
from .base import (
    Emitter,
    Example,
    Handle,
    Port,
    Reject,
    Torch,
    attribute,
    register,
)
from .cached_attention import CachedAttention
from .checks import need_float, need_integers, need_rank
from .linear import static_size
from .multi_head import MultiHead, attention_flops
from .sizes import reshaped
from .streamed import Axes, Streamed, Streamer
from .streaming import OF_WHOLE, all_steps, stays, unstreamable

LENGTHS = Port("lengths", optional=True)


def need_lengths(op: str, lengths: TensorType | None, x: TensorType) -> None:
    """Raises: Refusal: D401: not integers of one axis. D402: not as many as samples."""
    if lengths is None:
        return
    need_integers(op, lengths)
    need_rank(op, lengths, 1, "lengths i64[B]")
    if wrong := mismatches(lengths.shape[:1], x.shape[:1]):
        raise disagreement(f"`{op}` needs a length for each sample, found {lengths} for {x}", wrong)


@register
class SelfAttention(MultiHead):
    """Let every position of a sequence look at every other: softmax(q k^T / sqrt(d)) v.

    Plain attention: normalisation, residual and positions are layers of their own.

    Inputs:  x: f32[B, T, C]
             lengths: i64[B] or i32[B], optional: how many first positions of a sample are real,
             each in [1, T]; others count as 0 and are not looked at
    Outputs: y: f32[B, T, C]
    Errors:  D401 x is not f32[B, T, C] with a fixed C, or lengths are not integers [B]. D402 not
             as many lengths as samples. D404 `heads` does not divide C.
    Source:  Vaswani et al. 2017, section 3.2; torch.nn.MultiheadAttention; ONNX MatMul and
             Softmax.
    """

    causal: bool = attribute(default=False, doc="Let a position look at no later one.")

    ports = (Port("x"), LENGTHS)
    examples = (
        Example("{heads: 2}", x="f32[B, T, 8]", y="f32[B, T, 8]"),
        Example("{heads: 4, causal: true}", x="f32[B, T, 8]", y="f32[B, T, 8]"),
        Example(
            "{heads: 2, causal: true, bias: false}",
            bounds={"T": (1, 12)},
            x="f32[B, T, 4]",
            y="f32[B, T, 4]",
        ),
        Example("{heads: 1, bias: false}", x="f32[B, 5, 4]", y="f32[B, 5, 4]"),
        Example("{heads: 2, causal: true}", x="f32[B, 5, 4]", y="f32[B, 5, 4]"),
        Example(
            "{heads: 2}",
            bounds={"T": (4, None)},
            x="f32[B, T, 4]",
            lengths="i64[B]",
            ranges={"lengths": (1, 5)},
            y="f32[B, T, 4]",
        ),
        Example(
            "{heads: 2, causal: true}",
            x="f32[B, 5, 4]",
            lengths="i32[B]",
            ranges={"lengths": (1, 6)},
            y="f32[B, 5, 4]",
        ),
    )
    rejects = (
        Reject("{heads: 3}", x="f32[B, T, 8]", code=Code.D404),
        Reject("{heads: 2}", x="f32[B, 8]", code=Code.D401),
        Reject("{heads: 2}", x="f32[B, T, C]", code=Code.D401),
        Reject("{heads: 2}", x="i64[B, T, 8]", code=Code.D401),
        Reject("{heads: 2}", x="f32[B, T, 8]", lengths="f32[B]", code=Code.D401),
        Reject("{heads: 2}", x="f32[B, T, 8]", lengths="i64[2*B]", code=Code.D402),
    )

    def infer(self, x: TensorType, lengths: TensorType | None = None) -> TensorType:
        need_float(self.name, x)
        need_rank(self.name, x, 3, "f32[B, T, C]")
        self._channels(x, 2)
        need_lengths(self.name, lengths, x)
        return x

    def parameters(self, x: TensorType, lengths: TensorType | None = None) -> tuple[Parameter, ...]:
        channels = self._channels(x, 2)
        return self._with_out(channels, ("in_proj_weight", 3 * channels, channels))

    def flops(self, x: TensorType, lengths: TensorType | None = None) -> Dim:
        channels, (batch, places, _) = self._channels(x, 2), x.shape
        projections = 8 * elements(x.shape) * channels
        return projections + attention_flops(batch, places, places, channels)

    def stream(
        self, s: Streamer, x: Streamed, lengths: Streamed | None = None
    ) -> tuple[Streamed, ...]:
        """The keys and values of all steps are kept."""
        if lengths is not None:
            raise unstreamable(OF_WHOLE)
        if not self.causal:
            raise unstreamable(
                "looks at later steps", "`causal: true` keeps each step from looking at later ones"
            )
        if s.longest is None:
            raise unstreamable(
                f"keeps all steps, of which `{s.time}` has no maximum",
                f"declare `dims: {{{s.time}: {{max: 512}}}}`",
            )
        if s.tied:
            raise unstreamable("has weights that are tied to another layer's")
        cache = x.value.type.with_axis(1, s.longest)
        before = [s.state(name, cache) for name in ("keys", "values")]
        given = {name: getattr(self, name) for name in MultiHead.attributes}
        y, keys, values = s.apply(CachedAttention(**given), x.value, *before, s.seen())
        s.keep("keys", keys)
        s.keep("values", values)
        return (Streamed(y, 1),)

    def torch(self, x: TensorType, lengths: TensorType | None = None) -> Torch:
        return self._torch(SELF_ATTENTION, (self._channels(x, 2), self.heads), causal=self.causal)

    def onnx(self, e: Emitter, x: Handle, lengths: Handle | None = None) -> Handle:
        assert e.inputs[0] is not None
        channels, places = self._channels(e.inputs[0], 2), e.inputs[0].shape[1]
        x = without_padding(e, x, lengths, places)
        packed = project(e, x, "in_proj_weight", "in_proj_bias" if self.bias else None)
        parts = e.op_n("Split", 3, packed, e.ints([channels] * 3), axis=-1)
        return attend(
            e, Attention(self.heads, channels, places, self.bias, self.causal), parts, lengths
        )


@register
class CrossAttention(MultiHead):
    """Let every position of a sequence look at every position of another.

    Inputs:  x: f32[B, T, C], asks
             context: f32[B, S, K], is looked at
             lengths: i64[B] or i32[B], optional: how many first positions of the context are
             real, each in [1, S]; others are not looked at
    Outputs: y: f32[B, T, C]
    Errors:  D401 x or context is not f32[B, T, C] with a fixed C, or lengths are not integers
             [B]. D402 batches differ. D404 `heads` does not divide C.
    Source:  Vaswani et al. 2017, section 3.2.3; torch.nn.MultiheadAttention, whose tensors are
             in_proj_weight where K = C, else q_proj_weight, k_proj_weight and v_proj_weight.
    """

    ports = (Port("x"), Port("context"), LENGTHS)
    examples = (
        Example("{heads: 2}", x="f32[B, T, 8]", context="f32[B, S, 8]", y="f32[B, T, 8]"),
        Example("{heads: 2}", x="f32[B, T, 8]", context="f32[B, 3, 6]", y="f32[B, T, 8]"),
        Example(
            "{heads: 1, bias: false}", x="f32[B, 4, 4]", context="f32[B, S, 5]", y="f32[B, 4, 4]"
        ),
        Example(
            "{heads: 2}",
            x="f32[B, T, 4]",
            context="f32[B, 5, 4]",
            lengths="i64[B]",
            ranges={"lengths": (1, 6)},
            y="f32[B, T, 4]",
        ),
    )
    rejects = (
        Reject("{heads: 3}", x="f32[B, T, 8]", context="f32[B, S, 8]", code=Code.D404),
        Reject("{heads: 2}", x="f32[B, T, 8]", context="f32[B, 8]", code=Code.D401),
        Reject("{heads: 2}", x="f32[B, T, 8]", context="f32[B, S, K]", code=Code.D401),
        Reject("{heads: 2}", x="f32[B, T, 8]", context="f32[2*B, S, 8]", code=Code.D402),
        Reject("{heads: 2}", x="f32[B, T, 8]", context="i64[B, S, 8]", code=Code.D401),
    )

    def infer(
        self, x: TensorType, context: TensorType, lengths: TensorType | None = None
    ) -> TensorType:
        need_float(self.name, x, context)
        need_rank(self.name, x, 3, "f32[B, T, C]")
        need_rank(self.name, context, 3, "f32[B, S, K] as context")
        self._channels(x, 2)
        static_size(self.name, context, 2)
        if equal(x.shape[0], context.shape[0]) is not True:
            raise disagreement(
                f"`cross_attention` needs one batch, found {x} and {context}",
                mismatches(x.shape, context.shape, [0]),
            )
        need_lengths(self.name, lengths, x)
        return x

    def _sizes(self, x: TensorType, context: TensorType) -> tuple[int, int]:
        return self._channels(x, 2), static_size(self.name, context, 2)

    def parameters(
        self, x: TensorType, context: TensorType, lengths: TensorType | None = None
    ) -> tuple[Parameter, ...]:
        channels, width = self._sizes(x, context)
        if width == channels:
            return self._with_out(channels, ("in_proj_weight", 3 * channels, channels))
        return self._with_out(
            channels,
            ("q_proj_weight", channels, channels),
            ("k_proj_weight", channels, width),
            ("v_proj_weight", channels, width),
        )

    def flops(self, x: TensorType, context: TensorType, lengths: TensorType | None = None) -> Dim:
        channels, _ = self._sizes(x, context)
        batch, queries, keys = x.shape[0], x.shape[1], context.shape[1]
        projections = 4 * (elements(x.shape) + elements(context.shape)) * channels
        return projections + attention_flops(batch, queries, keys, channels)

    def stream_axis(
        self, axes: Axes, x: TensorType, context: TensorType, lengths: TensorType | None = None
    ) -> int:
        if axes[1] is not None:
            raise unstreamable("looks at all steps of its context")
        return stays(axes, what="")

    def torch(self, x: TensorType, context: TensorType, lengths: TensorType | None = None) -> Torch:
        channels, width = self._sizes(x, context)
        return self._torch(CROSS_ATTENTION, (channels, width, self.heads))

    def onnx(self, e: Emitter, x: Handle, context: Handle, lengths: Handle | None = None) -> Handle:
        queried, looked_at = e.inputs[0], e.inputs[1]
        assert queried is not None
        assert looked_at is not None
        channels, width = self._sizes(queried, looked_at)
        context = without_padding(e, context, lengths, looked_at.shape[1])
        keys = ["in_proj_weight"] * 3 if width == channels else [f"{k}_proj_weight" for k in "qkv"]
        bias = "in_proj_bias" if self.bias else None
        parts = tuple(
            project(e, source, key, bias, part=(place, channels), packed=width == channels)
            for place, (source, key) in enumerate(zip((x, context, context), keys, strict=True))
        )
        return attend(
            e, Attention(self.heads, channels, looked_at.shape[1], self.bias), parts, lengths
        )


@register
class SelfAttention2d(MultiHead):
    """Let every place of an image look at every other; no positions are added.

    Plain attention: DDPM's block is group_norm, this, and an `add` of what came before.

    Inputs:  x: f32[B, C, H, W]
    Outputs: y: f32[B, C, H, W]
    Errors:  D401 x is not f32[B, C, H, W] with a fixed C. D404 `heads` does not divide C.
    Source:  Ho et al. 2020, appendix B, with the tensors of torch.nn.MultiheadAttention; ONNX
             MatMul and Softmax.
    """

    heads: int = attribute(
        default=1,
        main=True,
        minimum=1,
        doc="In how many parts of the channels attention is computed.",
    )

    stream_axis = all_steps
    examples = (
        Example("{heads: 2}", x="f32[B, 8, H, W]", y="f32[B, 8, H, W]"),
        Example("{}", x="f32[B, 4, 3, 5]", y="f32[B, 4, 3, 5]"),
        Example("{heads: 2, bias: false, init: zeros}", x="f32[B, 4, H, 3]", y="f32[B, 4, H, 3]"),
    )
    rejects = (
        Reject("{heads: 3}", x="f32[B, 8, H, W]", code=Code.D404),
        Reject("{}", x="f32[B, T, 8]", code=Code.D401),
        Reject("{}", x="f32[B, C, H, W]", code=Code.D401),
        Reject("{}", x="i64[B, 4, H, W]", code=Code.D401),
    )

    def infer(self, x: TensorType) -> TensorType:
        need_float(self.name, x)
        need_rank(self.name, x, 4, "f32[B, C, H, W]")
        self._channels(x, 1)
        return x

    def parameters(self, x: TensorType) -> tuple[Parameter, ...]:
        channels = self._channels(x, 1)
        return self._with_out(channels, ("in_proj_weight", 3 * channels, channels))

    def flops(self, x: TensorType) -> Dim:
        channels, places = self._channels(x, 1), x.shape[2] * x.shape[3]
        projections = 8 * elements(x.shape) * channels
        return projections + attention_flops(x.shape[0], places, places, channels)

    def torch(self, x: TensorType) -> Torch:
        return self._torch(SELF_ATTENTION_2D, (self._channels(x, 1), self.heads))

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        (given,) = e.inputs
        assert given is not None
        channels = self._channels(given, 1)
        batch, _, height, width = given.shape
        flat = given.with_shape((batch, channels, height * width))
        rows = e.op("Transpose", reshaped(e, x, given, flat.shape), perm=[0, 2, 1])
        packed = project(e, rows, "in_proj_weight", "in_proj_bias" if self.bias else None)
        parts = e.op_n("Split", 3, packed, e.ints([channels] * 3), axis=-1)
        attended = attend(
            e, Attention(self.heads, channels, height * width, self.bias), parts, None
        )
        return reshaped(e, e.op("Transpose", attended, perm=[0, 2, 1]), flat, given.shape)
