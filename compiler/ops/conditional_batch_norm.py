"""Batch norm whose scale and shift follow the class of the sample."""

from __future__ import annotations

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.graph import Parameter
from ..ir.shapes import TensorType
from .base import (
    Construct,
    Emitter,
    Example,
    Handle,
    Helper,
    Port,
    Reject,
    Torch,
    attribute,
    register,
)
from .labels import CLASSES, LABEL, need_label
from .linear import static_size
from .normalization import (
    EPS,
    MOMENTUM,
    BatchNorm,
    Normalization,
    differing,
    filled,
    first_input,
    input_size,
)
from .spatial import require_rank
from .streaming import same_axis

_MODULE = Helper(
    "ConditionalBatchNorm",
    '''class ConditionalBatchNorm(nn.Module):
    """Batch norm with a scale and a shift of its own for each class."""

    def __init__(self, channels: int, classes: int, eps=1e-5, momentum=0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(classes, channels))
        self.bias = nn.Parameter(torch.zeros(classes, channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        y = F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )
        weight, bias = F.embedding(label, self.weight), F.embedding(label, self.bias)
        places = (*weight.shape, *[1] * (x.dim() - 2))
        return (y * weight.reshape(places) + bias.reshape(places)).to(x.dtype)
''',
)


@register
class ConditionalBatchNorm(Normalization):
    """Normalise each channel as `batch_norm` does, then scale and shift by the sample's class.

    y = (x - mean) / sqrt(variance + eps) * weight[label] + bias[label], with statistics of the
    whole batch, whatever its classes. The tables weight and bias [classes, C] start as 1 and 0.
    It tells a generator what to make, at every one of its layers.

    Inputs:  x: f32[B, C] or f32[B, C, *], up to three axes behind C
             label: i64[B] or i32[B], numbers in [0, classes)
    Outputs: y: f32[B, C, *]
    Errors:  D401 x has other axes, its channels are symbolic, or label is not integers [B]. D402
             not as many labels as samples. E202 `init` does not fit.
    Source:  Dumoulin et al. 2017; de Vries et al. 2017; for generators of images Miyato and Koyama
             2018 and Zhang et al. 2019 (SAGAN); torch.nn.functional.batch_norm; ONNX
             BatchNormalization and Gather.
    """

    stream_axis = same_axis  # running averages do not change in evaluation
    classes: int = attribute(main=True, minimum=1, doc=CLASSES)
    eps: float = attribute(default=1e-5, above=0, doc=EPS)
    momentum: float = attribute(default=0.1, minimum=0, maximum=1, doc=MOMENTUM)

    ports = (Port("x"), LABEL)
    examples = (
        Example(
            "{classes: 5}",
            x="f32[B, 3, H, W]",
            label="i64[B]",
            ranges={"label": (0, 5)},
            y="f32[B, 3, H, W]",
        ),
        Example(
            "{classes: 2, eps: 0.001, momentum: 0.01}",
            x="f32[B, 4]",
            label="i32[B]",
            ranges={"label": (0, 2)},
            y="f32[B, 4]",
        ),
        Example(
            "{classes: 3, init: zeros}",
            x="f32[B, 2, T]",
            label="i64[B]",
            ranges={"label": (0, 3)},
            y="f32[B, 2, T]",
        ),
    )
    rejects = (
        Reject("{classes: 5}", x="f32[B]", label="i64[B]", code=Code.D401),
        Reject("{classes: 5}", x="f32[B, C, 8]", label="i64[B]", code=Code.D401),
        Reject("{classes: 5}", x="i64[B, 3]", label="i64[B]", code=Code.D401),
        Reject("{classes: 5}", x="f32[B, 3]", label="f32[B]", code=Code.D401),
        Reject("{classes: 5}", x="f32[B, 3]", label="i64[B, 1]", code=Code.D401),
        Reject("{classes: 5}", x="f32[B, 3]", label="i64[2*B]", code=Code.D402),
        Reject("{classes: 0}", x="f32[B, 3]", label="i64[B]", code=Code.S102),
        Reject("{classes: 5, init: orthogonal}", x="f32[B, 3]", label="i64[B]", code=Code.E202),
    )

    def _scales(self) -> bool:
        return True

    def infer(self, x: TensorType, label: TensorType) -> TensorType:
        require_rank(self.name, x, 2, 3, 4, 5)
        static_size(self.name, x, 1)
        need_label(self.name, label, x)
        return x

    def parameters(self, x: TensorType, label: TensorType) -> tuple[Parameter, ...]:
        channels = static_size(self.name, x, 1)
        return (
            Parameter("weight", (self.classes, channels)),
            Parameter("bias", (self.classes, channels)),
            Parameter("running_mean", (channels,), trainable=False),
            Parameter("running_var", (channels,), trainable=False),
        )

    def flops(self, x: TensorType, label: TensorType) -> Dim:  # type: ignore[override]
        return super().flops(x)

    def torch(self, x: TensorType, label: TensorType) -> Torch:
        kwargs = differing(eps=(self.eps, 1e-5), momentum=(self.momentum, 0.1))
        module = Construct(_MODULE.name, (x.shape[1], self.classes), kwargs)
        return Torch(module=module, init=self._statements(), helper=_MODULE)

    def onnx(self, e: Emitter, x: Handle, label: Handle) -> Handle:
        channels, rank = input_size(e, 1), first_input(e).rank
        y = e.op(
            "BatchNormalization",
            x,
            filled(e, 1.0, channels),
            filled(e, 0.0, channels),
            e.weight("running_mean"),
            e.weight("running_var"),
            epsilon=self.eps,
        )
        scaled = e.op("Mul", y, self._looked_up(e, "weight", label, rank))
        return e.op("Add", scaled, self._looked_up(e, "bias", label, rank))

    def _looked_up(self, e: Emitter, key: str, label: Handle, rank: int) -> Handle:
        """A table's row for each sample, [B, C, 1, ...]."""
        rows = e.op("Gather", e.weight(key), label, axis=0)
        return e.op("Unsqueeze", rows, e.ints(range(2, rank))) if rank > 2 else rows


BATCH_NORMS = (BatchNorm, ConditionalBatchNorm)
"""The layers that normalise by the statistics of a batch."""
