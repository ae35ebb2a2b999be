"""Sequence pooling in ONNX: masks from lengths, and what is done with them."""

from __future__ import annotations

from ..ir.shapes import DType, TensorType
from .arithmetic import ONNX_DTYPES
from .attention_onnx import are_real
from .base import Emitter, Handle


def real_steps(e: Emitter, lengths: Handle) -> Handle:
    """bool[B, T]: which steps of the layer's first input [B, T, ...] are no padding."""
    return are_real(e, lengths, _sequence(e).shape[1])


def unpadded(e: Emitter, x: Handle, real: Handle, filling: float) -> Handle:
    """The layer's first input [B, T, ...] with another number in place of what padding holds.

    real: bool[B, T].
    """
    kept = e.op("Unsqueeze", real, e.ints(range(2, _sequence(e).rank)))
    return e.op("Where", kept, x, e.scalar(filling))


def divided_by(e: Emitter, total: Handle, lengths: Handle) -> Handle:
    """A sum over steps [B, ...] divided by how many they were."""
    count, rank = _as(e, lengths, _sequence(e).dtype), _sequence(e).rank
    return e.op("Div", total, e.op("Unsqueeze", count, e.ints(range(1, rank - 1))))


def last_of(e: Emitter, x: Handle, lengths: Handle) -> Handle:
    """The step at lengths - 1 of each sample, [B, ...]."""
    index = e.op("Sub", _as(e, lengths, DType.I64), e.ints([1]))
    return e.op("GatherND", x, e.op("Unsqueeze", index, e.ints([1])), batch_dims=1)


def _as(e: Emitter, lengths: Handle, dtype: DType) -> Handle:
    return e.op("Cast", lengths, to=ONNX_DTYPES[dtype])


def _sequence(e: Emitter) -> TensorType:
    (x, *_) = e.inputs
    assert x is not None
    return x
