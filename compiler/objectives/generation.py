"""The program `generate`: a prompt is read, then one token after the other is drawn and read.

One loop over the network as it runs step by step, so that each token costs the same however many
came before (but for attention, which looks at all of them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ir.builder import GraphBuilder
from ..ir.dims import Poly, Symbol
from ..ir.graph import Graph, Value
from ..ir.shapes import DType, TensorType
from ..ir.structure import Call, Loop
from ..ops.axes import Unsqueeze
from ..ops.generation import NO_TOKEN, AppendToken, DrawToken, Full, GoOn, SizeOf
from ..ops.sequence_pooling import LastStep
from ..streaming.stepped import State, Stepped

SETTINGS = ("temperature", "top_k", "stop")
"""What the program is told beside prompt and random numbers, one number each."""


def generate_program(stepped: Stepped, output: str, dims: Mapping[str, Symbol]) -> Graph:
    """The program that goes on from a prompt.

    Inputs: `prompt` i64[B, P]; `random` f32[N, B], a number in [0, 1) for each token to draw;
    `temperature` f32[]; `top_k` i64[]; `stop` i64[], a token that ends a sample, or -1.
    Outputs: `tokens` i64[B, N], -1 behind a sample's end; `lengths` i64[B], how many were drawn.

    It ends where all samples have, and where the network can see no more steps.

    Args:
        stepped: the network. output: the one with the scores.
        dims: the spec's sizes, whose names the program's own ones avoid.
    """
    return _Generation(stepped, output, dims).graph()


class _Generation:
    """The program and the body of its loop, which carry the same values."""

    def __init__(self, stepped: Stepped, output: str, dims: Mapping[str, Symbol]) -> None:
        self._stepped, self._output = stepped, output
        (tokens,) = [v for v in stepped.graph.inputs if v.name not in stepped.graph.states]
        self._batch = tokens.type.shape[0]
        # The loop reads each token that it draws, so the prompt leaves room for one at least.
        most = None if stepped.longest is None else stepped.longest - 1
        self._read = Poly.of(Symbol(_fresh("P", dims), 1, most))
        self._drawn = Poly.of(Symbol(_fresh("N", dims), 1))
        self._dtype = tokens.type.dtype

    def graph(self) -> Graph:
        b = GraphBuilder("generate")
        prompt = b.input("prompt", TensorType(self._dtype, (self._batch, self._read)))
        random = b.input("random", TensorType(DType.F32, (self._drawn, self._batch)))
        settings = [b.input(name, kind) for name, kind in zip(SETTINGS, _KINDS, strict=True)]
        begin = [self._zeros(b, prompt, state) for state in self._stepped.states]
        scores, states = self._network(b, "reading", prompt, begin)
        start = [scores, *self._nothing(b, prompt, random), *settings, *states]
        count = b.add("count", SizeOf(size=self._drawn), random)
        loop = Loop(self._body(start), len(start), self._drawn, condition=True)
        results = b.add_n("generation", loop, count, *start, random)
        return b.graph(tokens=results[1], lengths=results[2])

    def _zeros(self, b: GraphBuilder, like: Value, state: State) -> Value:
        dtype, shape = state.type.dtype.value, state.type.shape
        return b.add(state.input, Full(dtype=dtype, shape=shape), like)

    def _nothing(self, b: GraphBuilder, prompt: Value, random: Value) -> Sequence[Value]:
        """No tokens, their lengths, and that no sample has ended."""
        shape = (self._batch, self._drawn)
        tokens = Full(value=NO_TOKEN, dtype="i64", shape=shape)
        return (
            b.add("no_tokens", tokens, random),
            b.add("no_lengths", Full(dtype="i64", shape=shape[:1]), random),
            b.add("none_done", Full(dtype="bool", shape=shape[:1]), random),
        )

    def _network(
        self, b: GraphBuilder, path: str, tokens: Value, states: Sequence[Value]
    ) -> tuple[Value, list[Value]]:
        """Read some tokens: the scores of what follows the last one, and the states behind it."""
        graph = self._stepped.graph
        made = b.add_n(path, Call(graph), tokens, *states)
        found = dict(zip(graph.outputs, made, strict=True))
        after = [found[name] for name in self._stepped.graph.states.values()]
        return b.add(f"{path}_scores", LastStep(), found[self._output]), after

    def _body(self, start: Sequence[Value]) -> Graph:
        b = GraphBuilder("generate_step")
        step = b.input("step", TensorType(DType.I64, ()))
        names = ["scores", "tokens", "lengths", "done", *SETTINGS, *self._stepped.graph.states]
        given = {n: b.input(n, v.type) for n, v in zip(names, start, strict=True)}
        random = b.input("random", TensorType(DType.F32, (self._batch,)))
        heat, top_k, stop = (given[name] for name in SETTINGS)
        token = b.add("token", DrawToken(), given["scores"], random, heat, top_k)
        before = [given[name] for name in ("tokens", "lengths", "done")]
        tokens, lengths, done = b.add_n("appended", AppendToken(), *before, token, stop, step)
        states = [given[name] for name in self._stepped.graph.states]
        chunk = b.add("chunk", Unsqueeze(axis=1), token)
        scores, after = self._network(b, "next", chunk, states)
        going = self._going(b, done, after)
        kept = [scores, tokens, lengths, done, heat, top_k, stop, *after]
        return b.graph(go_on=going, **{f"{n}_next": v for n, v in zip(names, kept, strict=True)})

    def _going(self, b: GraphBuilder, done: Value, after: Sequence[Value]) -> Value:
        """Whether a sample has not ended and the network can read one more token."""
        longest, counter = self._stepped.longest, self._stepped.counter
        if longest is None or counter is None:
            return b.add("going", GoOn(), done, None)
        behind = dict(zip(self._stepped.graph.states, after, strict=True))
        return b.add("going", GoOn(limit=longest), done, behind[counter.input])


_KINDS = (
    TensorType(DType.F32, ()),
    TensorType(DType.I64, ()),
    TensorType(DType.I64, ()),
)


def _fresh(name: str, dims: Mapping[str, Symbol]) -> str:
    while name in dims:
        name += "_"
    return name
