"""The program `translate`: what is read is encoded, then the likeliest token is taken and read on.

One loop over the decoder as it runs step by step, so that each token costs the same however many
came before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ir.builder import GraphBuilder
from ..ir.graph import Graph, Value
from ..ir.shapes import DType, TensorType
from ..ir.structure import Call, Loop
from ..ops.axes import Unsqueeze
from ..ops.generation import NO_TOKEN, AppendToken, Full, GoOn, SizeOf
from ..ops.reduce import Argmax
from ..ops.sequence_pooling import LastStep
from ..streaming.stepped import Stepped
from .program import ProgramBuilder, fresh

TOKEN = TensorType(DType.I64, ())

CARRIED = ("token", "tokens", "lengths", "done")
"""What the loop carries besides what the decoder reads."""

PATHS = ("step", "chunk", "next", "scores", "likeliest", "stop", "appended", "going")
"""The names in the loop's body that nothing which it carries may have."""


class Translation:
    """The loop of the program and its body, which carry the same values.

    Args:
        stepped: the decoder. port: its input of tokens. output: its scores.
        begin, end: the tokens that an answer begins behind and ends with.
        longest: how many tokens there may be, the end included.
    """

    def __init__(
        self, stepped: Stepped, port: str, output: str, begin: int, end: int, longest: int
    ) -> None:
        self._stepped, self._port, self._output = stepped, port, output
        self._begin, self._end, self._longest = begin, end, longest
        inputs = stepped.graph.inputs
        self._given = [v.name for v in inputs if v.name not in (port, *stepped.graph.states)]
        (self._batch, *_) = next(v.type.shape for v in inputs if v.name == port)
        self._read = [*stepped.graph.states, *self._given]

    def run(
        self, b: ProgramBuilder, like: Value, given: Mapping[str, Value]
    ) -> tuple[Value, Value]:
        """Put the loop into a program.

        Args:
            like: a value of the program that has the batch as a size.
            given: input of the decoder -> value, but for the tokens and states that begin as zeros.
        Returns: tokens i64[B, longest], -1 behind an answer's end; lengths i64[B].
        """
        states = [given.get(s.input) or self._zeros(b, like, s.type) for s in self._stepped.states]
        start = [*self._nothing(b, like), *states, *(given[name] for name in self._given)]
        (count,) = b.apply("count", SizeOf(size=self._longest), like)
        loop = Loop(self._body(start), len(start), self._longest, condition=True)
        _, tokens, lengths, *_ = b.apply("translation", loop, count, *start)
        return tokens, lengths

    def _zeros(self, b: ProgramBuilder, like: Value, kind: TensorType) -> Value:
        (made,) = b.apply("zeros", Full(dtype=kind.dtype.value, shape=kind.shape), like)
        return made

    def _nothing(self, b: ProgramBuilder, like: Value) -> Sequence[Value]:
        """The token to begin with, no tokens, their lengths, and that no answer has ended."""
        rows, tokens = (self._batch,), (self._batch, self._longest)
        parts = {
            "first": Full(value=self._begin, dtype="i64", shape=rows),
            "no_tokens": Full(value=NO_TOKEN, dtype="i64", shape=tokens),
            "no_lengths": Full(dtype="i64", shape=rows),
            "none_done": Full(dtype="bool", shape=rows),
        }
        return [b.apply(name, op, like)[0] for name, op in parts.items()]

    def _body(self, start: Sequence[Value]) -> Graph:
        b, taken = GraphBuilder("translate_step"), set(PATHS)
        step = b.input("step", TOKEN)
        names = [fresh(name, taken) for name in (*CARRIED, *self._read)]
        values = [b.input(n, v.type) for n, v in zip(names, start, strict=True)]
        (token, *before), read = values[: len(CARRIED)], values[len(CARRIED) :]
        given = dict(zip(self._read, read, strict=True))
        chunk = b.add("chunk", Unsqueeze(axis=1), token)
        scores, after = self._network(b, chunk, given)
        token = b.add("likeliest", Argmax(axis=1), scores)
        stop = b.add("stop", Full(value=self._end, dtype="i64", shape=()), token)
        tokens, lengths, done = b.add_n("appended", AppendToken(), *before, token, stop, step)
        going = b.add("going", GoOn(), done, None)
        kept = [token, tokens, lengths, done, *after, *(given[name] for name in self._given)]
        return b.graph(go_on=going, **{f"{n}_next": v for n, v in zip(names, kept, strict=True)})

    def _network(
        self, b: GraphBuilder, chunk: Value, given: Mapping[str, Value]
    ) -> tuple[Value, list[Value]]:
        """Read one token: the scores of what follows it, and the states behind it."""
        graph = self._stepped.graph
        read = [chunk if v.name == self._port else given[v.name] for v in graph.inputs]
        found = dict(zip(graph.outputs, b.add_n("next", Call(graph), *read), strict=True))
        after = [found[name] for name in graph.states.values()]
        return b.add("scores", LastStep(), found[self._output]), after


def step_program(stepped: Stepped) -> Graph:
    """A program that runs a chunk of the decoder: its inputs, then what it gives."""
    graph = stepped.graph
    b = GraphBuilder("step")
    made = b.add_n("run", Call(graph), *(b.input(v.name, v.type) for v in graph.inputs))
    return b.graph(**dict(zip(graph.outputs, made, strict=True)))
