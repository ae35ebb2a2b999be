"""Learn to say what comes next in a sequence of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from pydantic import Field as Setting

from ..diagnostics import Code
from ..ir.dims import Symbol, symbol_of
from ..ir.graph import Graph
from ..ops.generation import NO_TOKEN
from ..source import Key
from ..streaming.stepped import Stepped
from ..streaming.stream_network import stream_network
from .base import Context, Labels, Objective
from .fields import Field
from .generation import generate_program
from .id_room import with_room
from .language_model_checks import LanguageModelChecks
from .network_use import NetworkUse
from .problem import Problem
from .program import ProgramBuilder
from .section import Section
from .source import Source
from .text_sources import Text
from .training import Training


class Sample(Section):
    """Text that is generated while training, each time the validation samples are measured."""

    title: ClassVar[str] = "`sample`"

    prompt: str = Setting(default="\n", min_length=1, description="What the text begins with.")
    length: int = Setting(default=200, ge=1, le=10_000, description="How many tokens follow.")
    temperature: float = Setting(
        default=0.8,
        ge=0,
        description="Below 1, likely tokens get likelier; 0 takes the likeliest each time.",
    )
    top_k: int | None = Setting(
        default=None,
        ge=1,
        description="Draw from this many tokens of the highest scores; all unless given.",
    )


class LanguageModel(Objective):
    """Make the cross-entropy of each next token small.

    The network reads tokens [B, T] and gives scores [B, T, K] of the token after each; a step may
    see no later one, which is checked. `bits` is what a token costs on average: cross-entropy to
    the base 2.

    Programs: `predict` gives the scores of a whole sequence; `step` those of a chunk, with the
    network's state in and out; `generate` goes on from a prompt, with random numbers as an input.
    """

    name: ClassVar[str] = "language_model"
    title: ClassVar[str] = "the objective `language_model`"
    program_names: ClassVar[tuple[str, ...]] = ("predict", "step", "generate")

    network: NetworkUse = Setting(description="The network that is trained.")
    target: str = Setting(
        default="next", description="The data field with the token after each one that is read."
    )
    output: str | None = Setting(
        default=None, description="The output with the scores, where the network has several."
    )
    carry: bool | None = Setting(
        default=None,
        description="Begin each batch with the state that the one before ended in, as text goes on "
        "in every row; no gradient goes back that far. By default where the data is a text and the "
        "state is of one size, as that of recurrent layers and causal convolutions.",
    )
    sample: Sample | None = Setting(
        default=None, description="Generate text while training, to be read by people."
    )

    def networks(self) -> dict[str, str]:
        return {"network": self.network.network}

    def figures(self) -> dict[str, bool]:
        return {"bits": False, "accuracy": True}

    # What it refers to

    def tokens(self, graphs: Mapping[str, Graph]) -> str:
        """The data field that the network reads."""
        (port,) = graphs[self.network.network].inputs
        return self.network.inputs.get(port.name, port.name)

    def scores(self, graph: Graph) -> str:
        """The output with the scores."""
        return self.output or next(iter(graph.outputs))

    def stepped(self, graphs: Mapping[str, Graph]) -> Stepped:
        """The network as it runs chunk by chunk. The section must have passed `check`."""
        graph = graphs[self.network.network]
        return stream_network(graph, _length(graph))

    def carries(self, graphs: Mapping[str, Graph], source: Source | None) -> bool:
        """Whether the state goes on from batch to batch in training.

        source: where the data comes from; of others than texts, samples do not go on.
        """
        if self.carry is not None:
            return self.carry
        stepped = self.stepped(graphs)
        return isinstance(source, Text) and bool(stepped.states) and stepped.longest is None

    def reads(self, context: Context) -> set[str]:
        return {self.tokens(context.graphs), self.target}

    def inputs_only(self, graphs: Mapping[str, Graph]) -> list[str]:
        return [self.tokens(graphs)]

    def check(self, context: Context, path: Key) -> None:
        LanguageModelChecks(self, context, path).run()

    def training_problems(self, training: Training, context: Context) -> Iterator[Problem]:
        if training.accumulate > 1 and self.carries(context.graphs, context.source):
            yield Problem(
                Code.O502,
                f"`accumulate` expects batches that do not go on from each other, found `carry` of "
                f"{self.title}",
                ("accumulate",),
                help="remove it, or set `carry: false`",
            )

    # Programs

    def programs(self, context: Context) -> dict[str, Graph]:
        graph = context.graphs[self.network.network]
        output, tokens = self.scores(graph), self.tokens(context.graphs)
        builder = ProgramBuilder("predict", context)
        results = builder.call(graph, [builder.input(tokens, graph.inputs[0].type)])
        predict = builder.graph({output: results[output]})
        stepped = self.stepped(context.graphs)
        return {
            "predict": predict,
            "step": self._step(stepped, context),
            "generate": generate_program(stepped, output, context.dims),
        }

    def _step(self, stepped: Stepped, context: Context) -> Graph:
        builder = ProgramBuilder("step", context)
        chunk = builder.input(self.tokens(context.graphs), stepped.graph.inputs[0].type)
        states = [builder.state(state.input, state.type) for state in stepped.states]
        results = builder.call(stepped.graph, [chunk, *states])
        output = self.scores(context.graphs[self.network.network])
        outputs = {output: results[output]}
        for state, before in zip(stepped.states, states, strict=True):
            outputs[builder.becomes(before, state.output)] = results[state.output]
        return builder.graph(outputs, time=stepped.graph.time)

    # What the data must hold

    def labels(self, context: Context) -> dict[str, list[str]]:
        classes = context.fields[self.target].classes
        graph = context.graphs[self.network.network]
        return {self.scores(graph): classes} if classes else {}

    def named_fields(
        self, labels: Mapping[str, Sequence[str]], graphs: Mapping[str, Graph]
    ) -> dict[str, Sequence[str]]:
        names = labels.get(self.scores(graphs[self.network.network]))
        return {self.target: names, self.tokens(graphs): names} if names else {}

    def other_inputs(
        self, fields: Mapping[str, Field], graphs: Mapping[str, Graph]
    ) -> dict[str, Field]:
        tokens = fields[self.tokens(graphs)]
        most = self._scored(graphs)
        return {
            "prompt": tokens,
            "random": Field(shape=["N", "B"], dtype="float32", range=[0, 1]),
            "temperature": Field(dtype="float32", range=[0, 10]),
            "top_k": Field(dtype="int64", range=[0, most]),
            "stop": Field(dtype="int64", range=[NO_TOKEN, most - 1]),
        }

    def label_rules(self, context: Context) -> dict[str, Labels]:
        graph = context.graphs[self.network.network]
        (port,) = graph.inputs
        scored = {self.target: Labels(self._scored(context.graphs))}
        return with_room(scored, graph, {port.name: self.tokens(context.graphs)})

    def _scored(self, graphs: Mapping[str, Graph]) -> int:
        """How many tokens have a score."""
        graph = graphs[self.network.network]
        count = graph.outputs[self.scores(graph)].type.shape[2]
        assert isinstance(count, int)
        return count


def _length(graph: Graph) -> Symbol:
    """The size along which the network reads."""
    symbol = symbol_of(graph.inputs[0].type.shape[1])
    assert symbol
    return symbol
