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
from .encoder_decoder import EncoderDecoder
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
        kl = kl_normal(mean, logvar).flatten(1)
        terms = {"reconstruction": -log_p.mean(), "kl": kl.sum(1).mean()}
        if self._settings.bound == "iwae":
            loss = -importance_bound(outputs[CODES], mean, logvar, log_p).mean()
        else:
            loss = terms["reconstruction"] + self._penalty(kl, terms["kl"], numbers)
        return {"loss": loss * self._scale if self._scale != 1 else loss, **terms}

    def of_means(self, reconstruction: float, kl: Tensor, numbers: Numbers) -> float | None:
        """The loss of a whole part of the data; None of `iwae`, which is no function of these.

        Args: reconstruction: the mean over its samples. kl: that of each element, [D].
        """
        if self._settings.bound == "iwae":
            return None
        return float(reconstruction + self._penalty(kl[None], kl.sum(), numbers)) * self._scale

    def _penalty(self, kl: Tensor, whole: Tensor, numbers: Numbers) -> Tensor:
        """What the divergence of each element [B, D] costs. whole: of a sample, on average."""
        settings = self._settings
        if settings.capacity is not None:
            return settings.capacity.weight * (whole - numbers[CAPACITY]).abs()
        beta = numbers[BETA]
        if settings.free_bits:
            whole = kl.mean(0).clamp(min=settings.free_bits).sum()
        return whole if isinstance(beta, float) and beta == 1 else beta * whole


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
        return self.bound(self.drawn(batch, self._settings.samples), numbers)

    def drawn(self, batch: Batch, count: int) -> dict[str, Tensor]:
        """Codes of the samples, so many of each, and how likely the samples are given them."""
        encoded = self.encoded(batch.values)
        mean, logvar = encoded[MEAN].float(), encoded[LOGVAR].float()
        noise = torch.randn((count, *mean.shape), device=mean.device)
        z = mean + (0.5 * logvar).exp() * noise
        log_p = self.log_likelihood(z, batch)
        return {MEAN: mean, LOGVAR: logvar, CODES: z, LOG_P: log_p}

    def log_likelihood(self, z: Tensor, batch: Batch) -> Tensor:
        """log p(x | z) of codes [S, B, ...]: [S, B]."""
        target = batch.values[self.target]
        made = self.decoded(z.flatten(0, 1), batch.values)
        wanted = target if len(z) == 1 else target.repeat(len(z), *[1] * (target.ndim - 1))
        return self._judge.log_likelihood(made, wanted).view(z.shape[:2])

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
