"""log p of samples under what a decoder gives, in nats, in float32 whatever the network ran in.

They are the functions of likelihood.py and logistic_mixture.py in compiler/ops, which programs are
made of.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...compiler.objectives.fields import Field
from ...compiler.objectives.likelihoods import (
    LOGVAR,
    MEAN,
    Bernoulli,
    Gaussian,
    Levels,
    Likelihood,
    LogisticMixture,
)
from ...compiler.ops.logistic_mixture import NARROW, PARTS, SHARPEST

Made = Mapping[str, Tensor]
"""Output of the decoder -> tensor [B, ...]."""

LOG_2PI = math.log(2 * math.pi)


class Judge(ABC):
    """What a likelihood says of the decoder's outputs.

    output: the decoder's, where it has one of any name. field: the target's.
    """

    def __init__(self, settings: Any, output: str, field: Field) -> None:
        self._settings, self._output, self._field = settings, output, field

    @abstractmethod
    def log_likelihood(self, made: Made, target: Tensor) -> Tensor:
        """log p of samples [B, ...]: [B], summed over a sample's elements."""

    def mean_cost(self, made: Made, target: Tensor) -> Tensor:
        """-log p, averaged over the samples: a number."""
        return -self.log_likelihood(made, target).mean()

    @abstractmethod
    def expected(self, made: Made) -> Tensor:
        """The mean of each element, as networks see data."""


class BernoulliJudge(Judge):
    """See compiler/objectives/likelihoods.py for the settings of each."""

    def log_likelihood(self, made: Made, target: Tensor) -> Tensor:
        logits = made[self._output].float()
        costs = F.binary_cross_entropy_with_logits(logits, target.float(), reduction="none")
        return -costs.flatten(1).sum(1)

    def mean_cost(self, made: Made, target: Tensor) -> Tensor:
        # One sum of everything is a tenth faster than sums of samples and their mean.
        logits = made[self._output].float()
        costs = F.binary_cross_entropy_with_logits(logits, target.float(), reduction="sum")
        return costs / len(target)

    def expected(self, made: Made) -> Tensor:
        return made[self._output].float().sigmoid()


class GaussianJudge(Judge):
    """The variance is that of the settings, or the decoder's own for each element."""

    def log_likelihood(self, made: Made, target: Tensor) -> Tensor:
        square = (target.float() - self.expected(made)).square()
        if self._settings.learned:
            logvar = made[LOGVAR].float()
            terms = square * (-logvar).exp() + logvar + LOG_2PI
        else:
            constant = math.log(self._settings.variance)
            terms = square * math.exp(-constant) + (constant + LOG_2PI)
        return -0.5 * terms.flatten(1).sum(1)

    def expected(self, made: Made) -> Tensor:
        return made[MEAN if self._settings.learned else self._output].float()


class LogisticMixtureJudge(Judge):
    """Along axis 1 of the output: scores of weights, means, logarithms of scales."""

    def log_likelihood(self, made: Made, target: Tensor) -> Tensor:
        logits, mean, log_scale = self._parts(made)
        weighted = logits.log_softmax(1) + self._of_components(target.float(), mean, log_scale)
        return torch.logsumexp(weighted, 1).flatten(1).sum(1)

    def expected(self, made: Made) -> Tensor:
        logits, mean, _ = self._parts(made)
        levels = Levels.of(self._field)
        return (logits.softmax(1) * mean).sum(1).clamp(levels.low, levels.high)

    def _parts(self, made: Made) -> tuple[Tensor, ...]:
        """Each [B, components, C, ...]."""
        x = made[self._output].float()
        split = x.reshape(len(x), PARTS, self._settings.components, -1, *x.shape[2:])
        return split.unbind(1)

    def _of_components(self, target: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
        """log p of each element under each component: [B, components, C, ...].

        A level reaches halfway to its neighbours; the first and the last have the tails as well.
        s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)) for sigmoids, which cancels nothing. The last is
        a - b where that is tiny: the density, with the level's width.
        """
        levels, x = Levels.of(self._field), target.unsqueeze(1)
        low, high, step = levels.low, levels.high, levels.step
        log_scale = log_scale.clamp(min=SHARPEST)
        sharpness = (-log_scale).exp()
        below = F.logsigmoid(sharpness * (x - mean + 0.5 * step))
        above = F.logsigmoid(-sharpness * (x - mean - 0.5 * step))
        width = (step * sharpness).clamp(min=NARROW)
        inside = math.log(step) - log_scale + (-torch.expm1(-width) / width).log()
        is_first, is_last = x < low + 0.5 * step, x > high - 0.5 * step
        return torch.where(is_first, below, torch.where(is_last, above, below + above + inside))


JUDGES: Mapping[str, Callable[[Any, str, Field], Judge]] = {
    Bernoulli.name: BernoulliJudge,
    Gaussian.name: GaussianJudge,
    LogisticMixture.name: LogisticMixtureJudge,
}


def judge(settings: Likelihood, output: str, field: Field) -> Judge:
    """What judges by a likelihood; see `Judge` for the other arguments."""
    return JUDGES[settings.name](settings, output, field)


def log_normal(x: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    """log N(x; mean, exp(logvar)) of codes [S, B, ...]: [S, B]."""
    terms = (x - mean).square() * (-logvar).exp() + logvar + LOG_2PI
    return -0.5 * terms.flatten(2).sum(2)


def log_standard_normal(x: Tensor) -> Tensor:
    """log N(x; 0, 1) of codes [S, B, ...]: [S, B]."""
    return -0.5 * (x.square() + LOG_2PI).flatten(2).sum(2)


def kl_normal(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1)) of each element, in nats: of the shape of `mean`.

    Source: Kingma and Welling 2014, appendix B.
    """
    return 0.5 * (mean.square() + logvar.exp() - logvar - 1)
