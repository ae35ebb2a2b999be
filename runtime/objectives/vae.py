"""The training step of `vae`: the evidence lower bound, or the importance-weighted one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from ...compiler.driver import Compilation
from ...compiler.objectives.density import mixture
from ...compiler.objectives.fields import Field
from ...compiler.objectives.likelihoods import LOGVAR, MEAN
from ...compiler.objectives.vae import Vae as Settings
from ..codes.fitting import SAMPLES, fit_mixture
from ..codes.meter import MADE, VaeMeter
from ..data.batches import Batch, Batches
from ..distributed.world import World
from .base import Losses, Meter, Numbers, Outputs, Turn
from .encoder_decoder import EncoderDecoder, repeated
from .likelihoods import judge, kl_normal, log_normal, log_standard_normal

BETA, CAPACITY = "beta", "capacity"
"""Its schedules."""

CODES, LOG_P = "z", "log_likelihood"
"""Among the outputs: codes [S, B, ...] that were drawn, and log p of samples given each [S, B]."""


class Bound:
    """The losses of codes that were drawn, wherever they come from.

    elements: of a sample of the target.
    """

    def __init__(self, settings: Settings, elements: int) -> None:
        self._settings = settings
        self._scale = 1.0 if settings.reduction.kl == "sum" else 1.0 / elements

    def __call__(self, outputs: Mapping[str, Tensor], numbers: Numbers) -> Losses:
        """`loss`, and the terms of the ELBO in nats: means over the batch."""
        mean, logvar, log_p = (outputs[name].float() for name in (MEAN, LOGVAR, LOG_P))
        if self._settings.bound == "elbo":
            return self.of_cost(-log_p.mean(), mean, logvar, numbers)
        loss = -importance_bound(outputs[CODES], mean, logvar, log_p).mean()
        terms = {"reconstruction": -log_p.mean(), "kl": _divergence(mean, logvar)}
        return {"loss": self._scaled(loss), **terms}

    def of_cost(self, cost: Tensor, mean: Tensor, logvar: Tensor, numbers: Numbers) -> Losses:
        """The losses of the ELBO. cost: -log p of the samples, on average."""
        kl = kl_normal(mean, logvar)
        whole = kl.sum() / len(kl)
        loss = cost + self._penalty(kl, whole, numbers)
        return {"loss": self._scaled(loss), "reconstruction": cost, "kl": whole}

    def _scaled(self, loss: Tensor) -> Tensor:
        return loss if self._scale == 1 else loss * self._scale

    def of_means(self, reconstruction: float, kl: Tensor, numbers: Numbers) -> float | None:
        """The loss of a whole part of the data; None of `iwae`, which is no function of these.

        Args: reconstruction: the mean over its samples. kl: that of each element, [D].
        """
        if self._settings.bound == "iwae":
            return None
        return float(reconstruction + self._penalty(kl[None], kl.sum(), numbers)) * self._scale

    def _penalty(self, kl: Tensor, whole: Tensor, numbers: Numbers) -> Tensor:
        """What the divergence of each element [B, ...] costs. whole: of a sample, on average."""
        settings = self._settings
        if settings.capacity is not None:
            return settings.capacity.weight * (whole - numbers[CAPACITY]).abs()
        beta = numbers[BETA]
        if settings.free_bits:
            whole = kl.mean(0).clamp(min=settings.free_bits).sum()
        return whole if isinstance(beta, float) and beta == 1 else beta * whole


def _divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """The KL divergence of codes from the prior, averaged over the samples: a number."""
    return kl_normal(mean, logvar).flatten(1).sum(1).mean()


def importance_bound(z: Tensor, mean: Tensor, logvar: Tensor, log_p: Tensor) -> Tensor:
    """log 1/S sum_s p(x, z_s) / q(z_s | x) of each sample: [B].

    Args:
        z: [S, B, ...], drawn from q. mean, logvar: of q, [B, ...]. log_p: log p(x | z), [S, B].
    Source: Burda et al. 2016, equation 8.
    """
    log_weights = log_p + log_standard_normal(z) - log_normal(z, mean, logvar)
    return torch.logsumexp(log_weights, 0) - math.log(len(z))


class Vae(EncoderDecoder):
    """See compiler/objectives/vae.py for the settings."""

    def __init__(
        self,
        settings: Settings,
        compilation: Compilation,
        networks: Mapping[str, nn.Module],
        device: torch.device,
        rows: int,
    ) -> None:
        super().__init__(settings, compilation, networks, device, rows)
        self._settings = settings
        self.schedules = {BETA: settings.beta}
        if settings.capacity is not None:
            self.schedules = {CAPACITY: settings.capacity.nats}
        self._density = _density(settings, compilation, networks)
        if self._density is not None:
            self.fitted = tuple(self._density.buffers())
        self._judge = judge(settings.likelihood, self._made, self.field)
        self.bound = Bound(settings, elements_of(self.field))

    def fit(self, train: Batches) -> None:
        """Fit the density to codes that are drawn for training samples."""
        if self._density is None:
            return
        codes = []
        for batch in train.spread(SAMPLES, FITTED_AT_ONCE):
            encoded = self.encoded(batch.values)
            mean, logvar = encoded[MEAN].float(), encoded[LOGVAR].float()
            z = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
            codes.append(z.flatten(1).cpu())
        fit_mixture(self._density, torch.cat(codes).numpy())

    def step(self, batch: Batch, turn: Turn, numbers: Numbers) -> Losses:
        if self._settings.bound == "iwae":
            return self.bound(self.drawn(batch, self._settings.samples), numbers)
        mean, logvar, z = self._codes(batch, self._settings.samples)
        cost = self._judge.mean_cost(*self._compared(z, batch))
        return self.bound.of_cost(cost, mean, logvar, numbers)

    def drawn(self, batch: Batch, count: int) -> dict[str, Tensor]:
        """Codes of the samples, so many of each, and how likely the samples are given them."""
        mean, logvar, z = self._codes(batch, count)
        z = z.view(count, *mean.shape)
        return {MEAN: mean, LOGVAR: logvar, CODES: z, LOG_P: self.log_likelihood(z, batch)}

    def log_likelihood(self, z: Tensor, batch: Batch) -> Tensor:
        """log p(x | z) of codes [S, B, ...]: [S, B]."""
        return self._judge.log_likelihood(*self._compared(z.flatten(0, 1), batch)).view(z.shape[:2])

    def _codes(self, batch: Batch, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """The distribution of each sample's code, and so many draws of it [S * B, ...]."""
        encoded = self.encoded(batch.values)
        mean, logvar = encoded[MEAN].float(), encoded[LOGVAR].float()
        deviation = (0.5 * logvar).exp()
        if count == 1:  # a broadcast would add sums to the backward pass
            return mean, logvar, mean + deviation * torch.randn_like(mean)
        noise = torch.randn((count, *mean.shape), device=mean.device)
        return mean, logvar, (mean + deviation * noise).flatten(0, 1)

    def _compared(self, z: Tensor, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """What the decoder gives for codes [S * B, ...], and the samples that it should be."""
        target = batch.values[self.target]
        return self.decoded(z, batch.values), repeated(target, len(z) // len(target))

    def expected(self, decoded: Mapping[str, Tensor]) -> Tensor:
        return self._judge.expected(decoded)

    def outputs(self, batch: Batch) -> Outputs:
        """Codes as in training, and the reconstruction from the mean one."""
        found = self.drawn(batch, self._settings.samples)
        return {**found, MADE: self.expected(self.decoded(found[MEAN], batch.values))}

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch, numbers: Numbers) -> Losses:
        return self.bound(outputs, numbers)

    def meter(self, fields: Mapping[str, Field], world: World) -> Meter:
        return VaeMeter(self.reconstructions(), self.bound.of_means, self._device, world)

    def scores(self, batch: Batch) -> Tensor:
        found = self.drawn(batch, 1)
        kl = kl_normal(found[MEAN], found[LOGVAR]).flatten(1).sum(1)
        return kl - found[LOG_P][0]

    def log_evidence(self, batch: Batch, count: int) -> Tensor:
        """log p(x) of each sample by so many codes, a lower bound: [B]."""
        return log_evidence(partial(self.drawn, batch), count)


def log_evidence(draw: Callable[[int], Mapping[str, Tensor]], count: int) -> Tensor:
    """log p(x) of each sample by so many codes, a lower bound: [B].

    Codes are drawn in pieces, whose weights are put together in logarithms.

    Args: draw: so many codes of each sample, with their distribution and log p of the samples.
    """
    pieces = []
    for start in range(0, count, CHUNK):
        found = draw(min(CHUNK, count - start))
        z, log_p = found[CODES], found[LOG_P]
        bound = importance_bound(z, found[MEAN], found[LOGVAR], log_p)
        pieces.append(bound + math.log(len(z)))
    return torch.logsumexp(torch.stack(pieces), 0) - math.log(count)


def _density(
    settings: Settings, compilation: Compilation, networks: Mapping[str, nn.Module]
) -> nn.Module | None:
    """The layer that is fitted to codes, where there is one."""
    if settings.density is None:
        return None
    layer = mixture(compilation.graphs[settings.density])
    assert layer, "the settings are checked"
    return networks[settings.density].get_submodule(layer.path)


FITTED_AT_ONCE = 256
"""How many samples are encoded at a time for the density."""

CHUNK = 50
"""How many codes of each sample are decoded at once, which bounds the memory."""


def elements_of(field: Field) -> int:
    """How many numbers a sample of a resolved field has."""
    assert field.shape
    return math.prod(size for size in field.shape[1:] if isinstance(size, int))
