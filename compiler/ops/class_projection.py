"""How well a sample fits its class: the term that a projection discriminator adds to its score."""

from __future__ import annotations

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.graph import Parameter
from ..ir.shapes import DType, TensorType, elements
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
from .checks import need_rank
from .labels import CLASSES, LABEL, need_label
from .linear import static_size
from .spectral import (
    RESTART,
    SPECTRAL_NORM,
    WEIGHT_NORM_DOC,
    WEIGHT_NORMS,
    spectral_buffers,
    spectral_weight,
)
from .streaming import all_steps
from .weights import Init

_MODULE = Helper(
    "ClassProjection",
    '''class ClassProjection(nn.Module):
    """The inner product of each sample with a learned vector of its class."""

    def __init__(self, classes: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, features))
        nn.init.xavier_uniform_(self.weight)

    def table(self) -> Tensor:
        return self.weight

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        return (x * F.embedding(label, self.table())).sum(1, keepdim=True)
''',
)
_SPECTRAL = Helper(
    "SpectralClassProjection",
    '''class SpectralClassProjection(SpectralNorm, ClassProjection):
    """ClassProjection with a spectrally normalised table."""

    def __init__(self, classes: int, features: int) -> None:
        super().__init__(classes, features)
        self.start_power_iteration()

    def table(self) -> Tensor:
        return self.normalized_weight()
''',
    needs=(SPECTRAL_NORM, _MODULE),
)


@register
class ClassProjection(Op):
    """Multiply each sample with a learned vector of its class: y = v_label . x.

    A projection discriminator adds it to what a linear layer says of the same features, so that
    its score is w . x + b + v_label . x: how real the sample is, and how well it fits its label.

        - {id: features, ...}
        - {id: real, linear: 1}
        - {id: fits, from: {x: features, label: label}, class_projection: 10}
        - {from: [real, fits], add: {}}

    Inputs:  x: f32[B, D]
             label: i64[B] or i32[B], numbers in [0, classes)
    Outputs: y: f32[B, 1]
    Errors:  D401 x is not f32[B, D] with a fixed D, or label is not integers [B]. D402 not as many
             labels as samples.
    Source:  Miyato and Koyama 2018, "cGANs with Projection Discriminator", equation 3; the start
             is that of their code; ONNX Gather, Mul and ReduceSum.
    """

    stream_axis = all_steps
    classes: int = attribute(main=True, minimum=1, doc=CLASSES)
    init: Init | None = attribute(
        default=None, doc="How the vectors start; xavier_uniform unless given."
    )
    weight_norm: str | None = attribute(default=None, choices=WEIGHT_NORMS, doc=WEIGHT_NORM_DOC)

    ports = (Port("x"), LABEL)
    examples = (
        Example(
            "{classes: 5}",
            x="f32[B, 6]",
            label="i64[B]",
            ranges={"label": (0, 5)},
            y="f32[B, 1]",
        ),
        Example(
            "{classes: 3, weight_norm: spectral, init: {normal: {std: 0.1}}}",
            x="f32[B, 4]",
            label="i32[B]",
            ranges={"label": (0, 3)},
            y="f32[B, 1]",
        ),
    )
    rejects = (
        Reject("{classes: 5}", x="f32[B, 6, 4]", label="i64[B]", code=Code.D401),
        Reject("{classes: 5}", x="f32[B, D]", label="i64[B]", code=Code.D401),
        Reject("{classes: 5}", x="i64[B, 6]", label="i64[B]", code=Code.D401),
        Reject("{classes: 5}", x="f32[B, 6]", label="f32[B]", code=Code.D401),
        Reject("{classes: 5}", x="f32[B, 6]", label="i64[B, 1]", code=Code.D401),
        Reject("{classes: 5}", x="f32[B, 6]", label="i64[2*B]", code=Code.D402),
        Reject("{classes: 0}", x="f32[B, 6]", label="i64[B]", code=Code.S102),
    )

    def infer(self, x: TensorType, label: TensorType) -> TensorType:
        need_rank(self.name, x, 2, "f32[B, D]")
        if x.dtype is not DType.F32:
            raise Refusal(
                Code.D401,
                f"`{self.name}` needs float32 numbers, found {x}",
                label=f"elements of type {x.dtype}",
                help="turn them into float32 with `cast: float32` first",
            )
        static_size(self.name, x, 1)
        need_label(self.name, label, x)
        return x.with_axis(1, 1)

    def parameters(self, x: TensorType, label: TensorType) -> tuple[Parameter, ...]:
        weight = Parameter("weight", (self.classes, static_size(self.name, x, 1)))
        return (weight, *(spectral_buffers(weight.shape) if self.weight_norm else ()))

    def flops(self, x: TensorType, label: TensorType) -> Dim:
        return 2 * elements(x.shape)

    def torch(self, x: TensorType, label: TensorType) -> Torch:
        helper = _SPECTRAL if self.weight_norm else _MODULE
        init = self.init.statements(bias=False) if self.init else ()
        return Torch(
            module=Construct(helper.name, (self.classes, x.shape[1])),
            init=(*init, RESTART) if init and self.weight_norm else init,
            helper=helper,
        )

    def onnx(self, e: Emitter, x: Handle, label: Handle) -> Handle:
        table = spectral_weight(e, rank=2) if self.weight_norm else e.weight("weight")
        product = e.op("Mul", x, e.op("Gather", table, label, axis=0))
        return e.op("ReduceSum", product, e.ints([1]), keepdims=1)
