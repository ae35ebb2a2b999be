"""What all forms of attention share: the weights of torch.nn.MultiheadAttention."""

from __future__ import annotations

from typing import ClassVar

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.graph import Parameter
from ..ir.shapes import TensorType
from .base import Construct, Helper, Op, Refusal, Torch, attribute
from .linear import static_size
from .weights import Init


class MultiHead(Op):
    """What all forms share: projections to queries, keys and values, and one back."""

    twice_differentiable: ClassVar[bool] = False  # its kernels are fused

    heads: int = attribute(
        main=True, minimum=1, doc="In how many parts of the channels attention is computed."
    )
    dropout: float = attribute(
        default=0.0,
        minimum=0,
        maximum=1,
        doc="Probability of leaving out an attention weight while training.",
    )
    bias: bool = attribute(default=True, doc="Add learned offsets to all four projections.")
    init: Init | None = attribute(
        default=None,
        doc="How the output projection starts; `zeros` makes a residual branch start as nothing.",
    )

    def _channels(self, x: TensorType, axis: int) -> int:
        channels = static_size(self.name, x, axis)
        if channels % self.heads:
            smaller = max(n for n in range(1, min(self.heads, channels + 1)) if channels % n == 0)
            raise Refusal(
                Code.D404,
                f"`{self.name}` needs channels that its heads divide, found {channels} channels "
                f"and {self.heads} heads",
                label=f"{self.heads} does not divide {channels}",
                help=f"the next smaller number that divides {channels} is {smaller}",
            )
        return channels

    def _with_out(self, channels: int, *weights: tuple[str, int, int]) -> tuple[Parameter, ...]:
        """Parameters of the input projections (key, outputs, inputs) and of the output's."""
        kept = [Parameter(key, (outputs, inputs)) for key, outputs, inputs in weights]
        if self.bias:
            kept.append(Parameter("in_proj_bias", (3 * channels,)))
        kept.append(Parameter("out_proj.weight", (channels, channels)))
        if self.bias:
            kept.append(Parameter("out_proj.bias", (channels,)))
        return tuple(kept)

    def window(self, *inputs: TensorType | None) -> None:
        return None

    def _torch(self, helper: Helper, args: tuple[int, ...], **options: bool) -> Torch:
        kwargs: dict[str, object] = {name: value for name, value in options.items() if value}
        if self.dropout:
            kwargs["dropout"] = self.dropout
        if not self.bias:
            kwargs["bias"] = False
        return Torch(
            module=Construct(helper.name, args, kwargs),
            init=self.init.statements(bias=self.bias, module="{self}.out_proj")
            if self.init
            else (),
            helper=helper,
        )


def attention_flops(batch: Dim, queries: Dim, keys: Dim, channels: int) -> Dim:
    """Scores and their weighted sum."""
    return 4 * batch * queries * keys * channels
