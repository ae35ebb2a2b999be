"""Whether encoder, decoder and data of `seq2seq` fit together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..diagnostics import Code
from ..ir.dims import symbol_of
from ..ir.graph import Graph, Value
from ..ir.proofs import at_least
from ..ir.shapes import DType, TensorType
from ..source import Key
from ..streaming.stepped import NotStreamable
from ..suggest import did_you_mean
from .binding import bind_inputs
from .id_room import lookups
from .losses import INTEGERS
from .padding import check_padding
from .problem import Problem
from .stream import report_obstacles
from .two_networks import TwoNetworkChecks, as_field

if TYPE_CHECKING:
    from .seq2seq import Seq2Seq


class Seq2SeqChecks(TwoNetworkChecks):
    """Reports everything that does not fit; what one mistake leads to stays silent."""

    _settings: Seq2Seq

    def run(self) -> None:
        encoder, decoder = self.found()
        if encoder is None or decoder is None or not self.are_two():
            return
        fits = [self._reads_source(encoder), self._target_fits(), self._names(encoder, decoder)]
        if not all(fits):
            return
        given = self._encoder_types(encoder)
        if given is None or not self._reads_answer(encoder, decoder):
            return
        types = self._decoder_types(decoder, given)
        if types is not None and self._gives_scores(decoder, types) and self._knows_all(decoder):
            self._check_steps()

    # The networks

    def _reads_source(self, encoder: Graph) -> bool:
        """Whether the encoder reads data fields alone, and not the answer."""
        settings, read = self._settings, self._settings.encoder_fields(self.graphs)
        names = (settings.encoder.network, settings.decoder.network)
        for port, name in read.items():
            network, dot, _ = name.partition(".")
            if dot and network in names:
                cycle = f"`{port}` of the encoder reads `{name}`, which follows from the encoder"
                self._context.misfit(f"{cycle}: a cycle", self._input(port), "name a data field")
                return False
            if name in (settings.target, self._target_lengths()):
                told = f"`{port}` of the encoder reads `{name}`, the answer that is to be learnt"
                self._context.misfit(told, self._input(port), "name a field of the source")
                return False
        return bool(encoder.inputs)

    def _input(self, port: str) -> Key:
        """Where the spec says what an input of the encoder reads."""
        return (*self._path, "encoder", "inputs", port)

    def _names(self, encoder: Graph, decoder: Graph) -> bool:
        """Whether the decoder's inputs name outputs of the encoder that exist."""
        fits = True
        for port, name in self._settings.decoder_sources(self.graphs).items():
            network, dot, output = name.partition(".")
            place = (*self._path, "decoder", "inputs", port)
            if not dot or (network == encoder.name and output in encoder.outputs):
                continue
            fits = False
            if network == decoder.name:
                message = f"`{port}` of the decoder reads `{name}`, its own output: a cycle"
                self._context.misfit(message, place, f"name an output of `{encoder.name}`")
            elif network != encoder.name:
                message = f"`{port}` of the decoder names the network `{network}`, which is not the"
                step = f"write `{encoder.name}.{output}`"
                self._context.misfit(f"{message} encoder `{encoder.name}`", place, step)
            else:
                message = f"`{port}` of the decoder names the output `{output}`, which "
                step = did_you_mean(output, encoder.outputs, "output")
                self._context.misfit(f"{message}`{network}` does not have", place, step)
        return fits

    def _encoder_types(self, encoder: Graph) -> dict[str, TensorType] | None:
        settings, place = self._settings, (*self._path, "encoder")
        targets = [settings.target]
        types = bind_inputs(encoder, settings.encoder.inputs, targets, self._context, place)
        if types is not None:
            check_padding(encoder, settings.encoder_fields(self.graphs), self._context)
        return types

    # The answer

    def _target_lengths(self) -> str | None:
        field = self._context.fields.get(self._settings.target)
        return field.lengths if field else None

    def _target_fits(self) -> bool:
        """Whether the target is tokens [B, T] with lengths."""
        name, field = self._settings.target, self.found_field("target")
        if field is None:
            return False
        kind = field.raw_type(self._context.dims)
        if kind.rank != 2 or kind.dtype not in INTEGERS or field.lengths is None:
            without = "" if field.lengths else " without `lengths`"
            return self.misfit(
                f"{self._settings.title} expects a target i64[B, T] with `lengths`, found `{name}` "
                f"{kind}{without}",
                "target",
                "name the field with the tokens of the answers, and give it `lengths`",
            )
        return True

    def _reads_answer(self, encoder: Graph, decoder: Graph) -> bool:
        """Whether one input of the decoder takes the answer's tokens, and none their number."""
        settings, target = self._settings, self._settings.target
        sources = settings.decoder_sources(self.graphs)
        ports = [port for port in decoder.inputs if sources[port.name] == target]
        if len(ports) != 1:
            return self.misfit(
                f"the decoder expects one input that takes `{target}`, found {len(ports)}",
                "decoder",
                f"bind the input of its tokens: `inputs: {{tokens: {target}}}`",
            )
        if self._target_lengths() in sources.values():
            return self.misfit(
                f"the decoder reads `{self._target_lengths()}`, which nobody knows before the "
                "answer is there",
                "decoder",
                "remove the input; padding of the answer counts nowhere",
            )
        return self._has_own_size(ports[0], encoder) and self._has_room(ports[0])

    def _has_own_size(self, port: Value, encoder: Graph) -> bool:
        kind = port.type
        symbol = symbol_of(kind.shape[1]) if kind.rank == 2 else None
        if symbol is None or kind.dtype is not DType.I64:
            return self.misfit(
                f"the decoder expects tokens i64[B, T] of any number of steps T, found "
                f"`{port.name}` {kind}",
                "decoder",
                f"write `{port.name}: {{shape: [B, T], dtype: int64}}`, with `T` in `dims`",
            )
        if any(symbol.name == s.name for value in encoder.inputs for s in value.type.symbols()):
            return self.misfit(
                f"the answer's steps `{symbol}` expect a size of their own, found `{symbol}` in "
                "the encoder's inputs too",
                "decoder",
                "name the encoder's steps otherwise, such as `S`, and declare it in `dims`",
            )
        return True

    def _has_room(self, port: Value) -> bool:
        """Whether the decoder can read an answer with the token that it begins behind."""
        symbol, context = symbol_of(port.type.shape[1]), self._context
        steps = context.fields[self._settings.target].raw_type(context.dims).shape[1]
        if symbol is None or symbol.max is None or at_least(symbol.max, steps + 1) is True:
            return True
        return self.misfit(
            f"the decoder expects at most {symbol.max} steps, found answers of {steps}, which it "
            f"reads as {steps + 1} behind `begin`",
            "decoder",
            f"raise the `max` of `{symbol}`",
        )

    def _decoder_types(
        self, decoder: Graph, given: Mapping[str, TensorType]
    ) -> dict[str, TensorType] | None:
        """The types of the decoder's outputs, with what the encoder gives beside the fields."""
        network = self._settings.encoder.network
        made = {f"{network}.{name}": as_field(kind) for name, kind in given.items()}
        context = replace(self._context, fields={**self._context.fields, **made})
        place, target = (*self._path, "decoder"), self._settings.target
        types = bind_inputs(decoder, self._settings.decoder.inputs, [target], context, place)
        if types is not None:
            sources = self._settings.decoder_sources(self.graphs)
            others = {port: name for port, name in sources.items() if name != target}
            check_padding(decoder, others, self._context)
        return types

    # The scores

    def _gives_scores(self, decoder: Graph, types: Mapping[str, TensorType]) -> bool:
        settings = self._settings
        if settings.output is not None and settings.output not in types:
            message = f"`output` names `{settings.output}`, which `{decoder.name}` does not have"
            step = did_you_mean(settings.output, types, "output")
            return self.misfit(message, "output", step)
        if settings.output is None and len(types) != 1:
            named = ", ".join(f"`{name}`" for name in types)
            message = f"`{decoder.name}` has the outputs {named}, and {settings.title} expects one"
            step = f"name it: `output: {next(iter(types))}`"
            return self.misfit(f"{message} with scores", "decoder", step)
        output = settings.scores(decoder)
        return self._are_scores(output, decoder)

    def _are_scores(self, output: str, decoder: Graph) -> bool:
        port = self._settings.tokens(self.graphs)
        tokens = next(value.type for value in decoder.inputs if value.name == port)
        kind = decoder.outputs[output].type
        fixed = kind.rank == 3 and isinstance(kind.shape[2], int)
        if fixed and kind.dtype.is_float and kind.shape[:2] == tokens.shape:
            return True
        return self.misfit(
            f"{self._settings.title} expects scores f32[B, {tokens.shape[1]}, K] of fixed K, found "
            f"`{output}` {kind}",
            "decoder",
            "let the decoder end with `linear: K`, for K tokens",
        )

    def _knows_all(self, decoder: Graph) -> bool:
        """Whether there is a score for every token, and room for all that the decoder reads."""
        settings, scored = self._settings, self._settings.scored(self.graphs)
        total = self._context.fields[settings.target].class_total
        room, _ = lookups(decoder).get(settings.tokens(self.graphs), (None, None))
        fits = True
        if total is not None and total > scored:
            fits = self.misfit(
                f"{settings.title} expects a score for each of the {total} tokens of "
                f"`{settings.target}`, found {scored}",
                "decoder",
                f"give the layer that makes the scores {total} features",
            )
        if room is not None and room < scored:
            fits = self.misfit(
                f"the decoder reads the tokens that it scores, {scored}, and has room for {room}",
                "decoder",
                f"make room for {scored} in the layer that looks them up",
            )
        begins, ends = self._is_token("begin", room or scored), self._is_token("end", scored)
        return fits and begins and ends

    def _is_token(self, key: str, count: int) -> bool:
        token: int = getattr(self._settings, key)
        if token < count:
            return True
        message = f"`{key}` expects a token from 0 to {count - 1}, found {token}"
        self.excluded(Problem(Code.O502, message, (key,), help=FREE))
        return False

    # The steps

    def _check_steps(self) -> None:
        settings, context = self._settings, self._context
        try:
            stepped = settings.stepped(self.graphs)
        except NotStreamable as refused:
            asked = "one step after the other, as the decoder of `seq2seq` does"
            place = (*self._path, "decoder", "network")
            report_obstacles(refused, asked, "remove them", context, place)
            return
        longest, most = settings.most_tokens(context), stepped.longest
        if longest is None:
            message = "`longest` expects the most tokens of an answer, found nothing that tells it"
            problem = Problem(Code.O502, message, (), help="add `longest: 100`")
            context.report(problem, self._path)
        elif most is not None and longest > most:
            message = f"`longest` expects at most the {most} steps that the decoder can see, found"
            problem = Problem(Code.O502, f"{message} {longest}", ("longest",), help=LOWER)
            context.report(problem, self._path)


LOWER = "lower it, or raise the `max` of the decoder's steps"

FREE = "choose one that stands for nothing else, and make the vocabulary as large"
