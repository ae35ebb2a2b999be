"""What the walk of elaboration carries: frames of names, and what a name stands for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..ir.graph import Node, Value
from ..ir.graph import Scope as GraphScope
from ..source import Span
from .blocks import Block
from .evaluate import Scope
from .layers import Layer


class Unknown:
    """The value of a layer that failed: whatever reads it is silent about types."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN = Unknown()
Wire = Value | Unknown


@dataclass(frozen=True)
class Recipe:
    """How a layer was expanded, so that `share` can do it again with the same weights.

    node: the layer's node where it is one operator.
    """

    layer: Layer
    frame: Frame
    path: str
    node: Node | None = None


@dataclass(frozen=True)
class Bound:
    """What a name stands for: results by port (the first is the default), and where it is defined.

    copies: the results of each copy of a `repeat`; None for a layer without one.
    dropped: why the name stands for nothing, in words.
    """

    ports: Mapping[str, Wire]
    span: Span
    copies: tuple[Bound, ...] | None = None
    dropped: str = ""
    recipe: Recipe | None = None

    @property
    def first(self) -> Wire:
        return next(iter(self.ports.values()), UNKNOWN)

    @property
    def is_unknown(self) -> bool:
        return any(isinstance(wire, Unknown) for wire in self.ports.values())


def unknown(span: Span, ports: tuple[str, ...] = ("y",)) -> Bound:
    return Bound(dict.fromkeys(ports, UNKNOWN), span)


Item = Node | GraphScope


@dataclass
class Frame:
    """A lexical scope under expansion: a network, a block instance or a group.

    path: the prefix of paths inside. outer: where a group looks names up that it does not have.
    later: ids that the layers still to come will define, for messages about forward references.
    members: how many kept layers a group has so far; its members are named by position.
    unbound: while a repeat without copies is wired, the names that its copies would bind.
    """

    kind: str
    path: str
    scope: Scope
    blocks: Mapping[str, Block]
    prev: Bound | None
    names: dict[str, Bound] = field(default_factory=dict)
    outer: Frame | None = None
    items: list[Item] = field(default_factory=list)
    later: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    members: Counter[str] = field(default_factory=Counter)
    taken: set[str] = field(default_factory=set)
    unbound: frozenset[str] = frozenset()

    def chain(self) -> Iterator[Frame]:
        """This frame and those whose names it can see."""
        frame: Frame | None = self
        while frame:
            yield frame
            frame = frame.outer

    def lookup(self, name: str) -> Bound | None:
        return next((f.names[name] for f in self.chain() if name in f.names), None)

    def visible(self) -> list[str]:
        return [name for frame in self.chain() for name in frame.names]

    def extended(self, env: Mapping[str, Any]) -> Frame:
        """The same frame with more names for expressions; names and items stay shared."""
        return replace(self, scope=replace(self.scope, env={**self.scope.env, **env}))

    def child_path(self, identity: str) -> str:
        return f"{self.path}.{identity}" if self.path else identity
