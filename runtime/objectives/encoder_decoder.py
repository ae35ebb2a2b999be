"""What the training steps share of objectives with an encoder and a decoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...compiler.driver import Compilation
from ...compiler.ir.dims import evaluate, symbol_of
from ...compiler.objectives.encoder_decoder import EncoderDecoder as Settings
from ...compiler.objectives.encoder_decoder_checks import CODE
from ...compiler.objectives.fields import Field
from ..codes.meter import CodeMeter, Reconstructions
from ..codes.pictures import CodePictures
from ..data.batches import Batch, Batches
from ..distributed.world import World
from ..generated import build_program, by_name
from .base import Meter, Objective, Parts, Turn

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
        self.programs = compilation.programs
        self._built = {
            name: build_program(compilation.source, name, networks) for name in self.programs
        }

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
            code if name == CODE else _repeated(values[name], times)
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

    def run(self, program: str, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What an exported program gives: output -> tensor, in raw units.

        raw: its inputs by name, among others.
        """
        graph = self.programs[program]
        made = self._built[program](*[raw[value.name] for value in graph.inputs])
        return by_name(made, graph.outputs)

    def drawn_for(
        self, program: str, rows: int, generator: torch.Generator, like: Batch
    ) -> dict[str, Tensor]:
        """The random inputs of a program, for so many samples.

        like: a batch, whose code says how large one is where the decoder leaves that open.
        """
        found, sizes = {}, {**self._open_sizes(like), "B": rows}
        for value in self.programs[program].inputs:
            if distribution := self._base.noise_inputs(program).get(value.name):
                shape = [evaluate(size, sizes) for size in value.type.shape]
                draw = torch.randn if distribution == "normal" else torch.rand
                found[value.name] = draw(shape, generator=generator).to(self._device)
        return found

    def _open_sizes(self, like: Batch) -> dict[str, int]:
        """What the symbolic sizes of the decoder's code are for a batch."""
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


def _repeated(x: Tensor, times: int) -> Tensor:
    """The samples of a batch, once for each draw."""
    return x if times == 1 else x.repeat(times, *[1] * (x.ndim - 1))
