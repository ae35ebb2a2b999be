"""What has a recurrent layer agrees between torch and ONNX Runtime at sizes it was not trained at.

A spec of the zoo is covered as soon as it has such a layer: its networks, which leave the length
open, and its programs, which have the sizes of the data where it has fixed ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir
import onnxruntime
import pytest
import torch
from netwright.compiler.backends.onnx_model import build_model
from netwright.compiler.driver import Compilation
from netwright.compiler.ir.dims import Symbol
from netwright.compiler.ir.graph import Graph
from netwright.compiler.objectives.fields import Field
from netwright.compiler.passes.pipeline import run_passes
from netwright.runtime.generated import build_networks
from netwright.runtime.parity import difference, sample_inputs
from netwright.runtime.signature import input_symbols
from netwright.runtime.torch_programs import torch_programs

from tests.zoo import FIXTURES, SPECS, Arrays, compiled, filled, is_recurrent

TOLERANCE = 1e-4
"""How far torch and ONNX Runtime may differ, relative to the largest output."""

BATCHES = (2, 5)
LENGTHS = (2, 21, 5, 13, 3, 34, 8, 1)
"""Lengths to choose from, in multiples of what a size must be a multiple of."""

CHOSEN = 3
"""How many lengths are tried."""

RECURRENT = [
    path
    for path in (*SPECS, FIXTURES / "specs" / "gru_classifier.yaml")
    if any(map(is_recurrent, compiled(path).graphs.values()))
]
"""The specs of the zoo with a recurrent layer, and one whose sequences are ragged."""

each_spec = pytest.mark.parametrize("path", RECURRENT, ids=lambda path: path.stem)


@dataclass(frozen=True)
class Case:
    """A network or program in torch and in ONNX Runtime.

    fields: what its inputs of these names hold.
    """

    graph: Graph
    fields: dict[str, Field]
    in_torch: Callable[[Arrays], Arrays]
    session: onnxruntime.InferenceSession

    @property
    def symbols(self) -> dict[str, Symbol]:
        """The sizes that are open, the batch left out."""
        return {n: s for n, s in sorted(input_symbols([self.graph]).items()) if n != "B"}

    def sizes(self, trained: set[int]) -> list[dict[str, int]]:
        """Every batch with every length; where several sizes are open, they are different ones."""
        lengths = [list(islice(allowed(s, trained), CHOSEN)) for s in self.symbols.values()]
        assert all(len(found) == CHOSEN for found in lengths)
        return [
            {"B": batch} | {n: lengths[i][(step + i) % CHOSEN] for i, n in enumerate(self.symbols)}
            for batch in BATCHES
            for step in range(CHOSEN if lengths else 1)
        ]

    def inputs(self, sizes: dict[str, int]) -> Arrays:
        """Random ones. Of those with lengths, a sample has the full one and another has 1."""
        arrays = sample_inputs(self.graph, sizes, self.fields, np.random.default_rng(0))
        counts = {field.lengths for field in self.fields.values() if field.lengths}
        for alone in (counts & arrays.keys()) - {ends for _, ends in self.ragged()}:
            arrays[alone] = np.ones_like(arrays[alone])  # another network reads what they count
        for name, ends in self.ragged():
            arrays[ends][:2] = arrays[name].shape[1], 1
        return arrays

    def ragged(self) -> list[tuple[str, str]]:
        """Inputs with the inputs that hold their lengths."""
        names = {value.name for value in self.graph.inputs}
        pairs = ((name, field.lengths) for name, field in self.fields.items() if name in names)
        return [(name, ends) for name, ends in pairs if ends in names]

    def compare(self, sizes: dict[str, int]) -> None:
        given = self.inputs(sizes)
        expected = self.in_torch(given)
        results = self.session.run(list(expected), given)
        for output, found in zip(expected, results, strict=True):
            relative, _ = difference(expected[output], found)
            assert relative <= TOLERANCE, (self.graph.name, output, sizes)


def allowed(symbol: Symbol, trained: set[int]) -> Iterator[int]:
    most = float("inf") if symbol.max is None else symbol.max
    sizes = (symbol.multiple_of * length for length in LENGTHS)
    return (size for size in sizes if symbol.min <= size <= most and size not in trained)


def stored_sizes(path: Path) -> set[int]:
    """All fixed sizes of the data, whose lengths are among them."""
    shapes = (field.shape or [] for field in compiled(path).fields.values())
    return {size for shape in shapes for size in shape[1:] if isinstance(size, int)}


@cache
def networks(path: Path) -> list[Case]:
    compilation = compiled(path)
    graphs = {name: graph for name, graph in compilation.graphs.items() if is_recurrent(graph)}
    modules = build_networks(compilation.source, list(graphs))
    fields = {name: f for name, f in compilation.fields.items() if not f.is_converted}
    return [
        Case(graph, fields, network_in_torch(graph, modules[name]), in_onnx(graph, weights))
        for name, graph in graphs.items()
        for weights in [filled({key: list(p.shape) for key, p in graph.tensors().items()})]
    ]


def network_in_torch(graph: Graph, module: torch.nn.Module) -> Callable[[Arrays], Arrays]:
    state = filled({key: list(p.shape) for key, p in graph.tensors().items()})
    module.load_state_dict({key: torch.from_numpy(array) for key, array in state.items()})
    module.eval()

    def run(arrays: Arrays) -> Arrays:
        with torch.inference_mode():
            made: Any = module(*(torch.from_numpy(arrays[value.name]) for value in graph.inputs))
        results = made.values() if isinstance(made, dict) else made
        results = (made,) if isinstance(made, torch.Tensor) else results
        return {name: y.numpy() for name, y in zip(graph.outputs, results, strict=True)}

    return run


@cache
def programs(path: Path) -> list[Case]:
    compilation = compiled(path)
    weights = program_weights(compilation)
    in_torch = torch_programs(compilation, weights)
    return [
        Case(graph, compilation.fields, in_torch[name], in_onnx(graph, weights))
        for name, graph in compilation.programs.items()
        if is_recurrent(run_passes(graph, weights)[0])
    ]


def program_weights(compilation: Compilation) -> Arrays:
    """Of all networks, `<network>.<tensor>`."""
    return {
        f"{name}.{key}": array
        for name, graph in compilation.graphs.items()
        for key, array in filled({k: list(p.shape) for k, p in graph.tensors().items()}).items()
    }


def in_onnx(graph: Graph, weights: Arrays) -> onnxruntime.InferenceSession:
    """After the passes, as it is exported."""
    proto = onnx_ir.to_proto(build_model(*run_passes(graph, weights)))
    return onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def test_recurrent_specs_are_found() -> None:
    expected = {"rnn_adding", "gru_adding", "lstm_adding", "lstm_fashion_rows", "gru_classifier"}
    assert expected <= {path.stem for path in RECURRENT}


@each_spec
def test_the_batches_are_not_those_of_training(path: Path) -> None:
    training = compiled(path).spec.training
    assert training is None or training.batch not in BATCHES


@each_spec
def test_networks_agree(path: Path) -> None:
    assert networks(path)
    for case in networks(path):
        assert case.symbols, f"give the sequence of `{case.graph.name}` a size that is left open"
        for sizes in case.sizes(stored_sizes(path)):
            case.compare(sizes)


@each_spec
def test_programs_agree(path: Path) -> None:
    assert programs(path)
    for case in programs(path):
        for sizes in case.sizes(stored_sizes(path)):
            case.compare(sizes)


def test_ragged_sequences_are_among_them() -> None:
    """In networks and in programs, with a sample of the full length and one of a single step."""
    for cases in (networks, programs):
        ragged = [
            (case, *pair) for path in RECURRENT for case in cases(path) for pair in case.ragged()
        ]
        assert ragged
        for case, name, ends in ragged:
            for sizes in case.sizes(set()):
                given = case.inputs(sizes)
                assert given[ends][:2].tolist() == [given[name].shape[1], 1]
