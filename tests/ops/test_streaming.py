"""Every operator with a rule for chunks gives chunk by chunk what it gives on the whole.

The cases come from the registry: each example of each operator, along each of its symbolic sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from netwright.compiler.ir.dims import Symbol
from netwright.compiler.ops.base import REGISTRY, Op
from netwright.compiler.ops.streaming import all_steps, several_steps
from netwright.compiler.streaming.stepped import NotStreamable
from netwright.compiler.streaming.stream_network import stream_network

from tests.ops.test_conformance import CASES, Case, random_inputs
from tests.streaming_tools import Chunks, agree

REFUSING = (Op.stream_axis, all_steps, several_steps)


def has_rule(cls: type[Op]) -> bool:
    return cls.stream is not Op.stream or cls.stream_axis not in REFUSING


def along(case: Case) -> list[Symbol]:
    """The symbols that may be time: all besides the batch."""
    return [symbol for symbol in case.symbols() if symbol.name != "B"]


@cache
def streamable() -> list[tuple[Case, Symbol]]:
    found = []
    for case in CASES:
        for symbol in along(case):
            try:
                stream_network(graph_of(case), symbol)
            except NotStreamable:
                continue
            found.append((case, symbol))
    return found


def graph_of(case: Case) -> Any:
    from tests.ops.conftest import _lower

    return _lower(case.op, case.inputs()).graph


def length(symbol: Symbol) -> int:
    step = symbol.multiple_of
    least = -(-max(symbol.min, 7) // step) * step
    return least if symbol.max is None else min(least, symbol.max // step * step)


@pytest.mark.parametrize("cls", REGISTRY.values(), ids=REGISTRY)
def test_a_rule_has_an_example_that_runs_in_chunks(cls: type[Op]) -> None:
    runs = any(type(case.op) is cls for case, _ in streamable())
    assert runs == has_rule(cls), "add an example with a symbolic size that the rule serves"


@pytest.mark.parametrize(
    ("case", "time"), streamable(), ids=[f"{case.id}-{time}" for case, time in streamable()]
)
def test_chunks_give_what_the_whole_gives(
    case: Case, time: Symbol, lower: Callable[..., Any]
) -> None:
    layer = lower(case.op, None, *case.inputs())
    sizes = case.sizes()[1] | {time.name: length(time)}
    inputs = dict(zip(layer.names, random_inputs(case, sizes), strict=True))
    weights = {f"net.{name}": t.numpy() for name, t in layer.module.state_dict().items()}
    chunks = Chunks(layer.graph, time, layer.module, weights)
    whole = dict(zip(layer.graph.outputs, layer.torch(*inputs.values()), strict=True))
    agree(chunks, inputs, whole, max(case.op.tolerance, 2e-6))


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_a_state_that_is_an_input_begins_with_it(kind: str, lower: Callable[..., Any]) -> None:
    """Wrong beginnings would be noticed: zeros give something else."""
    states = ["f32[1, B, 4]"] * (2 if kind == "lstm" else 1)
    layer = lower(kind, {"hidden": 4}, "f32[B, T, 3]", None, *states)
    weights = {f"net.{name}": t.numpy() for name, t in layer.module.state_dict().items()}
    chunks = Chunks(layer.graph, Symbol("T"), layer.module, weights)
    given = {state.input for state in chunks.stepped.states if state.given}
    assert given == set(layer.names[1:])
    rng = np.random.default_rng(0)
    shapes = [(2, 7, 3), *[(1, 2, 4)] * len(states)]
    inputs = {
        name: rng.standard_normal(shape).astype(np.float32)
        for name, shape in zip(layer.names, shapes, strict=True)
    }
    whole = dict(zip(layer.graph.outputs, layer.torch(*inputs.values()), strict=True))
    agree(chunks, inputs, whole, 1e-5)
    zeros = {name: a if name not in given else np.zeros_like(a) for name, a in inputs.items()}
    with pytest.raises(AssertionError):
        agree(chunks, zeros, whole, 1e-3)


def test_a_wrong_axis_would_be_noticed() -> None:
    """The comparison tells a whole from one whose chunks were exchanged."""
    case, time = next(item for item in streamable() if item[0].op.name == "gru")
    from tests.ops.conftest import _lower

    layer = _lower(case.op, case.inputs())
    inputs = dict(zip(layer.names, random_inputs(case, {"B": 2, time.name: 7}), strict=True))
    weights = {f"net.{name}": t.numpy() for name, t in layer.module.state_dict().items()}
    swapped = [np.flip(array, 1).copy() for array in inputs.values()]
    whole = dict(zip(layer.graph.outputs, layer.torch(*swapped), strict=True))
    with pytest.raises(AssertionError):
        agree(Chunks(layer.graph, time, layer.module, weights), inputs, whole, 1e-4)
