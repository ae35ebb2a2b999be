"""Opening a spec's data: read, check, split. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from ...compiler.diagnostics import Code, failure
from ...compiler.ir.dims import Symbol
from ...compiler.objectives.data import Data
from ...compiler.objectives.fields import Field
from .check import Arrays, Labels, conform
from .sources import read_source
from .splits import split, take

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Dataset:
    """Samples by part; `validation` and `test` may be empty of fields.

    parts: part -> field -> array [N, ...] of the declared type.
    """

    fields: Mapping[str, Field]
    parts: Mapping[Part, Arrays]

    def size(self, part: Part) -> int:
        """How many samples a part has."""
        arrays = self.parts[part]
        return len(next(iter(arrays.values()))) if arrays else 0

    def has(self, part: Part) -> bool:
        return self.size(part) > 0


def open_data(
    data: Data,
    fields: Mapping[str, Field],
    dims: Mapping[str, Symbol],
    folder: Path,
    labels: Mapping[str, Labels] | None = None,
) -> Dataset:
    """Read and check a spec's data.

    Args:
        fields: those of the spec, resolved. dims: the symbols that their shapes name.
        folder: what the source's paths are relative to.
        labels: field -> what the losses that read it need.
    Raises: NetwrightError: F602: a file is missing or damaged. F601: it does not hold what
        `fields` says, or too few samples.
    """
    raw = read_source(data.source, list(fields), folder)
    labels = labels or {}
    train = conform(raw.train, fields, dims, "the training samples", labels)
    test = {} if raw.test is None else conform(raw.test, fields, dims, "the test samples", labels)
    return Dataset(fields, _split(data, fields, train, test))


def _split(
    data: Data, fields: Mapping[str, Field], train: Arrays, test: Arrays
) -> dict[Part, Arrays]:
    seed, validation = data.split.seed, Arrays()
    if not test:
        train, test = _part(fields, train, data.test_fraction, seed)
    if data.split.validation:
        train, validation = _part(fields, train, data.split.validation, seed + 1)
    return {"train": train, "validation": validation, "test": test}


def _part(
    fields: Mapping[str, Field], arrays: Arrays, fraction: float, seed: int
) -> tuple[Arrays, Arrays]:
    count = len(next(iter(arrays.values())))
    if count < 2:
        raise failure(Code.F601, f"expected at least 2 samples to split into parts, found {count}")
    stay, drawn = split(count, fraction, seed, _labels(fields, arrays))
    return take(arrays, stay), take(arrays, drawn)


def _labels(fields: Mapping[str, Field], arrays: Arrays) -> NDArray[Any] | None:
    """The first field of one class per sample, by which the parts are balanced."""
    for name, field in fields.items():
        if field.class_total is not None and arrays[name].ndim == 1:
            return arrays[name]
    return None
