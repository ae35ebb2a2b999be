"""Derives from a network the graph that runs it one chunk of a sequence at a time."""

from __future__ import annotations

from collections.abc import Sequence

from ..ir.dims import Dim, Poly, Symbol, symbols
from ..ir.graph import Graph, Node, Value
from ..ir.proofs import equal
from ..ir.shapes import substitute_type
from ..ops.base import Op, Refusal
from ..ops.sizes import resized
from ..ops.streamed import Streamed, value_of
from ..ops.streaming import unstreamable
from .stepped import NotStreamable, Obstacle, Stepped
from .stepper import Recorder, Stepper


def stream_network(graph: Graph, time: Symbol) -> Stepped:
    """Make a network run one chunk at a time along a size of its inputs.

    Layers that no output needs are left out. Running chunk after chunk, with each state handed
    on, gives what running the network once on the whole gives.

    Args:
        graph: a network. time: the size, of which each input has one axis or none.
    Returns: a graph named `<network>.step`, which programs can call.
    Raises: NotStreamable: with every layer that can't; it may see later steps, or has no rule.
    """
    return _Derivation(graph, time).stepped()


class _Derivation:
    """known: value of the network -> how it stands in the stepped graph; none where not known."""

    def __init__(self, graph: Graph, time: Symbol) -> None:
        self.graph, self.time = graph, time.name
        self.chunk = Poly.of(Symbol(time.name, 1, time.max))
        self.recorder = Recorder(graph, self.chunk, time.max)
        self.known: dict[str, Streamed] = {}
        self.obstacles: list[Obstacle] = []

    def stepped(self) -> Stepped:
        self._take_inputs()
        for node in needed(self.graph):
            if all(value.name in self.known for value in node.reads()):
                self._run(node)
        if self.obstacles:
            raise NotStreamable(self.graph.name, tuple(self.obstacles))
        outputs = {port: self.known[v.name].value for port, v in self.graph.outputs.items()}
        return self.recorder.finish(outputs)

    def _sizes(self, symbol: Symbol) -> Dim:
        return self.chunk if self._is_time(symbol) else Poly.of(symbol)

    def _is_time(self, symbol: Symbol) -> bool:
        return symbol.name == self.time

    # Inputs

    def _take_inputs(self) -> None:
        for value in self.graph.inputs:
            made = self.recorder.input(self._resized(value))
            axes = self._timed_axes(made)
            if len(axes) > 1 or (axes and (axes[0] == 0 or not self._is_chunk(made, axes[0]))):
                reason = f"is {value.type}, which needs `{self.chunk}` as one axis behind the batch"
                self.obstacles.append(Obstacle(value.name, reason))
            else:
                self.known[value.name] = Streamed(made, axes[0] if axes else None)
        if not any(x.axis for x in self.known.values()) and not self.obstacles:
            reason = f"has no input with the size `{self.chunk}`"
            self.obstacles.append(Obstacle(self.graph.name, reason))

    def _resized(self, value: Value) -> Value:
        return Value(value.name, substitute_type(value.type, self._sizes))

    def _timed_axes(self, value: Value) -> list[int]:
        """The axes whose size depends on time."""
        return [
            a for a, size in enumerate(value.type.shape) if any(map(self._is_time, symbols(size)))
        ]

    def _is_chunk(self, value: Value, axis: int) -> bool:
        return equal(value.type.shape[axis], self.chunk) is True

    # Layers

    def _run(self, node: Node) -> None:
        stepper = Stepper(self.recorder, node)
        made: Sequence[Streamed | None]
        try:
            made = self._outputs(stepper, node)
        except Refusal as refusal:
            self.obstacles.append(Obstacle(node.path, refusal.message, refusal.help, node.span))
            made = self._as_if_streamed(node)
        for old, new in zip(node.outputs, made, strict=True):
            if new:
                self.known[old.name] = new

    def _outputs(self, stepper: Stepper, node: Node) -> tuple[Streamed, ...]:
        assert isinstance(node.op, Op), "a network has no calls and loops"
        given = [self.known[value.name] if value else None for value in node.inputs]
        op, reads_time = resized(node.op, self._sizes), self._reads_time(node.op)
        if not reads_time and not any(x.axis is not None for x in given if x):
            values = stepper.apply(op, *map(value_of, given))
            settled = all(x.settled for x in given if x)
            return tuple(Streamed(value, None, settled) for value in values)
        if reads_time and not op.reads_time:
            raise unstreamable(f"has arguments that depend on `{self.chunk}`")
        made = op.stream(stepper, *given)
        for streamed in made:
            self._check_axis(streamed)
        return made

    def _reads_time(self, op: Op) -> bool:
        """Whether arguments hold the size of time."""
        return op != resized(op, lambda s: Poly.of(s) + self._is_time(s))

    def _check_axis(self, made: Streamed) -> None:
        axes = self._timed_axes(made.value)
        if axes != [made.axis][: made.axis is not None] or not all(
            self._is_chunk(made.value, axis) for axis in axes
        ):
            raise unstreamable(f"makes {made.value.type}, where the steps are no axis of their own")

    def _as_if_streamed(self, node: Node) -> list[Streamed | None]:
        """The outputs of a refused layer, so that those behind it are looked at too."""
        found: list[Streamed | None] = []
        for value in map(self._resized, node.outputs):
            axes = self._timed_axes(value)
            clean = not axes or (len(axes) == 1 and self._is_chunk(value, axes[0]))
            found.append(Streamed(value, axes[0] if axes else None) if clean else None)
        return found


def needed(graph: Graph) -> list[Node]:
    """The nodes that some output depends on, in order."""
    read = {value.name for value in graph.outputs.values()}
    found: list[Node] = []
    for node in reversed(graph.nodes):
        if any(value.name in read for value in node.outputs):
            found.append(node)
            read |= {value.name for value in node.reads()}
    return found[::-1]
