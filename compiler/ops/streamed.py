"""What operators' rules for running one chunk of a sequence at a time work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..ir.dims import Dim
from ..ir.graph import Value
from ..ir.shapes import TensorType

if TYPE_CHECKING:
    from .base import Op


@dataclass(frozen=True)
class Streamed:
    """A value of a graph that runs one chunk of a sequence at a time.

    axis: the axis of time; None where the value has none.
    settled: a value without time is the same whatever has been seen. One that is not, such as a
        final state, tells of all steps so far.
    """

    value: Value
    axis: int | None = None
    settled: bool = True


def value_of(x: Streamed | None) -> Value | None:
    """The value alone; None for an optional port that is not wired."""
    return None if x is None else x.value


Axes = tuple[int | None, ...]
"""The axis of time in each input; None where it has none."""


class Streamer(Protocol):
    """What an operator's `stream` method builds with; streaming/stepper.py implements it."""

    @property
    def time(self) -> Dim:
        """The size of a chunk: a symbol."""

    @property
    def longest(self) -> int | None:
        """The most steps that a sequence may have, all chunks together."""

    @property
    def tied(self) -> bool:
        """Whether the layer uses a tensor that is stored elsewhere, other than by `share`."""

    def each_step(self, op: Op, *inputs: Streamed | None) -> tuple[Streamed, ...]:
        """Apply an operator that treats each step by itself, as its `stream_axis` says."""

    def apply(self, op: Op, *inputs: Value | None) -> tuple[Value, ...]:
        """Apply an operator with the layer's tensors and module, in its place."""

    def add(self, name: str, op: Op, *inputs: Value | None) -> Value:
        """Apply an operator without tensors beside the layer."""

    def state(self, name: str, kind: TensorType, begin: Streamed | None = None) -> Value:
        """A state of the layer, as the chunk before left it.

        begin: what it begins with, an input of the network that nothing else reads: the input
            becomes the state. Zeros unless given.
        Raises: Refusal: O503: `begin` is something else.
        """

    def keep(self, name: str, value: Value) -> None:
        """What the state of this name is behind the chunk."""

    def seen(self) -> Value:
        """i64[]: how many steps came before this chunk."""
