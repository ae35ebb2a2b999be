"""Attention from ONNX primitives, which every opset from 18 on has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..ir.dims import Dim
from ..ir.shapes import DType
from .arithmetic import ONNX_DTYPES
from .base import Emitter, Handle


@dataclass(frozen=True)
class Attention:
    """heads divide the channels; keys: how many places are looked at."""

    heads: int
    channels: int
    keys: Dim
    bias: bool
    causal: bool = False


def project(
    e: Emitter,
    x: Handle,
    weight: str,
    bias: str | None,
    *,
    part: tuple[int, int] = (0, 0),
    packed: bool = False,
) -> Handle:
    """x W^T + b. x: [B, T, K].

    part: (which, size): take this part of the rows of the bias, and of the weight if `packed`.
    """
    which, size = part
    rows = e.weight(weight)
    offset = e.weight(bias) if bias else None
    if size and packed:
        rows = _rows(e, rows, which, size)
    if size and offset is not None:
        offset = _rows(e, offset, which, size)
    product = e.op("MatMul", x, e.op("Transpose", rows, perm=[1, 0]))
    return product if offset is None else e.op("Add", product, offset)


def _rows(e: Emitter, tensor: Handle, which: int, size: int) -> Handle:
    return e.op("Slice", tensor, e.ints([which * size]), e.ints([(which + 1) * size]), e.ints([0]))


def are_real(e: Emitter, lengths: Handle, size: Dim) -> Handle:
    """bool[B, size]: which steps of a sequence are no padding."""
    ends = e.op("Unsqueeze", e.op("Cast", lengths, to=ONNX_DTYPES[DType.I64]), e.ints([1]))
    return e.op("Less", positions(e, size), ends)


def without_padding(e: Emitter, x: Handle, lengths: Handle | None, size: Dim) -> Handle:
    """x [B, size, C] with 0 in place of what padding holds."""
    if lengths is None:
        return x
    real = e.op("Unsqueeze", are_real(e, lengths, size), e.ints([2]))
    return e.op("Where", real, x, e.scalar(0.0))


def attend(e: Emitter, shape: Attention, parts: Sequence[Handle], lengths: Handle | None) -> Handle:
    """softmax(q k^T / sqrt(d)) v and the output projection.

    parts: queries [B, T, C], keys and values [B, S, C], numbers in the padding too.
    Returns: [B, T, C].
    """
    return _mixed(e, shape, parts, _allowed(e, shape, lengths))


def attend_to_cache(
    e: Emitter,
    shape: Attention,
    queries: Handle,
    new: Sequence[Handle],
    caches: Sequence[Handle],
    seen: Handle,
) -> tuple[Handle, ...]:
    """Causal attention of a chunk to itself and to the `seen` steps before it.

    Args:
        shape: of the chunk alone. queries: [B, T, C]. seen: i64[].
        new: keys and values [B, T, C] of the chunk. caches: those of all steps, [B, N, C].
    Returns: [B, T, C], and the caches with the new keys and values in them.
    """
    first = e.op("Unsqueeze", seen, e.ints([0]))
    places = e.op("Add", positions(e, shape.keys), first)
    rows = e.op("Unsqueeze", places, e.ints([0, 2]))
    rows = e.op("Expand", rows, e.op("Shape", new[0]))
    # Scattering refuses a place outside the cache; a mask would pass over it in silence.
    caches = [
        e.op("ScatterElements", cache, rows, part, axis=1)
        for cache, part in zip(caches, new, strict=True)
    ]
    end = e.op("Add", first, e.sizes([shape.keys]))
    known = [e.op("Slice", cache, e.ints([0]), end, e.ints([1])) for cache in caches]
    every = e.op(
        "Range", e.array(np.int64(0)), e.op("Squeeze", end, e.ints([0])), e.array(np.int64(1))
    )
    allowed = e.op("LessOrEqual", every, e.op("Unsqueeze", places, e.ints([1])))
    return _mixed(e, shape, (queries, *known), allowed), *caches


def _mixed(e: Emitter, shape: Attention, parts: Sequence[Handle], allowed: Handle | None) -> Handle:
    depth = shape.channels // shape.heads
    apart = e.ints([0, 0, shape.heads, depth])
    queries, keys, values = (e.op("Reshape", part, apart) for part in parts)
    scaled = e.op("Mul", queries, e.scalar(1 / math.sqrt(depth)))
    scores = e.op(
        "MatMul",
        e.op("Transpose", scaled, perm=[0, 2, 1, 3]),
        e.op("Transpose", keys, perm=[0, 2, 3, 1]),
    )
    if allowed is not None:
        scores = e.op("Where", allowed, scores, e.scalar(-math.inf))
    mixed = e.op(
        "MatMul",
        e.op("Softmax", scores, axis=-1),
        e.op("Transpose", values, perm=[0, 2, 1, 3]),
    )
    joined = e.op("Transpose", mixed, perm=[0, 2, 1, 3])
    joined = e.op("Reshape", joined, e.ints([0, 0, shape.channels]))
    return project(e, joined, "out_proj.weight", "out_proj.bias" if shape.bias else None)


def _allowed(e: Emitter, shape: Attention, lengths: Handle | None) -> Handle | None:
    """bool[B or 1, 1, T or 1, S]: whether a query may look at a key."""
    if not shape.causal and lengths is None:
        return None
    rules = []
    if shape.causal:
        keys = positions(e, shape.keys)
        queries = e.op("Unsqueeze", keys, e.ints([1]))
        rules.append(e.op("LessOrEqual", keys, queries))
    if lengths is not None:
        rules.append(e.op("Unsqueeze", are_real(e, lengths, shape.keys), e.ints([1, 2])))
    return rules[0] if len(rules) == 1 else e.op("And", *rules)


def positions(e: Emitter, count: Dim) -> Handle:
    """i64[S]: 0, 1, ..., S - 1."""
    if isinstance(count, int):
        return e.ints(range(count))
    end = e.op("Squeeze", e.sizes([count]), e.ints([0]))
    return e.op("Range", e.array(np.int64(0)), end, e.array(np.int64(1)))
