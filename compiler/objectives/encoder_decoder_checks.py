"""Whether encoder, decoder and data fit together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..ir.graph import Graph
from ..ir.shapes import TensorType
from ..suggest import listing
from .alignment import check_alignment
from .binding import bind_inputs
from .code_metric_checks import check_code_metrics
from .fields import ANYTHING, Field
from .padding import check_padding
from .two_networks import TwoNetworkChecks, as_field, same_sizes

if TYPE_CHECKING:
    from .encoder_decoder import EncoderDecoder

CODE = "z"
"""The decoder's input that takes the code, and what `inputs` calls it."""

SLACK = 1e-6
"""How far outside [0, 1] rounding may put the end of a range."""


class EncoderDecoderChecks(TwoNetworkChecks):
    """Reports everything that does not fit; what one mistake leads to stays silent."""

    _settings: EncoderDecoder

    def run(self) -> None:
        settings, context = self._settings, self._context
        encoder, decoder = self.found()
        if context.fields or context.broken:
            check_code_metrics(settings, context, self._path)
        if encoder is None or decoder is None or not self.are_two():
            return
        if not all([self._target_fits(), self._takes_code(decoder)]):
            return
        check_alignment(settings.source_fields(self.graphs), [settings.target], context)
        read = {*settings.source_fields(self.graphs), settings.target}
        if not self.names_are_free(settings.own_names(self.graphs), read):
            return
        made = self._encoder_types(encoder)
        code = made and self._code(encoder, made)
        types = code and self._decoder_types(decoder, encoder, code)
        if types and self._makes_target(decoder, types):
            settings.check_rest(self, made or {}, types)

    @property
    def target_type(self) -> TensorType:
        """Of the target as networks see it."""
        return self._context.fields[self._settings.target].network_type(self._context.dims)

    @property
    def target_field(self) -> Field:
        return self._context.fields[self._settings.target]

    # The networks

    def _takes_code(self, decoder: Graph) -> bool:
        """Whether one input of the decoder takes the code, and none the answer."""
        settings = self._settings
        sources = settings.decoder_sources(self.graphs)
        takes = [port for port, name in sources.items() if name == CODE]
        if len(takes) != 1:
            found = listing(takes or list(sources)) or "none"
            return self.misfit(
                f"the decoder expects one input that takes the code, named `{CODE}`, found {found}",
                "decoder",
                _binding(decoder.name, list(sources), takes),
            )
        if settings.target in sources.values():
            return self.misfit(
                f"the decoder expects a code and conditions alone, found an input for the target "
                f"`{settings.target}`, which it is to make",
                "decoder",
                "remove the input; what the decoder knows of a sample is its code",
            )
        return True

    def _encoder_types(self, encoder: Graph) -> dict[str, TensorType] | None:
        settings, place = self._settings, (*self._path, "encoder")
        types = bind_inputs(encoder, settings.encoder.inputs, (), self._context, place)
        if types is not None:
            check_padding(encoder, settings.encoder_fields(self.graphs), self._context)
        return types

    def _code(self, encoder: Graph, types: Mapping[str, TensorType]) -> TensorType | None:
        """The type of the code that the encoder makes."""
        wanted = self._settings.encoder_outputs
        if not self._has_outputs(encoder, wanted, "encoder", "the code"):
            return None
        kind = types[self._settings.code_output(encoder)]
        sizes = kind.shape[1:]
        if kind.rank < 2 or not kind.dtype.is_float or not all(isinstance(s, int) for s in sizes):
            self.misfit(
                f"the encoder expects to make a code f32[B, ...] of fixed sizes, found {kind}",
                "encoder",
                "end the encoder with a layer such as `linear: 16`",
                also=self.maker(encoder.name, self._settings.code_output(encoder)),
            )
            return None
        return kind

    def _has_outputs(self, graph: Graph, wanted: tuple[str, ...], role: str, what: str) -> bool:
        missing = [name for name in wanted if name not in graph.outputs]
        if missing:
            named = " and ".join(f"`{name}`" for name in wanted)
            return self.misfit(
                f"{self._settings.title} expects the outputs {named} of the {role}, found "
                f"{listing(list(graph.outputs))}",
                role,
                f"name them: `outputs: {{{', '.join(f'{n}: ...' for n in wanted)}}}`",
            )
        if not wanted and len(graph.outputs) != 1:
            return self.misfit(
                f"the {role} expects one output, {what}, found {listing(list(graph.outputs))}",
                role,
                "leave out the others",
            )
        return True

    def _decoder_types(
        self, decoder: Graph, encoder: Graph, code: TensorType
    ) -> dict[str, TensorType] | None:
        """The types of the decoder's outputs, where it reads the encoder's code."""
        settings = self._settings
        name = f"{encoder.name}.{settings.code_output(encoder)}"
        context = replace(self._context, fields={**self._context.fields, name: as_field(code)})
        sources = settings.decoder_sources(self.graphs).items()
        bound = {port: name if source == CODE else source for port, source in sources}
        place, target = (*self._path, "decoder"), settings.target
        types = bind_inputs(decoder, bound, [target], context, place)
        if types is not None:
            check_padding(decoder, bound, self._context)
        return types

    # The target

    def _target_fits(self) -> bool:
        name, field = self._settings.target, self.found_field("target")
        if field is None:
            return False
        kind = field.network_type(self._context.dims)
        if _maps_elsewhere(field):
            low, high = field.unbinarized.interval()
            return self.misfit(
                f"a target with `binarize` expects values in [0, 1] before it, so that what is "
                f"made has a place among raw values, found `{name}` in [{low:g}, {high:g}]",
                "target",
                f"give the field `{name}` `scale: [0, 1]`, and a threshold between",
            )
        if field.lengths is not None:
            return self.misfit(
                f"{self._settings.title} expects samples of one size, found `{name}` with "
                "`lengths`",
                "target",
                "name another field, or cut its samples to one size and remove `lengths`",
            )
        if kind.rank > 1 and not self._settings.check_field(self):
            return False
        if kind.rank < 2 or not kind.dtype.is_float:
            return self.misfit(
                f"{self._settings.title} expects a target f32[B, ...], found `{name}` {kind}",
                "target",
                f"add `scale: [0, 1]` or `normalize` to the field `{name}`"
                if kind.rank > 1
                else "name a field with an axis besides the batch",
            )
        return True

    def _makes_target(self, decoder: Graph, types: Mapping[str, TensorType]) -> bool:
        """Whether the decoder's output has the target's size, and suits what judges it."""
        settings, target = self._settings, self.target_type
        if not self._has_outputs(decoder, settings.decoder_outputs, "decoder", "what it makes"):
            return False
        output = settings.made_output(decoder)
        kind, wanted = types[output], settings.output_type(target)
        if same_sizes(kind, wanted):
            return not settings.gives_logits or self._lies_between()
        made = f"`{settings.target}` {target}" + (f" out of {wanted}" if wanted != target else "")
        return self.misfit(
            f"the decoder expects to make {made}, found the output `{output}` {kind}",
            "decoder",
            settings.size_help(target),
            also=self.maker(decoder.name, output),
        )

    def _lies_between(self) -> bool:
        """Whether the target lies in [0, 1], where probabilities do."""
        field, name = self.target_field, self._settings.target
        low, high = field.interval()
        if low >= -SLACK and high <= 1 + SLACK:
            return True
        told = math.isfinite(low) and math.isfinite(high)
        found = f"in [{low:g}, {high:g}]" if told else f"of {field.dtype} without a range"
        if field.awaits_data:
            found = "with `normalize: training`"
        return self.misfit(
            f"{self._settings.judged_by} expects a target in [0, 1], found `{name}` {found}",
            "target",
            f"give the field `{name}` {_unit_range(field)}; or choose {self._settings.instead}",
        )


def _binding(network: str, ports: Sequence[str], takes: Sequence[str]) -> str:
    """How the code comes to one input of the decoder. takes: the inputs that take it now."""
    if len(takes) > 1:
        rest = ", ".join(f"{port}: ..." for port in takes if port != CODE)
        return f"bind the others to data fields: `inputs: {{{rest}}}`"
    first = next(iter(ports), "code")
    bound = f"`decoder: {{network: {network}, inputs: {{{first}: {CODE}}}}}`"
    return f"name the input `{CODE}`, or bind it: {bound}"


def _unit_range(field: Field) -> str:
    """The setting that brings a field's values to [0, 1]."""
    if field.normalize is not None:
        return "`scale: [0, 1]` in place of `normalize`"
    if field.scale is None and field.raw_range is None:
        return "`range: [0, 1]`, or its `range` and `scale: [0, 1]`"
    return "`scale: [0, 1]`"


def _maps_elsewhere(field: Field) -> bool:
    """Whether 0 and 1 of a binarized field are other raw values than its least and its largest."""
    interval = field.unbinarized.interval()
    return field.binarize is not None and interval not in ((0.0, 1.0), ANYTHING)
