"""A density that is fitted to codes, to draw new ones from."""

from __future__ import annotations

import math
from typing import Any

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.graph import Ema, Parameter
from ..ir.proofs import equal
from ..ir.shapes import TensorType, elements
from .base import (
    Construct,
    Emitter,
    Example,
    Handle,
    Helper,
    Op,
    Port,
    Refusal,
    Reject,
    Torch,
    attribute,
    register,
)
from .checks import need_elements, need_float
from .linear import static_size

WEIGHTS, MEANS, FACTORS = "weights", "means", "factors"

_MODULE = Helper(
    "GaussianMixture",
    '''class GaussianMixture(nn.Module):
    """Turn normal noise into draws of a mixture of normal distributions, fitted to codes.

    Each component k has a weight, a mean and the Cholesky factor of its covariance; until they are
    fitted, all are the standard normal distribution.
    """

    def __init__(self, components: int, size: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, size))
        self.register_buffer("factors", torch.eye(size).repeat(components, 1, 1))

    def forward(self, noise: Tensor, choice: Tensor) -> Tensor:
        """noise: f32[B, ...], standard normal. choice: f32[B] in [0, 1), which component."""
        ends = self.weights.cumsum(0)[:-1]
        k = (choice[:, None] >= ends).sum(1)
        drawn = (self.factors[k] @ noise.flatten(1)[:, :, None]).squeeze(2)
        return (self.means[k] + drawn).view_as(noise)
''',
)


@register
class GaussianMixture(Op):
    """Turn normal noise into draws of a mixture of normal distributions, fitted to codes.

    It is no layer that learns by gradients: the objective `vae` fits it to the codes of training
    samples, by expectation maximisation, where the network stands in `density`.

    Inputs:  noise: f32[B, *], standard normal, of fixed sizes
             choice: f32[B], each in [0, 1): which component, by their weights
    Outputs: y: f32[B, *]
    Errors:  D401 no floating-point numbers, or sizes that are not fixed. D402 `choice` is not [B].
    Source:  Ghosh et al. 2020, section 3.4 (a density fitted after training);
             scikit-learn GaussianMixture; ONNX CumSum, Gather and MatMul.
    """

    components: int = attribute(main=True, minimum=1, doc="How many normal distributions.")

    ports = (Port("noise"), Port("choice"))
    examples = (
        Example("{components: 3}", noise="f32[B, 4]", choice="f32[B]", y="f32[B, 4]"),
        Example("{components: 1}", noise="f32[B, 2, 3]", choice="f32[B]", y="f32[B, 2, 3]"),
    )
    rejects = (
        Reject("{components: 2}", noise="f32[B]", choice="f32[B]", code=Code.D401),
        Reject("{components: 2}", noise="f32[B, T]", choice="f32[B]", code=Code.D401),
        Reject("{components: 2}", noise="i64[B, 3]", choice="f32[B]", code=Code.D401),
        Reject("{components: 2}", noise="f32[B, 3]", choice="f32[B, 1]", code=Code.D402),
    )

    def infer(self, noise: TensorType, choice: TensorType) -> TensorType:
        need_float(self.name, noise, choice)
        need_elements(self.name, noise)
        if choice.rank != 1 or equal(choice.shape[0], noise.shape[0]) is not True:
            raise Refusal(
                Code.D402,
                f"`{self.name}` needs one `choice` for each sample, f32[B], found {choice}",
                label="beside noise " + str(noise),
            )
        self._size(noise)
        return noise

    def _size(self, noise: TensorType) -> int:
        return math.prod(static_size(self.name, noise, axis) for axis in range(1, noise.rank))

    def parameters(self, noise: TensorType, choice: TensorType) -> tuple[Parameter, ...]:
        count, size = self.components, self._size(noise)
        shapes: dict[str, tuple[int, ...]] = {
            WEIGHTS: (count,),
            MEANS: (count, size),
            FACTORS: (count, size, size),
        }
        # They are fitted to the averaged networks themselves: no average of fits is one.
        return tuple(
            Parameter(key, shape, trainable=False, ema=Ema.CONSTANT)
            for key, shape in shapes.items()
        )

    def flops(self, noise: TensorType, choice: TensorType) -> Dim:
        return 2 * self._size(noise) * elements(noise.shape)

    def torch(self, noise: TensorType, choice: TensorType) -> Torch:
        arguments = (self.components, self._size(noise))
        return Torch(module=Construct("GaussianMixture", arguments), helper=_MODULE)

    def onnx(self, e: Emitter, noise: Handle, choice: Handle) -> Handle:
        ends = e.derived("ends", [WEIGHTS], _ends)
        reached = e.op("GreaterOrEqual", e.op("Unsqueeze", choice, e.ints([1])), ends)
        counted = e.op("Cast", reached, to=INT64)
        k = e.op("ReduceSum", counted, e.ints([1]), keepdims=0)
        flat = e.op("Unsqueeze", e.op("Flatten", noise, axis=1), e.ints([2]))
        drawn = e.op("MatMul", e.op("Gather", e.weight(FACTORS), k), flat)
        code = e.op("Add", e.op("Gather", e.weight(MEANS), k), e.op("Squeeze", drawn, e.ints([2])))
        (made,) = e.outputs
        return e.op("Reshape", code, e.sizes(made.shape)) if made.rank > 2 else code


INT64 = 7
"""onnx.TensorProto.INT64"""


def _ends(weights: Any) -> Any:
    """Where each component ends among the choices, the last one's end left out."""
    import numpy as np

    return np.cumsum(weights, dtype=np.float32)[:-1]
