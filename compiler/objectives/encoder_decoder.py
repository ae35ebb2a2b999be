"""What objectives share that learn a code: an encoder makes it, a decoder makes data of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar

from pydantic import Field as Setting

from ..ir.graph import Graph, Operator, Value
from ..ir.shapes import TensorType
from ..ops.activations import Sigmoid
from ..ops.latent import Interpolate
from ..ops.likelihood import MeanSquare
from ..source import Key
from .base import Context, Labels, Objective
from .binding import field_name
from .code_metrics import CODE_METRICS, Auroc, CodeMetric
from .encoder_decoder_checks import CODE, EncoderDecoderChecks
from .fields import Field
from .id_room import with_room
from .likelihoods import SAME_SIZE
from .network_use import NetworkUse
from .program import ProgramBuilder, fresh
from .section import OneKey
from .source import Source

ENDS, FRACTION = ("start", "end"), "fraction"
"""What inputs of `interpolate` begin with, and the one that says how far to go."""

Ready = Mapping[str, Value]
"""Data field -> what networks read of it, in a program."""


class Decoder(NetworkUse):
    """The decoder, and what its inputs take: the code, or data fields."""

    title: ClassVar[str] = "`decoder`"

    inputs: dict[str, str] = Setting(
        default={},
        description="Input -> data field, or `z` for the code, which the input named `z` takes by "
        "itself.",
    )


class EncoderDecoder(Objective):
    """An encoder that makes a code of a sample, and a decoder that makes the sample of its code.

    A field that both read, such as a label, is a condition: programs that decode take it too.
    """

    interpolates: ClassVar[bool] = True
    """Whether codes between two others mean something."""

    spherical: ClassVar[bool] = False
    """Whether `interpolate` goes along the arc between codes, as far from 0 as they are."""

    encoder: NetworkUse = Setting(description="The network that makes the code.")
    decoder: Decoder = Setting(description="The network that makes data of a code.")
    target: str = Setting(description="The data field that the decoder's output is compared with.")
    metrics: list[Annotated[CodeMetric, OneKey(CODE_METRICS, "metric")]] = Setting(
        default=[], description="What is measured besides, on validation and test samples."
    )

    has_density: ClassVar[bool] = False
    """Whether it says how likely samples are."""

    judge: ClassVar[str] = "loss"
    """The setting that says how the decoder's output is compared with the target."""

    instead: ClassVar[str]
    """What messages offer for targets outside [0, 1]."""

    # What each objective says of itself

    @property
    @abstractmethod
    def judged_by(self) -> str:
        """What compares the decoder's output with the target, in messages."""

    def check_rest(
        self,
        checks: EncoderDecoderChecks,
        encoded: Mapping[str, TensorType],
        decoded: Mapping[str, TensorType],
    ) -> None:
        """Report what does not fit of the objective's own, once encoder and decoder do.

        encoded, decoded: the types of their outputs for the data at hand.
        """

    @property
    def gives_logits(self) -> bool:
        """Whether the decoder gives scores, whose sigmoid is what is made."""
        return False

    @property
    def gives_values(self) -> bool:
        """Whether the decoder's output is what is made."""
        return not self.gives_logits

    def expectation(self, field: Field) -> tuple[str, Operator] | None:
        """What makes a sample of the decoder's output, and its name; None where that is it.

        field: the target's.
        """
        return ("probabilities", Sigmoid()) if self.gives_logits else None

    def output_type(self, target: TensorType) -> TensorType:
        """Of the decoder's output that is compared with such a target."""
        return target

    def size_help(self, target: TensorType) -> str:
        """What messages say of a decoder's output of another type."""
        return SAME_SIZE

    def check_field(self, checks: EncoderDecoderChecks) -> bool:
        """Report what the objective cannot take of the target's field, and say if it can."""
        return True

    @property
    def encoder_outputs(self) -> tuple[str, ...]:
        """The encoder's outputs by their names; () where it has one of any name."""
        return ()

    @property
    def decoder_outputs(self) -> tuple[str, ...]:
        """The same of the decoder; the first is what is made."""
        return ()

    # What it refers to

    def networks(self) -> dict[str, str]:
        return {"encoder": self.encoder.network, "decoder": self.decoder.network}

    def encoder_graph(self, graphs: Mapping[str, Graph]) -> Graph:
        return graphs[self.encoder.network]

    def decoder_graph(self, graphs: Mapping[str, Graph]) -> Graph:
        return graphs[self.decoder.network]

    def encoder_fields(self, graphs: Mapping[str, Graph]) -> dict[str, str]:
        """Input of the encoder -> data field, in the order of the inputs."""
        inputs = self.encoder_graph(graphs).inputs
        return {v.name: field_name(v.name, self.encoder.inputs) for v in inputs}

    def decoder_sources(self, graphs: Mapping[str, Graph]) -> dict[str, str]:
        """Input of the decoder -> data field or `z`, in the order of the inputs."""
        inputs = self.decoder_graph(graphs).inputs
        return {v.name: field_name(v.name, self.decoder.inputs) for v in inputs}

    def conditions(self, graphs: Mapping[str, Graph]) -> list[str]:
        """The data fields that the decoder reads."""
        sources = self.decoder_sources(graphs).values()
        return [name for name in dict.fromkeys(sources) if name != CODE]

    def code_output(self, graph: Graph) -> str:
        """The encoder's output that is the code of a sample."""
        return self.encoder_outputs[0] if self.encoder_outputs else next(iter(graph.outputs))

    def made_output(self, graph: Graph) -> str:
        """The decoder's output that is compared with the target."""
        return self.decoder_outputs[0] if self.decoder_outputs else next(iter(graph.outputs))

    def code_type(self, graphs: Mapping[str, Graph]) -> TensorType:
        """Of the decoder's input that takes the code."""
        sources, inputs = self.decoder_sources(graphs), self.decoder_graph(graphs).inputs
        return next(value.type for value in inputs if sources[value.name] == CODE)

    def source_fields(self, graphs: Mapping[str, Graph]) -> list[str]:
        """The data fields that the networks read, each once."""
        read = (*self.encoder_fields(graphs).values(), *self.conditions(graphs))
        return list(dict.fromkeys(read))

    def reads(self, context: Context) -> set[str]:
        looked_at = {name for metric in self.metrics for name in metric.reads}
        if label := coloring_field(context.fields):
            looked_at.add(label)
        return {*self.source_fields(context.graphs), self.target, *looked_at}

    def own_names(self, graphs: Mapping[str, Graph]) -> set[str]:
        """What programs call inputs and outputs that are no data fields; no field has these names.

        A field that no program reads may.
        """
        names = {CODE, "error", *self.encoder_outputs}
        if not self.interpolates:
            return names
        ends = {f"{end}_{name}" for end in ENDS for name in self.encoder_fields(graphs).values()}
        return {*names, FRACTION, *ends}

    def inputs_only(self, graphs: Mapping[str, Graph]) -> list[str]:
        return [name for name in self.source_fields(graphs) if name != self.target]

    def label_rules(self, context: Context) -> dict[str, Labels]:
        graphs = context.graphs
        rules = with_room({}, self.encoder_graph(graphs), self.encoder_fields(graphs))
        rules = with_room(rules, self.decoder_graph(graphs), self.decoder_sources(graphs))
        return {name: rule for name, rule in rules.items() if name != CODE}

    def other_sources(self) -> dict[str, Source]:
        return {m.label: m.source for m in self.metrics if isinstance(m, Auroc)}

    def figures(self) -> dict[str, bool]:
        always = {m.label: m.higher_is_better for m in self.metrics if not m.at_end}
        return {"mse": False, **always}

    # Programs

    def encoded(self, b: ProgramBuilder, graphs: Mapping[str, Graph], ready: Ready) -> Ready:
        """Call the encoder: output -> value."""
        read = [ready[name] for name in self.encoder_fields(graphs).values()]
        return b.call(self.encoder_graph(graphs), read)

    def decoded(
        self, b: ProgramBuilder, graphs: Mapping[str, Graph], code: Value, ready: Ready
    ) -> Ready:
        """Call the decoder: output -> value."""
        sources = self.decoder_sources(graphs).values()
        read = [code if name == CODE else ready[name] for name in sources]
        return b.call(self.decoder_graph(graphs), read)

    def expected(self, b: ProgramBuilder, context: Context, made: Ready) -> Value:
        """The sample that the decoder expects, in the units that the network sees."""
        x = made[self.made_output(self.decoder_graph(context.graphs))]
        step = self.expectation(context.fields[self.target])
        return b.apply(*step, x)[0] if step else x

    def raw(self, b: ProgramBuilder, context: Context, x: Value) -> Value:
        """The same in the raw units of the target."""
        field = context.fields[self.target]
        return b.raw(field, x, f"{self.target}_raw") if field.is_transformed else x

    def made(self, b: ProgramBuilder, context: Context, code: Value, ready: Ready) -> Value:
        """A sample made of a code, in the raw units of the target."""
        made = self.decoded(b, context.graphs, code, ready)
        return self.raw(b, context, self.expected(b, context, made))

    def encode_program(self, context: Context) -> Graph:
        """Raw fields in, what the encoder gives out."""
        b, graphs = ProgramBuilder("encode", context), context.graphs
        found = self.encoded(b, graphs, self.ready(b, self.encoder_fields(graphs).values()))
        names = self.encoder_outputs or (self.code_output(self.encoder_graph(graphs)),)
        return b.graph({name: found[name] for name in names})

    def decode_program(self, context: Context) -> Graph:
        """A code in, and conditions where there are any; a sample out."""
        b = ProgramBuilder("decode", context)
        code = b.input(CODE, self.code_type(context.graphs))
        ready = self.ready(b, self.conditions(context.graphs))
        return b.graph({self.target: self.made(b, context, code, ready)})

    def reconstruct_program(self, context: Context) -> Graph:
        """Raw fields in, the same sample as the decoder makes it of its code out."""
        b, graphs = ProgramBuilder("reconstruct", context), context.graphs
        ready = self.ready(b, self.source_fields(graphs))
        code = self.encoded(b, graphs, ready)[self.code_output(self.encoder_graph(graphs))]
        name = reconstruction(context.fields)
        return b.graph({name: self.made(b, context, code, ready)})

    def interpolate_program(self, context: Context) -> Graph:
        """Two samples and a fraction in; what lies between their codes out."""
        b, graphs = ProgramBuilder("interpolate", context), context.graphs
        shared = self.conditions(graphs)
        ready, codes = self.ready(b, shared), []
        own = [name for name in self.encoder_fields(graphs).values() if name not in shared]
        for end in ENDS:
            given = {name: b.field(name, called=f"{end}_{name}") for name in dict.fromkeys(own)}
            made = self.encoded(b, graphs, {**ready, **given})
            codes.append(made[self.code_output(self.encoder_graph(graphs))])
        fraction = b.input(FRACTION, TensorType(codes[0].type.dtype, codes[0].type.shape[:1]))
        (code,) = b.apply("between", Interpolate(spherical=self.spherical), *codes, fraction)
        return b.graph({self.target: self.made(b, context, code, ready)})

    def error_program(self, context: Context) -> Graph:
        """Raw fields in, the mean squared error of each sample's reconstruction out."""
        b, graphs = ProgramBuilder("score", context), context.graphs
        ready = self.ready(b, (*self.source_fields(graphs), self.target))
        code = self.encoded(b, graphs, ready)[self.code_output(self.encoder_graph(graphs))]
        return b.graph({"error": self.error(b, context, code, ready)})

    def error(self, b: ProgramBuilder, context: Context, code: Value, ready: Ready) -> Value:
        """The mean squared error of what the decoder makes of a code, as networks see data."""
        made = self.expected(b, context, self.decoded(b, context.graphs, code, ready))
        return b.apply("error", MeanSquare(), made, ready[self.target])[0]

    def ready(self, b: ProgramBuilder, names: Iterable[str]) -> Ready:
        """What networks read of data fields, which the program takes raw."""
        return {name: b.field(name) for name in dict.fromkeys(names)}

    def other_inputs(
        self, fields: Mapping[str, Field], graphs: Mapping[str, Graph]
    ) -> dict[str, Field]:
        if not self.interpolates:
            return {}
        own = {name: fields[name] for name in self.encoder_fields(graphs).values()}
        ends = {f"{end}_{name}": field for end in ENDS for name, field in own.items()}
        return {**ends, FRACTION: Field(shape=["B"], dtype="float32", range=[0, 1])}

    def imitated(self, fields: Mapping[str, Field]) -> dict[str, str]:
        return {self.target: self.target, reconstruction(fields): self.target}

    def check(self, context: Context, path: Key) -> None:
        EncoderDecoderChecks(self, context, path).run()


def reconstruction(fields: Mapping[str, Field]) -> str:
    """The output of `reconstruct`: no name of a field."""
    return fresh("reconstruction", {*fields})


def coloring_field(fields: Mapping[str, Field]) -> str | None:
    """The first field of one class for each sample, by which pictures of codes are coloured."""
    for name, field in fields.items():
        if field.class_total is not None and field.rank == 1:
            return name
    return None
