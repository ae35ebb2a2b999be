"""Functions of one element at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

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
    Reject,
    Torch,
    attribute,
    register,
)
from .checks import need_float
from .linear import static_size
from .streaming import same_axis


class Elementwise(Op):
    """A function of each element: the output has the input's type."""

    rejects: ClassVar[Sequence[Reject]] = (Reject("{}", x="i64[B, 3]", code=Code.D401),)
    stream_axis = same_axis

    def infer(self, x: TensorType) -> TensorType:
        need_float(self.name, x)
        return x

    def flops(self, x: TensorType) -> Dim:
        return elements(x.shape)


class Plain(Elementwise):
    """An activation without arguments that PyTorch has under one name as class and function."""

    module: ClassVar[str]
    function: ClassVar[str]
    examples = (
        Example("{}", x="f32[B, 8]", y="f32[B, 8]"),
        Example("{}", x="f32[B, 3, H, 5]", y="f32[B, 3, H, 5]"),
    )

    def torch(self, x: TensorType) -> Torch:
        return Torch(module=Construct(f"nn.{self.module}"), expression=f"{self.function}({{x}})")


@register
class Relu(Plain):
    """Set negative elements to zero: y = max(x, 0).

    Inputs:  x: f32[*]
    Outputs: y: f32[*]
    Errors:  D401 x does not hold floating-point numbers.
    Source:  torch.nn.ReLU; ONNX Relu.
    """

    module, function = "ReLU", "F.relu"

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Relu", x)


@register
class Relu6(Plain):
    """Limit elements to [0, 6]: y = min(max(x, 0), 6).

    Inputs:  x: f32[*]
    Outputs: y: f32[*]
    Errors:  D401 x does not hold floating-point numbers.
    Source:  torch.nn.ReLU6; Howard et al. 2017 (MobileNet); ONNX Clip.
    """

    module, function = "ReLU6", "F.relu6"

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Clip", x, e.scalar(0.0), e.scalar(6.0))


@register
class LeakyRelu(Elementwise):
    """Scale negative elements by a small slope: y = x where x >= 0, else slope * x.

    Inputs:  x: f32[*]
    Outputs: y: f32[*]
    Errors:  D401 x does not hold floating-point numbers.
    Source:  torch.nn.LeakyReLU; ONNX LeakyRelu.
    """

    slope: float = attribute(default=0.01, main=True, doc="Factor of negative elements.")

    examples = (
        Example("{}", x="f32[B, 8]", y="f32[B, 8]"),
        Example("{slope: 0.2}", x="f32[B, 3, H, 5]", y="f32[B, 3, H, 5]"),
    )

    def torch(self, x: TensorType) -> Torch:
        return Torch(
            module=Construct("nn.LeakyReLU", (self.slope,)),
            expression="F.leaky_relu({x}, {slope})",
            numbers={"slope": self.slope},
        )

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("LeakyRelu", x, alpha=self.slope)


@register
class Prelu(Elementwise):
    """A leaky ReLU whose slope is learned, one for all or one per channel (axis 1).

    Inputs:  x: f32[B, C, *] (any shape where one slope serves all)
    Outputs: y: f32[B, C, *]
    Errors:  D401 x does not hold floating-point numbers; with per_channel, x has no axis 1 or
             its size is symbolic.
    Source:  torch.nn.PReLU; He et al. 2015, equation 1; ONNX PRelu.
    """

    per_channel: bool = attribute(default=False, doc="Learn a slope for each channel.")
    init: float = attribute(default=0.25, doc="The slope before training.")

    examples = (
        Example("{}", x="f32[B, 8]", y="f32[B, 8]"),
        Example("{per_channel: true}", x="f32[B, 3, H, 5]", y="f32[B, 3, H, 5]"),
        Example("{per_channel: true, init: 0.1}", x="f32[B, 4]", y="f32[B, 4]"),
    )
    rejects = (
        *Elementwise.rejects,
        Reject("{per_channel: true}", x="f32[B, C, 4]", code=Code.D401),
        Reject("{per_channel: true}", x="f32[B]", code=Code.D401),
    )

    def infer(self, x: TensorType) -> TensorType:
        need_float(self.name, x)
        self._slopes(x)
        return x

    def _slopes(self, x: TensorType) -> int:
        return static_size(self.name, x, 1) if self.per_channel else 1

    def parameters(self, x: TensorType) -> tuple[Parameter, ...]:
        return (Parameter("weight", (self._slopes(x),)),)

    def torch(self, x: TensorType) -> Torch:
        kwargs = {} if self.init == 0.25 else {"init": self.init}
        return Torch(module=Construct("nn.PReLU", (self._slopes(x),), kwargs))

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        weight, behind = e.weight("weight"), len(e.outputs[0].shape) - 2
        if self.per_channel and behind:
            weight = e.op("Unsqueeze", weight, e.ints(range(1, behind + 1)))
        return e.op("PRelu", x, weight)


@register
class Elu(Elementwise):
    """y = x where x > 0, else alpha * (exp(x) - 1).

    Inputs:  x: f32[*]
    Outputs: y: f32[*]
    Errors:  D401 x does not hold floating-point numbers.
    Source:  torch.nn.ELU; Clevert et al. 2016; ONNX Elu.
    """

    alpha: float = attribute(default=1.0, main=True, doc="Minus the limit for negative elements.")

    examples = (
        Example("{}", x="f32[B, 8]", y="f32[B, 8]"),
        Example("{alpha: 0.5}", x="f32[B, T, 4]", y="f32[B, T, 4]"),
    )

    def torch(self, x: TensorType) -> Torch:
        return Torch(
            module=Construct("nn.ELU", () if self.alpha == 1.0 else (self.alpha,)),
            expression="F.elu({x}, alpha={alpha})",
            numbers={"alpha": self.alpha},
        )

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Elu", x, alpha=self.alpha)


@register
class Selu(Plain):
    """An ELU scaled so that activations keep mean 0 and variance 1 from layer to layer.

    Inputs:  x: f32[*]
    Outputs: y: f32[*]
    Errors:  D401 x does not hold floating-point numbers.
    Source:  torch.nn.SELU; Klambauer et al. 2017; ONNX Selu.
    """

    module, function = "SELU", "F.selu"

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Selu", x)


@register
class Gelu(Elementwise):
    """y = x * P(N(0, 1) <= x), exactly or by a tanh formula.

    Inputs:  x: f32[*]
    Outputs: y: f32[*]
    Errors:  D401 x does not hold floating-point numbers.
    Source:  torch.nn.GELU; Hendrycks and Gimpel 2016; ONNX Gelu from opset 20 on, before it
             Erf or Tanh with arithmetic.
    """

    approximate: str = attribute(
        default="none",
        main=True,
        choices=("none", "tanh"),
        doc="`tanh` takes the formula that GPT-2 used in place of the error function.",
    )

    examples = (
        Example("{}", x="f32[B, 8]", y="f32[B, 8]"),
        Example("{approximate: tanh}", x="f32[B, T, 4]", y="f32[B, T, 4]"),
    )

    def flops(self, x: TensorType) -> Dim:
        return 4 * elements(x.shape)

    def torch(self, x: TensorType) -> Torch:
        if self.approximate == "none":
            return Torch(module=Construct("nn.GELU"), expression="F.gelu({x})")
        return Torch(
            module=Construct("nn.GELU", (), {"approximate": "tanh"}),
            expression='F.gelu({x}, approximate="tanh")',
        )

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        if e.opset >= 20:
            return e.op("Gelu", x, approximate=self.approximate)
        inner = self._tanh(e, x) if self.approximate == "tanh" else self._erf(e, x)
        return e.op("Mul", e.op("Mul", x, e.scalar(0.5)), e.op("Add", inner, e.scalar(1.0)))

    def _erf(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Erf", e.op("Mul", x, e.scalar(math.sqrt(0.5))))

    def _tanh(self, e: Emitter, x: Handle) -> Handle:
        cube = e.op("Mul", e.op("Mul", e.op("Mul", x, x), x), e.scalar(0.044715))
        argument = e.op("Mul", e.op("Add", x, cube), e.scalar(math.sqrt(2 / math.pi)))
        return e.op("Tanh", argument)


@register
class Silu(Plain):
    """y = x * sigmoid(x), also called swish.

    Inputs:  x: f32[*]
    Outputs: y: f32[*]
    Errors:  D401 x does not hold floating-point numbers.
    Source:  torch.nn.SiLU; Elfwing et al. 2018; ONNX Sigmoid and Mul.
    """

    module, function = "SiLU", "F.silu"

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Mul", x, e.op("Sigmoid", x))


@register
class Mish(Plain):
    """y = x * tanh(softplus(x)).

    Inputs:  x: f32[*]
    Outputs: y: f32[*]
    Errors:  D401 x does not hold floating-point numbers.
    Source:  torch.nn.Mish; Misra 2020; ONNX Mish.
    """

    module, function = "Mish", "F.mish"

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Mish", x)


@register
class Softplus(Plain):
    """A smooth ReLU that is always positive: y = log(1 + exp(x)).

    Inputs:  x: f32[*]
    Outputs: y: f32[*]
    Errors:  D401 x does not hold floating-point numbers.
    Source:  torch.nn.Softplus; ONNX Softplus.
    """

    module, function = "Softplus", "F.softplus"

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Softplus", x)


@register
class Tanh(Plain):
    """The hyperbolic tangent, in (-1, 1).

    Inputs:  x: f32[*]
    Outputs: y: f32[*]
    Errors:  D401 x does not hold floating-point numbers.
    Source:  torch.nn.Tanh; ONNX Tanh.
    """

    module, function = "Tanh", "torch.tanh"

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Tanh", x)


@register
class Sigmoid(Plain):
    """The logistic function, in (0, 1): y = 1 / (1 + exp(-x)).

    Inputs:  x: f32[*]
    Outputs: y: f32[*]
    Errors:  D401 x does not hold floating-point numbers.
    Source:  torch.nn.Sigmoid; ONNX Sigmoid.
    """

    module, function = "Sigmoid", "torch.sigmoid"

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("Sigmoid", x)


@register
class Hardswish(Plain):
    """A piecewise form of silu: y = x * min(max(x + 3, 0), 6) / 6.

    Inputs:  x: f32[*]
    Outputs: y: f32[*]
    Errors:  D401 x does not hold floating-point numbers.
    Source:  torch.nn.Hardswish; Howard et al. 2019 (MobileNetV3); ONNX HardSwish.
    """

    module, function = "Hardswish", "F.hardswish"

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("HardSwish", x)


@register
class Hardsigmoid(Plain):
    """A piecewise linear form of the sigmoid: y = min(max(x + 3, 0), 6) / 6.

    Inputs:  x: f32[*]
    Outputs: y: f32[*]
    Errors:  D401 x does not hold floating-point numbers.
    Source:  torch.nn.Hardsigmoid; ONNX HardSigmoid with alpha 1/6.
    """

    twice_differentiable: ClassVar[bool] = False

    module, function = "Hardsigmoid", "F.hardsigmoid"

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        return e.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)
