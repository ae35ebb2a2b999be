"""Learn a code of whole numbers: vectors of a learned codebook take the place of the encoder's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from ..ir.graph import Graph, Node, Parameter, TensorRef, Value
from ..ir.shapes import TensorType
from ..ops.vector_quantize import CodebookLookup, VectorQuantize
from .base import Context
from .compared_decoder import ComparedDecoder
from .fields import Field
from .program import ProgramBuilder

if TYPE_CHECKING:
    from .encoder_decoder_checks import EncoderDecoderChecks

QUANTIZED, INDICES, COMMITMENT = "quantized", "indices", "commitment"


class VqVae(ComparedDecoder):
    """Make the difference between a sample and what the decoder makes of its quantized code small.

    The encoder ends with `vector_quantize` and gives its ports `quantized`, `indices` and
    `commitment`. The loss is that of the reconstruction, a mean over the elements, and the
    commitment of the codes, whose weight is an argument of the layer.

    `usage` is the share of the codes that are used at all in the samples that are measured, and
    `perplexity` how many there would be if all were used alike: exp of the entropy of the indices.

    Programs: `encode` gives the `indices` of raw samples, and the vectors of the codebook that they
    stand for as `quantized`; `decode` makes data of indices; `reconstruct` does both; `score` gives
    the mean squared `error` of each sample's reconstruction, and its `commitment`. All take and
    give raw units.

    Source: van den Oord et al. 2017.
    """

    name: ClassVar[str] = "vq_vae"
    title: ClassVar[str] = "the objective `vq_vae`"
    program_names: ClassVar[tuple[str, ...]] = ("encode", "decode", "reconstruct", "score")
    interpolates: ClassVar[bool] = False

    @property
    def encoder_outputs(self) -> tuple[str, ...]:
        return (QUANTIZED, INDICES, COMMITMENT)

    def figures(self) -> dict[str, bool]:
        return {**super().figures(), "perplexity": True, "usage": True}

    def quantizer(self, graphs: Mapping[str, Graph]) -> Node | None:
        """The layer that quantizes; None where the outputs are not those of one."""
        graph = self.encoder_graph(graphs)
        given = [graph.outputs[name].name for name in self.encoder_outputs]
        node = graph.producers().get(given[0])
        if node is None or not isinstance(node.op, VectorQuantize):
            return None
        return node if given == [value.name for value in node.outputs] else None

    def layer(self, graphs: Mapping[str, Graph]) -> tuple[Node, VectorQuantize]:
        """The layer that quantizes, and its operator. The section must have passed `check`."""
        node = self.quantizer(graphs)
        assert node, "it is checked that one layer makes all three outputs"
        assert isinstance(node.op, VectorQuantize)
        return node, node.op

    def check_rest(
        self,
        checks: EncoderDecoderChecks,
        encoded: Mapping[str, TensorType],
        decoded: Mapping[str, TensorType],
    ) -> None:
        if self.quantizer(checks.graphs) is None:
            checks.misfit(
                "the outputs `quantized`, `indices` and `commitment` of the encoder expect to be "
                f"the ports of one `vector_quantize`, found {self._found(checks.graphs)}",
                "encoder",
                "write `{id: vq, vector_quantize: 256}` and `outputs: {quantized: vq.quantized, "
                "indices: vq.indices, commitment: vq.commitment}`",
            )

    def _found(self, graphs: Mapping[str, Graph]) -> str:
        """What the encoder's outputs are, in words."""
        graph = self.encoder_graph(graphs)
        values = {name: graph.outputs[name].name for name in self.encoder_outputs}
        return ", ".join(f"`{name}: {value}`" for name, value in values.items())

    # Programs

    def programs(self, context: Context) -> dict[str, Graph]:
        return {
            "encode": self._encode(context),
            "decode": self._decode(context),
            "reconstruct": self.reconstruct_program(context),
            "score": self._score(context),
        }

    def _encode(self, context: Context) -> Graph:
        b, graphs = ProgramBuilder("encode", context), context.graphs
        ready = self.ready(b, self.encoder_fields(graphs).values())
        found = self.encoded(b, graphs, ready)
        return b.graph({name: found[name] for name in (INDICES, QUANTIZED)})

    def _decode(self, context: Context) -> Graph:
        b, lookup = ProgramBuilder("decode", context), self._lookup(context.graphs)
        indices = b.input(INDICES, lookup.inputs[0].type)
        ready = self.ready(b, self.conditions(context.graphs))
        code = b.call(lookup, [indices])[QUANTIZED]
        return b.graph({self.target: self.made(b, context, code, ready)})

    def _score(self, context: Context) -> Graph:
        b, graphs = ProgramBuilder("score", context), context.graphs
        ready = self.ready(b, (*self.source_fields(graphs), self.target))
        found = self.encoded(b, graphs, ready)
        error = self.error(b, context, found[QUANTIZED], ready)
        return b.graph({"error": error, COMMITMENT: found[COMMITMENT]})

    def _lookup(self, graphs: Mapping[str, Graph]) -> Graph:
        """The graph that looks vectors of the codebook up; it uses the encoder's own tensor."""
        (node, made_by), encoder = self.layer(graphs), self.encoder_graph(graphs)
        size = node.outputs[0].type.shape[1]
        assert isinstance(size, int)
        op = CodebookLookup(codes=made_by.codes, dim=size, trainable=made_by.update == "gradient")
        indices = Value(INDICES, node.outputs[1].type)
        (kind,) = op.inferred((indices.type,))
        weights = {p.key: _stored(node, p, encoder.name) for p in op.declared((indices.type,))}
        made = Value(node.path, kind)
        layer = Node(
            node.path, op, (indices,), (made,), weights, shares=node.path, network=encoder.name
        )
        return Graph(f"{encoder.name}.codes", (indices,), (layer,), {QUANTIZED: made})

    def other_inputs(
        self, fields: Mapping[str, Field], graphs: Mapping[str, Graph]
    ) -> dict[str, Field]:
        node, op = self.layer(graphs)
        rest = ["B", *node.outputs[1].type.shape[1:]]
        codes = Field(shape=rest, dtype="int64", below=op.codes)
        return {**super().other_inputs(fields, graphs), INDICES: codes}


def _stored(node: Node, parameter: Parameter, network: str) -> TensorRef:
    """Where the quantizer keeps a tensor, as another graph refers to it."""
    ref = node.weights[parameter.key]
    return ref if ref.network else TensorRef(ref.name, network, ref.transpose)
