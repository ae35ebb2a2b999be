"""Sums up what is measured of encoders and decoders over one evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from ...compiler.objectives.code_metrics import CodeMetric, Psnr, Ssim
from ...compiler.objectives.fields import Field
from ...compiler.objectives.likelihoods import LOGVAR, MEAN
from ...compiler.objectives.vq_vae import INDICES
from ..data.batches import Batch
from ..data.restore import Restore
from ..distributed.world import ALONE, World
from ..objectives.base import NO_MASSES, Masses, Numbers
from ..objectives.likelihoods import kl_normal
from ..objectives.means import Means

MADE = "made"
"""Among the outputs of an evaluation: what the decoder makes of each sample's code, as networks
see data."""

ACTIVE = 0.01
"""The variance of its mean over the data above which an element of the code is at work.

Source: Burda et al. 2016, section 5.3.
"""

SAME = 1e-10
"""A mean squared error of images from 0 to 1 below which they are alike: 100 decibels."""


class Reconstructions:
    """What is measured of each reconstruction.

    Args:
        metrics: those of the objective; others than of single images are passed over.
        field: of the target. name: the target's.
    """

    def __init__(
        self, metrics: Sequence[CodeMetric], field: Field, name: str, device: torch.device
    ) -> None:
        self._metrics = [m for m in metrics if isinstance(m, Psnr | Ssim)]
        self._restore, self._target = Restore(field, device), name
        self._low, high = field.raw_range or (0.0, 1.0)
        self._width = high - self._low
        self.names = ("mse", *(metric.label for metric in self._metrics))

    def __call__(self, made: Tensor, values: Mapping[str, Tensor]) -> list[Tensor]:
        """The sum of each figure over a batch.

        Args: made: [B, ...]. values: data field -> what networks see of it.
        """
        target = values[self._target].float()
        error = (made - target).square().flatten(1).mean(1).sum()
        if not self._metrics:
            return [error]
        images = [(self._restore(x) - self._low) / self._width for x in (made, target)]
        return [error, *(self._image(metric, *images) for metric in self._metrics)]

    def _image(self, metric: CodeMetric, made: Tensor, target: Tensor) -> Tensor:
        """The sum of a figure over images from 0 to 1, as which both of them are defined."""
        if isinstance(metric, Psnr):
            error = (made - target).square().flatten(1).mean(1)
            return -10 * error.clamp(min=SAME).log10().sum()
        from torchmetrics.functional.image import structural_similarity_index_measure

        found = structural_similarity_index_measure(made, target, data_range=1.0, reduction="none")
        assert isinstance(found, Tensor)
        return found.sum()


class CodeMeter(Means):
    """Means over samples of the losses and of what is measured of reconstructions."""

    def __init__(
        self, reconstructions: Reconstructions, device: torch.device, world: World = ALONE
    ) -> None:
        super().__init__(device, world)
        self._reconstructions = reconstructions

    @property
    def extra_names(self) -> tuple[str, ...]:
        return self._reconstructions.names

    def extra(self, outputs: Mapping[str, Tensor], b: Batch) -> list[Tensor]:
        return self._reconstructions(outputs[MADE], b.values)


WholeLoss = Callable[[float, Tensor, Numbers], float | None]
"""The loss of a part of the data from its mean reconstruction and the mean KL of each element.

Free bits and a capacity are no means over samples: of a whole part they do not follow from those of
its batches. None where the loss is a mean.
"""


class VaeMeter(CodeMeter):
    """The same, with the ELBO and what each element of the code carries."""

    def __init__(
        self,
        reconstructions: Reconstructions,
        whole: WholeLoss,
        device: torch.device,
        world: World = ALONE,
    ) -> None:
        super().__init__(reconstructions, device, world)
        self._moments: Tensor | None = None
        self._whole = whole

    def update(
        self,
        outputs: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        b: Batch,
        masses: Masses = NO_MASSES,
    ) -> None:
        super().update(outputs, losses, b, masses)
        mean = outputs[MEAN].double().flatten(1)
        kl = kl_normal(mean, outputs[LOGVAR].double().flatten(1))
        count = torch.full_like(mean[0], b.size)
        assert self._moments is not None
        self._moments += torch.stack([count, mean.sum(0), mean.square().sum(0), kl.sum(0)])

    def expect(
        self,
        outputs: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        b: Batch,
        masses: Masses = NO_MASSES,
    ) -> None:
        super().expect(outputs, losses, b, masses)
        if self._moments is None:
            size = outputs[MEAN][0].numel()
            self._moments = torch.zeros(4, size, dtype=torch.float64, device=self._device)

    def compute(self, numbers: Numbers | None = None) -> dict[str, float]:
        found, details = super().compute(numbers), self.details()
        kl = torch.tensor(details["kl_per_element"])
        loss = self._whole(found["reconstruction"], kl, numbers) if numbers else None
        if loss is not None:
            found["loss"] = loss
        elbo = -(found["reconstruction"] + found["kl"])
        active = sum(variance > ACTIVE for variance in details["variance_of_mean"])
        return {**found, "elbo": elbo, "active_units": float(active)}

    def details(self) -> dict[str, list[float]]:
        """For each element of the code: its KL divergence in nats, and the variance of its mean."""
        assert self._moments is not None
        count, total, squares, kl = self._world.total(self._moments)
        count = count.clamp(min=1)
        variance = squares / count - (total / count).square()
        return {
            "kl_per_element": (kl / count).tolist(),
            "variance_of_mean": variance.clamp(min=0).tolist(),
        }


class VqVaeMeter(CodeMeter):
    """The same, with how the codebook is used. codes: how many vectors it has."""

    def __init__(
        self,
        reconstructions: Reconstructions,
        codes: int,
        device: torch.device,
        world: World = ALONE,
    ) -> None:
        super().__init__(reconstructions, device, world)
        self._counts = torch.zeros(codes, dtype=torch.float64, device=device)

    def update(
        self,
        outputs: Mapping[str, Tensor],
        losses: Mapping[str, Tensor],
        b: Batch,
        masses: Masses = NO_MASSES,
    ) -> None:
        super().update(outputs, losses, b, masses)
        indices = outputs[INDICES].flatten()
        self._counts += torch.bincount(indices, minlength=len(self._counts))

    def compute(self, numbers: Numbers | None = None) -> dict[str, float]:
        counts = self._world.total(self._counts)
        shares = counts / counts.sum().clamp(min=1)
        entropy = -torch.special.xlogy(shares, shares).sum()
        usage = (counts > 0).double().mean()
        found = {"perplexity": float(entropy.exp()), "usage": float(usage)}
        return {**super().compute(numbers), **found}

    def details(self) -> dict[str, list[float]]:
        """How often each vector of the codebook was used."""
        return {"uses_per_code": self._world.total(self._counts).tolist()}
