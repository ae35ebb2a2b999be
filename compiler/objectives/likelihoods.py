"""What a decoder's numbers say of the data: the distribution that they are parameters of."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field as Setting

from ..ir.graph import Operator
from ..ops.likelihood import BernoulliLikelihood, GaussianLikelihood
from .numbers import IN_FLOAT32
from .section import Section

MEAN, LOGVAR = "mean", "logvar"


class Likelihood(Section):
    """The distribution of each element of the target, given a code. Elements are independent."""

    name: ClassVar[str]
    gives_logits: ClassVar[bool] = False
    """Whether the decoder gives scores, whose sigmoid is the mean."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The decoder's outputs by their names; () where it has one of any name."""
        return ()

    def operator(self) -> Operator:
        """What computes log p of a sample from the decoder's outputs and the target."""
        raise NotImplementedError


class Bernoulli(Likelihood):
    """Each element is 1 with the probability sigmoid(logit), else 0; the decoder gives the logits.

    The target lies in [0, 1]. Of values between, such as grey pixels, the numbers are those of the
    cross-entropy, which is no density: give the field `binarize: 0.5` to compare with others.
    """

    name: ClassVar[str] = "bernoulli"
    title: ClassVar[str] = "the likelihood `bernoulli`"
    gives_logits: ClassVar[bool] = True

    def operator(self) -> Operator:
        return BernoulliLikelihood()


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

    def operator(self) -> Operator:
        return GaussianLikelihood(**({} if self.learned else {"variance": self.variance}))


LIKELIHOODS: dict[str, type[Likelihood]] = {cls.name: cls for cls in (Bernoulli, Gaussian)}
