"""The two structural operators that programs are made of: `call` a network and `loop` a body.

They hold graphs, not arguments of the spec language, so they stand here and not in compiler/ops.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .dims import Dim, Symbol
from .graph import Graph, Parameter
from .proofs import equal
from .shapes import TensorType, substitute_type


@dataclass(frozen=True, eq=False)
class Call:
    """Apply a network. Inputs and outputs are those of its graph, in order.

    The network's symbols are unified with the caller's sizes, so that guidance can call with `2*B`.
    """

    graph: Graph

    name = "call"

    def arguments(self) -> Mapping[str, Any]:
        return {"network": self.graph.name}

    def output_ports(self) -> tuple[str, ...]:
        return tuple(self.graph.outputs)

    def declared(self, inputs: tuple[TensorType | None, ...]) -> tuple[Parameter, ...]:
        return ()  # the network's tensors belong to the network

    def inferred(self, inputs: tuple[TensorType | None, ...]) -> tuple[TensorType, ...]:
        given = [t for t in inputs if t is not None]
        binding = unify([value.type for value in self.graph.inputs], given)
        return tuple(
            substitute_type(value.type, lambda s: binding[s.name])
            for value in self.graph.outputs.values()
        )


@dataclass(frozen=True, eq=False)
class Loop:
    """Run a body a number of times.

    Node inputs:  trip count i64[], `carried` initial values, then per-step tensors [N, ...].
    Node outputs: the carried values after the last step, then stacked outputs [N, ...].
    Body inputs:  the step i64[], the carried values, one slice of each per-step tensor.
    Body outputs: with `condition`, bool[] "go on" first; the carried values; what is stacked.

    A body reads nothing from outside but stored tensors; a value that stays the same is carried.
    With a condition, `step_count` is not known before, so nothing may be stacked by static size.
    """

    body: Graph
    carried: int
    count: Dim
    condition: bool = False

    name = "loop"

    def arguments(self) -> Mapping[str, Any]:
        return {"body": self.body.name, "carried": self.carried, "condition": self.condition}

    def _body_results(self) -> tuple[TensorType, ...]:
        results = tuple(value.type for value in self.body.outputs.values())
        return results[1:] if self.condition else results

    def output_ports(self) -> tuple[str, ...]:
        return tuple(self.body.outputs)[1 if self.condition else 0 :]

    def declared(self, inputs: tuple[TensorType | None, ...]) -> tuple[Parameter, ...]:
        return ()

    def inferred(self, inputs: tuple[TensorType | None, ...]) -> tuple[TensorType, ...]:
        results = self._body_results()
        stacked = (t.with_shape((self.count, *t.shape)) for t in results[self.carried :])
        return (*results[: self.carried], *stacked)


def unify(patterns: list[TensorType], given: list[TensorType]) -> dict[str, Dim]:
    """Find what each symbol of the patterns stands for.

    Raises: ValueError: ranks, element types or sizes do not fit; the text says which.
    """
    binding: dict[str, Dim] = {}
    if len(patterns) != len(given):
        raise ValueError(f"expected {len(patterns)} inputs, found {len(given)}")
    for pattern, actual in zip(patterns, given, strict=True):
        _unify_one(pattern, actual, binding)
    return binding


def _unify_one(pattern: TensorType, actual: TensorType, binding: dict[str, Dim]) -> None:
    if pattern.rank != actual.rank or pattern.dtype != actual.dtype:
        raise ValueError(f"expected {pattern}, found {actual}")
    for axis, (wanted, size) in enumerate(zip(pattern.shape, actual.shape, strict=True)):
        symbol = _alone(wanted)
        expected = binding.setdefault(symbol.name, size) if symbol else wanted
        if equal(expected, size) is not True:
            raise ValueError(f"expected {pattern}, found {actual}: axis {axis} is not {expected}")


def _alone(dim: Dim) -> Symbol | None:
    """The symbol that a dim consists of, if it is nothing but a symbol."""
    if isinstance(dim, int) or len(dim.terms) != 1:
        return None
    monomial, coefficient = dim.terms[0]
    if coefficient != 1 or len(monomial) != 1 or monomial[0][1] != 1:
        return None
    atom = monomial[0][0]
    return atom if isinstance(atom, Symbol) else None
