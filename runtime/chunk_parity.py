"""The proof that a program in chunks gives what `predict` gives on the whole, in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiler.ir.dims import symbols
from ..compiler.ir.graph import Graph, Value
from ..compiler.objectives.fields import Field
from .chunks import chunk_steps
from .parity import SEED, Arrays, Comparison, RunTorch, measured, raw_units, sample_inputs
from .session import Session, Stream, make_session
from .signature import BATCHES, input_symbols, program_signature

CHUNKS = (1, 3, 2)
"""Steps of the chunks, in turn: uneven, and one alone."""

LENGTH = 9
"""Steps of the whole, where its length is not fixed."""


@dataclass(frozen=True)
class Whole:
    """The program `predict`. model: its ONNX file, if it was exported. in_torch: the same there."""

    graph: Graph
    model: Path
    in_torch: RunTorch

    def run(self, inputs: Arrays) -> Arrays:
        if not self.model.is_file():
            return self.in_torch(inputs)
        results = make_session(self.model, "cpu").run(list(self.graph.outputs), inputs)
        return dict(zip(self.graph.outputs, results, strict=True))


def compare_chunks(
    step: Graph, model: Path, whole: Whole, fields: Mapping[str, Field]
) -> list[Comparison]:
    """Run whole sequences, and the same in chunks of uneven sizes.

    Args:
        step: the program in chunks. model: its ONNX file.
        fields: which values the inputs of these names may take.
    """
    session = Session(model, program_signature(step, model.name, fields, {}), {}, "cpu")
    generator = np.random.Generator(np.random.PCG64(SEED))
    units, found = raw_units(whole.graph), list[Comparison]()
    for batch in BATCHES:
        sizes = _sizes(whole.graph, step, batch)
        inputs = sample_inputs(whole.graph, sizes, fields, generator)
        expected, stream = whole.run(inputs), Stream(session)
        chunks = list(_cut(inputs, step))
        parts = [stream(**chunk) for chunk in chunks]
        lengths = tuple(chunk_steps(chunk, session.signature) for chunk in chunks)
        for name in session.signature.own_outputs():
            actual = _joined([part[name] for part in parts], _axis(step.outputs[name], step))
            figures = measured(expected[name], actual, units.get(name))
            found.append(Comparison(step.name, sizes, name, *figures, chunks=lengths))
    return found


def _axis(value: Value, step: Graph) -> int | None:
    """The axis of time."""
    return next((a for a, size in enumerate(value.type.shape) if str(size) == step.time), None)


def _joined(parts: list[NDArray[Any]], axis: int | None) -> NDArray[Any]:
    return parts[-1] if axis is None else np.concatenate(parts, axis)


def _sizes(whole: Graph, step: Graph, batch: int) -> dict[str, int]:
    """Sizes of the whole: of several chunks along what the program in chunks calls its time."""
    timed = {value.name: _axis(value, step) for value in step.inputs}
    along = {
        symbol.name
        for value in whole.inputs
        if (axis := timed[value.name]) is not None
        for symbol in symbols(value.type.shape[axis])
    }
    wanted = {name: LENGTH if name in along else 2 for name in input_symbols([whole])}
    found = {}
    for name, symbol in input_symbols([whole]).items():
        of, least = symbol.multiple_of, max(symbol.min, wanted[name])
        size = -(-least // of) * of
        found[name] = size if symbol.max is None else min(size, symbol.max // of * of)
    return found | ({"B": batch} if "B" in found else {})


def _cut(inputs: Arrays, step: Graph) -> Iterator[Arrays]:
    axes = {v.name: _axis(v, step) for v in step.inputs if v.name in inputs}
    total = next(inputs[name].shape[axis] for name, axis in axes.items() if axis is not None)
    start = 0
    for size in cycle(CHUNKS):
        if start >= total:
            return
        places = np.arange(start, min(start + size, total))
        yield {
            name: inputs[name] if axis is None else inputs[name].take(places, axis)
            for name, axis in axes.items()
        }
        start += size
