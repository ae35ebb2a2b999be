"""Spectral norm: a weight divided by its largest singular value.

The trained tensor keeps the name `weight`; the singular vectors are the buffers `weight_u` (one
number an output) and `weight_v`.

Source: Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks",
algorithm 1; the values are those of torch.nn.utils.parametrizations.spectral_norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ..ir.graph import Ema, Parameter
from .base import Emitter, Handle, Helper

WEIGHT_NORMS = ("spectral",)
"""The choices of an argument `weight_norm`."""

WEIGHT_NORM_DOC = "`spectral` divides the weight by its largest singular value."

RESTART = "{self}.start_power_iteration()"
"""The statement that must follow an `init` of a normalised weight."""

SPECTRAL_NORM = Helper(
    "SpectralNorm",
    '''class SpectralNorm(nn.Module):
    """Divide `weight` by an estimate of its largest singular value (Miyato et al. 2018).

    Each forward pass of training mode takes one step of power iteration. Products are taken
    element by element, since autocast would round those of matrices.
    """

    output_axis = 0

    def weight_matrix(self):
        return self.weight.movedim(self.output_axis, 0).flatten(1)

    def start_power_iteration(self):
        with torch.no_grad():
            matrix = self.weight_matrix()
            for name, size in (("weight_u", matrix.shape[0]), ("weight_v", matrix.shape[1])):
                start = F.normalize(matrix.new_empty(size).normal_(), dim=0, eps=1e-12)
                self.register_buffer(name, start)
        self.iterate(steps=15)

    @torch.no_grad()
    def iterate(self, steps):
        matrix = self.weight_matrix()
        for _ in range(steps):
            rows = (matrix * self.weight_v).sum(1)
            self.weight_u.copy_(F.normalize(rows, dim=0, eps=1e-12))
            columns = (matrix * self.weight_u[:, None]).sum(0)
            self.weight_v.copy_(F.normalize(columns, dim=0, eps=1e-12))

    def normalized_weight(self):
        if self.training:
            self.iterate(steps=1)
        # Copies, since the next step overwrites the vectors before this one's backward pass.
        u, v = self.weight_u.clone(), self.weight_v.clone()
        return self.weight / (self.weight_matrix() * v * u[:, None]).sum()
''',
)

_CALLS = {
    "Linear": "return F.linear(x, self.normalized_weight(), self.bias)",
    "Embedding": "return F.embedding(x, self.normalized_weight(), self.padding_idx)",
    "Conv": "weight = self.normalized_weight()\n        return F.conv{axes}("
    "x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)",
    "ConvTranspose": """return F.conv_transpose{axes}(
            x,
            self.normalized_weight(),
            self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )""",
}
"""The body of `forward`, by the name of the class without `2d`."""


def spectral_buffers(shape: Sequence[int], output_axis: int = 0) -> tuple[Parameter, Parameter]:
    """The singular vectors of a weight of this shape; they follow it, so an EMA copies them."""
    outputs = shape[output_axis]
    return (
        Parameter("weight_u", (outputs,), trainable=False, ema=Ema.COPY),
        Parameter("weight_v", (prod(shape) // outputs,), trainable=False, ema=Ema.COPY),
    )


def spectral_module(base: str) -> Helper:
    """The class that stands for `nn.<base>`: `SpectralConv2d`, with the same constructor.

    base: Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, Linear or Embedding.
    """
    return Helper(
        f"Spectral{base}",
        f'''class Spectral{base}(SpectralNorm, nn.{base}):
    """nn.{base} with a spectrally normalised weight."""
{_axis(base)}
    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.start_power_iteration()

    def forward(self, x: Tensor) -> Tensor:
        {_CALLS[base.rstrip("123d")].format(axes=base[-2:])}
''',
        needs=(SPECTRAL_NORM,),
    )


def _axis(base: str) -> str:
    return "\n    output_axis = 1\n" if base.startswith("ConvTranspose") else ""


def spectral_weight(e: Emitter, rank: int, output_axis: int = 0) -> Handle:
    """Emit weight / (u^T W v) from the stored tensors, as evaluation mode computes it.

    rank: of the weight.
    """
    weight = e.weight("weight")
    order = [output_axis, *(axis for axis in range(rank) if axis != output_axis)]
    rows = weight if output_axis == 0 else e.op("Transpose", weight, perm=order)
    matrix = rows if rank == 2 else e.op("Flatten", rows, axis=1)
    sigma = e.op("MatMul", e.weight("weight_u"), e.op("MatMul", matrix, e.weight("weight_v")))
    return e.op("Div", weight, sigma)
