"""Affine maps of the last axis."""

from __future__ import annotations

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.graph import Parameter
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
from .checks import need_float
from .spectral import (
    RESTART,
    WEIGHT_NORM_DOC,
    WEIGHT_NORMS,
    spectral_buffers,
    spectral_module,
    spectral_weight,
)
from .streaming import same_axis
from .weights import Init


def static_size(op: str, x: TensorType, axis: int) -> int:
    """The size of an axis that weights depend on.

    Raises: Refusal: D401: the axis does not exist or its size is symbolic.
    """
    if not -x.rank <= axis < x.rank or (x.rank + axis if axis < 0 else axis) == 0:
        raise Refusal(
            Code.D401,
            f"`{op}` needs an axis besides the batch, found {x}",
            label=f"this has {x.rank} {'axis' if x.rank == 1 else 'axes'}",
        )
    size = x.shape[axis]
    if not isinstance(size, int):
        raise Refusal(
            Code.D401,
            f"`{op}` needs a fixed size along axis {axis % x.rank}, found {x}",
            label=f"`{size}` is not known before the network runs",
            help="fix this size in the network's inputs",
        )
    return size


@register
class Linear(Op):
    """Apply a learned affine map to the last axis: y = x W^T + b.

    Inputs:  x: f32[B, *, C]
    Outputs: y: f32[B, *, features]
    Errors:  D401 x has no axis besides the batch, its last size is symbolic, or it holds integers.
    Source:  torch.nn.Linear; ONNX Gemm for two axes, MatMul + Add for more.
    """

    stream_axis = same_axis
    features: int = attribute(main=True, minimum=1, doc="Size of the last output axis.")
    bias: bool = attribute(default=True, doc="Add a learned offset.")
    init: Init | None = attribute(default=None, doc="How the weight starts.")
    weight_norm: str | None = attribute(default=None, choices=WEIGHT_NORMS, doc=WEIGHT_NORM_DOC)

    examples = (
        Example("{features: 10}", x="f32[B, 32]", y="f32[B, 10]"),
        Example("{features: 6, bias: false}", x="f32[B, T, 8]", y="f32[B, T, 6]"),
        Example("{features: 4, init: zeros}", x="f32[B, 3, 5]", y="f32[B, 3, 4]"),
        Example("{features: 3, weight_norm: spectral}", x="f32[B, 8]", y="f32[B, 3]"),
    )
    rejects = (
        Reject("{features: 10}", x="f32[B]", code=Code.D401),
        Reject("{features: 10}", x="f32[B, C]", code=Code.D401),
        Reject("{features: 10}", x="i64[B, 8]", code=Code.D401),
    )

    def infer(self, x: TensorType) -> TensorType:
        need_float(self.name, x)
        static_size(self.name, x, -1)
        return x.with_axis(-1, self.features)

    def parameters(self, x: TensorType) -> tuple[Parameter, ...]:
        weight = Parameter("weight", (self.features, static_size(self.name, x, -1)))
        bias = (Parameter("bias", (self.features,)),) if self.bias else ()
        if self.weight_norm is None:
            return (weight, *bias)
        return (weight, *bias, *spectral_buffers(weight.shape))

    def flops(self, x: TensorType) -> Dim:
        return 2 * elements(x.shape) * self.features

    def torch(self, x: TensorType) -> Torch:
        kwargs = {} if self.bias else {"bias": False}
        args = (x.shape[-1], self.features)
        init = self.init.statements(bias=self.bias) if self.init else ()
        if self.weight_norm is None:
            return Torch(module=Construct("nn.Linear", args, kwargs), init=init)
        return Torch(
            module=Construct("SpectralLinear", args, kwargs),
            init=(*init, RESTART) if init else (),
            helper=spectral_module("Linear"),
        )

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        bias = e.weight("bias") if self.bias else None
        weight = spectral_weight(e, rank=2) if self.weight_norm else e.weight("weight")
        if len(e.outputs[0].shape) == 2:
            return e.op("Gemm", x, weight, bias, transB=1)
        product = e.op("MatMul", x, e.op("Transpose", weight, perm=[1, 0]))
        return e.op("Add", product, bias) if bias is not None else product
