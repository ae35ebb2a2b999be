"""Samples of different lengths as inputs of a program, as training reads them. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiler.ir.dims import Symbol
from .arrays import load_npz
from .bundle import Bounds, Port, Reading
from .data.columns import ArrayColumn, Column
from .data.extents import padded_size
from .data.ragged import lengths_of, ragged
from .input_checks import Arrays


def offsets_in(found: list[str], ports: Mapping[str, Port], reading: Reading) -> dict[str, str]:
    """Input -> the array of its offsets, where a file has one: as training called it, or
    `<input>_offsets`.

    found: the names of the file's arrays.
    """
    names = {
        name: (reading.ragged.get(name, ""), f"{name}_offsets")
        for name, port in ports.items()
        if port.lengths is not None
    }
    there = {name: next((o for o in own if o in found), None) for name, own in names.items()}
    return {name: offsets for name, offsets in there.items() if offsets is not None}


def read_ragged(
    path: Path,
    arrays: Mapping[str, str],
    offsets: Mapping[str, str],
    ports: Mapping[str, Port],
    symbols: Mapping[str, Bounds],
    batch: int,
) -> Iterator[Arrays]:
    """The samples of an `.npz` file, some at a time, each time padded to the longest of them.

    Args:
        arrays: input -> its array, of all but those that hold lengths.
        offsets: inputs of samples of different lengths -> the array of their offsets.
        batch: how many samples at a time.
    Raises: NetwrightError: F601: offsets that cut no array into samples. DamagedArrays, OSError.
    """
    loaded = load_npz(path, {*arrays.values(), *offsets.values()})
    columns: dict[str, Column] = {
        name: ArrayColumn(loaded[array], path.name) for name, array in arrays.items()
    }
    for name, array in offsets.items():
        cuts = ArrayColumn(loaded[array], path.name)
        columns[name] = ragged(columns[name], cuts, name, array)
    holders = {name: port.lengths for name, port in ports.items()}
    columns |= lengths_of(columns, holders, path.name)
    count = max(map(len, columns.values()))
    for start in range(0, count, batch):
        yield _padded(columns, np.arange(start, min(start + batch, count)), ports, symbols)


def _padded(
    columns: Mapping[str, Column],
    indices: NDArray[np.int64],
    ports: Mapping[str, Port],
    symbols: Mapping[str, Bounds],
) -> Arrays:
    """Some samples; those along one symbol are padded to one size."""
    dims = {
        name: Symbol(name, bounds.min, bounds.max, bounds.multiple_of)
        for name, bounds in symbols.items()
    }
    longest: dict[int | str, int] = {}
    for name, column in columns.items():
        if column.extent is not None:
            size, axis = column.extent.size(indices), ports[name].shape[1]
            longest[axis] = max(size, longest.get(axis, 0))
    sizes = {axis: padded_size(size, axis, dims) for axis, size in longest.items()}
    found: dict[str, NDArray[Any]] = {}
    for name, column in columns.items():
        if column.extent is None:
            found[name] = column.take(indices[indices < len(column)])
        else:
            found[name] = column.sized(indices, sizes[ports[name].shape[1]])
    return found
