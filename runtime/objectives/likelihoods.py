"""log p of samples under what a decoder gives, in nats, in float32 whatever the network ran in.

They are the functions of compiler/ops/likelihood.py, which programs are made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ...compiler.objectives.likelihoods import LOGVAR, MEAN, Bernoulli, Gaussian, Likelihood

LogLikelihood = Callable[[Mapping[str, Tensor], Tensor], Tensor]
"""(outputs of the decoder by name, target [B, ...]) -> [B], summed over a sample's elements."""

LOG_2PI = math.log(2 * math.pi)


def log_likelihood(settings: Likelihood, output: str) -> LogLikelihood:
    """The function of a likelihood. output: the decoder's, where it has one of any name."""
    if isinstance(settings, Bernoulli):
        return lambda made, target: _bernoulli(made[output], target)
    assert isinstance(settings, Gaussian)
    if settings.learned:
        return lambda made, target: _gaussian(made[MEAN], target, made[LOGVAR])
    logvar = math.log(settings.variance)
    return lambda made, target: _gaussian(made[output], target, logvar)


def _bernoulli(logits: Tensor, target: Tensor) -> Tensor:
    costs = F.binary_cross_entropy_with_logits(logits.float(), target.float(), reduction="none")
    return -costs.flatten(1).sum(1)


def _gaussian(mean: Tensor, target: Tensor, logvar: Tensor | float) -> Tensor:
    square = (target.float() - mean.float()).square()
    if isinstance(logvar, Tensor):
        logvar = logvar.float()
        terms = square * (-logvar).exp() + logvar + LOG_2PI
    else:
        terms = square * math.exp(-logvar) + (logvar + LOG_2PI)
    return -0.5 * terms.flatten(1).sum(1)


def log_normal(x: Tensor, mean: Tensor | float = 0.0, logvar: Tensor | float = 0.0) -> Tensor:
    """log N(x; mean, exp(logvar)) of codes [S, B, ...]: [S, B]."""
    spread = torch.as_tensor(logvar, device=x.device, dtype=x.dtype)
    terms = (x - mean).square() * (-spread).exp() + spread + LOG_2PI
    return -0.5 * terms.flatten(2).sum(2)


def kl_normal(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1)) of each element, in nats: of the shape of `mean`.

    Source: Kingma and Welling 2014, appendix B.
    """
    return 0.5 * (mean.square() + logvar.exp() - logvar - 1)
