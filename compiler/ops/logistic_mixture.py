"""Mixtures of logistic distributions over whole numbers: how likely data is, and their mean.

A decoder gives three numbers for each component of each element, along axis 1: first the scores of
all weights, then all means, then the logarithms of all scales. In each third the components stand
outermost: number k * C + c is that of component k and channel c.
"""

from __future__ import annotations

import math

from ..diagnostics import Code
from ..ir.dims import Dim
from ..ir.proofs import equal
from ..ir.shapes import TensorType, elements
from .base import (
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
    internal,
)
from .checks import need_elements, need_float
from .latent import summed
from .linear import static_size

PARTS = 3
"""Score, mean and logarithm of the scale of each component."""

SHARPEST = -7.0
"""The least logarithm of a scale; below it numbers count as this one."""

NARROW = 1e-6
"""Where 1 - exp(-width) is the width itself to float32."""

_LIKELIHOOD = Helper(
    "logistic_mixture_likelihood",
    f'''def logistic_mixture_likelihood(
    made: Tensor, target: Tensor, components: int, low: float, high: float, levels: int
) -> Tensor:
    """The log-likelihood of each sample [B], in nats, under mixtures of logistic distributions.

    made: [B, 3 * components * C, ...], the scores of all weights, then all means, then the
    logarithms of all scales. target: [B, C, ...], one of `levels` numbers from `low` to `high`.
    """
    logits, mean, log_scale = made.unflatten(1, (3, components, -1)).unbind(1)
    x, step = target.unsqueeze(1), (high - low) / (levels - 1)
    log_scale = log_scale.clamp(min={SHARPEST})
    sharpness = (-log_scale).exp()
    # A level reaches halfway to its neighbours; the first and the last have the tails as well.
    below = F.logsigmoid(sharpness * (x - mean + 0.5 * step))
    above = F.logsigmoid(-sharpness * (x - mean - 0.5 * step))
    # s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)) for sigmoids, which cancels nothing. The last is
    # a - b where that is tiny: the density, with the level's width.
    width = (step * sharpness).clamp(min={NARROW})
    inside = math.log(step) - log_scale + (-torch.expm1(-width) / width).log()
    is_first, is_last = x < low + 0.5 * step, x > high - 0.5 * step
    log_p = torch.where(is_first, below, torch.where(is_last, above, below + above + inside))
    return torch.logsumexp(logits.log_softmax(1) + log_p, 1).flatten(1).sum(1)
''',
)

_MEAN = Helper(
    "logistic_mixture_mean",
    '''def logistic_mixture_mean(made: Tensor, components: int, low: float, high: float) -> Tensor:
    """The mean of each element's mixture [B, C, ...], no further out than `low` and `high`.

    made: [B, 3 * components * C, ...], the scores of all weights, then all means, then the
    logarithms of all scales.
    """
    logits, mean, _ = made.unflatten(1, (3, components, -1)).unbind(1)
    return (logits.softmax(1) * mean).sum(1).clamp(low, high)
''',
)


class LogisticMixture(Op):
    """What the operators of a mixture know of it."""

    components: int = attribute(minimum=1, doc="How many logistic distributions.")
    low: float = attribute(doc="The first level.")
    high: float = attribute(doc="The last level.")

    def channels(self, made: TensorType) -> int:
        """How many channels the elements have that a decoder tells of.

        Raises: Refusal: D401: axis 1 has no three numbers for each component.
        """
        need_float(self.name, made)
        need_elements(self.name, made)
        size, each = static_size(self.name, made, 1), PARTS * self.components
        if size % each:
            raise Refusal(
                Code.D401,
                f"`{self.name}` needs {PARTS} numbers for each of {self.components} components, "
                f"a multiple of {each} on axis 1, found {made}",
                label=f"{size} on axis 1",
            )
        return size // each

    def parts(self, e: Emitter, made: Handle) -> tuple[Handle, Handle, Handle]:
        """Scores, means and logarithms of scales: f32[B, 1, components, N] each."""
        shaped = e.op("Reshape", made, e.ints([0, PARTS, self.components, -1]))
        logits, mean, log_scale = e.op_n("Split", PARTS, shaped, e.ints([1] * PARTS), axis=1)
        return logits, mean, log_scale


@internal
class LogisticMixtureLikelihood(LogisticMixture):
    """log p(x) = sum log sum_k w_k (s((x - m_k + h) / e_k) - s((x - m_k - h) / e_k)).

    s is the sigmoid and h half the distance between two levels. For the first level the second
    sigmoid is 0, for the last one the first is 1, so that the levels' probabilities add up to 1.
    Elements are independent: no channel looks at another.

    Inputs:  made: f32[B, 3 * components * C, *], the scores of the weights w, then the means m,
             then the logarithms of the scales e, each [components * C], components outermost
             target: f32[B, C, *], each one of `levels` numbers
    Outputs: log_likelihood: f32[B], in nats, at most 0
    Errors:  D402 shapes do not fit. D401 other element types or axes.
    Source:  Salimans et al. 2017 (PixelCNN++), equations 1 and 2.
    """

    levels: int = attribute(minimum=2, doc="How many numbers there are, at even distances.")

    ports = (Port("made"), Port("target"))
    examples = (
        Example(
            "{components: 2, low: 0, high: 1, levels: 256}",
            made="f32[B, 18, 4, 4]",
            target="f32[B, 3, 4, 4]",
            ranges={"target": (0, 1)},
            outputs={"log_likelihood": "f32[B]"},
        ),
        Example(
            "{components: 3, low: -1, high: 1, levels: 4}",
            made="f32[B, 9, H, W]",
            target="f32[B, 1, H, W]",
            ranges={"made": (-9, 9), "target": (-2, 2)},
            outputs={"log_likelihood": "f32[B]"},
        ),
        Example(
            "{components: 1, low: 0, high: 255, levels: 256}",
            made="f32[B, 12]",
            target="f32[B, 4]",
            ranges={"target": (0, 255)},
            outputs={"log_likelihood": "f32[B]"},
        ),
    )
    rejects = (
        Reject(
            "{components: 2, low: 0, high: 1, levels: 9}",
            made="f32[B, 6, 4]",
            target="f32[B, 2, 4]",
            code=Code.D402,
        ),
        Reject(
            "{components: 2, low: 0, high: 1, levels: 9}",
            made="f32[B, 6, 4]",
            target="f32[B, 1, 5]",
            code=Code.D402,
        ),
        Reject(
            "{components: 2, low: 0, high: 1, levels: 9}",
            made="f32[B, 5]",
            target="f32[B, 1]",
            code=Code.D401,
        ),
        Reject(
            "{components: 2, low: 0, high: 1, levels: 9}",
            made="f32[B, 6]",
            target="i64[B, 1]",
            code=Code.D401,
        ),
    )

    def output_ports(self) -> tuple[str, ...]:
        return ("log_likelihood",)

    def infer(self, made: TensorType, target: TensorType) -> TensorType:
        need_float(self.name, target)
        told = made.with_axis(1, self.channels(made))
        pairs = zip(told.shape, target.shape, strict=False)
        if told.rank != target.rank or not all(equal(a, b) is True for a, b in pairs):
            raise Refusal(
                Code.D402,
                f"`{self.name}` needs a target {told}, of which {made} tells, found {target}",
            )
        return made.with_shape(made.shape[:1])

    def flops(self, made: TensorType, target: TensorType) -> Dim:
        return 5 * elements(made.shape)

    def torch(self, made: TensorType, target: TensorType) -> Torch:
        return Torch(
            expression="logistic_mixture_likelihood("
            "{made}, {target}, {components}, {low}, {high}, {levels})",
            numbers={
                "components": self.components,
                "low": float(self.low),
                "high": float(self.high),
                "levels": self.levels,
            },
            helper=_LIKELIHOOD,
        )

    def onnx(self, e: Emitter, made: Handle, target: Handle) -> Handle:
        logits, mean, log_scale = self.parts(e, made)
        x = e.op("Unsqueeze", e.op("Flatten", target, axis=1), e.ints([1, 2]))
        log_scale = e.op("Clip", log_scale, e.scalar(SHARPEST))
        log_p = self._of_components(e, e.op("Sub", x, mean), log_scale, x)
        weighted = e.op("Add", e.op("LogSoftmax", logits, axis=2), log_p)
        return summed(e, e.op("ReduceLogSumExp", weighted, e.ints([2]), keepdims=0))

    def _of_components(self, e: Emitter, distance: Handle, log_scale: Handle, x: Handle) -> Handle:
        """log p of each element under each component. distance: of the element from the mean."""
        step = (self.high - self.low) / (self.levels - 1)
        half, sharpness = e.scalar(0.5 * step), e.op("Exp", e.op("Neg", log_scale))
        upper = e.op("Mul", sharpness, e.op("Add", distance, half))
        lower = e.op("Mul", sharpness, e.op("Sub", distance, half))
        # log s(a) = -softplus(-a)
        below = e.op("Neg", e.op("Softplus", e.op("Neg", upper)))
        above = e.op("Neg", e.op("Softplus", lower))
        between = e.op("Add", e.op("Add", below, above), self._inside(e, sharpness, log_scale))
        is_first = e.op("Less", x, e.scalar(self.low + 0.5 * step))
        is_last = e.op("Greater", x, e.scalar(self.high - 0.5 * step))
        return e.op("Where", is_first, below, e.op("Where", is_last, above, between))

    def _inside(self, e: Emitter, sharpness: Handle, log_scale: Handle) -> Handle:
        """log(1 - exp(-width)) of levels so wide, in scales; see the function for PyTorch.

        ONNX has no `expm1`: with h = width / 2, (1 - exp(-width)) / width = tanh(h) / h /
        (1 + tanh(h)).
        """
        step = (self.high - self.low) / (self.levels - 1)
        half = e.op("Mul", sharpness, e.scalar(0.5 * step))
        half = e.op("Max", half, e.scalar(0.5 * NARROW))
        tanh = e.op("Tanh", half)
        share = e.op("Div", e.op("Div", tanh, half), e.op("Add", tanh, e.scalar(1.0)))
        log_width = e.op("Sub", e.scalar(math.log(step)), log_scale)
        return e.op("Add", log_width, e.op("Log", share))


@internal
class LogisticMixtureMean(LogisticMixture):
    """The mean of each element's mixture: y = sum_k w_k m_k, no further out than the levels.

    Inputs:  made: f32[B, 3 * components * C, *], the scores of the weights w, then the means m,
             then the logarithms of the scales, each [components * C], components outermost
    Outputs: y: f32[B, C, *], from `low` to `high`
    Errors:  D401 axis 1 is no multiple of 3 * components, or other element types or axes.
    Source:  Salimans et al. 2017 (PixelCNN++), equation 1.
    """

    ports = (Port("made"),)
    examples = (
        Example("{components: 2, low: 0, high: 1}", made="f32[B, 18, 4, 4]", y="f32[B, 3, 4, 4]"),
        Example("{components: 3, low: -1, high: 1}", made="f32[B, 9, H, W]", y="f32[B, 1, H, W]"),
        Example("{components: 1, low: 0, high: 255}", made="f32[B, 12]", y="f32[B, 4]"),
    )
    rejects = (
        Reject("{components: 2, low: 0, high: 1}", made="f32[B, 5]", code=Code.D401),
        Reject("{components: 2, low: 0, high: 1}", made="f32[B, T]", code=Code.D401),
        Reject("{components: 2, low: 0, high: 1}", made="f32[B]", code=Code.D401),
        Reject("{components: 2, low: 0, high: 1}", made="i64[B, 6]", code=Code.D401),
    )

    def infer(self, made: TensorType) -> TensorType:
        return made.with_axis(1, self.channels(made))

    def flops(self, made: TensorType) -> Dim:
        return elements(made.shape)

    def torch(self, made: TensorType) -> Torch:
        return Torch(
            expression="logistic_mixture_mean({made}, {components}, {low}, {high})",
            numbers={
                "components": self.components,
                "low": float(self.low),
                "high": float(self.high),
            },
            helper=_MEAN,
        )

    def onnx(self, e: Emitter, made: Handle) -> Handle:
        logits, mean, _ = self.parts(e, made)
        weighted = e.op("Mul", e.op("Softmax", logits, axis=2), mean)
        total = e.op("ReduceSum", weighted, e.ints([2]), keepdims=0)
        inside = e.op("Clip", total, e.scalar(self.low), e.scalar(self.high))
        (made_type,) = e.outputs
        return e.op("Reshape", inside, e.sizes(made_type.shape))
