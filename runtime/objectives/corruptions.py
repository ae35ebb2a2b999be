"""How the input of a denoising autoencoder is spoilt."""

from __future__ import annotations

import torch
from torch import Tensor

from ...compiler.objectives.corruptions import Corruption, GaussianNoise, Masking, SaltPepper
from ...compiler.objectives.fields import Field
from ..data.preprocess import Preprocess
from ..data.restore import Restore, as_stored


class Spoiler:
    """Spoils samples as networks see them, with torch's own random numbers."""

    def __init__(self, settings: Corruption, field: Field, device: torch.device) -> None:
        self._settings, self._field = settings, field
        self._low, self._high = field.interval()
        self._preprocess, self._restore = Preprocess(field, device), Restore(field, device)

    def __call__(self, x: Tensor) -> Tensor:
        """x: [B, ...] as networks see it. Returns: the same shape, spoilt."""
        settings = self._settings
        if isinstance(settings, GaussianNoise):
            return x + settings.std * torch.randn_like(x)
        chance = torch.rand_like(x)
        if isinstance(settings, Masking):
            return torch.where(chance < settings.rate, self._low, x)
        assert isinstance(settings, SaltPepper), "nothing else is registered"
        half = settings.rate / 2
        salted = torch.where(chance > 1 - half, self._high, x)
        return torch.where(chance < half, self._low, salted)

    def stored(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Spoilt samples as the data would hold them, and as networks see these."""
        kept = as_stored(self._restore(self(x)), self._field)
        return kept, self._preprocess(kept)
