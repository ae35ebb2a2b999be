"""Noise while training that is absent from evaluation and from ONNX."""

from __future__ import annotations

from ..diagnostics import Code
from ..ir.shapes import TensorType
from .base import (
    Construct,
    Emitter,
    Example,
    Handle,
    Helper,
    Op,
    Reject,
    Torch,
    attribute,
    register,
)
from .checks import need_batch, need_float
from .streaming import same_axis

DROP_PATH = Helper(
    "DropPath",
    '''class DropPath(nn.Module):
    """Set whole samples to zero with probability `rate` while training; scale up the others."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = x.new_empty(x.shape[0], *[1] * (x.ndim - 1)).bernoulli_(1 - self.rate)
        return x * keep if self.rate == 1 else x * (keep / (1 - self.rate))
''',
)


class Noise(Op):
    """Randomness while training, the identity otherwise."""

    stream_axis = same_axis

    def infer(self, x: TensorType) -> TensorType:
        need_float(self.name, x)
        return x

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Identity", x)


@register
class Dropout(Noise):
    """Set elements to zero with probability `rate` while training, and scale up the others.

    Inputs:  x: f32[*]
    Outputs: y: f32[*]; x itself in evaluation and in ONNX
    Errors:  D401 x does not hold floating-point numbers.
    Source:  torch.nn.Dropout; Srivastava et al. 2014.
    """

    rate: float = attribute(
        default=0.5, main=True, minimum=0, maximum=1, doc="Probability of a zero."
    )

    examples = (
        Example("{}", x="f32[B, 8]", y="f32[B, 8]"),
        Example("{rate: 0.1}", x="f32[B, 3, H, 4]", y="f32[B, 3, H, 4]"),
    )
    rejects = (Reject("{}", x="i64[B, 3]", code=Code.D401),)

    def torch(self, x: TensorType) -> Torch:
        return Torch(module=Construct("nn.Dropout", (self.rate,)))


@register
class DropPath(Noise):
    """Stochastic depth: drop a whole residual branch, sample by sample, while training.

    Inputs:  x: f32[B, *], the branch before it is added
    Outputs: y: f32[B, *]; x itself in evaluation and in ONNX
    Errors:  D401 x does not hold floating-point numbers, or has no batch axis.
    Source:  Huang et al. 2016; torchvision.ops.StochasticDepth in mode "row".
    """

    rate: float = attribute(
        main=True, minimum=0, maximum=1, doc="Probability that a sample's branch is dropped."
    )

    examples = (
        Example("{rate: 0.1}", x="f32[B, 3, H, 4]", y="f32[B, 3, H, 4]"),
        Example("{rate: 0.0}", x="f32[B, 4]", y="f32[B, 4]"),
    )
    rejects = (
        Reject("{rate: 0.1}", x="i64[B, 3]", code=Code.D401),
        Reject("{rate: 0.1}", x="f32[]", code=Code.D401),
    )

    def infer(self, x: TensorType) -> TensorType:
        need_batch(self.name, x)
        return super().infer(x)

    def torch(self, x: TensorType) -> Torch:
        return Torch(module=Construct("DropPath", (self.rate,)), helper=DROP_PATH)
