"""What a network becomes that runs one chunk of a sequence at a time, or why it can't."""

from __future__ import annotations

from dataclasses import dataclass

from ..ir.graph import Graph
from ..ir.shapes import TensorType
from ..source import Span


@dataclass(frozen=True)
class State:
    """What is carried from chunk to chunk: `output` of one is `input` of the next.

    given: whether the input is one of the network's own, so that the caller says what it begins
        with; else it begins as zeros.
    """

    input: str
    output: str
    type: TensorType
    given: bool = False


@dataclass(frozen=True)
class Stepped:
    """A network for one chunk.

    graph: the network's inputs that are no states, where the size of time is the chunk's, at least
        1, then the states; its outputs, then the states behind the chunk. An output with an axis of
        time is the chunk's part of the whole; one without is what the network gives for all steps
        so far. The layers use the network's own tensors.
    counter: the state that counts the steps so far, where a layer needs that.
    longest: the most steps that all chunks together may have; None where any number may come.
    """

    graph: Graph
    states: tuple[State, ...]
    counter: State | None = None
    longest: int | None = None


@dataclass(frozen=True)
class Obstacle:
    """A layer or input that stands in the way.

    name: the layer's path, or the input's name. reason: a phrase with it as the subject.
    help: the next step, where there is one.
    """

    name: str
    reason: str
    help: str = ""
    span: Span | None = None


class NotStreamable(Exception):  # noqa: N818 - it reports a user's wish, not a fault of ours
    """A network can't run one chunk at a time. obstacles: all of them, each layer once."""

    def __init__(self, network: str, obstacles: tuple[Obstacle, ...]) -> None:
        reasons = "; ".join(f"`{o.name}` {o.reason}" for o in obstacles)
        super().__init__(f"`{network}` can't run one chunk at a time: {reasons}")
        self.network, self.obstacles = network, obstacles
