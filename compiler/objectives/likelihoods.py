"""What a decoder's numbers say of the data: the distribution that they are parameters of."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field as Setting

from ..ir.graph import Operator
from ..ir.shapes import TensorType
from ..ops.activations import Sigmoid
from ..ops.likelihood import BernoulliLikelihood, GaussianLikelihood
from ..ops.logistic_mixture import PARTS, LogisticMixtureLikelihood, LogisticMixtureMean
from .augmentations import Noise
from .fields import Field
from .numbers import IN_FLOAT32
from .section import Section

MEAN, LOGVAR = "mean", "logvar"

INTEGERS = ("uint8", "int32", "int64")
"""Element types of which levels are made."""

MOST_LEVELS = 2**16
"""More than these float32 hardly tells apart on an interval."""

SAME_SIZE = "make the last layer's sizes those of the target"
"""The help for a decoder whose output has another size than the target."""

Unfit = tuple[str, str]
"""What a field has that a likelihood cannot take, behind "found `image`"; and the next step."""


class Likelihood(Section):
    """The distribution of each element of the target, given a code. Elements are independent."""

    name: ClassVar[str]
    gives_logits: ClassVar[bool] = False
    """Whether the decoder gives scores, whose sigmoid is the mean."""

    gives_values: ClassVar[bool] = True
    """Whether the decoder's output is the mean itself."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The decoder's outputs by their names; () where it has one of any name."""
        return ()

    @abstractmethod
    def operator(self, field: Field) -> Operator:
        """What computes log p of a sample from the decoder's outputs and the target.

        field: the target's, which `unfit` has nothing against.
        """

    def expectation(self, field: Field) -> tuple[str, Operator] | None:
        """What makes the mean of the decoder's output, and its name; None where that is it."""
        return None

    def output_type(self, target: TensorType) -> TensorType:
        """Of the decoder's output that tells of such a target."""
        return target

    def size_help(self, target: TensorType) -> str:
        """What messages say of a decoder's output of another type than `output_type`."""
        return SAME_SIZE

    expected_field: ClassVar[str] = ""
    """What messages say that the target is expected to be, where `unfit` finds it is not."""

    def unfit(self, name: str, field: Field) -> Unfit | None:
        """What of the target's field the likelihood cannot take, its interval aside."""
        return None


class Bernoulli(Likelihood):
    """Each element is 1 with the probability sigmoid(logit), else 0; the decoder gives the logits.

    The target lies in [0, 1]. Of values between, such as grey pixels, the numbers are those of the
    cross-entropy, which is no density: give the field `binarize: 0.5` to compare with others.
    """

    name: ClassVar[str] = "bernoulli"
    title: ClassVar[str] = "the likelihood `bernoulli`"
    gives_logits: ClassVar[bool] = True
    gives_values: ClassVar[bool] = False

    def operator(self, field: Field) -> Operator:
        return BernoulliLikelihood()

    def expectation(self, field: Field) -> tuple[str, Operator] | None:
        return "probabilities", Sigmoid()


class Gaussian(Likelihood):
    """Each element is normal around the decoder's output, in the units that the network sees.

    With `learned` the decoder has two outputs, `mean` and `logvar`: the logarithm of the variance,
    for each element, or for several at once where it has axes of size 1.
    """

    name: ClassVar[str] = "gaussian"
    title: ClassVar[str] = "the likelihood `gaussian`"
    expects: ClassVar[str] = "a variance, `learned` or a map"

    variance: Annotated[float, Setting(gt=0), IN_FLOAT32] = Setting(
        default=1.0, description="The variance of each element, in the network's units, squared."
    )
    learned: bool = Setting(
        default=False, description="The decoder gives the logarithm of the variance as `logvar`."
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        if data == "learned":
            return {"learned": True}
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        return {"variance": data} if is_number else super().desugar(data)

    @property
    def outputs(self) -> tuple[str, ...]:
        return (MEAN, LOGVAR) if self.learned else ()

    def operator(self, field: Field) -> Operator:
        return GaussianLikelihood(**({} if self.learned else {"variance": self.variance}))


@dataclass(frozen=True)
class Levels:
    """The numbers that a field of whole numbers with `scale` has as networks see it.

    There are so many from `low` to `high`, at even distances.
    """

    low: float
    high: float
    count: int

    @classmethod
    def of(cls, field: Field) -> Levels:
        """Those of a field that `LogisticMixture` takes."""
        assert field.raw_range is not None
        assert field.scale is not None
        first, last = field.raw_range
        return cls(min(field.scale), max(field.scale), round(last - first) + 1)

    @property
    def step(self) -> float:
        """From one to the next."""
        return (self.high - self.low) / (self.count - 1)


class LogisticMixture(Likelihood):
    """Each element is one of the levels that the field stores, by a mixture of logistics.

    A level's probability is what the mixture has between the middles to its neighbours; the first
    and the last level have the tails as well. Elements are independent given the code, those of
    one pixel too: unlike in PixelCNN++, no colour channel looks at another. Scales below exp(-7)
    count as that; `scale: [-1, 1]` of the field gives the units of the paper.

    The target is of whole numbers with `scale`. For f32[B, C, ...] the decoder has one output,
    f32[B, 3 * components * C, ...], in the network's units: along axis 1 first the scores of all
    weights, then all means, then the logarithms of all scales. In each third the components stand
    outermost: number k * C + c is that of component k and channel c.

    Source: Salimans et al. 2017 (PixelCNN++), section 2.1.
    """

    name: ClassVar[str] = "logistic_mixture"
    title: ClassVar[str] = "the likelihood `logistic_mixture`"
    expects: ClassVar[str] = "a number of components or a map"
    gives_values: ClassVar[bool] = False
    expected_field: ClassVar[str] = "whole numbers with `scale`"

    components: int = Setting(
        default=5, ge=1, le=1000, description="How many logistic distributions are mixed."
    )

    @classmethod
    def desugar(cls, data: Any) -> Any:
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        return {"components": data} if is_number else super().desugar(data)

    def operator(self, field: Field) -> Operator:
        found = Levels.of(field)
        return LogisticMixtureLikelihood(
            components=self.components, low=found.low, high=found.high, levels=found.count
        )

    def expectation(self, field: Field) -> tuple[str, Operator] | None:
        found = Levels.of(field)
        mean = LogisticMixtureMean(components=self.components, low=found.low, high=found.high)
        return "expected", mean

    def output_type(self, target: TensorType) -> TensorType:
        return target.with_axis(1, target.shape[1] * (PARTS * self.components))

    def size_help(self, target: TensorType) -> str:
        size = self.output_type(target).shape[1]
        return (
            f"make axis 1 of it {PARTS} * {self.components} * {target.shape[1]} = {size}: a "
            f"weight, a mean and a log-scale for each of {self.components} components and each "
            "channel"
        )

    def unfit(self, name: str, field: Field) -> Unfit | None:
        return _no_levels(name, field) or _many_levels(name, field)


def _no_levels(name: str, field: Field) -> Unfit | None:
    """What keeps a field's values from being whole numbers at even distances."""
    scale = f"give the field `{name}` `scale: [-1, 1]`"
    if field.binarize is not None:
        return "with `binarize`", "remove `binarize`, or choose `likelihood: bernoulli`"
    if field.dtype not in INTEGERS:
        other = "bernoulli" if field.dtype == "bool" else "gaussian"
        return f"of {field.dtype}", f"choose `likelihood: {other}`, or store it as uint8"
    if field.normalize is not None:
        measured = ": training" if field.normalize.measured else ""
        return f"with `normalize{measured}`", f"{scale} in place of `normalize`"
    if field.scale is None:
        ranged = "" if field.raw_range else "its `range` and "
        return f"of {field.dtype} without `scale`", scale.replace("`scale", f"{ranged}`scale", 1)
    if field.shape and not isinstance(field.shape[1], int):
        return f"of an open size `{field.shape[1]}` on axis 1", "give the axis a fixed size"
    if any(isinstance(change, Noise) for change in field.augment):
        return "with the augmentation `noise`", "remove `noise`, which leaves no whole numbers"
    return None


def _many_levels(name: str, field: Field) -> Unfit | None:
    """What is wrong with the range that the levels are counted by."""
    assert field.raw_range is not None, "a field with `scale` has one"
    low, high = field.raw_range
    if low != round(low) or high != round(high):
        return f"in [{low:g}, {high:g}]", f"give `range` of the field `{name}` two whole numbers"
    if high - low >= MOST_LEVELS:
        return (
            f"in [{low:g}, {high:g}], which are more than {MOST_LEVELS:,} levels",
            f"choose `likelihood: gaussian`, or give the field `{name}` the `range` that it has",
        )
    return None


LIKELIHOODS: dict[str, type[Likelihood]] = {
    cls.name: cls for cls in (Bernoulli, Gaussian, LogisticMixture)
}
