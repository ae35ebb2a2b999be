"""The training step of `vq_vae`: a sample is made again of vectors of a codebook."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...compiler.driver import Compilation
from ...compiler.objectives.fields import Field
from ...compiler.objectives.vq_vae import COMMITMENT, INDICES, QUANTIZED
from ...compiler.objectives.vq_vae import VqVae as Settings
from ..codes.meter import MADE, VqVaeMeter
from ..data.batches import Batch
from ..distributed.world import World
from .base import Losses, Meter, Numbers, Outputs, Turn
from .encoder_decoder import LOSSES, EncoderDecoder

DECODED = "decoded"
"""Among the outputs: what the decoder gives."""


class VqVae(EncoderDecoder):
    """See compiler/objectives/vq_vae.py for the settings."""

    def __init__(
        self,
        settings: Settings,
        compilation: Compilation,
        networks: Mapping[str, nn.Module],
        device: torch.device,
        rows: int,
    ) -> None:
        super().__init__(settings, compilation, networks, device, rows)
        self._compare = LOSSES[settings.loss]
        self._codes = settings.layer(compilation.graphs)[1].codes

    def step(self, batch: Batch, turn: Turn, numbers: Numbers) -> Losses:
        return self.losses(self._run(batch), batch, numbers)

    def _run(self, batch: Batch) -> Outputs:
        encoded = self.encoded(batch.values)
        decoded = self.decoded(encoded[QUANTIZED], batch.values)[self._made]
        return {INDICES: encoded[INDICES], COMMITMENT: encoded[COMMITMENT], DECODED: decoded}

    def outputs(self, batch: Batch) -> Outputs:
        found = self._run(batch)
        return {**found, MADE: self.expected({self._made: found[DECODED]})}

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch, numbers: Numbers) -> Losses:
        target = batch.values[self.target]
        error = self._compare(outputs[DECODED].float(), target.float())
        commitment = outputs[COMMITMENT].float().mean()
        return {"loss": error + commitment, "reconstruction": error, COMMITMENT: commitment}

    def meter(self, fields: Mapping[str, Field], world: World) -> Meter:
        return VqVaeMeter(self.reconstructions(), self._codes, self._device, world)
