"""Learn to answer one sequence with another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field as Setting

from ..ir.dims import Poly, Symbol, symbol_of
from ..ir.graph import Graph, Value
from ..ops.generation import Full
from ..ops.merge import Concat
from ..source import Key
from ..streaming.stepped import Stepped
from ..streaming.stream_network import stream_network
from .base import Context, Labels, Objective
from .binding import field_name
from .id_room import with_room
from .network_use import NetworkUse
from .numbers import Range
from .program import ProgramBuilder, fresh
from .schedules import Schedule
from .seq2seq_checks import Seq2SeqChecks
from .translation import Translation


class DecoderUse(NetworkUse):
    """The decoder, and what its inputs take: data fields, or what the encoder gives."""

    title: ClassVar[str] = "`decoder`"

    inputs: dict[str, str] = Setting(
        default={},
        description="Input -> data field, or `encoder.output` with the name of the encoder's "
        "network. One input takes the target, a step late; a state of a recurrent layer, "
        "[layers, B, hidden], is wired to an input that nothing else reads.",
    )


class Seq2Seq(Objective):
    """Make the cross-entropy of each token of an answer small, given what is answered.

    An encoder reads the source. A decoder reads the answer so far and what the encoder gives, and
    scores the token that comes next, [B, T, K]; a step may see no later one, which is checked. The
    target field holds the answers' tokens alone: what the decoder reads begins with `begin`, and
    what it learns ends with `end`. Padding counts nowhere.

    `bits` is what a token costs on average, and `accuracy` how often the likeliest one is right,
    both where the decoder reads the true tokens before. `exact` is the share of answers that are
    right as a whole when it reads its own.

    Programs: `predict` gives the scores of given answers; `translate` answers by the likeliest
    token at each step, until `end`.
    """

    name: ClassVar[str] = "seq2seq"
    title: ClassVar[str] = "the objective `seq2seq`"
    program_names: ClassVar[tuple[str, ...]] = ("predict", "translate")

    encoder: NetworkUse = Setting(description="The network that reads the source.")
    decoder: DecoderUse = Setting(description="The network that scores the answer's tokens.")
    target: str = Setting(
        default="target", description="The data field with the answers, padded; it has `lengths`."
    )
    output: str | None = Setting(
        default=None,
        description="The decoder's output with the scores, where it has several.",
    )
    begin: int = Setting(ge=0, description="The token that the decoder reads first.")
    end: int = Setting(ge=0, description="The token behind an answer's last one.")
    teacher_forcing: Annotated[Schedule, Range(ge=0, le=1)] = Setting(
        default=Schedule.constant(1.0),
        description="With which probability each step of training reads the true token before it; "
        "else the one that the decoder scored highest (scheduled sampling, Bengio et al. 2015). "
        "Below 1 the steps run one after the other, which takes longer.",
    )
    longest: int | None = Setting(
        default=None,
        ge=1,
        description="The most tokens of an answer of `translate`, the end included; one more than "
        "the target's steps unless given.",
    )

    def networks(self) -> dict[str, str]:
        return {"encoder": self.encoder.network, "decoder": self.decoder.network}

    def figures(self) -> dict[str, bool]:
        return {"bits": False, "accuracy": True, "exact": True}

    # What it refers to

    def encoder_fields(self, graphs: Mapping[str, Graph]) -> dict[str, str]:
        """Input of the encoder -> data field, in the order of the inputs."""
        inputs = graphs[self.encoder.network].inputs
        return {v.name: field_name(v.name, self.encoder.inputs) for v in inputs}

    def decoder_sources(self, graphs: Mapping[str, Graph]) -> dict[str, str]:
        """Input of the decoder -> data field or `encoder.output`, in the order of the inputs."""
        inputs = graphs[self.decoder.network].inputs
        return {v.name: field_name(v.name, self.decoder.inputs) for v in inputs}

    def tokens(self, graphs: Mapping[str, Graph]) -> str:
        """The decoder's input that reads the answer so far."""
        sources = self.decoder_sources(graphs)
        return next(port for port, name in sources.items() if name == self.target)

    def encoded(self, source: str) -> str | None:
        """The encoder's output that `encoder.output` names; None for a data field."""
        network, dot, output = source.partition(".")
        return output if dot and network == self.encoder.network else None

    def source_fields(self, graphs: Mapping[str, Graph]) -> dict[str, Value]:
        """Each data field besides the target that a network reads, and the input that does."""
        encoder, decoder = graphs[self.encoder.network], graphs[self.decoder.network]
        read = [
            *zip(self.encoder_fields(graphs).values(), encoder.inputs, strict=True),
            *zip(self.decoder_sources(graphs).values(), decoder.inputs, strict=True),
        ]
        found: dict[str, Value] = {}
        for name, port in read:
            if name != self.target and self.encoded(name) is None:
                found.setdefault(name, port)
        return found

    def scores(self, graph: Graph) -> str:
        """The decoder's output with the scores."""
        return self.output or next(iter(graph.outputs))

    def scored(self, graphs: Mapping[str, Graph]) -> int:
        """How many tokens have a score."""
        graph = graphs[self.decoder.network]
        count = graph.outputs[self.scores(graph)].type.shape[2]
        assert isinstance(count, int)
        return count

    def stepped(self, graphs: Mapping[str, Graph]) -> Stepped:
        """The decoder's scores as they come step by step. The section must have passed `check`.

        Raises: NotStreamable: a layer stands in the way.
        """
        graph, output = graphs[self.decoder.network], self.scores(graphs[self.decoder.network])
        kept = replace(graph, outputs={output: graph.outputs[output]})
        return stream_network(kept, self._steps(graphs))

    def _steps(self, graphs: Mapping[str, Graph]) -> Symbol:
        """The size of the answer so far."""
        port, inputs = self.tokens(graphs), graphs[self.decoder.network].inputs
        symbol = symbol_of(next(v.type.shape[1] for v in inputs if v.name == port))
        assert symbol
        return symbol

    def most_tokens(self, context: Context) -> int | None:
        """How long answers of `translate` may be; None where nothing says it."""
        if self.longest is not None:
            return self.longest
        steps = (context.fields[self.target].shape or [None])[-1]
        return steps + 1 if isinstance(steps, int) else None

    def answer_names(self, fields: Sequence[str]) -> tuple[str, str]:
        """What the outputs of `translate` are called: tokens and lengths."""
        taken = set(fields)
        return fresh("tokens", taken), fresh("lengths", taken)

    def reads(self, context: Context) -> set[str]:
        read = {*self.source_fields(context.graphs), self.target}
        lengths = {context.fields[name].lengths for name in read}
        return read | {name for name in lengths if name}

    def inputs_only(self, graphs: Mapping[str, Graph]) -> list[str]:
        return list(self.source_fields(graphs))

    def check(self, context: Context, path: Key) -> None:
        Seq2SeqChecks(self, context, path).run()

    # Programs

    def programs(self, context: Context) -> dict[str, Graph]:
        return {"predict": self._predict(context), "translate": self._translate(context)}

    def _predict(self, context: Context) -> Graph:
        graph, graphs = context.graphs[self.decoder.network], context.graphs
        b = ProgramBuilder("predict", context)
        _, given = self._encoded(b, context)
        port = self.tokens(graphs)
        tokens = next(value.type for value in graph.inputs if value.name == port)
        target = b.input(self.target, tokens.with_axis(1, self._answered(graphs)))
        begin = Full(value=self.begin, dtype="i64", shape=(tokens.shape[0], 1))
        (first,) = b.apply("begin", begin, target)
        (given[port],) = b.apply("answer", Concat(axis=1), first, target)
        results = b.call(graph, [given[value.name] for value in graph.inputs])
        output = self.scores(graph)
        return b.graph({output: results[output]})

    def _answered(self, graphs: Mapping[str, Graph]) -> Poly:
        """The size of given answers: a step less than the decoder reads."""
        steps = self._steps(graphs)
        most = None if steps.max is None else max(1, steps.max - 1)
        return Poly.of(Symbol(steps.name, max(1, steps.min - 1), most))

    def _translate(self, context: Context) -> Graph:
        b, graphs = ProgramBuilder("translate", context), context.graphs
        like, given = self._encoded(b, context)
        output, longest = self.scores(graphs[self.decoder.network]), self.most_tokens(context)
        assert longest is not None
        stepped, port = self.stepped(graphs), self.tokens(graphs)
        loop = Translation(stepped, port, output, self.begin, self.end, longest)
        names = self.answer_names(list(context.fields))
        return b.graph(dict(zip(names, loop.run(b, like, given), strict=True)))

    def _encoded(self, b: ProgramBuilder, context: Context) -> tuple[Value, dict[str, Value]]:
        """A source field, and what the decoder's inputs take besides the answer so far."""
        graphs = context.graphs
        ports = self.source_fields(graphs)
        ready = {name: b.open_field(name, port) for name, port in ports.items()}
        read = [ready[name] for name in self.encoder_fields(graphs).values()]
        made = b.call(graphs[self.encoder.network], read)
        given = {}
        for port, name in self.decoder_sources(graphs).items():
            output = self.encoded(name)
            if name != self.target:
                given[port] = ready[name] if output is None else made[output]
        return read[0], given

    # What the data must hold

    def labels(self, context: Context) -> dict[str, list[str]]:
        classes = context.fields[self.target].classes
        graph = context.graphs[self.decoder.network]
        scored = self.scored(context.graphs)
        return {self.scores(graph): classes} if classes and len(classes) == scored else {}

    def named_fields(
        self, labels: Mapping[str, Sequence[str]], graphs: Mapping[str, Graph]
    ) -> dict[str, Sequence[str]]:
        names = labels.get(self.scores(graphs[self.decoder.network]))
        return {self.target: names} if names else {}

    def label_rules(self, context: Context) -> dict[str, Labels]:
        graphs = context.graphs
        rules = {self.target: Labels(self.scored(graphs))}
        rules = with_room(rules, graphs[self.encoder.network], self.encoder_fields(graphs))
        rules = with_room(rules, graphs[self.decoder.network], self.decoder_sources(graphs))
        return {name: rule for name, rule in rules.items() if self.encoded(name) is None}
