"""Causal attention that keeps what it has seen. No word of the spec language."""

from __future__ import annotations

from ..ir.dims import Dim
from ..ir.graph import Parameter
from ..ir.shapes import TensorType, elements
from .attention_onnx import Attention, attend_to_cache, project
from .attention_torch import CACHED_ATTENTION
from .base import Emitter, Handle, Port, Torch
from .multi_head import MultiHead, attention_flops


class CachedAttention(MultiHead):
    """Causal self-attention of a chunk to itself and to the steps before it.

    Inputs:  x: f32[B, T, C]
             keys, values: f32[B, N, C] of the steps before, in its first `seen` places
             seen: i64[]; seen + T is at most N
    Outputs: y: f32[B, T, C]
             keys, values: f32[B, N, C], with those of the chunk behind
    Errors:  torch and ONNX Runtime report an index outside the cache where seen + T exceeds N.
    Source:  as SelfAttention; ONNX ScatterElements and Slice.
    """

    name = "cached_attention"
    ports = (Port("x"), Port("keys"), Port("values"), Port("seen"))

    def output_ports(self) -> tuple[str, ...]:
        return ("y", "keys", "values")

    def infer(
        self, x: TensorType, keys: TensorType, values: TensorType, seen: TensorType
    ) -> tuple[TensorType, ...]:
        return x, keys, values

    def parameters(self, x: TensorType, *more: TensorType) -> tuple[Parameter, ...]:
        channels = self._channels(x, 2)
        return self._with_out(channels, ("in_proj_weight", 3 * channels, channels))

    def flops(self, x: TensorType, keys: TensorType, *more: TensorType) -> Dim:
        channels, (batch, places, _) = self._channels(x, 2), x.shape
        projections = 8 * elements(x.shape) * channels
        return projections + attention_flops(batch, places, keys.shape[1], channels)

    def torch(self, x: TensorType, *more: TensorType) -> Torch:
        text = "attend_to_cache({self}, {x}, {keys}, {values}, {seen})"
        return Torch(expression=text, helper=CACHED_ATTENTION)

    def onnx(
        self, e: Emitter, x: Handle, keys: Handle, values: Handle, seen: Handle
    ) -> tuple[Handle, ...]:
        assert e.inputs[0] is not None
        channels, places = self._channels(e.inputs[0], 2), e.inputs[0].shape[1]
        packed = project(e, x, "in_proj_weight", "in_proj_bias" if self.bias else None)
        queries, *new = e.op_n("Split", 3, packed, e.ints([channels] * 3), axis=-1)
        shape = Attention(self.heads, channels, places, self.bias, causal=True)
        return attend_to_cache(e, shape, queries, new, (keys, values), seen)
