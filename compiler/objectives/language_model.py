"""Learn to say what comes next in a sequence of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from pydantic import Field as Setting

from ..diagnostics import Code
from ..ir.dims import Symbol, symbol_of
from ..ir.graph import Graph
from ..ir.shapes import TensorType
from ..ops.generation import NO_TOKEN
from ..source import Key
from ..streaming.stepped import NotStreamable, Stepped
from ..streaming.stream_network import stream_network
from ..suggest import did_you_mean
from .base import Context, Labels, Objective
from .binding import bind_inputs
from .fields import Field
from .generation import generate_program
from .id_room import with_room
from .losses import INTEGERS, same_shape
from .network_use import NetworkUse
from .problem import Problem
from .program import ProgramBuilder
from .section import Section
from .source import Source
from .stream import report_obstacles
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

    # Checks

    def check(self, context: Context, path: Key) -> None:
        graph = self.network.find(self.title, context, path)
        if graph is None:
            return
        place = (*path, "network")
        if not self._reads_tokens(graph, context, place):
            return
        types = bind_inputs(graph, self.network.inputs, [self.target], context, place)
        if types is None or not self._gives_scores(graph, types, context, path):
            return
        self._check_sample(context, path)
        self._check_steps(context, path)

    def _check_steps(self, context: Context, path: Key) -> None:
        """Whether no step sees a later one, and what is carried can be."""
        try:
            stepped = self.stepped(context.graphs)
        except NotStreamable as refused:
            asked = "one step after the other, as a language model does"
            report_obstacles(
                refused, asked, "use the objective `supervised`", context, (*path, "network")
            )
        else:
            self._check_carry(stepped, context, path)
            self._check_longest(stepped, context, path)

    def _reads_tokens(self, graph: Graph, context: Context, place: Key) -> bool:
        """Whether the network has one input, of tokens along a symbolic size."""
        types = [value.type for value in graph.inputs]
        fits = len(types) == 1 and types[0].dtype in INTEGERS and types[0].rank == 2
        if not fits or symbol_of(types[0].shape[1]) is None:
            found = ", ".join(map(str, graph.inputs)) or "none"
            context.misfit(
                f"{self.title} expects a network with one input, tokens i64[B, T] of any number of "
                f"steps T, found {found}",
                place,
                "write `inputs: {tokens: {shape: [B, T], dtype: int64}}`, with `T` in `dims`",
                also=context.label(("networks", graph.name), "the network"),
            )
            return False
        return True

    def _gives_scores(
        self, graph: Graph, types: Mapping[str, TensorType], context: Context, path: Key
    ) -> bool:
        if self.output is not None and self.output not in types:
            context.misfit(
                f"`output` names `{self.output}`, which `{graph.name}` does not have",
                (*path, "output"),
                did_you_mean(self.output, types, "output"),
            )
            return False
        if self.output is None and len(types) != 1:
            context.misfit(
                f"`{graph.name}` has the outputs {', '.join(f'`{n}`' for n in types)}, and "
                f"{self.title} expects one with scores",
                (*path, "network"),
                f"name it: `output: {next(iter(types))}`",
            )
            return False
        return self._fits_target(self.scores(graph), types, context, path)

    def _fits_target(
        self, output: str, types: Mapping[str, TensorType], context: Context, path: Key
    ) -> bool:
        if self.target in context.broken:
            return False
        field = context.fields.get(self.target)
        if field is None:
            context.misfit(
                f"`target` names the data field `{self.target}`, which does not exist",
                (*path, "target"),
                did_you_mean(self.target, context.fields, "field"),
            )
            return False
        scores, target = types[output], field.raw_type(context.dims)
        without = TensorType(target.dtype, scores.shape[:2])
        fixed = scores.rank == 3 and isinstance(scores.shape[2], int)
        if (
            not fixed
            or not scores.dtype.is_float
            or target.dtype not in INTEGERS
            or not same_shape(without, target)
        ):
            context.misfit(
                f"{self.title} expects scores f32[B, T, K] and targets i64[B, T], found `{output}` "
                f"{scores} and `{self.target}` {target}",
                path,
                "let the network end with `linear: K`, for K tokens"
                if scores.rank > 2
                else "give scores for every step: of a recurrent layer read the port `sequence`",
            )
            return False
        assert isinstance(scores.shape[2], int)
        return self._knows_all(output, scores.shape[2], context, path)

    def _knows_all(self, output: str, scored: int, context: Context, path: Key) -> bool:
        total = context.fields[self.target].class_total
        if total is None or total == scored:
            return True
        context.misfit(
            f"{self.title} expects a score for each of the {total} tokens of `{self.target}`, "
            f"found {scored} in `{output}`",
            path,
            f"give the layer that makes the scores {total} features",
        )
        return False

    def _check_carry(self, stepped: Stepped, context: Context, path: Key) -> None:
        if not self.carry:
            return
        if context.source and not isinstance(context.source, Text):
            message = (
                "`carry` expects samples that go on from each other, as those of the source "
                f"`text`, found the source `{context.source.name}`"
            )
            problem = Problem(Code.O502, message, ("carry",), help="remove `carry`")
            context.report(problem, path)
        elif not stepped.states or stepped.longest is not None:
            why = "has no state" if not stepped.states else "sees a limited number of steps"
            message = f"`carry` expects a state that can go on for ever, found a network that {why}"
            problem = Problem(Code.O502, message, ("carry",), help="remove `carry`")
            context.report(problem, path)

    def _check_sample(self, context: Context, path: Key) -> None:
        if self.sample and context.source and not isinstance(context.source, Text):
            problem = Problem(
                Code.O502,
                f"`sample` expects data of the source `text`, found `{context.source.name}`",
                ("sample",),
                help="remove it",
            )
            context.report(problem, path)

    def _check_longest(self, stepped: Stepped, context: Context, path: Key) -> None:
        """Whether there is room to generate: each token that is drawn is read, too."""
        most = stepped.longest
        if most is None:
            return
        if most < 2:
            context.misfit(
                f"{self.title} expects a network that sees 2 steps or more, found one that sees 1",
                (*path, "network"),
                f"raise the `max` of `{stepped.graph.time}` in `dims`",
            )
        elif (found := self._prompt_tokens(context.source)) >= most:
            message = (
                f"`prompt` expects at most {most - 1} tokens, since the network sees {most} steps "
                f"and one is drawn, found {found}"
            )
            problem = Problem(Code.O502, message, ("sample", "prompt"), help="write a shorter one")
            context.report(problem, path)

    def _prompt_tokens(self, source: Source | None) -> int:
        """How many tokens the prompt of `sample` has; 0 without one."""
        if not self.sample or not isinstance(source, Text):
            return 0
        prompt = self.sample.prompt
        return len(prompt.encode() if source.unit == "byte" else prompt)

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
