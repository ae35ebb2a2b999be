"""Counts the steps of a sequence that runs one chunk at a time. No word of the spec language."""

from __future__ import annotations

from ..ir.shapes import TensorType
from .base import Emitter, Handle, Op, Size, Torch, attribute


class Advance(Op):
    """How many steps were seen behind a chunk: y = x + by.

    Inputs:  x: i64[]
    Outputs: y: i64[]
    Errors:  none
    Source:  torch.add; ONNX Add.
    """

    name = "advance"
    by: Size = attribute(doc="The size of the chunk.")

    def infer(self, x: TensorType) -> TensorType:
        return x

    def torch(self, x: TensorType) -> Torch:
        return Torch(expression="{x} + {by}", numbers={"by": self.by})

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Add", x, e.op("Squeeze", e.sizes([self.by]), e.ints([0])))
