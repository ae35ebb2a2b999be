"""Tensors that come from nowhere but training."""

from __future__ import annotations

from ..diagnostics import Code
from ..ir.graph import Parameter as Tensor
from ..ir.shapes import DType, TensorType, shape_text
from .base import (
    Construct,
    Emitter,
    Example,
    Handle,
    Op,
    Refusal,
    Reject,
    Torch,
    attribute,
    register,
)
from .weights import Init

DEFAULT_INIT = Init("normal", std=0.02)


@register
class Parameter(Op):
    """A learned tensor: a class token, a set of queries, the constant input of a generator.

    The output has no batch axis. `expand` with the port `like` repeats it for each sample, and
    arithmetic with `broadcast: true` and `matmul` take it as it is.

    Inputs:  none
    Outputs: y: f32[*shape], the tensor at the layer's own path
    Errors:  E202 `init` is not defined for a tensor with fewer than two axes.
    Source:  torch.nn.Parameter; an ONNX initializer.
    """

    shape: tuple[int, ...] = attribute(main=True, minimum=1, doc="The sizes; no batch axis.")
    init: Init | None = attribute(
        default=None, doc="How it starts; normal with std 0.02 unless given."
    )

    ports = ()
    examples = (
        Example("{shape: [1, 8]}", y="f32[1, 8]"),
        Example("{shape: [4], init: ones}", y="f32[4]"),
        Example("{shape: [3, 2, 2], init: {normal: {std: 1.0}}}", y="f32[3, 2, 2]"),
    )
    rejects = (Reject("{shape: [4], init: orthogonal}", code=Code.E202),)

    def check(self) -> None:
        if self.init and self.init.needs_fans and len(self.shape) < 2:
            raise Refusal(
                Code.E202,
                f"`parameter` with `init: {self.init.kind}` needs two axes or more, found "
                f"{shape_text(self.shape)}",
            )

    def infer(self) -> TensorType:
        return TensorType(DType.F32, self.shape)

    def parameters(self) -> tuple[Tensor, ...]:
        return (Tensor("", self.shape),)

    def torch(self) -> Torch:
        return Torch(
            expression="{self}",
            parameter=Construct("torch.zeros", (self.shape,)),
            init=((self.init or DEFAULT_INIT).statement("{self}"),),
        )

    def onnx(self, e: Emitter) -> Handle:
        return e.op("Identity", e.weight(""))
