"""How likely data is under what a decoder gives: nats, summed over the elements of a sample."""

from __future__ import annotations

import math

from ..diagnostics import Code
from ..ir.proofs import equal
from ..ir.shapes import TensorType
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
from .checks import need_alike, need_elements, need_float
from .latent import summed

LOG_2PI = math.log(2 * math.pi)

_BERNOULLI = Helper(
    "bernoulli_likelihood",
    '''def bernoulli_likelihood(logits: Tensor, target: Tensor) -> Tensor:
    """The log-likelihood of each sample [B], in nats, given the scores of its elements being 1."""
    costs = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return -costs.flatten(1).sum(1)
''',
)

_GAUSSIAN = Helper(
    "gaussian_likelihood",
    '''def gaussian_likelihood(mean: Tensor, target: Tensor, logvar: Tensor) -> Tensor:
    """The log-likelihood of each sample [B], in nats, under normal distributions of its elements.

    logvar: the logarithm of the variance, which broadcasts to the mean.
    """
    log_2pi = 1.8378770664093453
    terms = (target - mean).square() * (-logvar).exp() + logvar + log_2pi
    return -0.5 * terms.flatten(1).sum(1)
''',
)


class SampleLikelihood(Op):
    """One number for each sample, from what a decoder gives and the data."""

    def output_ports(self) -> tuple[str, ...]:
        return ("log_likelihood",)

    def infer(self, first: TensorType, target: TensorType, *more: TensorType | None) -> TensorType:
        need_float(self.name, first, target)
        need_elements(self.name, first)
        need_alike(self.name, first, target)
        return first.with_shape(first.shape[:1])


@internal
class BernoulliLikelihood(SampleLikelihood):
    """log p(x) = sum x log s + (1 - x) log(1 - s), where s is the sigmoid of the logits.

    Inputs:  logits: f32[B, *]
             target: f32[B, *], each in [0, 1]
    Outputs: log_likelihood: f32[B], in nats, at most 0
    Errors:  D402 shapes differ. D401 other element types or axes.
    Source:  Kingma and Welling 2014, appendix C.1.
    """

    ports = (Port("logits"), Port("target"))
    examples = (
        Example(
            "{}",
            logits="f32[B, 1, 4, 4]",
            target="f32[B, 1, 4, 4]",
            ranges={"target": (0, 1)},
            outputs={"log_likelihood": "f32[B]"},
        ),
    )
    rejects = (
        Reject("{}", logits="f32[B, 3]", target="f32[B, 4]", code=Code.D402),
        Reject("{}", logits="f32[B]", target="f32[B]", code=Code.D401),
        Reject("{}", logits="f32[B, 3]", target="i64[B, 3]", code=Code.D401),
    )

    def torch(self, logits: TensorType, target: TensorType) -> Torch:
        return Torch(expression="bernoulli_likelihood({logits}, {target})", helper=_BERNOULLI)

    def onnx(self, e: Emitter, logits: Handle, target: Handle) -> Handle:
        terms = e.op("Sub", e.op("Mul", logits, target), e.op("Softplus", logits))
        return summed(e, terms)


@internal
class GaussianLikelihood(SampleLikelihood):
    """log p(x) = -1/2 sum ((x - mean)^2 / variance + log(2 pi variance)).

    Inputs:  mean, target: f32[B, *]
             logvar: f32, whose axes are those of `mean` or of size 1; without it the variance is
             the argument
    Outputs: log_likelihood: f32[B], in nats
    Errors:  D402 shapes do not fit. D401 other element types or axes.
    Source:  the density of the normal distribution.
    """

    variance: float = attribute(default=1.0, above=0, doc="Of each element, where none is given.")

    ports = (Port("mean"), Port("target"), Port("logvar", optional=True))
    examples = (
        Example(
            "{variance: 0.1}",
            mean="f32[B, 4]",
            target="f32[B, 4]",
            outputs={"log_likelihood": "f32[B]"},
        ),
        Example(
            "{}",
            mean="f32[B, 1, 4, 4]",
            target="f32[B, 1, 4, 4]",
            logvar="f32[B, 1, 4, 4]",
            outputs={"log_likelihood": "f32[B]"},
        ),
        Example(
            "{}",
            mean="f32[B, 3, 4, 4]",
            target="f32[B, 3, 4, 4]",
            logvar="f32[B, 1, 1, 1]",
            outputs={"log_likelihood": "f32[B]"},
        ),
    )
    rejects = (
        Reject("{}", mean="f32[B, 3]", target="f32[B, 4]", code=Code.D402),
        Reject("{}", mean="f32[B, 3]", target="f32[B, 3]", logvar="f32[B, 2]", code=Code.D402),
        Reject("{}", mean="f32[B, 3]", target="f32[B, 3]", logvar="f32[B]", code=Code.D402),
        Reject("{}", mean="f32[B]", target="f32[B]", code=Code.D401),
    )

    def infer(self, first: TensorType, target: TensorType, *more: TensorType | None) -> TensorType:
        result = super().infer(first, target)
        for logvar in more:
            if logvar is not None:
                need_float(self.name, logvar)
                _need_broadcast(self.name, first, logvar)
        return result

    def torch(
        self, mean: TensorType, target: TensorType, logvar: TensorType | None = None
    ) -> Torch:
        given = "{logvar}" if logvar else "torch.tensor({constant})"
        return Torch(
            expression=f"gaussian_likelihood({{mean}}, {{target}}, {given})",
            numbers={} if logvar else {"constant": math.log(self.variance)},
            helper=_GAUSSIAN,
        )

    def onnx(
        self, e: Emitter, mean: Handle, target: Handle, logvar: Handle | None = None
    ) -> Handle:
        difference = e.op("Sub", target, mean)
        square = e.op("Mul", difference, difference)
        if logvar is None:
            constant = e.scalar(LOG_2PI + math.log(self.variance))
            terms = e.op("Add", e.op("Div", square, e.scalar(self.variance)), constant)
        else:
            scaled = e.op("Mul", square, e.op("Exp", e.op("Neg", logvar)))
            terms = e.op("Add", scaled, e.op("Add", logvar, e.scalar(LOG_2PI)))
        return e.op("Mul", summed(e, terms), e.scalar(-0.5))


def _need_broadcast(op: str, mean: TensorType, logvar: TensorType) -> None:
    """Raises: Refusal: D402: an axis of `logvar` is neither 1 nor the mean's."""
    pairs = zip(mean.shape, logvar.shape, strict=False)
    alike = all(size == 1 or equal(size, whole) is True for whole, size in pairs)
    if mean.rank != logvar.rank or not alike:
        raise Refusal(
            Code.D402,
            f"`{op}` needs a `logvar` with the axes of the mean, or of size 1, found {logvar} for "
            f"{mean}",
        )


@internal
class MeanSquare(Op):
    """The squared difference of two tensors, averaged over the elements of each sample.

    Inputs:  x, target: f32[B, *]
    Outputs: error: f32[B], at least 0
    Errors:  D402 shapes differ. D401 other element types or axes.
    Source:  the mean squared error.
    """

    ports = (Port("x"), Port("target"))
    examples = (
        Example("{}", x="f32[B, 3]", target="f32[B, 3]", outputs={"error": "f32[B]"}),
        Example("{}", x="f32[B, 1, H, W]", target="f32[B, 1, H, W]", outputs={"error": "f32[B]"}),
    )
    rejects = (
        Reject("{}", x="f32[B, 3]", target="f32[B, 4]", code=Code.D402),
        Reject("{}", x="f32[B]", target="f32[B]", code=Code.D401),
    )

    def output_ports(self) -> tuple[str, ...]:
        return ("error",)

    def infer(self, x: TensorType, target: TensorType) -> TensorType:
        need_float(self.name, x, target)
        need_elements(self.name, x)
        need_alike(self.name, x, target)
        return x.with_shape(x.shape[:1])

    def torch(self, x: TensorType, target: TensorType) -> Torch:
        return Torch(expression="({x} - {target}).square().flatten(1).mean(1)")

    def onnx(self, e: Emitter, x: Handle, target: Handle) -> Handle:
        difference = e.op("Sub", x, target)
        square = e.op("Flatten", e.op("Mul", difference, difference), axis=1)
        return e.op("ReduceMean", square, e.ints([1]), keepdims=0)
