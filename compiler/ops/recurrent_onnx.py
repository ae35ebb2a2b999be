"""Recurrent layers in ONNX: one RNN, GRU or LSTM node for each layer of the stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ir.shapes import DType
from .arithmetic import ONNX_DTYPES
from .base import Emitter, Handle

Array = NDArray[Any]


@dataclass(frozen=True)
class Stack:
    """A stack of recurrent layers.

    op_type: of the ONNX node. order: torch's number of each gate, in ONNX's order.
    states: how many states a layer carries on: 2 for an LSTM.
    attributes: of the node, beside size and direction.
    """

    op_type: str
    order: tuple[int, ...]
    states: int
    hidden: int
    layers: int
    directions: int
    bias: bool
    attributes: Mapping[str, Any]


def ends_of(layer: int, directions: int) -> list[str]:
    """What the names of a layer's tensors end in, as in torch: one for each direction."""
    return [f"l{layer}", f"l{layer}_reverse"][:directions]


def emit_stack(
    e: Emitter, stack: Stack, x: Handle, lengths: Handle | None, states: Sequence[Handle | None]
) -> tuple[Handle, ...]:
    """Emit all layers.

    Args:
        x: [B, T, C]. lengths: i64[B] or i32[B]. states: [layers * D, B, H] each, or None for 0.
    Returns: outputs [B, T, D * H]; the last layer's state [B, D * H]; final states like `states`.
    """
    if lengths is not None:
        lengths = e.op("Cast", lengths, to=ONNX_DTYPES[DType.I32])
    steps, finals = e.op("Transpose", x, perm=[1, 0, 2]), list[tuple[Handle, ...]]()
    for layer in range(stack.layers):
        begin = [s and _rows(e, s, layer * stack.directions, stack.directions) for s in states]
        every, *final = _emit_layer(e, stack, layer, steps, lengths, begin)
        finals.append(tuple(final))
        if layer < stack.layers - 1:
            steps = _time_first(e, stack, every)
    kept = zip(*finals, strict=True)
    joined = [f[0] if len(f) == 1 else e.op("Concat", *f, axis=0) for f in kept]
    return _batch_first(e, stack, every), _at_end(e, stack, finals[-1][0]), *joined


def _rows(e: Emitter, states: Handle, first: int, count: int) -> Handle:
    return e.op("Slice", states, e.ints([first]), e.ints([first + count]), e.ints([0]))


def _emit_layer(
    e: Emitter,
    stack: Stack,
    layer: int,
    steps: Handle,
    lengths: Handle | None,
    begin: Sequence[Handle | None],
) -> tuple[Handle, ...]:
    """Y [T, D, B, H], Y_h [D, B, H], and Y_c of an LSTM."""

    def joined(letter: str, kinds: Sequence[str]) -> Handle:
        keys = [f"{kind}_{end}" for end in ends_of(layer, stack.directions) for kind in kinds]
        return e.derived(letter, keys, lambda *parts: _arranged(stack, parts))

    return e.op_n(
        stack.op_type,
        1 + stack.states,
        steps,
        joined("W", ["weight_ih"]),
        joined("R", ["weight_hh"]),
        joined("B", ["bias_ih", "bias_hh"]) if stack.bias else None,
        lengths,
        *begin,
        hidden_size=stack.hidden,
        direction="bidirectional" if stack.directions == 2 else "forward",
        **stack.attributes,
    )


def _arranged(stack: Stack, parts: Sequence[Array]) -> Array:
    """torch's tensors with their gates in ONNX's order: [D, gates * H, ...]."""
    ordered = [
        np.concatenate([np.split(part, len(stack.order))[gate] for gate in stack.order])
        for part in parts
    ]
    each = len(ordered) // stack.directions
    return np.stack([np.concatenate(ordered[k : k + each]) for k in range(0, len(ordered), each)])


def _time_first(e: Emitter, stack: Stack, every: Handle) -> Handle:
    """Y with both directions in one axis: [T, D, B, H] -> [T, B, D * H]."""
    if stack.directions == 1:
        return e.op("Squeeze", every, e.ints([1]))
    width = stack.directions * stack.hidden
    return e.op("Reshape", e.op("Transpose", every, perm=[0, 2, 1, 3]), e.ints([0, 0, width]))


def _batch_first(e: Emitter, stack: Stack, every: Handle) -> Handle:
    """[T, D, B, H] -> [B, T, D * H], in one move."""
    width = stack.directions * stack.hidden
    return e.op("Reshape", e.op("Transpose", every, perm=[2, 0, 1, 3]), e.ints([0, 0, width]))


def _at_end(e: Emitter, stack: Stack, final: Handle) -> Handle:
    """Y_h with both directions in one axis: [D, B, H] -> [B, D * H]."""
    if stack.directions == 1:
        return e.op("Squeeze", final, e.ints([0]))
    width = stack.directions * stack.hidden
    return e.op("Reshape", e.op("Transpose", final, perm=[1, 0, 2]), e.ints([0, width]))
