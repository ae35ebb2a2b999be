"""Normalisation by the activity of neighbouring channels."""

from __future__ import annotations

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.shapes import TensorType, elements
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
from .normalization import differing
from .spatial import require_rank
from .streaming import same_axis


@register
class LocalResponseNorm(Op):
    """Divide by the energy of neighbouring channels at the same place.

    y = x / (k + alpha / size * sum of x^2 over `size` channels)^beta. AlexNet's paper has the sum
    without the division: its alpha of 1e-4 with size 5 is 5e-4 here, as in torch.

    Inputs:  x: f32[B, C, H, W]
    Outputs: y: f32[B, C, H, W]
    Errors:  D401 x has other axes; E202 `size` is even, so that no channel is in the middle.
    Source:  Krizhevsky et al. 2012, section 3.3; torch.nn.LocalResponseNorm; ONNX LRN.
    """

    stream_axis = same_axis  # the channels, axis 1, are fixed
    size: int = attribute(default=5, main=True, minimum=1, doc="Channels in the sum; odd.")
    alpha: float = attribute(default=1e-4, minimum=0, doc="Weight of the mean square.")
    beta: float = attribute(default=0.75, minimum=0, doc="Exponent.")
    k: float = attribute(default=1.0, above=0, doc="Added to the weighted mean square.")

    examples = (
        Example("{}", x="f32[B, 8, H, W]", y="f32[B, 8, H, W]"),
        Example(
            "{size: 3, alpha: 0.1, beta: 0.5, k: 2.0}", x="f32[B, 4, 3, 3]", y="f32[B, 4, 3, 3]"
        ),
    )
    rejects = (
        Reject("{size: 5}", x="f32[B, 8]", code=Code.D401),
        Reject("{size: 4}", x="f32[B, 8, 3, 3]", code=Code.E202),
    )

    def check(self) -> None:
        if self.size % 2 == 0:
            raise Refusal(
                Code.E202,
                f"`{self.name}` needs an odd size, found {self.size}",
                help=f"choose {self.size - 1} or {self.size + 1}",
            )

    def infer(self, x: TensorType) -> TensorType:
        require_rank(self.name, x, 4)
        return x

    def flops(self, x: TensorType) -> Dim:
        return (self.size + 4) * elements(x.shape)

    def torch(self, x: TensorType) -> Torch:
        kwargs = differing(alpha=(self.alpha, 1e-4), beta=(self.beta, 0.75), k=(self.k, 1.0))
        return Torch(module=Construct("nn.LocalResponseNorm", (self.size,), kwargs))

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("LRN", x, size=self.size, alpha=self.alpha, beta=self.beta, bias=self.k)
