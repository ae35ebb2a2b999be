"""L910."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from ..diagnostics import Code, Diagnostic
from ..ir.dims import Dim
from ..ir.graph import Graph, Node, Value
from ..ir.proofs import equal
from ..objectives.seq2seq import Seq2Seq
from ..ops.attention import CrossAttention, SelfAttention
from ..ops.base import Op
from ..ops.global_pooling import GlobalAvgPool, GlobalPooling
from ..ops.luong_attention import LuongAttention
from ..ops.recurrent import Recurrent
from ..ops.reduce import Max, Mean
from ..ops.slicing import Select
from .base import LintContext, warning


def padding_as_data(context: LintContext) -> Iterator[Diagnostic]:
    """A layer that takes the padding of a sequence for data.

    What it does: follows data fields with `lengths` through the network, and finds layers that mix
    their steps without knowing the lengths: those whose port `lengths` is not wired, such as `gru`,
    `self_attention`, `masked_mean` and a decoder's `luong_attention` to what an encoder made of
    them, and `mean`, `max`, `select: -1`, `global_avg_pool` and `global_max_pool` over the steps.
    Layers that only look back are left out, since no real step
    sees padding there: `self_attention` with `causal`, and recurrent layers in one direction of
    which the sequence alone is read.

    Why it is bad: what the network says of a sample then depends on how far it was padded. In use,
    beside other samples, that is another length, and the answer is another one.

    Example: with the field `tokens: {shape: [B, T], dtype: int64, below: 500, lengths: n}`

        - {from: tokens, embedding: {size: 500, dim: 16}}
        - {id: rnn, from: {lengths: n}, gru: 32}
        - {from: rnn.sequence, mean: 1}

    Use instead:

        - {from: tokens, embedding: {size: 500, dim: 16}}
        - {id: rnn, from: {lengths: n}, gru: 32}
        - {from: {x: rnn.sequence, lengths: n}, masked_mean: {}}
    """
    found: dict[Node, Padded] = {}
    for graph, value, padded in _inputs(context):
        found |= dict.fromkeys(_mixing(graph, value, padded.steps), padded)
    for span, nodes in context.sites.items():
        node = next((node for node in nodes if node in found), None)
        if node is not None:
            yield warning(
                Code.L910,
                f"`{node.op.name}` mixes the steps of `{found[node].field}` without its lengths: "
                "padding counts as data",
                span,
                help=_next_step(node, found[node].lengths),
            )


@dataclass(frozen=True)
class Padded:
    """A padded field: its name, the network's input that holds its lengths, its size of axis 1."""

    field: str
    lengths: str
    steps: Dim


def _inputs(context: LintContext) -> Iterator[tuple[Graph, Value, Padded]]:
    """The padded inputs of networks."""
    objective, graphs = context.objective, context.graphs
    for graph, bound in context.readers():
        yield from _fields(graph, bound, context)
    if isinstance(objective, Seq2Seq):
        encoder = graphs[objective.encoder.network]
        read = list(_fields(encoder, objective.encoder_fields(graphs), context))
        yield from read
        sources = objective.decoder_sources(graphs)
        decoder = graphs[objective.decoder.network]
        own = {p: n for p, n in sources.items() if n in context.fields and n != objective.target}
        yield from _fields(decoder, own, context)
        yield from _encoded(objective, [padded for _, _, padded in read], context)


def _fields(
    graph: Graph, bound: Mapping[str, str], context: LintContext
) -> Iterator[tuple[Graph, Value, Padded]]:
    """Inputs that read padded fields, of a network that reads their lengths. bound: to a field."""
    ports = {field: port for port, field in bound.items()}
    for value in (value for value in graph.inputs if value.name in bound):
        lengths = context.fields[bound[value.name]].lengths
        if lengths in ports:
            yield graph, value, Padded(bound[value.name], ports[lengths], value.type.shape[1])


def _encoded(
    objective: Seq2Seq, read: Sequence[Padded], context: LintContext
) -> Iterator[tuple[Graph, Value, Padded]]:
    """Inputs of the decoder that the encoder gives, with the steps of what it read."""
    sources = objective.decoder_sources(context.graphs)
    encoder = context.graphs[objective.encoder.network]
    ports = {name: port for port, name in sources.items()}
    graph = context.graphs[objective.decoder.network]
    for value in graph.inputs:
        output = objective.encoded(sources[value.name])
        for padded in read if output is not None and value.type.rank > 1 else ():
            made = encoder.outputs[output or ""].type
            if equal(made.shape[1], padded.steps) is True:
                lengths = context.fields[padded.field].lengths or ""
                steps = value.type.shape[1]
                yield graph, value, Padded(padded.field, ports.get(lengths, lengths), steps)


def _mixing(graph: Graph, start: Value, steps: Dim) -> Iterator[Node]:
    """The layers that mix the steps of what is made of a padded input, padding included."""
    used = graph.users().keys() | {value.name for value in graph.outputs.values()}
    sequences = {start.name}
    for node in graph.nodes:
        read = [value for value in node.reads() if value.name in sequences]
        if read:
            sequences |= {v.name for v in node.outputs if _axis(v, steps) is not None}
        if any(_counts_padding(node, value, steps, used) for value in read):
            yield node


def _axis(value: Value, steps: Dim) -> int | None:
    """Where the steps are."""
    sizes = enumerate(value.type.shape[1:], 1)
    return next((axis for axis, size in sizes if equal(size, steps) is True), None)


def _counts_padding(node: Node, value: Value, steps: Dim, used: Set[str]) -> bool:
    """Whether a layer mixes the steps of an input without knowing its lengths.

    used: the values that a layer reads or the network gives.
    """
    axis, op = _axis(value, steps), node.op
    if axis is None or value.type.rank < 3:
        return False
    if isinstance(op, Mean | Max):
        return axis in [a % value.type.rank for a in op.axes]
    if isinstance(op, Select):
        return axis == op.axis % value.type.rank and op.index < 0
    if isinstance(op, GlobalPooling):
        return axis > 1
    return axis == 1 and _ignores_lengths(node, value) and not _only_looks_back(node, used)


def _ignores_lengths(node: Node, value: Value) -> bool:
    """Whether a layer could take the lengths of this input and does not."""
    if not isinstance(node.op, Op):
        return False
    given = {port.name: v for port, v in zip(node.op.ports, node.inputs, strict=False)}
    counted = given.get("context" if isinstance(node.op, CrossAttention | LuongAttention) else "x")
    return counted == value and "lengths" in given and given["lengths"] is None


def _only_looks_back(node: Node, used: Set[str]) -> bool:
    if isinstance(node.op, SelfAttention):
        return node.op.causal
    ends = [value.name for value in node.outputs[1:]]
    return (
        isinstance(node.op, Recurrent)
        and not node.op.bidirectional
        and not any(name in used for name in ends)
    )


def _next_step(node: Node, lengths: str) -> str:
    wire = f"`from: {{x: ..., lengths: {lengths}}}`"
    if isinstance(node.op, Mean | Max):
        return f"use `masked_{node.op.name}` with {wire}"
    if isinstance(node.op, Select):
        return f"use `last_step` with {wire}"
    if isinstance(node.op, GlobalPooling):
        name = "masked_mean" if isinstance(node.op, GlobalAvgPool) else "masked_max"
        return f"bring the steps to axis 1 by `transpose`, and use `{name}` with {wire}"
    return f"wire its port `lengths` to `{lengths}`: `from: {{lengths: {lengths}}}`"
