"""The training step of `autoencoder`: a sample is made again of its code."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...compiler.driver import Compilation
from ...compiler.objectives.autoencoder import Autoencoder as Settings
from ...compiler.objectives.autoencoder import KlSparsity, Sparsity
from ..codes.meter import MADE
from ..data.batches import Batch
from .base import Losses, Numbers, Outputs, Turn
from .corruptions import Spoiler
from .encoder_decoder import LOSSES, EncoderDecoder

SPARSITY = "sparsity"
"""The schedule of the penalty's weight, and the penalty among the losses."""

CODE, DECODED = "code", "decoded"
"""Among the outputs: the code, and what the decoder gives."""

LEAST = 1e-6
"""How near to 0 and 1 the mean of a code's element may come in the logarithm of its penalty."""


class Autoencoder(EncoderDecoder):
    """See compiler/objectives/autoencoder.py for the settings."""

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
        self._compare = LOSSES[settings.loss]
        if settings.sparsity:
            self.schedules = {SPARSITY: settings.sparsity.weight}
        self._spoiler = Spoiler(settings.noise, self.field, device) if settings.noise else None

    def step(self, batch: Batch, turn: Turn, numbers: Numbers) -> Losses:
        values = batch.values
        if self._spoiler:
            values = {**values, self.target: self._spoiler(values[self.target])}
        return self.losses(self._run(values), batch, numbers)

    def _run(self, values: Mapping[str, Tensor]) -> Outputs:
        code = self.encoded(values)[self._code]
        return {CODE: code, DECODED: self.decoded(code, values)[self._made]}

    def outputs(self, batch: Batch) -> Outputs:
        # What is measured is what a program would be given: a file holds no half steps of grey.
        values = batch.values
        if self._spoiler:
            values = {**values, self.target: self._spoiler.stored(values[self.target])[1]}
        found = self._run(values)
        return {**found, MADE: self.expected({self._made: found[DECODED]})}

    def spoilt(self, batch: Batch, count: int) -> dict[str, Tensor] | None:
        if self._spoiler is None:
            return None
        raw = {name: x[:count] for name, x in batch.raw.items()}
        stored, _ = self._spoiler.stored(batch.values[self.target][:count])
        return {**raw, self.target: stored}

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch, numbers: Numbers) -> Losses:
        target = batch.values[self.target]
        loss = self._compare(outputs[DECODED].float(), target.float())
        if self._settings.sparsity is None:
            return {"loss": loss}
        penalty = sparsity(self._settings.sparsity, outputs[CODE].float())
        return {
            "loss": loss + numbers[SPARSITY] * penalty,
            "reconstruction": loss,
            SPARSITY: penalty,
        }


def sparsity(settings: Sparsity, code: Tensor) -> Tensor:
    """The penalty of codes [B, ...]: a number."""
    if not isinstance(settings, KlSparsity):
        return code.abs().mean()
    rate = settings.rate
    mean = code.mean(0).clamp(LEAST, 1 - LEAST)
    on = rate * (math.log(rate) - mean.log())
    off = (1 - rate) * (math.log1p(-rate) - (1 - mean).log())
    return (on + off).sum()
