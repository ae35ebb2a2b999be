"""Opening a spec's data: read, check, split. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Literal

import numpy as np

from ...compiler.diagnostics import Code, Diagnostic, NetwrightError, failure
from ...compiler.ir.dims import Symbol
from ...compiler.objectives.base import Labels
from ...compiler.objectives.data import Data
from ...compiler.objectives.field_checks import LARGEST, unmeasured
from ...compiler.objectives.fields import Field, Normalize, with_classes, with_statistics
from ...compiler.objectives.source import Source
from ...compiler.suggest import listing
from .check import Checker, no_samples
from .columns import Columns, Storage, count, storage_of, take, total_bytes
from .errors import few_to_split
from .normalizing import measure
from .raw import RawData
from .sources import read_source
from .splits import split

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Facts:
    """What a plan needs to know of a part.

    nbytes: of all its values in memory. storage: where they lie now; see `Column`.
    """

    samples: int
    nbytes: int
    storage: Storage


@dataclass(frozen=True)
class Dataset:
    """Samples by part; `validation` and `test` may be empty of fields.

    fields: those of the spec; the labels of an image folder with the names of their classes, and
        what is normalized by the training samples with their mean and deviation.
    parts: part -> field -> column [N, ...] of the declared type.
    source: its training samples, and test samples if it has any, before some are set aside.
    notes: what was left out of the data, in sentences to be shown as warnings.
    found: field -> the names of its classes, where the data gives them and the spec does not.
    measured: field -> its `normalize` with the numbers, where these are the training samples'.
    folder: what paths of sources are relative to.
    """

    fields: Mapping[str, Field]
    parts: Mapping[Part, Columns]
    source: Mapping[Part, Columns]
    notes: tuple[str, ...] = ()
    found: Mapping[str, Sequence[str]] = dataclass_field(default_factory=dict)
    measured: Mapping[str, Normalize] = dataclass_field(default_factory=dict)
    folder: Path = Path()

    def fingerprints(self) -> dict[Part, dict[str, str]]:
        """Part of the source -> field -> what tells whether it is still the same.

        How they are split follows from the spec. Each call looks at the data: it takes up to about
        a second for each field.

        Raises: NetwrightError: F602.
        """
        return {
            part: {name: column.fingerprint() for name, column in columns.items()}
            for part, columns in self.source.items()
        }

    def changes(self, known: Mapping[str, Mapping[str, str]]) -> list[str]:
        """What of the source is other than when `fingerprints` gave these, in words.

        Returns: such as "`image`, `label` of the test samples in `t.npz`", for each part and file.
        """
        changed: dict[tuple[str, str], list[str]] = {}
        for part, found in self.fingerprints().items():
            for name, digest in found.items():
                if known.get(part, {}).get(name) != digest:
                    file = self.source[part][name].file
                    changed.setdefault((part, file), []).append(name)
        return [_told(part, file, names) for (part, file), names in changed.items()]

    def size(self, part: Part) -> int:
        """How many samples a part has."""
        return count(self.parts[part])

    def has(self, part: Part) -> bool:
        return self.size(part) > 0

    def facts(self, part: Part) -> Facts:
        columns = self.parts[part]
        return Facts(count(columns), total_bytes(columns), storage_of(columns))


def _told(part: str, file: str, names: Sequence[str]) -> str:
    samples = "training samples" if part == "train" else f"{part} samples"
    return f"{listing(names)} of the {samples}" + (f" in `{file}`" if file else "")


def open_data(
    data: Data,
    fields: Mapping[str, Field],
    dims: Mapping[str, Symbol],
    folder: Path,
    labels: Mapping[str, Labels] | None = None,
) -> Dataset:
    """Open and check a spec's data. What is large stays in its files.

    Args:
        fields: those of the spec, resolved. dims: the symbols that their shapes name.
        folder: what the source's paths are relative to.
        labels: field -> what the losses that read it need.
    Raises: NetwrightError: F602: a file is missing or damaged. F601: it does not hold what
        `fields` says, or too few samples. Every mistake is told at once.
    """
    raw = read_source(data.source, fields, folder)
    labels = labels or {}
    fields = with_classes(fields, raw.classes)
    checker = Checker(fields, dims, labels, raw.vocabularies)
    train = checker.conform(raw.train, "the training samples", trains=True)
    test = {} if raw.test is None else checker.conform(raw.test, "the test samples")
    problems = [*_wrong_counts(raw, labels), *checker.problems]
    if problems:
        raise NetwrightError(*problems)
    parts = _split(data, fields, train, test)
    _check_split(fields, train, parts["train"])
    source: dict[Part, Columns] = {"train": train, "test": test} if test else {"train": train}
    measured, constants = measure(fields, parts["train"])
    fields = with_statistics(fields, measured)
    if wrong := unmeasured(fields):
        raise failure(
            Code.F601,
            f"expected values of `{wrong}` that float32 can normalize, found a mean or a deviation "
            f"beyond {LARGEST:g} in the training samples",
            help="correct the values, or store them in other units",
        )
    notes = (*raw.notes, *constants)
    return Dataset(fields, parts, source, notes, raw.classes, measured, folder)


def open_source(
    source: Source, fields: Mapping[str, Field], dims: Mapping[str, Symbol], folder: Path
) -> Columns:
    """The samples of another source than the spec's, checked: its test samples, or else all.

    fields: as `open_data` gave them.
    Raises: NetwrightError: F601, F602.
    """
    raw = read_source(source, fields, folder)
    checker = Checker(fields, dims, {}, raw.vocabularies)
    given = raw.train if raw.test is None else raw.test
    columns = checker.conform(given, f"the samples of `{source.name}`")
    if checker.problems:
        raise NetwrightError(*checker.problems)
    return columns


def _wrong_counts(raw: RawData, labels: Mapping[str, Labels]) -> Iterator[Diagnostic]:
    """Classes that the data has found for itself, where the network has another number of them."""
    for name, names in raw.classes.items():
        rules = labels.get(name, Labels())
        if rules.room is not None and rules.room < len(names):
            yield _no_room(name, rules.room, len(names), is_text=name in raw.vocabularies)
        if rules.count is not None and rules.count != len(names):
            yield _wrong_count(rules.count, names, is_text=name in raw.vocabularies)


def _no_room(name: str, room: int, count: int, *, is_text: bool) -> Diagnostic:
    what = "different tokens" if is_text else "classes"
    return Diagnostic(
        Code.F601,
        f"expected at most {room} {what} in `{name}`, for which the layer that looks them up has "
        f"room; found {count}",
        help=f"make room for {count} in the layer"
        + (f": `embedding: {{size: {count}, ...}}`" if is_text else ""),
    )


def _wrong_count(scores: int, names: Sequence[str], *, is_text: bool) -> Diagnostic:
    if is_text:
        wanted = (
            f"expected {scores} different tokens in the training text, one for each score of the "
            f"network, found {len(names)}"
        )
    else:
        wanted = (
            f"expected a folder for each of the {scores} classes that the network tells apart, "
            f"found {len(names)}: {listing(names)}"
        )
    return Diagnostic(
        Code.F601, wanted, help=f"give the layer that makes the scores {len(names)} features"
    )


def _split(
    data: Data, fields: Mapping[str, Field], train: Columns, test: Columns
) -> dict[Part, Columns]:
    seed = None if data.source.is_ordered else data.split.seed
    validation: Columns = {}
    if not test:
        train, test = _part(fields, train, data.test_fraction, seed)
    if data.split.validation:
        later = None if seed is None else seed + 1
        train, validation = _part(fields, train, data.split.validation, later)
    return {"train": train, "validation": validation, "test": test}


def _part(
    fields: Mapping[str, Field], columns: Columns, fraction: float, seed: int | None
) -> tuple[Columns, Columns]:
    """What stays and what is set aside; seed: None for samples that follow each other in time."""
    if seed is None:
        first, last = next(iter(columns.values())).cut(fraction)
        return take(columns, first), take(columns, last)
    total = count(columns)
    if total < 2:
        raise few_to_split(total)
    name = _balancing(fields, columns)
    stay, drawn = split(total, fraction, seed, columns[name].whole() if name else None)
    return take(columns, stay), take(columns, drawn)


def _balancing(fields: Mapping[str, Field], columns: Columns) -> str | None:
    """The first field of one class per sample, by which the parts are balanced."""
    for name, field in fields.items():
        if field.class_total is not None and len(columns[name].shape) == 1:
            return name
    return None


def _check_split(fields: Mapping[str, Field], before: Columns, after: Columns) -> None:
    """No class may lose all of its samples to the other parts."""
    name = _balancing(fields, before)
    names = fields[name].classes if name else None
    if not name or not names:
        return
    lost = np.setdiff1d(before[name].whole(), after[name].whole()).tolist()
    if lost:
        message, _ = no_samples(name, [names[index] for index in lost if index < len(names)])
        raise failure(
            Code.F601,
            f"{message} once test and validation samples are set aside",
            help="add samples, leave the class out of the data, or set fewer aside in `split`",
        )
