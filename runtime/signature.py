"""From the types of a program to the signature in a bundle's manifest. Torch-free."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal

from ..compiler.driver import Compilation
from ..compiler.ir.dims import Symbol
from ..compiler.ir.graph import Graph, Value
from ..compiler.ir.proofs import equal
from ..compiler.ir.shapes import SPEC_DTYPES
from ..compiler.ir.structure import Call
from ..compiler.objectives.base import Noise
from ..compiler.objectives.fields import Field
from ..compiler.objectives.sources import ImageFolder, Npz, Series, Source
from ..compiler.objectives.table_sources import Csv, Drop, Fill, Table
from ..compiler.ops.base import Op
from ..compiler.passes.rewriting import every_node
from .bundle import (
    Bounds,
    ImageForm,
    Port,
    Probabilities,
    Program,
    Reading,
    SeriesForm,
    TableForm,
)
from .opening import context_of, objective_of

WORDS = {dtype: word for word, dtype in SPEC_DTYPES.items()}

NOTHING: Mapping[str, Field] = {}
NO_NOISE: Mapping[str, Noise] = {}


def program_signature(
    graph: Graph,
    file: str,
    fields: Mapping[str, Field],
    symbols: Mapping[str, Bounds],
    noise: Mapping[str, Noise] = NO_NOISE,
    like: Mapping[str, Field] = NOTHING,
) -> Program:
    """The inputs and outputs of a program.

    Args:
        file: the name of its ONNX file.
        fields: what its inputs of these names hold.
        symbols: the bounds of sizes in the bundle.
        noise: its inputs that are drawn, and from what.
        like: its outputs that are samples of a field.
    """
    own = symbol_bounds([graph])
    return Program(
        file=file,
        inputs={value.name: _input(value, graph, fields, noise) for value in graph.inputs},
        outputs={n: _output(v, graph, fields, like.get(n)) for n, v in graph.outputs.items()},
        time=graph.time,
        states=dict(graph.states),
        symbols={name: bounds for name, bounds in own.items() if symbols.get(name) != bounds},
        mixes_batch=_mixes_batch(graph),
    )


def _mixes_batch(graph: Graph) -> bool:
    """Whether a layer, be it of a network that is called, looks from sample to sample."""
    return any(
        _mixes_batch(node.op.graph)
        if isinstance(node.op, Call)
        else isinstance(node.op, Op) and node.op.mixes_batch
        for node in every_node(graph)
    )


def _input(
    value: Value, graph: Graph, fields: Mapping[str, Field], noise: Mapping[str, Noise]
) -> Port:
    names = {other.name for other in graph.inputs}
    port = _port(value, names, fields.get(value.name))
    return port.model_copy(update={"noise": noise.get(value.name)})


def _output(value: Value, graph: Graph, fields: Mapping[str, Field], like: Field | None) -> Port:
    """like: the field that it is a sample of, whose smallest and largest value are then its own."""
    port = _port(value, ()).model_copy(update={"lengths": _lengths(value, graph, fields)})
    limits = like.raw_range if like else None
    return port.model_copy(update={"range": list(limits)}) if limits else port


def _lengths(value: Value, graph: Graph, fields: Mapping[str, Field]) -> str | None:
    """An output has the lengths of an input where both have the same size that is open, axis 1."""
    names = {other.name for other in graph.inputs}
    size = value.type.shape[1] if value.type.rank > 1 else 1
    for other in graph.inputs if not isinstance(size, int) else ():
        lengths = _port(other, names, fields.get(other.name)).lengths
        if lengths is not None and equal(size, other.type.shape[1]) is True:
            return lengths
    return None


def _port(value: Value, inputs: Collection[str], field: Field | None = None) -> Port:
    """inputs: the names of the program's inputs, of which one may hold the lengths of this one."""
    shape: list[int | str] = [s if isinstance(s, int) else str(s) for s in value.type.shape]
    return Port(
        dtype=WORDS[value.type.dtype],
        shape=shape,
        range=field.range if field else None,
        below=field.class_total if field else None,
        classes=field.classes if field else None,
        lengths=field.lengths if field and field.lengths in inputs else None,
    )


def reading(source: Source, inputs: Collection[str]) -> Reading:
    """How files become inputs of programs, by the source that training read.

    inputs: the names of the programs' inputs, which are fields of the data.
    """
    if isinstance(source, ImageFolder):
        form = ImageForm(size=source.size, fit=source.fit, mode=source.mode)
        return Reading(source=source.name, images={"image": form} if "image" in inputs else {})
    if isinstance(source, Table):
        return Reading(source=source.name, table=_table(source, inputs))
    if isinstance(source, Series):
        return Reading(source=source.name, series=_series(source) if "past" in inputs else None)
    arrays, ragged = (source.arrays, source.ragged) if isinstance(source, Npz) else ({}, {})
    named = {name: array for name, array in arrays.items() if name in inputs}
    offsets = {name: array for name, array in ragged.items() if name in inputs}
    return Reading(source=source.name, arrays=named, ragged=offsets)


def _series(source: Series) -> SeriesForm:
    return SeriesForm(
        columns=source.columns,
        window=source.window,
        time=source.time,
        group=source.group,
        missing=source.missing,
        delimiter=source.delimiter,
        decimal=source.decimal,
    )


def _table(source: Table, inputs: Collection[str]) -> TableForm:
    columns = {name: source.columns.get(name, name) for name in sorted(inputs)}
    if not isinstance(source, Csv):
        return TableForm(columns=columns, missing=_missing(source))
    return TableForm(
        columns=columns,
        delimiter=source.delimiter,
        decimal=source.decimal,
        missing=_missing(source),
    )


def _missing(source: Table) -> Literal["error", "drop"] | float:
    if isinstance(source.missing, Fill):
        return source.missing.value
    return "drop" if isinstance(source.missing, Drop) else "error"


def probabilities(compilation: Compilation) -> dict[str, Probabilities]:
    """Which outputs of programs are probabilities, and of what."""
    found = objective_of(compilation).probable(context_of(compilation))
    return {
        name: Probabilities(scores=made.scores, exclusive=made.exclusive, axis=made.axis)
        for name, made in found.items()
    }


def input_symbols(graphs: Iterable[Graph]) -> dict[str, Symbol]:
    """Every symbolic size that the programs' inputs name, as the first of them has it."""
    values = (value for graph in graphs for value in graph.inputs)
    found: dict[str, Symbol] = {}
    for symbol in (symbol for value in values for symbol in value.type.symbols()):
        found.setdefault(symbol.name, symbol)
    return found


def symbol_bounds(graphs: Iterable[Graph]) -> dict[str, Bounds]:
    return {
        name: Bounds(min=symbol.min, max=symbol.max, multiple_of=symbol.multiple_of)
        for name, symbol in sorted(input_symbols(graphs).items())
    }


BATCHES = (1, 3)
"""The batch sizes of the proof. One is the size that broadcasting mistakes hide behind."""


def size_grid(graph: Graph) -> list[dict[str, int]]:
    """Sizes for every symbol of a program's inputs: at least two batches and two lengths each.

    Sizes are taken small and larger at once, and where there are several symbols besides the
    batch, also one small and the next larger, which finds exchanged axes.
    """
    symbols = dict(sorted(input_symbols([graph]).items()))
    others = [name for name in symbols if name != "B"]
    sizes = {name: _sizes(s, 1 if name == graph.time else 2) for name, s in symbols.items()}
    grid = [{name: sizes[name][high] for name in symbols} for high in (0, 1)]
    for first in (0, 1) if others else ():
        mixed = {name: sizes[name][(i + first) % 2] for i, name in enumerate(others)}
        batch = {"B": sizes["B"][1 - first]} if "B" in symbols else {}
        grid.append({**batch, **mixed})
    return list(_different(grid))


def _sizes(symbol: Symbol, least: int) -> tuple[int, int]:
    """A small and a larger size that a symbol may have; the same where it has only one.

    least: of the small one, besides the batch: 1 hides whether an axis was mixed up with another.
    """
    step = symbol.multiple_of
    if symbol.name == "B":
        low, high = (max(symbol.min, size) for size in BATCHES)
    else:
        low, high = max(symbol.min, least), max(symbol.min, least) + 3 * step
    low, high = (-(-size // step) * step for size in (low, high))
    if symbol.max is not None:
        most = symbol.max // step * step
        low, high = min(low, most), min(high, most)
    return low, high


def _different(grid: list[dict[str, int]]) -> Iterator[dict[str, int]]:
    seen: list[dict[str, int]] = []
    for sizes in grid:
        if sizes not in seen:
            seen.append(sizes)
            yield sizes
