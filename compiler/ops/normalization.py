"""Normalisation layers: subtract a mean, divide by a spread, scale and shift.

A receptive field counts what an output can be told apart by, so statistics over all positions
don't widen it: `window` is () here, as in the literature on receptive fields.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.graph import Ema, Parameter
from ..ir.proofs import equal
from ..ir.shapes import DType, TensorType, elements
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
from .linear import static_size
from .sizes import reshaped
from .spatial import require_rank
from .streaming import all_steps, same_axis
from .weights import Init

EPS = "Added to the variance, so that it is never 0."
MOMENTUM = "Weight of the newest batch in the running averages."
INIT = "How the weight starts; 1 unless given."
FLAT_KINDS = ("zeros", "ones", "normal", "trunc_normal", "uniform")
"""The kinds of `init` that a scale can have: it is no matrix, whose inputs one could count."""


class Normalization(Op, ABC):
    """What normalisation layers have in common: a float input with static channels."""

    init: Init | None = attribute(default=None, doc=INIT)

    def check(self) -> None:
        if self.init is None:
            return
        if not self._scales():
            raise Refusal(
                Code.E202,
                f"`{self.name}` without learned weights has nothing that `init` could start",
                help="remove `init`, or set `affine: true`",
            )
        if self.init.kind not in FLAT_KINDS:
            raise Refusal(
                Code.E202,
                f"`init` of `{self.name}` cannot be `{self.init.kind}`, which is for the weights "
                "of matrices and kernels",
                help=f"choose one of {', '.join(f'`{kind}`' for kind in FLAT_KINDS)}",
            )

    @abstractmethod
    def _scales(self) -> bool:
        """Whether there is a learned weight."""

    def _shifts(self) -> bool:
        """Whether there is a learned bias."""
        return self._scales()

    def _affine(self, size: int) -> tuple[Parameter, ...]:
        weight = (Parameter("weight", (size,)),) if self._scales() else ()
        return (*weight, Parameter("bias", (size,))) if self._shifts() else weight

    def _statements(self) -> tuple[str, ...]:
        return self.init.statements(bias=self._shifts()) if self.init else ()

    def flops(self, x: TensorType) -> Dim:
        """Sums for mean and variance, then subtract, divide, scale and shift."""
        return 8 * elements(x.shape)

    def _weight(self, e: Emitter, size: int) -> Handle:
        return e.weight("weight") if self._scales() else filled(e, 1.0, size)

    def _bias(self, e: Emitter, size: int) -> Handle:
        return e.weight("bias") if self._shifts() else filled(e, 0.0, size)


def filled(e: Emitter, value: float, size: int) -> Handle:
    """A constant vector of the first input's element type."""
    import numpy as np

    dtypes = {DType.F64: np.float64, DType.F16: np.float16}
    return e.array(np.full(size, value, dtype=dtypes.get(first_input(e).dtype, np.float32)))


def first_input(e: Emitter) -> TensorType:
    x = e.inputs[0]
    assert x is not None
    return x


def input_size(e: Emitter, axis: int) -> int:
    size = first_input(e).shape[axis]
    assert isinstance(size, int)
    return size


def differing(**given: tuple[Any, Any]) -> dict[str, Any]:
    """Keyword arguments whose value is not torch's default: `eps=(self.eps, 1e-5)`."""
    return {word: value for word, (value, usual) in given.items() if value != usual}


@register
class BatchNorm(Normalization):
    """Normalise each channel by mean and variance: of the batch while training, of all past
    batches (running averages) otherwise.

    Inputs:  x: f32[B, C] or f32[B, C, *], up to three axes behind C
    Outputs: y: f32[B, C, *]
    Errors:  D401 x has other axes, or its channels are symbolic; E202 `init` does not fit.
    Source:  Ioffe and Szegedy 2015; torch.nn.BatchNorm2d; ONNX BatchNormalization.
    """

    stream_axis = same_axis  # running averages do not change in evaluation
    eps: float = attribute(default=1e-5, above=0, doc=EPS)
    momentum: float = attribute(default=0.1, minimum=0, maximum=1, doc=MOMENTUM)
    affine: bool = attribute(default=True, doc="Learn a scale and a shift per channel.")

    examples = (
        Example("{}", x="f32[B, 3, H, W]", y="f32[B, 3, H, W]"),
        Example("{eps: 0.001, momentum: 0.01}", x="f32[B, 4]", y="f32[B, 4]"),
        Example("{affine: false}", x="f32[B, 4, T]", y="f32[B, 4, T]"),
        Example("{init: zeros}", x="f32[B, 2, 3, 4, 4]", y="f32[B, 2, 3, 4, 4]"),
        Example("{init: {normal: {mean: 1, std: 0.02}}}", x="f32[B, 3, 4, 4]", y="f32[B, 3, 4, 4]"),
    )
    rejects = (
        Reject("{}", x="f32[B]", code=Code.D401),
        Reject("{}", x="f32[B, T, 8]", code=Code.D401),
        Reject("{}", x="i64[B, 3, 8, 8]", code=Code.D401),
        Reject("{init: orthogonal}", x="f32[B, 3, 8, 8]", code=Code.E202),
        Reject("{affine: false, init: zeros}", x="f32[B, 3, 8, 8]", code=Code.E202),
    )

    def _scales(self) -> bool:
        return self.affine

    def infer(self, x: TensorType) -> TensorType:
        require_rank(self.name, x, 2, 3, 4, 5)
        static_size(self.name, x, 1)
        return x

    def parameters(self, x: TensorType) -> tuple[Parameter, ...]:
        channels = static_size(self.name, x, 1)
        return (
            *self._affine(channels),
            Parameter("running_mean", (channels,), trainable=False),
            Parameter("running_var", (channels,), trainable=False),
            Parameter("num_batches_tracked", (), DType.I64, trainable=False, ema=Ema.COPY),
        )

    def torch(self, x: TensorType) -> Torch:
        kwargs = differing(
            eps=(self.eps, 1e-5), momentum=(self.momentum, 0.1), affine=(self.affine, True)
        )
        name = f"nn.BatchNorm{max(x.rank - 2, 1)}d"
        return Torch(module=Construct(name, (x.shape[1],), kwargs), init=self._statements())

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        channels = input_size(e, 1)
        return e.op(
            "BatchNormalization",
            x,
            self._weight(e, channels),
            self._bias(e, channels),
            e.weight("running_mean"),
            e.weight("running_var"),
            epsilon=self.eps,
        )


@register
class GroupNorm(Normalization):
    """Normalise groups of channels of each sample by their mean and variance.

    Inputs:  x: f32[B, C, *]
    Outputs: y: f32[B, C, *]
    Errors:  D401 x has no channels, or they are symbolic; D404 `groups` does not divide C, or each
             group holds a single element; E202 `init` does not fit.
    Source:  Wu and He 2018; torch.nn.GroupNorm; ONNX InstanceNormalization over groups, since
             GroupNormalization scales per group before opset 21.
    """

    stream_axis = all_steps
    groups: int = attribute(main=True, minimum=1, doc="Number of groups; it divides the channels.")
    eps: float = attribute(default=1e-5, above=0, doc=EPS)
    affine: bool = attribute(default=True, doc="Learn a scale and a shift per channel.")

    examples = (
        Example("{groups: 2}", x="f32[B, 4, H, W]", y="f32[B, 4, H, W]"),
        Example("{groups: 3, eps: 0.001}", x="f32[B, 6, T]", y="f32[B, 6, T]"),
        Example("{groups: 2, affine: false}", x="f32[B, 8]", y="f32[B, 8]"),
        Example("{groups: 1}", x="f32[B, 4, 5, 6]", y="f32[B, 4, 5, 6]"),
    )
    rejects = (
        Reject("{groups: 2}", x="f32[B]", code=Code.D401),
        Reject("{groups: 2}", x="f32[B, C, 8]", code=Code.D401),
        Reject("{groups: 8}", x="f32[B, 12, 8, 8]", code=Code.D404),
        Reject("{groups: 4}", x="f32[B, 4]", code=Code.D404),
        Reject("{groups: 2, init: kaiming_normal}", x="f32[B, 4, 8, 8]", code=Code.E202),
    )

    def _scales(self) -> bool:
        return self.affine

    def infer(self, x: TensorType) -> TensorType:
        need_float(self.name, x)
        channels = static_size(self.name, x, 1)
        if channels % self.groups:
            raise Refusal(
                Code.D404,
                f"`{self.name}` with {self.groups} groups needs channels that are a multiple of "
                f"{self.groups}, found {channels} in {x}",
                label=f"{channels} channels",
                help=f"choose `groups` to divide {channels}",
            )
        _need_several(self.name, x, elements((channels // self.groups, *x.shape[2:])), "a group")
        return x

    def parameters(self, x: TensorType) -> tuple[Parameter, ...]:
        return self._affine(static_size(self.name, x, 1))

    def torch(self, x: TensorType) -> Torch:
        kwargs = differing(eps=(self.eps, 1e-5), affine=(self.affine, True))
        module = Construct("nn.GroupNorm", (self.groups, x.shape[1]), kwargs)
        return Torch(module=module, init=self._statements())

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        given = first_input(e)
        grouped = given.with_shape((given.shape[0], self.groups, -1))
        normal = e.op(
            "InstanceNormalization",
            e.op("Reshape", x, e.ints([0, self.groups, -1])),
            filled(e, 1.0, self.groups),
            filled(e, 0.0, self.groups),
            epsilon=self.eps,
        )
        y = reshaped(e, normal, grouped, given.shape)
        if not self._scales():
            return y
        per_channel = e.ints([-1] + [1] * (given.rank - 2))
        weight = e.op("Reshape", e.weight("weight"), per_channel)
        bias = e.op("Reshape", e.weight("bias"), per_channel)
        return e.op("Add", e.op("Mul", y, weight), bias)


@register
class InstanceNorm(Normalization):
    """Normalise each channel of each sample by its own mean and variance.

    Inputs:  x: f32[B, C, L], f32[B, C, H, W] or f32[B, C, D, H, W]
    Outputs: y: the type of x
    Errors:  D401 x has other axes, or its channels are symbolic; D404 a channel holds a single
             element; E202 `init` does not fit.
    Source:  Ulyanov et al. 2016; torch.nn.InstanceNorm2d; ONNX InstanceNormalization.
    """

    stream_axis = all_steps
    eps: float = attribute(default=1e-5, above=0, doc=EPS)
    affine: bool = attribute(default=False, doc="Learn a scale and a shift per channel.")

    examples = (
        Example("{}", x="f32[B, 3, 5, 7]", y="f32[B, 3, 5, 7]"),
        Example(
            "{affine: true, eps: 0.001, init: ones}",
            x="f32[B, 4, T]",
            y="f32[B, 4, T]",
            bounds={"T": (2, None)},
        ),
        Example("{affine: true}", x="f32[B, 2, 3, 4, 4]", y="f32[B, 2, 3, 4, 4]"),
    )
    rejects = (
        Reject("{}", x="f32[B, 3]", code=Code.D401),
        Reject("{}", x="f32[B, C, 8]", code=Code.D401),
        Reject("{}", x="f32[B, 3, 1, 1]", code=Code.D404),
        Reject("{init: zeros}", x="f32[B, 3, 8, 8]", code=Code.E202),
    )

    def _scales(self) -> bool:
        return self.affine

    def infer(self, x: TensorType) -> TensorType:
        require_rank(self.name, x, 3, 4, 5)
        static_size(self.name, x, 1)
        _need_several(self.name, x, elements(x.shape[2:]), "a channel")
        return x

    def parameters(self, x: TensorType) -> tuple[Parameter, ...]:
        return self._affine(static_size(self.name, x, 1))

    def torch(self, x: TensorType) -> Torch:
        kwargs = differing(eps=(self.eps, 1e-5), affine=(self.affine, False))
        module = Construct(f"nn.InstanceNorm{x.rank - 2}d", (x.shape[1],), kwargs)
        return Torch(module=module, init=self._statements())

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        channels = input_size(e, 1)
        weight, bias = self._weight(e, channels), self._bias(e, channels)
        return e.op("InstanceNormalization", x, weight, bias, epsilon=self.eps)


def _need_several(op: str, x: TensorType, count: Dim, what: str) -> None:
    """Raises: Refusal: D404: a mean is taken over one element, which leaves nothing but 0."""
    if equal(count, 1) is True:
        raise Refusal(
            Code.D404,
            f"`{op}` needs several elements to average, found one in {what} of {x}",
            label=f"{what} holds one element, which normalises to 0",
        )
