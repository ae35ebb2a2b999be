"""How different the samples of a batch are, as further channels of each of them."""

from __future__ import annotations

from typing import ClassVar

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.shapes import DType, TensorType, elements
from .arithmetic import ONNX_DTYPES
from .base import Emitter, Example, Handle, Helper, Op, Refusal, Reject, Torch, attribute, register
from .checks import need_float
from .linear import static_size
from .normalization import first_input
from .streaming import all_steps

EPS = 1e-8
"""Added to the variance, as in StyleGAN2: the square root of 0 has no gradient."""

_FUNCTION = Helper(
    "minibatch_deviation",
    f'''def minibatch_deviation(x, features):
    """Append channels that hold the mean standard deviation over the batch, the same everywhere.

    A half precision could not hold a variance this small, so that it is taken in float32.
    """
    numbers = x.to(torch.promote_types(x.dtype, torch.float32))
    deviations = (numbers.var(0, correction=0) + {EPS}).sqrt()
    means = deviations.reshape(features, -1).mean(1).to(x.dtype)
    places = means.reshape(1, features, *[1] * (x.dim() - 2))
    return torch.cat([x, places.expand(x.shape[0], features, *x.shape[2:])], dim=1)
''',
)


@register
class MinibatchDeviation(Op):
    """Append channels that tell how different the samples of the batch are.

    For each number of a sample the standard deviation over the whole batch is taken,
    sqrt(variance + 1e-8), and averaged over all places and channels: one number, which every
    sample gets at every place as a further channel. With `features: n` the channels are cut into n
    groups, one after the other, each with an average of its own. A discriminator that has it, near
    its end, sees when a generator makes too few kinds of samples.

    In evaluation, too, the batch is the one at hand: what a network gives for a sample then depends
    on the samples beside it. `predict` says so, and runs files in batches of 64. Micro-batches and
    processes each see their own samples. A sample alone has the deviation 1e-4, and training needs
    2 at a time or more.

    Inputs:  x: f32[B, C] or f32[B, C, *]
    Outputs: y: f32[B, C + features, *]
    Errors:  D401 x does not hold floating-point numbers, or has no fixed size on axis 1. D404
             `features` does not divide C.
    Source:  Karras et al. 2018, "Progressive Growing of GANs", section 3; `features` and the 1e-8
             as in StyleGAN2 (Karras et al. 2020), which takes groups of 4 samples; ONNX
             ReduceMean.
    """

    mixes_batch: ClassVar[bool] = True
    stream_axis = all_steps
    features: int = attribute(
        default=1, main=True, minimum=1, doc="How many channels to append; it divides C."
    )

    examples = (
        Example("{}", x="f32[B, 6, H, W]", y="f32[B, 7, H, W]"),
        Example("{features: 3}", x="f32[B, 6, 4, 4]", y="f32[B, 9, 4, 4]"),
        Example("{}", x="f32[B, 8]", y="f32[B, 9]"),
        Example("{features: 2}", x="f32[B, 4, T]", y="f32[B, 6, T]"),
    )
    rejects = (
        Reject("{}", x="f32[B]", code=Code.D401),
        Reject("{}", x="f32[B, C, 4, 4]", code=Code.D401),
        Reject("{}", x="i64[B, 8]", code=Code.D401),
        Reject("{features: 4}", x="f32[B, 6, 4, 4]", code=Code.D404),
        Reject("{features: 0}", x="f32[B, 6]", code=Code.S102),
    )

    def infer(self, x: TensorType) -> TensorType:
        need_float(self.name, x)
        channels = static_size(self.name, x, 1)
        if channels % self.features:
            raise Refusal(
                Code.D404,
                f"`{self.name}` with {self.features} features needs channels that are a multiple "
                f"of {self.features}, found {channels} in {x}",
                label=f"{channels} channels",
                help=f"choose `features` to divide {channels}; 1 is usual",
            )
        return x.with_axis(1, channels + self.features)

    def flops(self, x: TensorType) -> Dim:
        """Two sums over the batch, a difference, its square, and the sum of the deviations."""
        return 5 * elements(x.shape)

    def torch(self, x: TensorType) -> Torch:
        return Torch(
            expression="minibatch_deviation({x}, {features})",
            numbers={"features": self.features},
            helper=_FUNCTION,
        )

    def onnx(self, e: Emitter, x: Handle) -> Handle:
        given = first_input(e)
        means = self._deviation(e, x, given.dtype)
        places = e.op("Reshape", means, e.ints([1, self.features] + [1] * (given.rank - 2)))
        shape = (given.shape[0], self.features, *given.shape[2:])
        return e.op("Concat", x, e.op("Expand", places, e.sizes(shape)), axis=1)

    def _deviation(self, e: Emitter, x: Handle, dtype: DType) -> Handle:
        """The averages, [features], of x's element type."""
        is_half = dtype in (DType.F16, DType.BF16)
        numbers = e.op("Cast", x, to=ONNX_DTYPES[DType.F32]) if is_half else x
        eps = e.scalar(EPS, DType.F32 if is_half else dtype)
        difference = e.op("Sub", numbers, e.op("ReduceMean", numbers, e.ints([0]), keepdims=1))
        square = e.op("Mul", difference, difference)
        variance = e.op("ReduceMean", square, e.ints([0]), keepdims=0)
        deviations = e.op("Sqrt", e.op("Add", variance, eps))
        groups = e.op("Reshape", deviations, e.ints([self.features, -1]))
        means = e.op("ReduceMean", groups, e.ints([1]), keepdims=0)
        return e.op("Cast", means, to=ONNX_DTYPES[dtype]) if is_half else means
