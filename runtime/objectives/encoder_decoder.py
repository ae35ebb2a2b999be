"""What the training steps share of objectives with an encoder and a decoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...compiler.driver import Compilation
from ...compiler.ir.dims import symbol_of
from ...compiler.objectives.encoder_decoder import EncoderDecoder as Settings
from ...compiler.objectives.encoder_decoder_checks import CODE
from ...compiler.objectives.fields import Field
from ..codes.meter import CodeMeter, Reconstructions
from ..codes.pictures import CodePictures
from ..data.batches import Batch, Batches
from ..distributed.world import World
from ..generated import by_name
from .base import Meter, Objective, Parts, Turn
from .programs import Programs

LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "bce_logits": F.binary_cross_entropy_with_logits,
}
"""What compares the decoder's output with the target: means over all elements."""


class EncoderDecoder(Objective):
    """Runs encoder and decoder on batches, and measures what they make.

    See compiler/objectives/encoder_decoder.py for the settings.
    """

    def __init__(
        self,
        settings: Any,
        compilation: Compilation,
        networks: Mapping[str, nn.Module],
        device: torch.device,
        rows: int,
    ) -> None:
        assert isinstance(settings, Settings)
        graphs = compilation.graphs
        names = (settings.encoder.network, settings.decoder.network)
        self.networks = {name: networks[name] for name in settings.networks().values()}
        self.turns = (Turn("", names),)
        self._base, self._device = settings, device
        self._encoder, self._decoder = (networks[name] for name in names)
        encoder, decoder = (graphs[name] for name in names)
        self._encoder_ports, self._decoder_ports = tuple(encoder.outputs), tuple(decoder.outputs)
        self._encoder_fields = tuple(settings.encoder_fields(graphs).values())
        self._decoder_sources = tuple(settings.decoder_sources(graphs).values())
        self._code, self._made = settings.code_output(encoder), settings.made_output(decoder)
        self.target = settings.target
        self.field = compilation.fields[settings.target]
        self.fields, self._code_type = compilation.fields, settings.code_type(graphs)
        self.programs = Programs(settings, compilation, networks, device)

    # Running the networks

    def encoded(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Output of the encoder -> tensor. values: data field -> what networks see of it."""
        made = self._encoder(*[values[name] for name in self._encoder_fields])
        return by_name(made, self._encoder_ports)

    def decoded(self, code: Tensor, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Output of the decoder -> tensor.

        Args:
            code: [S * B, ...], S codes for each sample: those of the first draw first.
            values: data field -> [B, ...].
        """
        times = len(code) // self._rows(values, len(code))
        read = [
            code if name == CODE else repeated(values[name], times)
            for name in self._decoder_sources
        ]
        return by_name(self._decoder(*read), self._decoder_ports)

    def _rows(self, values: Mapping[str, Tensor], otherwise: int) -> int:
        conditions = [name for name in self._decoder_sources if name != CODE]
        return len(values[conditions[0]]) if conditions else otherwise

    def expected(self, decoded: Mapping[str, Tensor]) -> Tensor:
        """The sample that the decoder expects, as networks see data: [B, ...]."""
        x = decoded[self._made].float()
        return x.sigmoid() if self._base.gives_logits else x

    def code_of(self, batch: Batch) -> Tensor:
        """The code of each sample [B, ...], nothing of it drawn."""
        return self.encoded(batch.values)[self._code].float()

    def sizes(self, like: Batch) -> dict[str, int]:
        """What the symbolic sizes of the decoder's code are for a batch, other than its own."""
        code = self.code_of(like)
        pairs = zip(self._code_type.shape, code.shape, strict=True)
        return {str(symbol): size for dim, size in pairs if (symbol := symbol_of(dim))}

    def spoilt(self, batch: Batch, count: int) -> dict[str, Tensor] | None:
        """The first samples of a batch, spoilt, as data would hold them; None where none are."""
        return None

    # Measuring

    def meter(self, fields: Mapping[str, Field], world: World) -> Meter:
        return CodeMeter(self.reconstructions(), self._device, world)

    def reconstructions(self) -> Reconstructions:
        """What is measured of reconstructions."""
        return Reconstructions(self._base.metrics, self.field, self.target, self._device)

    def pictures(self, shown: Batches) -> dict[str, bytes]:
        return CodePictures(self, shown).all()

    def scores(self, batch: Batch) -> Tensor:
        """How unlike those of training each sample is [B]: the higher, the more."""
        made = self.expected(self.decoded(self.code_of(batch), batch.values))
        return (made - batch.values[self.target]).square().flatten(1).mean(1)

    def closing(self, parts: Parts) -> dict[str, float]:
        from ..codes.closing import closing_figures

        return closing_figures(self._base.metrics, self, parts)


def repeated(x: Tensor, times: int) -> Tensor:
    """The samples of a batch, once for each draw."""
    return x if times == 1 else x.repeat(times, *[1] * (x.ndim - 1))
