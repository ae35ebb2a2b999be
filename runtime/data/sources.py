"""From the settings of a source to its raw arrays: one reader for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...compiler.objectives.sources import Digits, Idx, Npz, Source
from .digits import read_digits
from .idx import read_idx
from .npz import read_npz

Raw = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class RawData:
    """What a source holds: field -> array, and its own test samples if it has any."""

    train: Raw
    test: Raw | None = None


def read_source(source: Source, fields: Sequence[str], folder: Path) -> RawData:
    """Read the arrays of the declared fields.

    Args:
        fields: names, in the order of the spec. folder: what the source's paths are relative to.
    Raises: NetwrightError: F602: a file is missing or damaged. F601: an array is missing.
    """
    return _READERS[type(source)](source, fields, folder)


def _digits(source: Any, fields: Sequence[str], folder: Path) -> RawData:
    return RawData(read_digits())


def _idx(source: Any, fields: Sequence[str], folder: Path) -> RawData:
    def part(files: Sequence[str]) -> Raw:
        named = zip(fields, files, strict=True)
        return {name: read_idx(folder / file) for name, file in named}

    return RawData(part(source.train), part(source.test) if source.test is not None else None)


def _npz(source: Any, fields: Sequence[str], folder: Path) -> RawData:
    path = folder / source.path
    train = _pick(path, source.arrays, fields)
    if not source.has_test:
        return RawData(train)
    test_path = folder / source.test_path if source.test_path else path
    return RawData(train, _pick(test_path, source.test_arrays, fields))


def _pick(path: Path, names: Mapping[str, str], fields: Sequence[str]) -> Raw:
    archive = read_npz(path, [names.get(field, field) for field in fields])
    return {field: archive[names.get(field, field)] for field in fields}


_READERS: dict[type[Source], Callable[[Any, Sequence[str], Path], RawData]] = {
    Digits: _digits,
    Idx: _idx,
    Npz: _npz,
}
